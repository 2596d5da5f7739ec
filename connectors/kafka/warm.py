"""Has kafka-python compile ahead what it would else compile when it first speaks to a broker.

It makes a function of its own for each kind and version of message, at first use: 80 ms for all that a worker
says and hears. A spare worker does that before it has its role.
"""

import contextlib
import importlib
import struct
from collections.abc import Sequence
from typing import Any

# the stubs that type checkers carry are those of kafka-python 2
consumer: Any = importlib.import_module("kafka.protocol.consumer")
metadata: Any = importlib.import_module("kafka.protocol.metadata")
producer: Any = importlib.import_module("kafka.protocol.producer")

WIRE: Sequence[tuple[Any, Any, int]] = (
    (metadata.MetadataRequest, metadata.MetadataResponse, 13),
    (metadata.FindCoordinatorRequest, metadata.FindCoordinatorResponse, 6),
    (producer.InitProducerIdRequest, producer.InitProducerIdResponse, 4),
    (producer.ProduceRequest, producer.ProduceResponse, 9),
    (consumer.ListOffsetsRequest, consumer.ListOffsetsResponse, 10),
    (consumer.FetchRequest, consumer.FetchResponse, 12),
    (consumer.JoinGroupRequest, consumer.JoinGroupResponse, 7),
    (consumer.SyncGroupRequest, consumer.SyncGroupResponse, 5),
    (consumer.HeartbeatRequest, consumer.HeartbeatResponse, 4),
    (consumer.OffsetFetchRequest, consumer.OffsetFetchResponse, 8),
    (consumer.OffsetCommitRequest, consumer.OffsetCommitResponse, 8),
)
"""Request, response and the version that both ends speak where the broker is Kafka 4."""


def compile_wire() -> None:
    """Compile all of `WIRE`; with another broker other versions are compiled later, as they come."""
    for request, response, version in WIRE:
        with contextlib.suppress(TypeError, AttributeError, ValueError, struct.error):
            request(version=version).encode()  # an empty one may not be valid; it is compiled all the same
        with contextlib.suppress(IndexError, ValueError, struct.error):
            response.decode(b"", version=version)
