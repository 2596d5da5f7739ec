"""The configured routes, and how a request's `model` finds them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from schemas.calls import Route

AUTO = "auto"
"""The model name that means: the first healthy route."""
LAST_RESORT = "extractive"
"""The provider that only quotes; `auto` comes to it after all others."""
ANY = "*"
"""Key of the fallbacks for models that have none of their own."""
_SHOWN_NAMES = 10


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Routes in configured order, with the names they go by. Built once per configuration."""

    routes: tuple[Route, ...]
    """All routes; those that share a `model_name` stand in the order they are tried."""
    aliases: Mapping[str, str] = field(default_factory=dict[str, str])
    """Other names, each for a model name, a route's name or another alias."""
    fallbacks: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """Models to try when the one of that name fails; `*` for all that aren't listed."""
    by_name_only: frozenset[str] = frozenset()
    """Names of routes that `auto` leaves out."""
    _index: Mapping[str, tuple[Route, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_index", self._indexed())

    def _indexed(self) -> dict[str, tuple[Route, ...]]:
        index: dict[str, list[Route]] = {}
        for route in self.routes:
            spelt = [f"{route.provider}{sign}{route.model}" for sign in ("/", ":", "::")]
            for name in dict.fromkeys([route.model_name, route.name, *spelt]):
                index.setdefault(name, []).append(route)
        usable = [route for route in self.routes if route.name not in self.by_name_only]
        usable.sort(key=lambda route: route.provider == LAST_RESORT)
        index[AUTO] = usable
        return {name: tuple(routes) for name, routes in index.items()}

    def find(self, name: str) -> tuple[Route, ...]:
        """The routes that a name stands for, in the order they are tried; none when it is unknown."""
        return self._index.get(self.canonical(name), ())

    def canonical(self, name: str) -> str:
        """The name that an alias stands for; other names stand for themselves."""
        seen: set[str] = set()
        while name not in self._index and name in self.aliases and name not in seen:
            seen.add(name)
            name = self.aliases[name]
        return name

    def configured_fallbacks(self, name: str) -> tuple[str, ...]:
        """The models to try when the one that `name` stands for fails."""
        for key in (name, self.canonical(name), ANY):
            if key in self.fallbacks:
                return self.fallbacks[key]
        return ()

    def known_names(self) -> str:
        """Some names that requests may use, for messages."""
        names = list(dict.fromkeys([AUTO, *(route.model_name for route in self.routes), *self.aliases]))
        shown = ", ".join(name[:60] for name in names[:_SHOWN_NAMES])
        more = len(names) - _SHOWN_NAMES
        return f"{shown} and {more} more" if more > 0 else shown


def distinct(routes: Iterable[Route]) -> list[Route]:
    """Each route once, at its first place."""
    first: dict[str, Route] = {}
    for route in routes:
        first.setdefault(route.name, route)
    return list(first.values())
