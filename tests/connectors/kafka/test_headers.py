"""Headers written and read in one go are those that kafka-python writes and reads."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.protocol.consumer import FetchRequest, FetchResponse
from kafka.protocol.frame import KafkaBytes
from kafka.protocol.producer import ProduceRequest, ProduceResponse

from connectors.kafka import headers

KINDS: list[Any] = [
    (FetchRequest, FetchResponse, 11),
    (FetchRequest, FetchResponse, 12),
    (ProduceRequest, ProduceResponse, 8),
    (ProduceRequest, ProduceResponse, 9),
]
numbers = st.integers(0, 2**31 - 1)


def frame(data: bytes) -> Any:
    """Bytes as they come from a socket."""
    made = KafkaBytes(len(data))
    made[:] = data
    return made


@pytest.mark.parametrize(("request_kind", "answer_kind", "version"), KINDS)
@given(number=numbers, client=st.text(max_size=40))
def test_they_are_the_same(request_kind: Any, answer_kind: Any, version: int, number: int, client: str):
    request, flexible = request_kind(version=version), request_kind.flexible_version_q(version)
    base: Any = request_kind.mro()[1]
    base.with_header(request, number, client)
    theirs = base.encode_header(request, flexible=flexible), request.header.get_response_class()
    headers.with_header(request, number, client)
    assert headers.encode_header(request, flexible=flexible) == theirs[0]
    assert request.header.get_response_class() is theirs[1]
    assert request.header.correlation_id == number

    answer, rest = answer_kind[version], b"what follows"
    for tags in [b""] if not flexible else [b"\0", b"\1\5\2xy"]:
        one, other = frame(number.to_bytes(4) + tags + rest), frame(number.to_bytes(4) + tags + rest)
        read = headers.parse_header(answer, one)
        assert read.correlation_id == base.parse_header.__func__(answer, other).correlation_id == number
        assert one.tell() == other.tell()
        assert one.read() == rest
