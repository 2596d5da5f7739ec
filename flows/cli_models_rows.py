"""What `weir models list` shows: the configured routes beside what Ollama's servers have."""

import asyncio
from dataclasses import dataclass, field

from connectors.providers.keys import KeyFile
from connectors.providers.ollama import BASE
from connectors.providers.ollama_admin import LocalModel, full_name
from connectors.providers.ollama_server import OllamaServer
from schemas.calls import ProviderError, Route

LOOK_S = 3.0
"""Longest wait for a server's list."""


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One model."""

    model_name: str
    """What requests call it; of one that isn't configured the server's name for it."""
    route: str | None
    """Its route, as `provider:model`; `None` where it isn't configured."""
    provider: str
    """Who answers."""
    model: str
    """The model by the provider's name."""
    state: str
    """`loaded`, `there`, `missing` (pull it), `server away` or `not configured`; for others than Ollama's
    `remote`, and `embedded` for Weir's own."""
    window_tokens: int | None = None
    """Its window, by the configuration or else by its server."""
    max_output_tokens: int | None = None
    """Its limit on output, where configured."""
    input_cost_usd: float = 0.0
    """Price of one input token."""
    output_cost_usd: float = 0.0
    """Price of one output token."""
    size_bytes: int | None = None
    """Its size on the server's disk."""
    loaded: bool | None = None
    """Whether it is in the server's memory; `None` where that is unknown."""
    server: str | None = None
    """Its Ollama server."""


@dataclass(frozen=True, slots=True)
class Target:
    """A model at an Ollama server; equal to another where both mean the same."""

    model: str
    """Ollama's name for it."""
    base: str
    """The server."""
    route: Route | None = field(default=None, compare=False)
    """Its route, where it is configured."""


@dataclass(frozen=True, slots=True)
class Stock:
    """What one server has."""

    there: dict[str, LocalModel]
    """On its disk, by full name."""
    loaded: frozenset[str]
    """Full names of those in its memory."""
    lengths: dict[str, int]
    """Context lengths by full name, of those that were asked for."""


def base_of(route: Route | None) -> str:
    """Where a route's Ollama server is."""
    return ((route.api_base if route else None) or BASE).rstrip("/")


def key_of(route: Route | None) -> str | None:
    """The secret for a route's server.

    Raises:
        Missing: When its file can't be read.
    """
    if route is None:
        return None
    return KeyFile(route.api_key_file).read() if route.api_key_file else route.api_key


def targets(name: str, routes: tuple[Route, ...], base: str) -> list[Target]:
    """What a name means: the configured Ollama routes of that name, or else a model at `base`."""
    found = [Target(route.model, base_of(route), route) for route in routes if route.provider == "ollama"]
    return found or [Target(name, base)]


async def listed(routes: tuple[Route, ...], host: str | None) -> tuple[list[ModelRow], list[str]]:
    """All rows, configured ones first, and what went wrong, in words.

    `host` is a server to look at beside those of the routes.
    """
    mine = [route for route in routes if route.provider == "ollama"]
    servers: dict[str, Route | None] = {base_of(route): route for route in mine}
    if host is not None:
        servers.setdefault(host, None)
    asked = {base: [full_name(one.model) for one in mine if base_of(one) == base] for base in servers}
    looks = await asyncio.gather(
        *(_look(base, route, asked[base]) for base, route in servers.items()), return_exceptions=True
    )
    stocks: dict[str, Stock] = {}
    problems: list[str] = []
    for base, found in zip(servers, looks, strict=True):
        if isinstance(found, ProviderError):
            problems.append(found.reason)
        elif isinstance(found, BaseException):
            raise found
        else:
            stocks[base] = found
    rows = [_row(route, stocks) for route in routes]
    for base, stock in stocks.items():
        rows += [_extra(model, base, stock) for name, model in stock.there.items() if name not in asked[base]]
    return rows, problems


async def _look(base: str, route: Route | None, names: list[str]) -> Stock:
    """What a server has, and the lengths of those models.

    Raises:
        ProviderError: When it doesn't answer.
    """
    async with OllamaServer(base, key_of(route), quick_s=LOOK_S) as server:
        there = {full_name(model.name): model for model in await server.tags()}
        loaded = frozenset(full_name(model.name) for model in await server.loaded())
        lengths: dict[str, int] = {}
        for name in set(names) & there.keys():
            card = await server.show(name)
            if card.length_tokens is not None:
                lengths[name] = card.length_tokens
    return Stock(there, loaded, lengths)


def _row(route: Route, stocks: dict[str, Stock]) -> ModelRow:
    name, base = full_name(route.model), base_of(route)
    ollama = route.provider == "ollama"
    stock = stocks.get(base) if ollama else None
    model = stock.there.get(name) if stock else None
    return ModelRow(
        model_name=route.model_name,
        route=route.name,
        provider=route.provider,
        model=route.model,
        state=_state(route, name, stock),
        window_tokens=route.max_input_tokens or (stock.lengths.get(name) if stock else None),
        max_output_tokens=route.max_output_tokens,
        input_cost_usd=route.input_cost_usd,
        output_cost_usd=route.output_cost_usd,
        size_bytes=model.size_bytes if model else None,
        loaded=name in stock.loaded if stock else None,
        server=base if ollama else None,
    )


def _state(route: Route, name: str, stock: Stock | None) -> str:
    if route.provider != "ollama":
        return "embedded" if route.provider == "extractive" else "remote"
    if stock is None:
        return "server away"
    if name not in stock.there:
        return "missing"
    return "loaded" if name in stock.loaded else "there"


def _extra(model: LocalModel, base: str, stock: Stock) -> ModelRow:
    return ModelRow(
        model_name=model.name,
        route=None,
        provider="ollama",
        model=model.name,
        state="not configured",
        size_bytes=model.size_bytes,
        loaded=full_name(model.name) in stock.loaded,
        server=base,
    )
