"""`weir gateway`: one gateway in the foreground.

`weir up` runs this file as a program of its own (`python -m flows.cli_gateway`), without loading the other
commands. The admin key that a first start makes goes to the terminal, never to a log: under `weir up` it is
`up` that makes it.
"""

import argparse
import functools
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

import uvloop

from connectors.gateway.doors.setup import origins_of
from connectors.gateway.parts import GatewaySettings
from connectors.gateway.ports import Problem
from connectors.gateway.server import Gateway, Surroundings
from connectors.process.errors import NotReady
from connectors.tokenizers.counter import build as build_counter
from flows.app import prepare
from flows.cli_errors import guarded
from flows.cli_settings import load_settings
from flows.settings import Settings
from flows.settings_keys import SettingsError
from flows.stages.catalogue import AUTO
from schemas.base import JsonObject

HOST, PORT = "WEIR_GATEWAY_HOST", "WEIR_GATEWAY_PORT"
"""Variables that say where a gateway listens; an option beats them."""
DEFAULT_PORT = 8080


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says; `None` where it says nothing."""

    config: str | None = None
    host: str | None = None
    port: int | None = None
    ordinal: int = 0
    instances: int = 0
    tls_cert: str | None = None
    tls_key: str | None = None
    drain_s: float = 10.0
    first_key: bool = True


def serve(options: Options, say: Callable[[str], None]) -> int:
    """Run a gateway until SIGTERM; its exit code.

    Raises:
        KafkaProblem: When no broker answers at the start.
        ProcessProblem: When it can't listen.
        SettingsError: When the configuration can't be understood.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    settings, bounds = load_settings(options.config), gateway_settings(options, os.environ)
    prepare()
    around = Surroundings(
        env=os.environ,
        models=functools.cache(lambda: models_of(settings, round(time.time()))),
        count=lambda text: _counter(settings.counting.tokenizer).count(text),
        serving=lambda url: say(f"gateway: listens at {url}"),
    )

    def show(key: str) -> None:
        say(f"admin key, shown once: {key}")

    gateway = Gateway(settings.cluster, bounds, around)
    try:
        uvloop.run(gateway.serve(show if options.first_key else None))
    except Problem as problem:
        raise NotReady(problem.message) from problem
    return 0


_counter = functools.cache(build_counter)
"""A counter takes a while to build; most gateways never need it."""


def gateway_settings(options: Options, env: Mapping[str, str]) -> GatewaySettings:
    """The settings of a gateway.

    Raises:
        SettingsError: When they can't be understood, or don't fit each other.
    """
    if options.instances and not 0 <= options.ordinal < options.instances:
        raise SettingsError(f"--ordinal: must be 0 to {options.instances - 1}")
    if (options.tls_cert is None) != (options.tls_key is None):
        raise SettingsError("--tls-cert and --tls-key go together")
    return GatewaySettings(
        host=options.host or env.get(HOST, "").strip() or GatewaySettings.host,
        port=port_of(options.port, env),
        ordinal=options.ordinal,
        instances=options.instances,
        tls_cert=options.tls_cert,
        tls_key=options.tls_key,
        origins=tuple(sorted(origins_of(env))),
        drain=timedelta(seconds=options.drain_s),
    )


def port_of(option: int | None, env: Mapping[str, str]) -> int:
    """The port to listen at.

    Raises:
        SettingsError: When the variable isn't one.
    """
    if option is not None:
        return option
    text = env.get(PORT, "").strip()
    if not text:
        return DEFAULT_PORT
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise SettingsError(f"{PORT}: must be a port, 0 to 65535")
    return int(text)


def models_of(settings: Settings, now_s: int) -> list[JsonObject]:
    """Model names that can be asked for, `auto` first, as OpenAI's API lists them."""
    owners = {AUTO: "weir"}
    for route in settings.routes:
        owners.setdefault(route.model_name, route.provider)
    catalogue = settings.catalogue()
    for alias in settings.aliases:
        found = catalogue.find(alias)
        owners.setdefault(alias, found[0].provider if found else "weir")
    return [
        {"id": name, "object": "model", "created": now_s, "owned_by": owner} for name, owner in owners.items()
    ]


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main(args: list[str] | None = None) -> int:
    """The program: the same options as `weir gateway`."""
    parser = argparse.ArgumentParser(prog="weir gateway")
    parser.add_argument("--config", metavar="FILE")
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--ordinal", type=int, default=0)
    parser.add_argument("--instances", type=int, default=0)
    parser.add_argument("--tls-cert", metavar="FILE")
    parser.add_argument("--tls-key", metavar="FILE")
    parser.add_argument("--drain-s", type=float, default=10.0)
    parser.add_argument("--no-first-key", dest="first_key", action="store_false")
    found = parser.parse_args(args)
    return guarded(lambda: serve(Options(**vars(found)), _say))


if __name__ == "__main__":
    sys.exit(main())
