"""Bringing the file of turns up to the log, on a real broker."""

import logging
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer
from kafka import errors as foreign

from connectors.contexts import catching as module
from connectors.contexts.catching import Catching, topic_id
from connectors.contexts.store import Store
from connectors.kafka.clients import client_settings
from schemas.contexts import turn_key
from schemas.topics import CONTEXTS
from tests.connectors.contexts.making import A, Bench, turn
from tests.support.kafka import Topics

pytestmark = pytest.mark.broker


class Log:
    """Turns on the log, and workers that catch up with it, one after the other."""

    def __init__(self, topics: Topics, folder: Path) -> None:
        self.topics, self.folder = topics, folder

    def write(self, *numbers: int, forgotten: bool = False, partition: int = 3) -> None:
        producer = KafkaProducer(**client_settings(self.topics.cluster))
        for seq in numbers:
            value = None if forgotten else turn(seq).to_bytes()
            name = self.topics.name(CONTEXTS)
            producer.send(name, value=value, key=turn_key(A, seq), partition=partition).get(timeout=20)
        producer.close()

    def worker(self, *partitions: int) -> tuple[Bench, list[int]]:
        """A worker that has caught up with these partitions, and the offsets it read from."""
        bench = Bench(self.folder)
        bench.topic_id = topic_id(self.topics.cluster)
        loaded: list[int] = []
        load = bench.keeper.load

        def seen(partition: int, turns: Any, reached: int, *, anew: bool = False) -> None:
            turns = list(turns)
            loaded.extend(each.seq for each in turns)
            load(partition, turns, reached, anew=anew)

        bench.keeper.load = seen  # type: ignore[method-assign]
        catching = Catching(self.topics.cluster, bench.keeper, bench.failures.append)
        catching.take_over(partitions or (3,))
        assert catching.wait(partitions or (3,), 20)
        assert bench.failures == []
        return bench, loaded


@pytest.fixture
def log(topics: Topics, tmp_path: Path) -> Log:
    return Log(topics, tmp_path)


def test_the_log_is_read_whole_and_then_from_where_the_file_is(log: Log):
    log.write(1, 2, 3)
    log.write(2, forgotten=True)
    first, loaded = log.worker()
    assert (first.seen(), loaded) == ([1, 3], [1, 2, 3, 2])
    first.keeper.stop()
    log.write(4)
    log.write(3, forgotten=True)
    second, loaded = log.worker()

    assert (second.seen(), loaded) == ([1, 4], [4, 3])
    second.keeper.stop()


def test_where_there_never_was_a_turn_nothing_is_opened(log: Log):
    bench, loaded = log.worker(0, 1, 2)

    assert (bench.opened, loaded) == (0, [])
    assert bench.seen() == []


@pytest.mark.parametrize("at", [(99, None), (2, 1000)], ids=["beyond the log", "noted long ago"])
def test_a_file_that_cannot_be_trusted_is_made_anew(log: Log, at: tuple[int, int | None]):
    log.write(1, 2)
    first, _ = log.worker()
    first.keep(turn(9), offset=0)  # in the file only
    first.keeper.stop()
    store = file_of(log, first)
    noted = store.ends()[3][1] if at[1] is None else at[1]
    store._db.execute("UPDATE ends SET next = ?, at_ms = ?", (at[0], noted))
    store.close()
    second, loaded = log.worker()

    assert (second.seen(), loaded) == ([1, 2], [1, 2])
    second.keeper.stop()


def test_a_lost_file_is_made_again(log: Log):
    log.write(1, 2)
    first, _ = log.worker()
    first.keeper.stop()
    for path in log.folder.glob("*.sqlite*"):
        path.unlink()
    second, _ = log.worker()

    assert second.seen() == [1, 2]
    second.keeper.stop()


def test_what_is_no_turn_is_passed_over(log: Log, caplog: pytest.LogCaptureFixture):
    log.topics.produce(CONTEXTS, [b"{}", b"?"], key=b"odd", partition=3)
    log.write(5)
    bench, loaded = log.worker()

    assert (bench.seen(), loaded) == ([5], [5])
    assert "llm.contexts 3/0 is skipped" in caplog.text
    bench.keeper.stop()


def test_a_broker_that_is_away_is_asked_again(
    log: Log, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(module, "PAUSE_S", 0.01)
    real, failures = module.KafkaConsumer, [foreign.KafkaTimeoutError("away"), foreign.KafkaTimeoutError()]

    def consumer(**settings: Any) -> Any:
        if failures:
            raise failures.pop()
        return real(**settings)

    monkeypatch.setattr(module, "KafkaConsumer", consumer)
    log.write(1)
    bench, _ = log.worker()

    assert bench.seen() == [1]
    assert caplog.text.count("can't be read yet") == 2
    bench.keeper.stop()


def test_a_partition_that_is_taken_over_anew_is_waited_for_anew(log: Log):
    log.write(1)
    bench, _ = log.worker()
    catching = Catching(log.topics.cluster, bench.keeper, bench.failures.append)
    catching._behind = {3: 5}
    catching._caught_up(3, 4)

    assert not catching.wait([3], 0.0)
    catching._caught_up(3, 5)
    assert catching.wait([3], 0.0)
    bench.keeper.stop()


def test_progress_is_told(log: Log, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    monkeypatch.setattr(module, "PROGRESS_S", -1.0)
    log.write(1, 2)
    with caplog.at_level(logging.INFO):
        bench, _ = log.worker()

    assert "partitions left" in caplog.text
    assert "2 turns read" in caplog.text
    bench.keeper.stop()


def file_of(log: Log, bench: Bench) -> Store:
    """The file of a worker that has ended."""
    (path,) = log.folder.glob("*.sqlite")
    return Store(path, bench.topic_id, 10**9)
