"""A steady rate, in slices with and without a huge context every second that has to be compressed.

The routing times of the small requests are compared: the median over the slices of one kind and of the other.
"""

import orjson

from connectors.bench import calculate
from connectors.bench.corpora import corpora
from connectors.bench.load import Items, PlainItems
from connectors.bench.options import CLEAN, Defaults, Limit, least
from connectors.bench.report import Observed, latencies
from connectors.bench.run import LOAD, WARM, Run
from connectors.bench.scenario import Scenario
from schemas.base import JsonObject

HUGE = "huge"
"""Prefix of the ids of huge requests, and the model that they ask, whose window is too small for them."""
CONTEXT_TOKENS = 150_000
_CONTEXT_BYTES, _CONTEXT_CHARS = 600_000, 664_000
"""Of each corpus; of English and then code, which come to as many tokens and a little more."""
WINDOW_TOKENS = 38_000
"""The model's window: about a quarter of the context."""
MOST_RATIO = 1.5


class HugeItems(Items):
    """Requests with a huge context, each with its own beginning."""

    def __init__(self, prefix: str, count: int, partitions: int) -> None:
        super().__init__(prefix, count, partitions)
        texts = corpora(_CONTEXT_BYTES)
        pieces = [*texts["english"], *texts["code"]]
        self._context = "\n\n".join(pieces)[:_CONTEXT_CHARS]

    def _body(self, request_id: str) -> bytes:
        body: JsonObject = {
            "request_id": request_id,
            "model": HUGE,
            "prompt": f"What is said of the river, and when? ({request_id})",
            "context": f"Copy {request_id}.\n\n{self._context}",
        }
        return orjson.dumps(body)


def play(run: Run) -> JsonObject:
    """Alternate: a slice alone, a slice with a huge request every second."""
    run.start_worker()
    run.warm_up()
    run.pour(HugeItems(f"{WARM}-{HUGE}", 2, run.options.partitions), rate=0)
    run.wait_all(60)
    count = run.options.requests // (2 * run.options.slices)
    seconds = max(1, round(count / run.options.rate))
    for number in range(run.options.slices):
        for kind in ("alone", "beside"):
            huge = None
            if kind == "beside":
                huge = run.pour(HugeItems(f"{HUGE}{number}", seconds, run.options.partitions), rate=1.0)
            name = f"{LOAD}-{kind}{number}"
            run.pour(_items(run, name, count)).join()
            if huge is not None:
                huge.join()
            run.wait_all(60)
    return {"context_tokens": CONTEXT_TOKENS, "slice_s": seconds}


def more(run: Run, seen: Observed) -> JsonObject:
    """Medians over the slices of each kind, and what became of the huge ones."""
    report: JsonObject = {}
    for kind in ("alone", "beside"):
        parts = [latencies(seen.load.only(f"{LOAD}-{kind}{number}-")) for number in range(run.options.slices)]
        for figure in ("routing_ms_p50", "routing_ms_p99"):
            report[f"{kind}_{figure}"] = round(calculate.median(part[figure] for part in parts), 2)
    ratios = [
        latencies(seen.load.only(f"{LOAD}-beside{number}-"))["routing_ms_p99"]
        / latencies(seen.load.only(f"{LOAD}-alone{number}-"))["routing_ms_p99"]
        for number in range(run.options.slices)
    ]
    report["p99_ratios"] = [round(ratio, 2) for ratio in ratios]
    report["p99_ratio"] = round(report["beside_routing_ms_p99"] / report["alone_routing_ms_p99"], 3)
    huge = seen.load.only(HUGE)
    report["huge_answered"] = len(huge.answered)
    report["huge_routing_ms_p50"] = latencies(huge)["routing_ms_p50"]
    return report


def _items(run: Run, prefix: str, count: int) -> PlainItems:
    return PlainItems(prefix, count, run.options.partitions, size_bytes=run.options.size_bytes)


SCENARIO = Scenario(
    name="context",
    about="A steady rate, with and without a context of 150,000 tokens every second that must be compressed.",
    play=play,
    defaults=Defaults(requests=12_000, rate=100),
    limits=(
        *CLEAN,
        least("huge_answered", 1),
        Limit(f"p99_ratio <= {MOST_RATIO:g}", lambda report: report["p99_ratio"] <= MOST_RATIO),
    ),
    more=more,
    models=((HUGE, "openai"),),
    windows={HUGE: WINDOW_TOKENS},
)
