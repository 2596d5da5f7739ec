"""Cycles are collected by the clock, or when there are many new objects."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from flows.garbage import EVERY_S, MAX_OBJECTS, Garbage, collect_by_the_clock


class Ring:
    """Refers to itself, so that only a collection frees it."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture
def garbage() -> Iterator[Garbage]:
    yield Garbage(100.0)
    gc.unfreeze()
    gc.enable()


def test_the_interpreter_collects_nothing_by_itself(garbage: Garbage):
    rings = [weakref.ref(Ring()) for _ in range(2000)]

    assert not gc.isenabled()
    assert all(ring() is not None for ring in rings)


def test_nothing_is_collected_before_its_time(garbage: Garbage):
    ring = weakref.ref(Ring())

    assert not garbage.tick(100.0 + EVERY_S - 1, new_objects=10)
    assert ring() is not None


def test_cycles_are_gone_after_a_minute_and_the_clock_starts_anew(garbage: Garbage):
    ring = weakref.ref(Ring())

    assert garbage.tick(100.0 + EVERY_S, new_objects=10)
    assert ring() is None
    assert not garbage.tick(101.0 + EVERY_S, new_objects=10)


def test_many_new_objects_are_collected_at_once(garbage: Garbage):
    ring = weakref.ref(Ring())

    assert garbage.tick(101.0, new_objects=MAX_OBJECTS)
    assert ring() is None


def test_a_process_without_a_watchdog_has_a_thread_for_it(monkeypatch: pytest.MonkeyPatch):
    started: list[str] = []

    class Noted:
        def __init__(self, target: object, name: str, daemon: bool) -> None:
            self.name = name if daemon and callable(target) else ""

        def start(self) -> None:
            started.append(self.name)

    monkeypatch.setattr("flows.garbage.threading.Thread", Noted)
    try:
        collect_by_the_clock()
        assert (started, gc.isenabled()) == (["weir-garbage"], False)
    finally:
        gc.unfreeze()
        gc.enable()
