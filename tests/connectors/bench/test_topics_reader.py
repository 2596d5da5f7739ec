"""What the reader makes of records that were written by hand, on the real broker."""

from contextlib import closing

import orjson
import pytest
from kafka import KafkaProducer

from connectors.bench.facts import Begun, Buried, Done, Facts, Place
from connectors.bench.topics_reader import KIND_HEADER, TopicsReader
from connectors.kafka.clients import client_settings
from schemas.packed import NO_OFFSET, REMEMBERED, REPEAT, Settled, Started, pack_settled, pack_started
from schemas.topics import DEAD_LETTERS, REQUESTS, RESPONSES, USAGE, Topic
from tests.support.kafka import Topics

pytestmark = pytest.mark.broker

Headers = list[tuple[str, bytes]]


def write(topics: Topics, records: list[tuple[Topic, bytes | None, Headers]]) -> None:
    producer = KafkaProducer(**client_settings(topics.cluster))
    try:
        for topic, value, headers in records:
            key = b"fence" if value is None else None
            producer.send(topics.name(topic), key=key, value=value, headers=headers, partition=1).get(20)
    finally:
        producer.close()


def read(topics: Topics) -> Facts:
    with closing(TopicsReader(topics.cluster)) as reader:
        facts = reader.facts(())
        assert reader.places == {one.place for one in facts.answered if one.place is not None}
        return facts


def answer(**fields: object) -> bytes:
    return orjson.dumps({"request_id": "r", "attempts": []} | fields)


def test_requests_are_known_by_header_body_or_place(topics: Topics):
    write(
        topics,
        [
            (REQUESTS, b'{"request_id": "body"}', [("request_id", b"header")]),
            (REQUESTS, b'{"request_id": "body"}', [(KIND_HEADER, b"good")]),
            (REQUESTS, b'{"request_id": 7}', []),
            (REQUESTS, b"\xff", []),
            (REQUESTS, b"[]", []),
            (REQUESTS, None, []),
        ],
    )

    facts = read(topics)

    assert [(one.request_id, one.kind) for one in facts.asked] == [
        ("header", ""),
        ("body", "good"),
        ("llm.requests/1/2", ""),
        ("llm.requests/1/3", ""),
        ("llm.requests/1/4", ""),
    ]
    assert [one.place.offset for one in facts.asked] == [0, 1, 2, 3, 4]


def test_responses_carry_source_failure_and_attempts(topics: Topics):
    attempts = [{"attempt": 1, "outcome": "unknown"}, {"attempt": 2, "outcome": "ok"}]
    write(
        topics,
        [
            (RESPONSES, answer(attempts=attempts, unknown_outcome=True), [("source", b"llm.requests/1/4")]),
            (RESPONSES, None, [("kind", b"fence")]),
            (RESPONSES, answer(error={"code": "internal"}), [("source", b"nonsense")]),
            (RESPONSES, answer(), [("source", topics.name(REQUESTS).encode() + b"/1/5")]),
            (RESPONSES, answer(), [("source", b"other/1/5")]),
            (RESPONSES, answer(), []),
        ],
    )
    answered = read(topics).answered

    assert [one.place for one in answered] == [Place(0, 1, 4), None, Place(0, 1, 5), None, None]
    assert (answered[0].unknown_outcome, answered[0].known_attempts, answered[0].code) == (True, 1, None)
    assert answered[1].code == "internal"


def test_ledger_and_dead_letters_are_unpacked(topics: Topics):
    settled = [
        Settled(0, REMEMBERED, 3, 1, 1, 9),
        Settled(0, REPEAT, 4, 1, 1, NO_OFFSET),
    ]
    letter = orjson.dumps({"source": "llm.requests/1/3", "code": "invalid_request"})
    write(
        topics,
        [
            (USAGE, pack_started([Started(0, 2, 0, 3, 1, 1)]), [("kind", b"started")]),
            (USAGE, pack_settled(settled), [("kind", b"settled")]),
            (USAGE, b"{}", [("kind", b"finished")]),
            (USAGE, None, [("kind", b"fence")]),
            (DEAD_LETTERS, letter, []),
        ],
    )

    facts = read(topics)

    assert [(one.place, one.attempt) for one in facts.begun] == [(Place(0, 1, 3), 2)]
    assert isinstance(facts.begun[0], Begun)
    assert facts.done == (Done(Place(0, 1, 3), False), Done(Place(0, 1, 4), True))
    assert facts.buried == (Buried(Place(0, 1, 3), "invalid_request"),)
