"""`weir gateway`: one gateway in the foreground.

`weir up` runs this file as a program of its own (`python -m flows.cli_gateway`), without loading the other
commands. The admin key that a first start makes goes to the terminal, never to a log: under `weir up` it is
`up` that makes it.
"""

import argparse
import asyncio
import functools
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

import typer

from connectors.gateway.doors.setup import first_key, origins_of
from connectors.gateway.parts import GatewaySettings
from connectors.gateway.ports import Problem
from connectors.kafka.ports import free_port, is_free
from connectors.process.errors import NotReady
from flows.cli_errors import guarded
from flows.cli_settings import load_settings
from flows.settings import Settings
from flows.settings_keys import SettingsError
from flows.stages.catalogue import AUTO
from schemas.base import JsonObject
from schemas.cluster import Cluster

HOST, PORT = "WEIR_GATEWAY_HOST", "WEIR_GATEWAY_PORT"
"""Variables that say where a gateway listens; an option beats them."""
DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8080


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
    import uvloop  # only here, as the rest: they load all that a gateway needs

    from connectors.gateway.server import Gateway, Surroundings
    from connectors.tokenizers.counter import build
    from flows.app import prepare
    from flows.garbage import collect_by_the_clock

    counter = functools.cache(build)  # it takes a while to build; most gateways never need it
    prepare()
    around = Surroundings(
        env=os.environ,
        models=functools.cache(lambda: models_of(settings, round(time.time()))),
        count=lambda text: counter(settings.counting.tokenizer).count(text),
        serving=lambda url: say(f"gateway: listens at {url}"),
    )

    def show(key: str) -> None:
        say(f"admin key, shown once: {key}")

    gateway = Gateway(settings.cluster, bounds, around)
    collect_by_the_clock()
    try:
        uvloop.run(gateway.serve(show if options.first_key else None))
    except Problem as problem:
        raise NotReady(problem.message) from problem
    return 0


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
        host=options.host or env.get(HOST, "").strip() or DEFAULT_HOST,
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


def chosen_url(env: Mapping[str, str]) -> str:
    """Where the gateway of `weir up` is to listen: as the environment says, else 8080, or any free port.

    Raises:
        SettingsError: When the environment can't be understood.
    """
    host = env.get(HOST, "").strip() or DEFAULT_HOST
    port = port_of(None, env)
    if not port or (not env.get(PORT, "").strip() and not is_free(port)):
        port = free_port()
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def child_args(url: str, config: str | None) -> tuple[str, ...]:
    """Arguments of the gateway that `weir up` runs."""
    more = ("--config", config) if config else ()
    return ("--port", url.rpartition(":")[2], "--no-first-key", *more)


def show_first_key(cluster: Cluster, say: Callable[[str], None]) -> None:
    """Make the admin key of a new installation and show it, once; nothing where there are keys.

    Raises:
        KafkaProblem: When Kafka can't be reached.
        ProcessProblem: When it doesn't take the key.
    """
    try:
        text = asyncio.run(first_key(cluster, os.environ))
    except Problem as problem:
        raise NotReady(problem.message) from problem
    if text is not None:
        say(f"admin key, shown once: {text}")


def gateway(
    config: Annotated[str | None, typer.Option("--config", metavar="FILE", help="Configuration.")] = None,
    host: Annotated[str | None, typer.Option(help="Where to listen; beyond loopback it needs keys.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port; 8080 unless set.")] = None,
    ordinal: Annotated[int, typer.Option(min=0, help="Number among --instances, from 0.")] = 0,
    instances: Annotated[
        int, typer.Option(min=0, help="Gateways that share the replies; 0: each reads all.")
    ] = 0,
    tls_cert: Annotated[str | None, typer.Option(metavar="FILE", help="Certificate (PEM).")] = None,
    tls_key: Annotated[str | None, typer.Option(metavar="FILE", help="Its key (PEM).")] = None,
) -> None:
    """Run one HTTP gateway in the foreground, until SIGTERM. Start more to scale out.

    The first one makes an admin key and prints it, once.
    """
    options = Options(config, host, port, ordinal, instances, tls_cert, tls_key)
    raise typer.Exit(serve(options, _say))


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
