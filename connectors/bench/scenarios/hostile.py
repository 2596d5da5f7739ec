"""Malformed and adversarial records, oversize answers, and three that crash the worker through a plugin."""

from collections import Counter

from connectors.bench import calculate
from connectors.bench.facts import Facts, Place, Stop
from connectors.bench.hostile_records import EXPECTED, POISON_MODEL, POISONS, hostile_items
from connectors.bench.options import SAFE, Defaults, Limit, most, none_of
from connectors.bench.poison import LOG_VARIABLE, NAME
from connectors.bench.report import Observed
from connectors.bench.run import LOAD, Run
from connectors.bench.scenario import Scenario
from schemas.base import JsonObject
from schemas.codes import Code

PLUGIN = "connectors.bench.poison"
BURIED = frozenset({Code.INVALID_REQUEST.value, Code.CRASH_LOOP.value})
"""Failures that must come with a dead letter."""
MOST_STOPS = 3
"""How often one poison record may stop its worker."""


def play(run: Run) -> JsonObject:
    """One supervised worker; each crash is a stop like a kill."""
    log = run.home / "poison.log"
    run.env[LOG_VARIABLE] = str(log)
    worker = run.start_worker()
    run.warm_up()
    options = run.options
    run.pour(hostile_items(LOAD, options.requests, options.partitions, options.seed))
    run.wait_all(120)
    run.stops += [Stop(end.at_ms, end.at_ms) for end in worker.exits]
    stops = Counter(log.read_text().splitlines() if log.exists() else [])
    return {
        "poison_stops": dict(stops),
        "most_poison_stops": max(stops.values(), default=0),
        "exit_codes": [end.code for end in worker.exits],
    }


def more(run: Run, seen: Observed) -> JsonObject:
    """How responses and dead letters agree with what each record was made for."""
    facts = seen.facts
    wrong = wrong_codes(facts)
    return {
        "wrong_codes": len(wrong),
        "wrong_examples": wrong[:5],
        "missing_dead_letters": len(calculate.missing_dead_letters(facts.answered, facts.buried, BURIED)),
        "innocent_dead_letters": innocent_dead_letters(facts),
        "crash_loops": calculate.error_codes(facts.answered)[Code.CRASH_LOOP.value],
        "dead_letters": len({letter.place for letter in facts.buried}),
    }


def kinds_of(facts: Facts) -> dict[Place, str]:
    """What each record was made for."""
    return {one.place: one.kind for one in facts.asked if one.kind}


def wrong_codes(facts: Facts) -> list[str]:
    """Responses that carry a code their kind does not allow, as `kind: code`."""
    kinds = kinds_of(facts)
    pairs = [(kinds.get(answer.place), answer.code) for answer in facts.answered if answer.place is not None]
    return [f"{kind}: {code}" for kind, code in pairs if kind is not None and code not in EXPECTED[kind]]


def innocent_dead_letters(facts: Facts) -> int:
    """Dead letters with a code that the record's kind does not allow; warm-up records allow none."""
    kinds = kinds_of(facts)
    return sum(
        1
        for letter in facts.buried
        if letter.place is None or letter.code not in EXPECTED.get(kinds.get(letter.place, ""), ())
    )


SCENARIO = Scenario(
    name="hostile",
    about="Malformed and adversarial records, oversize answers, records that crash the worker.",
    play=play,
    defaults=Defaults(requests=10_000, rate=0, static=True),
    limits=(
        *SAFE,
        *none_of("wrong_codes", "missing_dead_letters", "innocent_dead_letters"),
        most("most_poison_stops", MOST_STOPS),
        Limit(f"crash_loops == {POISONS}", lambda report: report["crash_loops"] == POISONS),
    ),
    more=more,
    models=((POISON_MODEL, NAME),),
    plugins=(PLUGIN,),
)
