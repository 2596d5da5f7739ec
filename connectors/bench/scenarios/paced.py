"""A steady rate, in slices that alternate with the same load on the bare echo; medians over the slices."""

from dataclasses import dataclass, field

from connectors.bench import calculate
from connectors.bench.child import Child
from connectors.bench.echo import ECHO_IN, ECHO_TOPICS
from connectors.bench.echo_client import read_echo, start_echo
from connectors.bench.load import Load, PlainItems
from connectors.bench.options import CLEAN, Defaults, Limit, none_of
from connectors.bench.report import Observed, cpu_ms, latencies
from connectors.bench.run import LOAD, Run
from connectors.bench.sampling import Sampler, cpu_between_s
from connectors.bench.scenario import Scenario
from connectors.kafka.topics import ensure_topics
from schemas.base import JsonObject

ECHO = "echo"


@dataclass
class Slices:
    """Figures of the echo's slices."""

    p50_ms: list[float] = field(default_factory=list[float])
    p99_ms: list[float] = field(default_factory=list[float])
    cpu_ms: list[float] = field(default_factory=list[float])
    missing: int = 0

    def medians(self) -> JsonObject:
        """As they stand in the report."""
        return {
            "echo_ms_p50": round(calculate.median(self.p50_ms), 2),
            "echo_ms_p99": round(calculate.median(self.p99_ms), 2),
            "echo_cpu_ms": round(calculate.median(self.cpu_ms), 3),
            "echo_missing": self.missing,
        }


def play(run: Run) -> JsonObject:
    """Worker and echo are both up all the time; the load goes to one at a time."""
    ensure_topics(run.cluster, ECHO_TOPICS)
    run.start_worker()
    run.warm_up()
    count, slices = run.options.requests // run.options.slices, Slices()
    answer_bytes = 0
    child: Child | None = None
    try:
        for number in range(run.options.slices):
            run.pour(_items(run, f"{LOAD}{number}", count))
            run.wait_all(60)
            if child is None:
                answer_bytes = _answer_bytes(run)
                child = start_echo(run.cluster, answer_bytes)
                _pour_echo(run, "warm", run.options.partitions, 0).join()
            _echo_slice(run, child, number, count, slices)
    finally:
        if child is not None:
            child.close()
    return {**slices.medians(), "echo_answer_bytes": answer_bytes}


def more(run: Run, seen: Observed) -> JsonObject:
    """Medians of our own slices."""
    parts = [seen.load.only(f"{LOAD}{number}-") for number in range(run.options.slices)]
    rows = [{**latencies(part), "cpu_ms_per_request": cpu_ms(part.answered, seen.samples)} for part in parts]
    known = [row for row in rows if row["routing_ms_p50"] is not None]
    if not known:
        return {"cpu_ms_per_request": calculate.median(row["cpu_ms_per_request"] for row in rows)}
    return {name: round(calculate.median(row[name] for row in known), 3) for name in known[0]}


def _items(run: Run, prefix: str, count: int) -> PlainItems:
    return PlainItems(prefix, count, run.options.partitions, size_bytes=run.options.size_bytes)


def _pour_echo(run: Run, name: str, count: int, rate: float) -> Load:
    topic = run.cluster.topic(ECHO_IN.name)
    return Load(run.cluster, topic, _items(run, f"{ECHO}-{name}", count), rate)


def _echo_slice(run: Run, child: Child, number: int, count: int, slices: Slices) -> None:
    run.say(f"sending {count} records to the echo at {run.options.rate:g}/s")
    sampler = Sampler(lambda: [child.pid])
    _pour_echo(run, str(number), count, run.options.rate).join()
    run.watch(0.5)
    sampler.close()
    times = read_echo(run.cluster, f"{ECHO}-{number}-")
    slices.p50_ms.append(times.percentile(0.5))
    slices.p99_ms.append(times.percentile(0.99))
    used_s = cpu_between_s(sampler.samples, times.first_ms, times.last_ms)
    slices.cpu_ms.append(used_s * 1000 / max(1, len(times.echo_ms)))
    slices.missing += times.missing


def _answer_bytes(run: Run) -> int:
    sizes = [answer.value_bytes for answer in run.reader.answered]
    return int(calculate.median(sizes))


def _within(field_name: str, factor: float, echo_field: str, more_ms: float, bound_ms: float) -> Limit:
    text = f"{field_name} <= {factor:g} x {echo_field}" + (f" + {more_ms:g}" if more_ms else "")

    def holds(report: JsonObject) -> bool:
        figure = report[field_name]
        return figure is None or figure <= min(bound_ms, factor * report[echo_field] + more_ms)

    return Limit(text, holds)


SCENARIO = Scenario(
    name="paced",
    about="A steady rate, compared with a bare Kafka echo that is interleaved with it.",
    play=play,
    defaults=Defaults(requests=20_000, rate=200),
    limits=(
        *CLEAN,
        *none_of("unknown_outcomes", "finished_again", "echo_missing"),
        _within("routing_ms_p50", 2, "echo_ms_p50", 5, float("inf")),
        _within("routing_ms_p99", 2, "echo_ms_p99", 0, 100),
        _within("cpu_ms_per_request", 1.75, "echo_cpu_ms", 0, float("inf")),
    ),
    more=more,
)
