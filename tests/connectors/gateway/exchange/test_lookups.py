"""Reading the log for those who can't wait, where it can't be read."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from kafka import errors as foreign

from connectors.gateway.exchange import lookups
from connectors.gateway.exchange.lookups import Found, Lookups
from connectors.kafka.errors import BrokerDown, KafkaProblem
from connectors.kafka.reading import Place, Seen
from schemas.cluster import Cluster

PLACE = Place("t", 0)


class Log:
    """A reader of a log that a test makes up; one of them serves a pool."""

    def __init__(self, records: list[Seen], end: int | None = None, error: Exception | None = None) -> None:
        self._records, self._end, self._error = records, end, error
        self._at = 0
        self.assigned: list[int] = []
        self.closed = False

    def ends(self, places: list[Place]) -> dict[Place, int]:
        if self._error is not None:
            raise self._error
        return {places[0]: len(self._records) if self._end is None else self._end}

    def beginnings(self, places: list[Place]) -> dict[Place, int]:
        return {places[0]: 0}

    def since(self, places: list[Place], timestamp_ms: int) -> dict[Place, int]:
        return {places[0]: timestamp_ms}

    def assign(self, starts: dict[Place, int]) -> None:
        self._at = starts[PLACE]
        self.assigned.append(self._at)

    def poll(self, _: float) -> list[Seen]:
        found = self._records[self._at : self._at + 7]
        self._at += len(found)
        return found

    def close(self) -> None:
        self.closed = True


def seen(offset: int, key: str, kind: bytes = b"chunk") -> Seen:
    return Seen(PLACE, offset, 0, key.encode(), b"v%d" % offset, (("kind", kind),))


def play(log: Log, test: Callable[[Lookups], Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(lookups, "Reader", lambda _: log)

    async def whole() -> Any:
        pool = Lookups(Cluster())
        try:
            return await test(pool)
        finally:
            pool.close()

    return asyncio.run(whole())


RECORDS = [seen(n, "ab"[n % 2]) for n in range(40)]


def test_records_of_one_request_come_in_order_from_where_they_are_asked(monkeypatch: pytest.MonkeyPatch):
    log = Log(RECORDS)

    found = play(log, lambda pool: pool.records(PLACE, b"a", 11), monkeypatch)

    assert [raw.offset for raw in found.raws] == list(range(12, 40, 2))
    assert (found.upto, found.beginning, log.closed) == (40, 0, True)


def test_those_who_wait_for_a_partition_share_a_scan(monkeypatch: pytest.MonkeyPatch):
    log = Log(RECORDS)

    async def many(pool: Lookups) -> list[Found]:
        return await asyncio.gather(*(pool.records(PLACE, b"ab"[n % 2 : n % 2 + 1], n) for n in range(30)))

    found = play(log, many, monkeypatch)

    assert len(log.assigned) < 5
    for n, each in enumerate(found):
        assert [raw.offset for raw in each.raws] == [o for o in range(n, 40) if o % 2 == n % 2]


def test_a_full_wish_goes_on_right_after_its_last_record(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lookups, "MAX_RECORDS", 3)

    found = play(Log(RECORDS), lambda pool: pool.records(PLACE, b"b", 0), monkeypatch)

    assert ([raw.offset for raw in found.raws], found.upto) == ([1, 3, 5], 6)


def test_the_first_record_since_a_moment_is_found(monkeypatch: pytest.MonkeyPatch):
    records = [*RECORDS[:10], seen(10, "c", b"response"), seen(11, "c", b"response")]

    found = play(Log(records), lambda pool: pool.first(PLACE, b"c", 4), monkeypatch)
    none = play(Log(records), lambda pool: pool.first(PLACE, b"x", 0), monkeypatch)

    assert (found.offset, found.final, none) == (10, True, None)


def test_a_log_that_stalls_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lookups, "STALLED_S", 0.0)

    with pytest.raises(BrokerDown, match="sends nothing"):
        play(Log([], end=5), lambda pool: pool.records(PLACE, b"a", 0), monkeypatch)


@pytest.mark.parametrize("error", [BrokerDown("away", hint=""), foreign.KafkaTimeoutError("away")])
def test_kafka_away_is_told(error: Exception, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(KafkaProblem):
        play(Log([], error=error), lambda pool: pool.records(PLACE, b"a", 0), monkeypatch)


def test_a_reader_that_cannot_connect_is_told():
    async def whole() -> None:
        pool = Lookups(Cluster(("127.0.0.1:9",)))
        with pytest.raises(KafkaProblem):
            await pool.records(PLACE, b"a", 0)
        pool.close()

    asyncio.run(whole())


def test_a_bug_is_logged_and_nobody_waits_for_ever(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.ERROR), pytest.raises(BrokerDown, match="could not be read"):
        play(Log([], error=KeyError("bug")), lambda pool: pool.records(PLACE, b"a", 0), monkeypatch)

    assert "a look-up failed" in caplog.text


def test_beyond_the_bound_of_those_who_wait_more_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lookups, "MOST_WAITING", 0)

    with pytest.raises(BrokerDown, match="too many"):
        play(Log(RECORDS), lambda pool: pool.records(PLACE, b"a", 0), monkeypatch)
