"""What every story counts; each is 0 while the rules hold. Most are the bench's own."""

from collections import Counter, defaultdict
from itertools import pairwise, zip_longest
from uuid import UUID

from kafka.consumer.fetcher import ConsumerRecord

from connectors.bench import calculate
from connectors.bench.facts import Facts, Place
from connectors.bench.topics_reader import read_settled, read_to_ends
from connectors.kafka.reading import Reader, partition_of
from schemas.topics import SOURCES, USAGE, parse_source
from schemas.usage import Finished
from tests.breaks.stage import Stage

Counts = dict[str, int]
"""Count by name."""


def common(facts: Facts) -> Counts:
    """What holds of every story.

    called_after_answer   calls of a request whose answer was durable: paid twice
    reused_attempts       attempts of a request record that were started twice under one number
    The others are defined in `connectors.bench.calculate`.
    """
    return {
        "lost": len(calculate.lost(facts.asked, facts.answered, facts.done)),
        "duplicate_responses": calculate.duplicate_responses(facts.answered),
        "stray_responses": calculate.stray_responses(facts.asked, facts.answered),
        "unstarted_calls": calculate.unstarted_calls(facts.asked, facts.begun, facts.calls),
        "unflagged_unknowns": calculate.unflagged_unknowns(facts.asked, facts.answered, facts.calls),
        "called_after_answer": called_after_answer(facts),
        "reused_attempts": reused_attempts(facts),
    }


def called_after_answer(facts: Facts) -> int:
    """Calls of a request id that began after its first answer was appended; failures are no answers."""
    ids = {one.place: one.request_id for one in facts.asked}
    first_ms: dict[str, int] = {}
    for answer in facts.answered:
        if answer.place is not None and answer.code is None and answer.place in ids:
            first_ms.setdefault(ids[answer.place], answer.append_ms)
    return sum(
        1
        for call in facts.calls
        if call.request_id in first_ms and call.start_ms > first_ms[call.request_id] + 1
    )


def reused_attempts(facts: Facts) -> int:
    """Started entries beyond the first of each request record and attempt."""
    return sum(times - 1 for times in Counter((entry.place, entry.attempt) for entry in facts.begun).values())


def overlapping_turns(facts: Facts, names: list[str]) -> int:
    """Turns of one conversation that were called before the turn before had its response."""
    ids = {one.place: one.request_id for one in facts.asked}
    answered_ms: dict[str, int] = {}
    for answer in facts.answered:
        if answer.place is not None:
            answered_ms.setdefault(ids.get(answer.place, ""), answer.append_ms)
    own = calculate.calls_by_request(facts.calls)
    return sum(
        1
        for before, name in pairwise(names)
        if name in own and own[name][0].start_ms < answered_ms.get(before, float("inf"))
    )


def missing_turns(stage: Stage, names: list[str]) -> int:
    """Turns of one conversation that a later one's last call did not hold, or held in another order."""
    missing = 0
    for at, name in enumerate(names):
        before = [stage.provider.answer(earlier) for earlier in names[:at]]
        seen = stage.provider.seen(name)
        missing += len(before) if seen is None else sum(a != b for a, b in zip_longest(before, seen))
    return missing


def home(stage: Stage, context_id: UUID) -> int:
    """The partition that a conversation belongs to."""
    return partition_of(str(context_id).encode(), stage.cluster.partitions)


def called_again(stage: Stage, *names: str) -> int:
    """Calls beyond the first of each of these requests."""
    return sum(max(0, len(stage.provider.calls(name)) - 1) for name in names)


def missing_ledger(stage: Stage, facts: Facts) -> int:
    """Answers without a `finished` entry of the ledger, by the request record it names."""
    entries: defaultdict[Place, int] = defaultdict(int)

    def take(record: ConsumerRecord) -> None:
        if ("kind", b"finished") in record.headers:
            topic, partition, offset = parse_source(Finished.model_validate_json(record.value).source)
            number = next(at for at, source in enumerate(SOURCES) if source.name == topic)
            entries[Place(number, partition, offset)] += 1

    read_to_ends(stage.cluster, [USAGE], take)
    return sum(1 for answer in facts.answered if answer.place is not None and not entries[answer.place])


def is_settled(stage: Stage, place: Place) -> bool:
    """Whether the ledger has a `settled` entry of a request record by now."""
    found: list[Place] = []
    read_to_ends(
        stage.cluster,
        [USAGE],
        lambda record: found.extend(entry.place for entry in read_settled(record)),
    )
    return place in found


def copies(stage: Stage, topic: str) -> int:
    """Responses on a reply topic."""
    reader = Reader(stage.cluster)
    try:
        places = reader.places(topic)
        seen = list(reader.scan(reader.beginnings(places), reader.ends(places)))
        return sum(1 for record in seen if record.header("kind") == "response")
    finally:
        reader.close()
