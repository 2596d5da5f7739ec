"""A gateway is killed with streams open: a second one gives every client its whole answer, called once."""

from pathlib import Path

import pytest

from tests.bench.gateway_takeover import takeover
from tests.support.kafka import Topics

STREAMS = 50


@pytest.mark.broker
def test_streams_of_a_killed_gateway_end_complete_at_another_and_are_called_once(
    topics: Topics, tmp_path: Path
):
    found = takeover(topics.cluster, tmp_path, STREAMS, {"chunks": 24, "every_ms": 150})

    assert found["cut"] > 0
    assert (found["complete"], found["errors"]) == (STREAMS, [])
    assert (found["requests"], found["most_calls"], found["cancelled"]) == (STREAMS, 1, 0)
    assert found["same_request"] == STREAMS
