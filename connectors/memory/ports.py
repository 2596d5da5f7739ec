"""The seam of memories."""

from typing import Protocol

from schemas.memories import Remembered


class Memory(Protocol):
    """Keeps what is remembered and finds what may help. Used by one thread at a time, but for `search`."""

    def add(self, text: str, metadata: Remembered) -> None:
        """Keep a text; again with the same key it takes the place of the first.

        Raises:
            MemoryProblem: When it can't.
        """
        ...

    def forget(self, key: str) -> None:
        """Drop what has this key, for good: it isn't taken again.

        Raises:
            MemoryProblem: When it can't.
        """
        ...

    def search(self, query: str, user: str, limit: int) -> list[tuple[str, str]]:
        """Key and text of what fits best, best first; `user` is a scope (see `scope_of`). On any thread.

        Raises:
            MemoryProblem: When it can't.
        """
        ...

    def done(self, offset: int) -> None:
        """All up to this offset of the topic was handed over; what is kept lasts from here on.

        Raises:
            MemoryProblem: When it can't.
        """
        ...

    def reset(self) -> None:
        """Drop everything: the topic begins anew.

        Raises:
            MemoryProblem: When it can't.
        """
        ...

    @property
    def offset(self) -> int:
        """Where to read on in the topic; 0 for all of it."""
        ...
