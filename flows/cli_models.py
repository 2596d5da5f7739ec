"""`weir models`: what models are configured and there; pull, warm and show those of Ollama."""

import asyncio
import os
import time
from collections.abc import Coroutine
from dataclasses import asdict
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from connectors.providers.ollama_admin import ModelCard
from connectors.providers.ollama_server import OllamaServer
from connectors.providers.ollama_window import MIN_WINDOW_TOKENS
from flows.cli_models_pull import pull_all
from flows.cli_models_rows import ModelRow, Target, base_of, key_of, listed, targets
from flows.cli_show import dumps
from flows.cli_text import ended, note
from flows.settings import Settings, load
from flows.settings_env import ollama_url
from schemas.calls import ProviderError, Route

app = typer.Typer(no_args_is_help=True, help="Models: what there is, and those of local Ollama servers.")

Config = Annotated[
    str | None, typer.Option("--config", metavar="FILE", help="Configuration; else WEIR_CONFIG, else none.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Server = Annotated[
    str | None, typer.Option(help="Ollama server for names that aren't configured; else OLLAMA_HOST.")
]
_T = TypeVar("_T")


@app.command("list")
def list_models(config: Config = None, as_json: AsJson = False) -> None:
    """List the configured models; of Ollama's also whether they are there, and what else is there."""
    settings = load(config, os.environ)
    rows, problems = asyncio.run(listed(settings.routes, _host_url()))
    for problem in problems:
        note(f"weir: {problem}")
    if as_json:
        print(dumps([asdict(row) for row in rows]))
        return
    table = Table("model", "route", "window", "in / out, $ per 1M", "on disk", "state")
    for row in rows:
        window = "-" if row.window_tokens is None else f"{row.window_tokens:,}"
        table.add_row(
            row.model_name, row.route or "-", window, _prices(row), size_text(row.size_bytes), row.state
        )
    Console().print(table)


@app.command("pull")
def pull(
    names: Annotated[list[str], typer.Argument(help="Configured models, or any name of Ollama's.")],
    server: Server = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Fetch models to their Ollama server. Ctrl-C stops; the next pull goes on where this one stopped."""
    wanted = _wanted(load(config, os.environ), names, server)
    try:
        _run(pull_all(wanted, as_json=as_json))
    except KeyboardInterrupt:
        note("stopped; pull again to go on")
        raise


@app.command("warm")
def warm(
    names: Annotated[list[str] | None, typer.Argument(help="Which; else all configured ones.")] = None,
    server: Server = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Load Ollama models into memory, so that the first request needn't wait for it."""
    settings = load(config, os.environ)
    wanted = _wanted(settings, names or _ollama_names(settings), server)
    for target in wanted:
        start_s = time.monotonic()
        _run(_load(target))
        took_s = round(time.monotonic() - start_s, 3)
        if as_json:
            print(dumps({"model": target.model, "server": target.base, "loaded_s": took_s}))
        else:
            print(f"{target.model}  loaded in {took_s:.1f} s at {target.base}")


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="A configured model, or any name of Ollama's.")],
    server: Server = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show one model: its configuration and, of an Ollama model, what its server says."""
    settings = load(config, os.environ)
    found = settings.catalogue().find(name)
    shown: list[dict[str, object]] = [_facts(route) for route in found if route.provider != "ollama"]
    for target in () if shown and not _is_ollama(found) else _wanted(settings, [name], server):
        card = _run(_card(target))
        shown.append(
            (_facts(target.route) if target.route else {"model": target.model}) | _card_facts(card, target)
        )
    if as_json:
        print(dumps(shown))
        return
    for facts in shown:
        print("\n".join(f"{title:<18} {value}" for title, value in facts.items() if value not in (None, "")))


def size_text(size_bytes: int | None) -> str:
    """A size as people read it: `2.0 GB`, `-`."""
    if size_bytes is None:
        return "-"
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e8 else f"{size_bytes / 1e6:.1f} MB"


def _prices(row: ModelRow) -> str:
    if not row.input_cost_usd and not row.output_cost_usd:
        return "-"
    return f"{row.input_cost_usd * 1e6:g} / {row.output_cost_usd * 1e6:g}"


def _facts(route: Route) -> dict[str, object]:
    return {
        "model_name": route.model_name,
        "route": route.name,
        "provider": route.provider,
        "model": route.model,
        "max_input_tokens": route.max_input_tokens,
        "max_output_tokens": route.max_output_tokens,
        "input_cost_usd": route.input_cost_usd,
        "output_cost_usd": route.output_cost_usd,
    }


def _card_facts(card: ModelCard, target: Target) -> dict[str, object]:
    return {
        "server": target.base,
        "length_tokens": card.length_tokens,
        "capabilities": ", ".join(card.capabilities),
        "family": card.family,
        "parameters": card.parameters,
        "quantization": card.quantization,
    }


async def _card(target: Target) -> ModelCard:
    async with OllamaServer(target.base, key_of(target.route)) as server:
        return await server.show(target.model)


async def _load(target: Target) -> None:
    """Load a model with the window that small calls ask for, so that they don't load it anew."""
    params = target.route.params if target.route else {}
    own, keep = params.get("num_ctx"), params.get("keep_alive")
    length = target.route.max_input_tokens if target.route else None
    window = own if isinstance(own, int) else min(MIN_WINDOW_TOKENS, length or MIN_WINDOW_TOKENS)
    async with OllamaServer(target.base, key_of(target.route)) as server:
        keep_alive = keep if isinstance(keep, str | int | float) else None
        await server.load(target.model, window_tokens=window, keep_alive=keep_alive)


def _wanted(settings: Settings, names: list[str], server: str | None) -> list[Target]:
    """What the names mean; one that isn't Ollama's ends the command."""
    base = ollama_url(server) if server else _host_url() or base_of(None)
    found: list[Target] = []
    for name in names:
        routes = settings.catalogue().find(name)
        if routes and not _is_ollama(routes):
            raise ended(f"`{name}` is no model of Ollama's but of {routes[0].provider}")
        found += targets(name, routes, base)
    return list(dict.fromkeys(found))


def _is_ollama(routes: tuple[Route, ...]) -> bool:
    return any(route.provider == "ollama" for route in routes)


def _ollama_names(settings: Settings) -> list[str]:
    names = [route.name for route in settings.routes if route.provider == "ollama"]
    if not names:
        raise ended("no Ollama model is configured; name one")
    return names


def _host_url() -> str | None:
    host = os.environ.get("OLLAMA_HOST", "").strip()
    return ollama_url(host) if host else None


def _run(work: Coroutine[Any, Any, _T]) -> _T:
    """Do it; a provider's error ends the command with its reason."""
    try:
        return asyncio.run(work)
    except ProviderError as error:
        raise ended(error.reason) from error
