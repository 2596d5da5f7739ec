"""Forwarding: a turn goes to the partition of its conversation, once."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from kafka.partitioner.default import murmur2

from flows.stages.forward import forward, home
from flows.stages.jobs import Job
from schemas.cluster import Cluster
from schemas.records import Headers, Record
from schemas.requests import Request

CLUSTER = Cluster(prefix="x.", partitions=12)
CONTEXT = UUID(int=7)


def job(headers: Headers = (), partition: int = 3, context: UUID | None = CONTEXT, attempts: int = 0) -> Job:
    record = Record(0, partition, 7, 1000, b"k", b"body", headers, attempts)
    request = Request(prompt="hi", context_id=context)
    return Job(record, request, "r\u00e9", request_hash=1, body_hash=2, deadline_ms=5000)


def test_a_request_without_a_conversation_stays():
    assert forward(job(context=None), CLUSTER, lambda _: 1) is None


def test_a_turn_at_home_stays():
    assert forward(job(), CLUSTER, lambda _: 12 + 3) is None


def test_a_turn_elsewhere_goes_to_the_partition_its_conversation_hashes_to():
    hashed: list[bytes] = []

    def hash_of(key: bytes) -> int:
        hashed.append(key)
        return 17

    moved = forward(job(), CLUSTER, hash_of)

    assert moved is not None
    assert (moved.topic, moved.partition, moved.key, moved.value) == ("x.llm.requests", 5, b"k", b"body")
    assert hashed == [str(CONTEXT).encode()]


def test_the_mover_says_who_until_when_from_where_and_what_was_tried():
    kept: Headers = (("tenant", b"t"), ("request_id", b"old"), ("attempts", b"9"), ("tenant", b"u"))
    moved = forward(job(kept, attempts=2), CLUSTER, lambda _: 0)

    assert moved is not None
    assert moved.headers == (
        ("tenant", b"t"),
        ("tenant", b"u"),
        ("request_id", "r\u00e9".encode()),
        ("deadline_ms", b"5000"),
        ("origin", b"llm.requests/3/7"),
        ("attempts", b"2"),
        ("hop", b"1"),
    )


def test_a_record_that_was_forwarded_is_not_forwarded_again():
    first = forward(job(), CLUSTER, lambda _: 0)
    assert first is not None

    assert forward(job(first.headers, partition=1), CLUSTER, lambda _: 0) is None


@given(context=st.uuids(), partitions=st.integers(1, 50))
def test_home_is_where_kafkas_own_partitioner_puts_the_conversation(context: UUID, partitions: int):
    wanted = (murmur2(str(context).encode()) & 0x7FFFFFFF) % partitions

    assert home(context, partitions, murmur2) == wanted
    assert home(context, partitions, lambda key: murmur2(key) - 2**32) == wanted
