"""Logs as lists, a consumer that reads them and an outbox that writes them."""

from types import SimpleNamespace
from typing import Any

from kafka.structs import OffsetAndTimestamp, TopicPartition

from schemas.records import Headers, Outgoing
from tests.connectors.kafka.owning import FakeOutbox

RESPONSES, USAGE = "x.llm.responses", "x.llm.usage"
NOW_MS = 1_000_000


class FakeConsumer:
    """Reads lists of records as a consumer without a group does, a few at a time."""

    logs: dict[str, list[Any]]
    since: int | None = None

    def __init__(self, **_: Any) -> None:
        self.at: dict[TopicPartition, int] = {}
        self.closed = False

    def assign(self, places: list[TopicPartition]) -> None:
        self.at = dict.fromkeys(places, -1)

    def offsets_for_times(self, places: dict[TopicPartition, int]) -> dict[TopicPartition, Any]:
        found = None if self.since is None else OffsetAndTimestamp(self.since, 0, -1)
        return dict.fromkeys(places, found)

    def seek(self, place: TopicPartition, offset: int) -> None:
        self.at[place] = offset

    def poll(self, timeout_ms: int) -> dict[TopicPartition, list[Any]]:
        assert timeout_ms > 0
        batch: dict[TopicPartition, list[Any]] = {}
        for place, at in list(self.at.items()):
            batch[place] = self.logs[place.topic][at : at + 2]
            self.at[place] += 2
        return batch

    def pause(self, place: TopicPartition) -> None:
        del self.at[place]

    def close(self) -> None:
        self.closed = True


class LogOutbox(FakeOutbox):
    """An outbox whose records lie on the logs at once."""

    def __init__(self, logs: dict[str, list[Any]]) -> None:
        super().__init__()
        self.logs = logs
        self.takes = True

    def send(self, record: Outgoing, *args: Any) -> None:
        super().send(record, *args)
        append(self.logs, record.topic, record.value, record.headers, record.key)
        if self.takes:
            self.sent[-1].ack(len(self.logs[record.topic]) - 1)


def append(
    logs: dict[str, list[Any]], topic: str, value: bytes | None, headers: Headers, key: bytes | None = None
) -> None:
    log = logs[topic]
    log.append(
        SimpleNamespace(
            topic=topic,
            partition=3,
            offset=len(log),
            key=key,
            value=value,
            headers=list(headers),
            timestamp=NOW_MS,
        )
    )
