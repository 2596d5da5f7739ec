"""Learning how a model counts."""

import functools
import random
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.bench.corpora import corpora
from connectors.tokenizers.counter import build
from flows.stages.calibrate import Calibration, Defaults
from flows.stages.calibration_record import VERSION, from_bytes, to_bytes
from flows.stages.content import Content, Measured
from flows.stages.fitting import Sums
from tests.bench.calibration import LATIN, Piece, counted, play

FACTORS = {Content.PROSE: 1.2, Content.CODE: 1.35, Content.DIGITS: 0.9, Content.CJK: 2.5}
NOTHING = Calibration()


def request(tokens: Mapping[Content, int], flat_tokens: int = 0) -> Measured:
    return Measured(tokens, {kind: 5 * count for kind, count in tokens.items()}, flat_tokens)


def provider(measured: Measured) -> int:
    return round(sum(count * FACTORS[kind] for kind, count in measured.tokens.items())) + measured.flat_tokens


def taught(*requests: Measured, times: int = 8) -> Calibration:
    found = NOTHING
    for _ in range(times):
        for each in requests:
            found = found.observe(each, provider(each))
    return found


@functools.cache
def pieces(name: str) -> dict[str, list[Piece]]:
    texts = {kind: text for kind, text in corpora(300_000).items() if kind in (*LATIN, "hindi")}
    return counted(texts, build("o200k"), build(name))


def test_after_twenty_calls_another_tokenizers_counts_are_known():
    learnt = play({kind: pieces("cl100k")[kind] for kind in LATIN}, runs=20, draws=25)

    assert learnt.error_p95 <= 0.02
    assert (learnt.under, learnt.draws) == (0, 500)
    assert learnt.upper_p95 <= 1.10
    assert learnt.calibrated > 400


def test_script_that_counts_twice_as_much_is_learnt_too():
    learnt = play({"hindi": pieces("cl100k")["hindi"]}, runs=4, draws=25)

    assert learnt.error_p95 <= 0.02
    assert (learnt.under, learnt.calibrated) == (0, 100)
    assert learnt.upper_p95 <= 1.10


def test_bound_holds_for_short_requests():
    assert play({kind: pieces("cl100k")[kind] for kind in LATIN}, 10, 25, (100, 8_000)).under == 0


def test_calls_of_mixed_content_teach_each_class_its_own_factor():
    learnt = taught(
        request({Content.PROSE: 9000, Content.CODE: 1000}),
        request({Content.PROSE: 4000, Content.CODE: 9000, Content.CJK: 2000}),
        request({Content.CJK: 3000, Content.CODE: 8000}),
        times=40,
    )

    found = learnt.fit.factors
    assert all(abs(found[kind] - FACTORS[kind]) < 0.05 for kind in (Content.PROSE, Content.CODE, Content.CJK))
    assert Content.DIGITS not in found


def test_nothing_learnt_is_an_estimate_with_a_wide_bound():
    found = NOTHING.estimate(request({Content.PROSE: 1000}, flat_tokens=7))

    assert (found.tokens, found.upper_tokens, found.kind) == (1007, 1609, "estimate")


def test_script_never_seen_may_have_as_many_tokens_as_bytes():
    learnt = taught(request({Content.PROSE: 9000}))

    assert learnt.estimate(request({Content.PROSE: 100, Content.INDIC: 1000})).upper_tokens >= 5000
    assert NOTHING.estimate(request({Content.INDIC: 1000})).upper_tokens == 5001
    once = NOTHING.observe(request({Content.INDIC: 1}), 2)
    assert once.estimate(request({Content.INDIC: 10})).upper_tokens == 51


def test_default_factor_is_that_of_the_model_until_it_is_known():
    claude = Calibration(defaults=Defaults(factor=1.4, margin_ratio=0.25))
    asked = request({Content.PROSE: 1000})

    assert claude.estimate(asked).tokens == 1400
    assert claude.estimate(asked).upper_tokens == 1752
    assert abs(claude.observe(asked, 1200).estimate(asked).tokens - 1200) < 10


def test_estimate_is_called_calibrated_when_such_requests_were_seen():
    asked = request({Content.PROSE: 9000})
    kinds = [taught(asked, times=times).estimate(asked).kind for times in (1, 5, 7, 9)]

    assert kinds == ["estimate", "estimate", "calibrated", "calibrated"]
    assert taught(asked).estimate(request({Content.CODE: 100})).kind == "estimate"
    assert taught(asked).estimate(Measured()).kind == "estimate"


def test_first_call_of_a_class_is_no_error():
    one = NOTHING.observe(request({Content.CJK: 9000}), 22_500)
    two = one.observe(request({Content.CJK: 9000}), 22_500)

    assert sum(one.errors[Content.CJK].checked) == 0
    assert two.errors[Content.CJK].peak_ratio < 0.01


