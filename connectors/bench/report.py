"""The figures of a run, from its facts and samples; pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from connectors.bench import calculate
from connectors.bench.facts import Answered, Facts, Stop
from connectors.bench.sampling import Sample, cpu_between_s
from schemas.base import JsonObject


@dataclass(frozen=True, slots=True)
class Observed:
    """What the figures are made of."""

    facts: Facts
    """Everything, warm-up included: it must be answered too."""
    load: Facts
    """The part of it that figures are made of."""
    stops: Sequence[Stop]
    """Kills and stops."""
    samples: list[Sample]
    """Of the workers."""
    max_open: int | None
    """Most calls open at once at the provider; `None` where it keeps no log."""


def figures(seen: Observed) -> JsonObject:
    """The fields that every scenario reports; those of a provider without a log are `None`."""
    facts, load = seen.facts, seen.load
    codes = calculate.error_codes(load.answered)
    report: JsonObject = {
        "requests": len(load.asked),
        "requests_per_s": round(calculate.requests_per_s(load.answered), 1),
        "cpu_ms_per_request": cpu_ms(load.answered, seen.samples),
        "provider_max_open": seen.max_open,
        **latencies(load),
        "echo_ms_p50": None,
        "echo_ms_p99": None,
        "echo_cpu_ms": None,
        "rss_mb": round(max((sample.rss_mb for sample in seen.samples), default=0.0), 1),
        "lost": len(calculate.lost(facts.asked, facts.answered, facts.done)),
        "duplicate_responses": calculate.duplicate_responses(facts.answered),
        "stray_responses": calculate.stray_responses(facts.asked, facts.answered),
        "repaid_calls": calculate.repaid_calls(facts.calls, seen.stops),
        "unstarted_calls": calculate.unstarted_calls(facts.asked, facts.begun, facts.calls),
        "unknown_outcomes": calculate.unknown_outcomes(facts.answered),
        "unflagged_unknowns": calculate.unflagged_unknowns(facts.asked, facts.answered, facts.calls),
        "finished_again": calculate.finished_again(facts.calls),
        "provider_calls": len(load.calls),
        "errors": codes.total(),
        "error_codes": dict(codes),
        "dead_letters": len({letter.place for letter in load.buried}),
    }
    if seen.max_open is None:
        unseen = ("repaid_calls", "unstarted_calls", "unflagged_unknowns", "finished_again", "provider_calls")
        report |= dict.fromkeys(unseen)
    return report


def latencies(load: Facts) -> JsonObject:
    """Routing and added time, median and 99th percentile; `None` where the provider keeps no log."""
    if not load.calls:
        return dict.fromkeys(("routing_ms_p50", "routing_ms_p99", "added_ms_p50", "added_ms_p99"))
    routing = calculate.routing_ms(load.asked, load.calls)
    added = calculate.added_ms(load.asked, load.answered, load.calls)
    return {
        "routing_ms_p50": round(calculate.percentile(routing, 0.5), 2),
        "routing_ms_p99": round(calculate.percentile(routing, 0.99), 2),
        "added_ms_p50": round(calculate.percentile(added, 0.5), 2),
        "added_ms_p99": round(calculate.percentile(added, 0.99), 2),
    }


def cpu_ms(answered: Sequence[Answered], samples: list[Sample]) -> float:
    """CPU milliseconds per response, from the first response to the last."""
    stamps = [answer.append_ms for answer in answered]
    if not stamps:
        return 0.0
    return round(cpu_between_s(samples, min(stamps), max(stamps)) * 1000 / len(stamps), 3)


def growth(answered: Sequence[Answered], samples: list[Sample], after: int) -> JsonObject:
    """How memory, threads and open files grew once `after` responses had been written, as ratios."""
    stamps = sorted(answer.append_ms for answer in answered)
    if not stamps:
        return dict.fromkeys(("rss_growth_ratio", "threads_growth_ratio", "fds_growth_ratio"), 0.0)
    busy = [sample for sample in samples if stamps[0] <= sample.at_ms <= stamps[-1]]
    seen = calculate.counts_at(stamps, [sample.at_ms for sample in busy])

    def ratio(sizes: Sequence[float]) -> float:
        return round(calculate.growth_ratio(list(zip(seen, sizes, strict=True)), after), 4)

    return {
        "rss_growth_ratio": ratio([sample.rss_mb for sample in busy]),
        "threads_growth_ratio": ratio([sample.threads for sample in busy]),
        "fds_growth_ratio": ratio([sample.fds for sample in busy]),
    }
