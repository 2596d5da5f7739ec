"""Every turn of a conversation sees exactly the turns before it, whoever fed them and whatever dies."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from connectors.bench.workers import end_all
from schemas.topics import CONTEXTS, RESPONSES
from tests.support.conversing import EchoProvider, faults, feed, orders, started, written
from tests.support.kafka import Topics, requires

pytestmark = pytest.mark.broker
PATIENCE_S = 300.0


def _until(what: str, seen: Callable[[], int], count: int) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while (found := seen()) < count:
        assert time.monotonic() < end_s, f"{found} of {count} {what}"
        time.sleep(0.1)


def _converse(topics: Topics, home: Path, names: list[str], turns: int) -> None:
    """Two workers, one of which is killed when half of it is done; then every turn is looked at."""
    requires("kcat")
    whole = len(names) * turns
    with EchoProvider() as provider:
        workers = [started(topics, provider, home, name) for name in ("one", "two")]
        try:
            feed(topics, names, range(turns // 2))
            _until("calls", lambda: provider.calls, whole // 4)
            feed(topics, names, range(turns // 2, turns))
            _until("calls", lambda: provider.calls, whole // 2)
            workers[0].kill()
            _until("calls", lambda: provider.calls, whole)
            _until("responses", lambda: len(written(topics, RESPONSES)), whole)
            _until("turns", lambda: len({record.key for record in written(topics, CONTEXTS)}), whole)
        finally:
            end_all(workers)
        order = orders(topics, names)
        wrong = [fault for name in names for fault in faults(provider, order[name])]

    assert provider.wrong == []
    assert wrong == []
    assert [len(order[name]) for name in names] == [turns] * len(names)
    for name in names:
        if name.startswith("k"):
            assert order[name] == [f"{name}-{number}" for number in range(turns)]
    ids = sorted(f"{name}-{number}".encode() for name in names for number in range(turns))
    assert sorted(record.key or b"" for record in written(topics, RESPONSES)) == ids


def test_every_turn_sees_exactly_the_turns_before_it(topics: Topics, tmp_path: Path):
    _converse(topics, tmp_path, ["k0", "m1", "m2"], 12)


def test_a_file_that_is_lost_or_damaged_is_made_again_from_the_log(topics: Topics, tmp_path: Path):
    names = ["k1", "k2"]
    with EchoProvider() as provider:
        workers = [started(topics, provider, tmp_path, "one")]
        try:
            feed(topics, names, range(3))
            _until("turns", lambda: len(written(topics, CONTEXTS)), 6)
            for path in (tmp_path / "turns").glob("*.sqlite*"):
                path.unlink()  # under the running worker
            feed(topics, names, range(3, 5))
            _until("turns", lambda: len({record.key for record in written(topics, CONTEXTS)}), 10)
            workers[0].kill()
            for path in (tmp_path / "turns").glob("*.sqlite"):
                path.write_bytes(b"damaged" * 999)
            feed(topics, names, range(5, 6))
            _until("calls", lambda: provider.calls, 12)
            _until("responses", lambda: len(written(topics, RESPONSES)), 12)
        finally:
            end_all(workers)

    for name in names:
        assert faults(provider, [f"{name}-{number}" for number in range(6)]) == []
    assert len(written(topics, RESPONSES)) == 12


@pytest.mark.full
def test_fifty_conversations_of_two_hundred_turns_survive_a_killed_worker(topics: Topics, tmp_path: Path):
    _converse(topics, tmp_path, [f"{'k' if n % 5 == 0 else 'm'}{n}" for n in range(50)], 200)