def test_surprise_widens_the_bound_for_long():
    asked = request({Content.PROSE: 9000})
    calm = taught(asked, times=30)
    shaken = calm.observe(asked, 2 * provider(asked))
    for _ in range(10):
        shaken = shaken.observe(asked, provider(asked))

    assert calm.estimate(asked).upper_tokens < 1.1 * provider(asked)
    assert shaken.estimate(asked).upper_tokens > 1.5 * provider(asked)


def test_short_requests_get_a_wider_bound_than_long_ones():
    chance = random.Random(3)
    learnt = NOTHING
    for _ in range(30):
        learnt = learnt.observe(request({Content.PROSE: 20_000}), round(24_000 * chance.uniform(0.97, 1.03)))
    ratios = [
        found.upper_tokens / found.tokens
        for found in (learnt.estimate(request({Content.PROSE: size})) for size in (200, 2_000, 20_000))
    ]

    assert ratios[0] > ratios[1] > ratios[2] > 1


def test_old_calls_fade():
    asked = request({Content.PROSE: 20_000})
    learnt = taught(asked, times=600)
    assert learnt.sums.weight < 502

    for _ in range(1500):
        learnt = learnt.observe(asked, 30_000)
    assert abs(learnt.estimate(asked).tokens / 30_000 - 1) < 0.03


@pytest.mark.parametrize(("tokens", "seen"), [({}, 100), ({Content.PROSE: 0}, 5), ({Content.PROSE: 5}, 0)])
def test_calls_that_say_nothing_teach_nothing(tokens: dict[Content, int], seen: int):
    assert NOTHING.observe(request(tokens), seen) is NOTHING


def test_envelope_is_not_scaled():
    learnt = taught(request({Content.PROSE: 9000}, flat_tokens=1000))

    assert abs(learnt.estimate(request({Content.PROSE: 10}, flat_tokens=1000)).tokens - 1012) <= 1


calls = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from(list(FACTORS)), st.integers(1, 30_000), min_size=1),
        st.floats(0.5, 2.0),
    ),
    max_size=6,
)


def learnt_from(made: list[tuple[dict[Content, int], float]]) -> Calibration:
    found = NOTHING
    for tokens, ratio in made:
        found = found.observe(request(tokens), max(1, round(sum(tokens.values()) * ratio)))
    return found


@settings(max_examples=100, deadline=None)
@given(calls, calls)
def test_two_workers_knowledge_adds_up_in_any_order(
    one: list[tuple[dict[Content, int], float]], other: list[tuple[dict[Content, int], float]]
):
    left, right = learnt_from(one), learnt_from(other)
    asked = request({Content.PROSE: 5000, Content.CODE: 5000})

    both, turned = left.plus(right), right.plus(left)
    assert abs(both.estimate(asked).upper_tokens - turned.estimate(asked).upper_tokens) <= 1
    assert both.sums.weight == pytest.approx(left.sums.weight + right.sums.weight)
    assert left.plus(NOTHING).estimate(asked) == left.estimate(asked)


@settings(max_examples=100, deadline=None)
@given(calls)
def test_record_of_a_calibration_is_read_back(made: list[tuple[dict[Content, int], float]]):
    learnt = learnt_from(made)

    assert from_bytes(to_bytes(learnt), Defaults()) == learnt


@settings(max_examples=100, deadline=None)
@given(calls, st.dictionaries(st.sampled_from(list(FACTORS)), st.integers(0, 50_000)))
def test_bound_is_never_below_the_estimate(
    made: list[tuple[dict[Content, int], float]], tokens: dict[Content, int]
):
    found = learnt_from(made).estimate(request(tokens))

    assert 0 <= found.tokens <= found.upper_tokens


def test_classes_of_a_newer_version_are_left_out():
    data = to_bytes(taught(request({Content.PROSE: 9, Content.CODE: 9}))).replace(b"code", b"runes")

    assert set(from_bytes(data, Defaults()).fit.factors) == {Content.PROSE}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"version": 2}',
        b'{"version": 1}',
        b'{"version": 1, "weight": "x", "products": {}, "results": {}, "errors": {}}',
        b'{"version": 1, "weight": -1, "products": {}, "results": {}, "errors": {}}',
        b'{"version": 1, "weight": true, "products": {}, "results": {}, "errors": {}}',
        b'{"version": 1, "weight": 1, "products": [], "results": {}, "errors": {}}',
        b'{"version": 1, "weight": 1, "products": {"prose": 1}, "results": {}, "errors": {}}',
        b'{"version": 1, "weight": 1, "products": {}, "results": {}, "errors": {"prose": [1, [1], [1], 1]}}',
    ],
)
def test_anything_else_is_no_calibration(data: bytes):
    with pytest.raises(ValueError, match=r"."):
        from_bytes(data, Defaults())


def test_record_says_its_version():
    assert f'"version":{VERSION}'.encode() in to_bytes(NOTHING)


def test_factor_stays_within_sane_bounds():
    wild = Sums.of({Content.PROSE: 1.0}, 400.0, 1.0).fit(1.0)

    assert wild.factors == {Content.PROSE: 10.0}
    assert wild.doubt({Content.CODE: 1.0}) == 0
