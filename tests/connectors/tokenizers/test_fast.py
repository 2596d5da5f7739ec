"""The fast counter: the same counts, a bounded memory, and a spare that takes over."""

import builtins
import functools
import logging
from dataclasses import dataclass, field

import pytest

from connectors.tokenizers import counter as counters
from connectors.tokenizers import fast
from connectors.tokenizers.counter import BpeCounter, build, vocabulary
from connectors.tokenizers.fast import MAX_GROWTH_BYTES, FastCounter
from connectors.tokenizers.probe import PROBE, probe_texts

build_once = functools.cache(build)
LONG = "x" * (fast.LOOK_LETTERS + 1)


@dataclass
class Bench:
    """A fast counter of letters in a process whose memory the test sets."""

    memory_bytes: int = 0
    loads: int = 0
    spares: int = 0
    asked: list[str] = field(default_factory=list[str])
    kind: str = "estimate"

    def load(self):
        self.loads += 1
        return list

    def spare(self) -> "Bench":
        self.spares += 1
        return self

    def count(self, text: str) -> int:
        self.asked.append(text)
        return len(text)

    def fits(self, text: str, limit: int) -> bool:
        self.asked.append(text)
        return len(text) <= limit

    def counter(self, rest_letters: int = 10) -> FastCounter:
        return FastCounter(self.load, self.spare, rest_letters, lambda: self.memory_bytes)


def test_fast_counter_is_chosen_for_the_built_in_vocabularies():
    assert all(isinstance(build_once(name), FastCounter) for name in ("o200k", "cl100k_base"))


def test_fast_counter_and_spare_count_the_probe_alike():
    counter, slow = build_once("o200k"), BpeCounter(vocabulary("o200k"))

    assert counter.count_many(probe_texts()) == slow.count_many(probe_texts())
    assert len(set(probe_texts())) > 80


def test_counter_that_has_grown_too_large_gives_way_to_the_spare_and_comes_back():
    bench = Bench()
    counter = bench.counter()
    bench.memory_bytes = MAX_GROWTH_BYTES + 1

    counts = [counter.count(text) for text in ("ab", LONG, "abcdefgh", "abc", "d", "e")]
    assert counts == [2, len(LONG), 8, 3, 1, 1]
    assert bench.asked == [LONG, "abcdefgh"]
    assert (bench.loads, bench.spares, counter.resting) == (2, 1, False)


def test_counter_that_keeps_its_size_keeps_counting():
    bench = Bench()
    counter = bench.counter()
    bench.memory_bytes = MAX_GROWTH_BYTES

    assert counter.count(LONG) + counter.count(LONG) == 2 * len(LONG)
    assert (bench.asked, bench.loads) == ([], 1)


def test_growth_is_measured_anew_after_each_load():
    bench = Bench()
    counter = bench.counter(rest_letters=0)
    bench.memory_bytes = MAX_GROWTH_BYTES + 1
    for text in (LONG, "a", LONG):
        counter.count(text)

    assert (bench.loads, counter.resting) == (2, False)


def test_memory_of_the_process_is_read_in_bytes():
    assert 10_000_000 < fast.resident_bytes() < 100_000_000_000


def test_far_too_long_text_is_left_to_the_spare_that_stops_early():
    bench = Bench()
    counter = bench.counter()

    assert [counter.fits("a" * 33, 1), counter.fits("aa", 2), counter.fits("aaa", 2)] == [False, True, False]
    assert bench.asked == ["a" * 33]


@pytest.mark.parametrize("name", ["o200k", "cl100k"])
@pytest.mark.parametrize("kind", PROBE)
def test_fit_and_prefix_go_by_the_count(name: str, kind: str):
    counter, slow, text = build_once(name), BpeCounter(vocabulary(name)), PROBE[kind]
    tokens = counter.count(text)

    for each in (counter, slow):
        assert [each.fits(text, limit) for limit in (tokens - 1, tokens)] == [False, True]
        assert each.prefix(text, tokens) == text
        assert each.count(each.prefix(text, tokens // 2)) <= tokens // 2


def test_lone_surrogates_fit_and_are_cut():
    counter, slow = build_once("o200k"), BpeCounter(vocabulary("o200k"))

    for each in (counter, slow):
        assert each.fits("a\ud800b", 9)
        assert each.prefix("a\ud800b " * 9, 4).startswith("a")


def test_without_gigatoken_the_vocabulary_is_counted_by_rs_bpe(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    original = builtins.__import__

    def without(name: str, *rest: object, **named: object) -> object:
        if name.startswith("gigatoken"):
            raise ImportError("no gigatoken here")
        return original(name, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    caplog.set_level(logging.INFO)

    assert isinstance(build("o200k"), BpeCounter)
    assert "the fast counter is not used for o200k: no gigatoken here" in caplog.text


def test_counter_that_counts_the_probe_differently_is_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(counters.fast, "of_vocabulary", lambda name, tokens: list)
    caplog.set_level(logging.INFO)

    assert isinstance(build("cl100k"), BpeCounter)
    assert "it counts the probe differently" in caplog.text
