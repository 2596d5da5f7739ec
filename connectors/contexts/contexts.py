"""The conversations of a worker: file, thread and log together."""

from collections.abc import Callable, Iterable
from uuid import UUID

from connectors.contexts.catching import Catching, topic_id
from connectors.contexts.files import TurnsFile
from connectors.contexts.keeper import Keeper, KeeperParts
from connectors.kafka.clients import address
from connectors.kafka.settling import Keeping
from schemas.cluster import Cluster, Delivery
from schemas.contexts import Asking, Conversations, Past
from schemas.records import Outgoing
from schemas.topics import CONTEXTS


class Contexts:
    """Keeps the turns of the partitions that this worker owns, and gives them to the next turns."""

    def __init__(
        self,
        cluster: Cluster,
        delivery: Delivery,
        bounds: Conversations,
        send: Callable[[Outgoing], None],
        fatal: Callable[[str], None],
    ) -> None:
        """Nothing is opened or connected before it is needed; `send` hands tombstones to the producer."""
        installation = f"{address(cluster)}/{cluster.prefix}"
        parts = KeeperParts(
            cluster.topic(CONTEXTS.name),
            lambda: topic_id(cluster),
            lambda: TurnsFile(bounds.folder, installation, delivery.instance_id),
            send,
            fatal,
        )
        self._keeper = Keeper(bounds, parts)
        self._catching = Catching(cluster, self._keeper, fatal)
        self.keeping = Keeping(self._keeper.keep, bounds.turn_bytes)
        """For settling: what it hands durable turns to."""

    def read(self, asking: Asking, done: Callable[[Past], None]) -> None:
        """The turns before a request; `done` gets them on another thread."""
        self._keeper.read(asking, done)

    def forget(self, context_id: UUID, until_ms: int) -> None:
        """Forget a conversation's turns that were asked by then, those under way too."""
        self._keeper.forget(context_id, until_ms)

    def take_over(self, partitions: Iterable[int]) -> None:
        """These partitions are this worker's from now on."""
        self._catching.take_over(partitions)

    def wait(self, partitions: Iterable[int], timeout_s: float) -> bool:
        """Wait until the turns of these partitions have been read; whether they were in time."""
        return self._catching.wait(partitions, timeout_s)

    def gauges(self) -> dict[str, float]:
        """What is kept now."""
        return {"turns_bytes": float(self._keeper.size_bytes)}

    def stop(self) -> None:
        """End the thread, and close the file."""
        self._keeper.stop()
