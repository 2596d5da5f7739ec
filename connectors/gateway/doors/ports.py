"""The seam to what the doors know: one log per topic, read whole, written durably."""

from typing import Protocol

from connectors.gateway.doors.book import Book
from schemas.topics import GATEWAY_AUDIT, GATEWAY_KEYS, GATEWAY_SESSIONS, GATEWAY_USERS, Topic

TOPICS = (GATEWAY_KEYS, GATEWAY_USERS, GATEWAY_SESSIONS, GATEWAY_AUDIT)
"""The topics of the doors; all have one partition."""


class Store(Protocol):
    """Keeps the book up to date. All of it is used on one event loop."""

    book: Book
    """What the topics say by now."""

    @property
    def ready(self) -> bool:
        """Whether the topics were read to their ends once."""
        ...

    async def start(self) -> None:
        """Read the topics; returns when the book says what they said then.

        Raises:
            KafkaProblem: When they can't be read.
        """
        ...

    async def stop(self) -> None:
        """End threads and connections."""
        ...

    async def write(self, topic: Topic, key: str, value: bytes | None) -> None:
        """Write a record; it is durable, and in the book, when this returns.

        Raises:
            Problem: 503 `overloaded` when Kafka is away or too much waits to be written.
        """
        ...
