"""The part of the composition root that says what recall gathers from."""

import asyncio

from connectors.memory.shelf import Shelf
from connectors.references.reader import References
from flows.gathering import ReferencedContext, UsersMemory
from flows.ports import Gatherer
from flows.recalling import Recalling
from flows.settings_keys import SettingsError
from flows.settings_recall import Outside
from schemas.cluster import Cluster
from schemas.memories import MemoryProblem


class Off:
    """A memory that is switched off."""

    async def search(self, query: str, tenant: str, user: str) -> list[str]:
        """Nothing.

        Raises:
            MemoryProblem: Always.
        """
        raise MemoryProblem("it is switched off (weir.memory.store)")

    def close(self) -> None:
        """Nothing is open."""


def memory_of(cluster: Cluster, outside: Outside) -> Shelf | Off:
    """The memory that the settings name; it is opened when it is first wanted."""
    return Off() if outside.memory.store == "off" else Shelf(cluster, outside.memory)


def recalling(
    outside: Outside, memory: Shelf | Off, loop: asyncio.AbstractEventLoop, *others: Gatherer
) -> Recalling:
    """Recall over all sources and `others`; nothing is opened yet.

    Raises:
        SettingsError: When something can't be read as it is set.
    """
    try:
        references = References(outside.references)
    except ValueError as error:
        raise SettingsError(f"weir.references.roots: {error}") from None
    return Recalling([ReferencedContext(references), UsersMemory(memory), *others], loop, outside.recall)
