"""What is shown of records: never what was asked, answered or sent, and not what can't be read."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.gateway.socket.views import MAX_SERIES, MAX_VALUE_BYTES, PRIVATE, VIEWS, row_of
from connectors.kafka.reading import Place, Seen
from schemas.codes import Code
from schemas.dead_letters import DeadLetter
from tests.support.sockets import response

SECRET = "the-secret-words"


def seen(value: Any, *headers: tuple[str, bytes], key: bytes | None = b"k") -> Seen:
    body = value if value is None or isinstance(value, bytes) else orjson.dumps(value)
    return Seen(Place("llm.x", 3), 17, 1000, key, body, headers)


def test_a_request_is_shown_without_its_words():
    value = {
        "prompt": SECRET,
        "context": SECRET,
        "messages": [{"role": "user", "content": SECRET}],
        "metadata": {"x": SECRET},
        "tools": [SECRET],
        "user": SECRET,
        "model": "small",
        "tenant": "acme",
    }
    row = row_of(VIEWS["requests"], seen(value, ("tenant", b"other"), ("request_id", b"r-1")))

    assert row is not None
    assert (row.tenant, row.value["request_id"], row.value["model"]) == ("other", "r-1", "small")
    assert (row.value["messages"], row.value["place"]) == (1, "llm.x/3/17")
    assert SECRET not in str(row.value)


def test_a_request_of_no_named_tenant_belongs_to_the_default_one():
    row = row_of(VIEWS["requests"], seen({"prompt": "hi"}, key=None))

    assert row is not None
    assert (row.tenant, row.key) == ("default", "")


def test_a_response_is_shown_without_its_words():
    value = response("r", SECRET).model_copy(update={"metadata": {"x": SECRET}, "reasoning_content": SECRET})
    row = row_of(VIEWS["responses"], seen(value.to_bytes()))

    assert row is not None
    assert (row.tenant, row.value["cost_usd"], row.value["attempts"]) == ("acme", 0.0021, 0)
    assert SECRET not in str(row.value)


def test_a_dead_letter_is_shown_without_its_bytes_and_to_admins_alone():
    letter = DeadLetter(
        request_id="r",
        source="s/0/1",
        code=Code.INTERNAL,
        message="m",
        stage="decode",
        value=SECRET,
        timestamp_ms=1,
    )
    row = row_of(VIEWS["dead-letters"], seen(letter.to_bytes()))

    assert row is not None
    assert row.value["code"] == "internal"
    assert SECRET not in str(row.value)
    assert frozenset({"dead-letters"}) == PRIVATE


@pytest.mark.parametrize("value", [None, b"\x01\x02packed", b"[1]", b"7", b""])
@pytest.mark.parametrize("topic", VIEWS)
def test_what_is_not_for_people_is_no_row(topic: str, value: bytes | None):
    assert row_of(VIEWS[topic], seen(value)) is None


def test_a_large_line_is_cut_to_its_short_fields():
    row = row_of(
        VIEWS["logs"], seen({"message": "x" * MAX_VALUE_BYTES, "level": "error", "n": 1, "deep": {"a": 1}})
    )

    assert row is not None
    assert row.value == {"level": "error", "n": 1, "cut": True}


def test_of_many_series_the_busiest_are_shown():
    series = [{"tenant": "t", "requests": n} for n in range(MAX_SERIES + 50)]
    row = row_of(VIEWS["metrics"], seen({"process": "w", "series": [*series, {"requests": "odd"}, "odd"]}))
    few = row_of(VIEWS["metrics"], seen({"series": series[:3]}))

    assert row is not None
    assert few is not None
    assert len(row.value["series"]) == MAX_SERIES
    assert row.value["series"][0]["requests"] == MAX_SERIES + 49
    assert few.value == {"series": series[:3]}


nested = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
names = st.sampled_from(["messages", "tenant", "attempts", "series", "error", "request_id", "prompt"])


@given(st.sampled_from(list(VIEWS)), st.dictionaries(names, nested))
def test_whatever_lies_on_a_topic_has_a_row_that_can_be_written(topic: str, value: dict[str, Any]):
    row = row_of(VIEWS[topic], seen(value))

    assert row is not None
    assert orjson.loads(row.to_bytes(1, "acme"))["seq"] == 1
    assert row.matches({"error.code": "x"}, "acme") in (True, False)
