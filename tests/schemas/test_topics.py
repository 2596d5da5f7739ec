"""The table of topics, and the identity of request records as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import Record
from schemas.topics import (
    DAY_MS,
    HEADERS,
    MAX_RECORD_BYTES,
    SOURCES,
    TOPICS,
    Topic,
    parse_source,
    source_text,
)

ANSWERS = ("llm.requests", "llm.responses", "llm.usage", "llm.control", "gateway.idempotency")


@given(st.text(min_size=1), st.integers(0, 2**31 - 1), st.integers(0, 2**63 - 1))
def test_a_source_is_read_back_as_it_was_written(topic: str, partition: int, offset: int):
    assert parse_source(source_text(topic, partition, offset)) == (topic, partition, offset)


@pytest.mark.parametrize("text", ["", "llm.requests", "llm.requests/1", "a/b/c", "a/1/", "a//1"])
def test_what_is_no_source_is_refused(text: str):
    with pytest.raises(ValueError, match=r"unpack|int"):
        parse_source(text)


def test_a_record_knows_its_place():
    record = Record(source=0, partition=3, offset=41, timestamp_ms=0, key=None, value=b"{}")

    assert record.place == "llm.requests/3/41"


def test_topic_names_are_unique_and_the_sources_are_topics():
    names = [topic.name for topic in TOPICS]

    assert len(set(names)) == len(names)
    assert [topic.name for topic in SOURCES] == ["llm.requests", "llm.waiting", "llm.bulk"]
    assert all(source in TOPICS and source.partitioned for source in SOURCES)


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_every_topic_takes_nine_mebibytes_and_is_stamped_as_the_design_says(topic: Topic):
    configs = topic.configs()

    assert configs["max.message.bytes"] == str(MAX_RECORD_BYTES) == str(9 * 1024 * 1024)
    assert configs["message.timestamp.type"] == ("LogAppendTime" if topic.name in ANSWERS else "CreateTime")


@pytest.mark.parametrize(
    ("compacted", "retention_ms", "policy", "kept"),
    [
        (False, DAY_MS, "delete", str(DAY_MS)),
        (False, None, "delete", "-1"),
        (True, None, "compact", None),
        (True, DAY_MS, "compact,delete", str(DAY_MS)),
    ],
)
def test_policy_and_retention_follow_from_the_table(
    compacted: bool, retention_ms: int | None, policy: str, kept: str | None
):
    configs = Topic("t", "key", True, retention_ms, compacted=compacted).configs()

    assert configs["cleanup.policy"] == policy
    assert configs.get("retention.ms") == kept


def test_headers_are_named_once_and_stand_on_topics_that_exist():
    names = [header.name for header in HEADERS]

    assert len(set(names)) == len(names)
    assert {topic for header in HEADERS for topic in header.on} <= {topic.name for topic in TOPICS}
