"""How commands show records."""

import orjson
import pytest

from connectors.kafka.reading import Place, Seen
from flows.cli_show import as_json, kind_of, matches, one_line, place_text, topic_name, value_of
from schemas.packed import MOVED, NO_OFFSET, REMEMBERED, Settled, Started, pack_settled, pack_started
from schemas.records import Headers


def seen(value: bytes | None, *, key: bytes | None = b"k", headers: Headers = ()) -> Seen:
    return Seen(Place("llm.usage", 3), 7, 1_700_000_000_123, key, value, headers)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("responses", "llm.responses"),
        ("llm.responses", "llm.responses"),
        ("dlq", "llm.dead-letters"),
        ("logs", "ops.logs"),
        ("nothing", None),
    ],
)
def test_topics_go_by_short_and_full_names(text: str, name: str | None):
    assert topic_name(text) == name


def test_record_without_a_value_is_shown_as_a_fence():
    fence = seen(None, key=None, headers=(("kind", b"fence"), ("owner", b"worker-0")))

    assert kind_of(fence) == "fence"
    assert one_line(fence) == "2023-11-14 22:13:20.123  3/7  fence  -  written by worker-0"
    assert as_json(fence)["value"] is None


def test_started_entries_are_unpacked():
    record = seen(pack_started([Started(0, 1, 2, 3, 4, 5)]), headers=(("kind", b"started"),))

    assert value_of(record) == [
        {
            "source": "llm.requests",
            "offset": 3,
            "attempt": 1,
            "route": "00000002",
            "request_hash": "0000000000000004",
            "body_hash": "0000000000000005",
        }
    ]


def test_settled_entries_name_their_flags_and_source():
    entries = [Settled(9, REMEMBERED | MOVED, 3, 4, 5, NO_OFFSET), Settled(1, 0, 3, 4, 5, 6)]

    shown = value_of(seen(pack_settled(entries), headers=(("kind", b"settled"),)))

    assert isinstance(shown, list)
    assert [one["flags"] for one in shown] == [["remembered", "moved"], []]
    assert [one["response_offset"] for one in shown] == [None, 6]
    assert [one["source"] for one in shown] == ["9", "llm.waiting"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(b"plain", "plain"), (b"\xff", {"base64": "/w=="}), (b'{"a":1}', {"a": 1}), (b"", "")],
)
def test_value_that_is_not_json_is_shown_as_text_or_base64(value: bytes, shown: object):
    assert value_of(seen(value)) == shown


def test_broken_packed_record_does_not_stop_the_listing():
    assert value_of(seen(b"\x07", headers=(("kind", b"started"),))) == "\x07"


def test_long_value_is_cut_and_its_size_told():
    line = one_line(seen(orjson.dumps({"text": "x" * 500})))

    assert line.endswith("… (511 bytes)")


def test_json_has_everything_of_a_record():
    record = seen(b'{"a":1}', headers=(("kind", b"response"), ("seal", b"\x01\xff"), ("kind", b"copy")))

    assert as_json(record) == {
        "topic": "llm.usage",
        "partition": 3,
        "offset": 7,
        "timestamp_ms": 1_700_000_000_123,
        "kind": "copy",
        "key": "k",
        "headers": {"kind": "copy", "seal": "01ff"},
        "value": {"a": 1},
    }


@pytest.mark.parametrize(
    ("filters", "matched"),
    [
        ({"key": "k"}, True),
        ({"key": "other"}, False),
        ({"kind": "response"}, True),
        ({"error.code": "refused"}, True),
        ({"error.code": "internal"}, False),
        ({"error.code.deeper": "x"}, False),
        ({"tokens_used": "12"}, True),
        ({"kind": "response", "tenant": "acme"}, True),
        ({"kind": "response", "tenant": "other"}, False),
        ({}, True),
    ],
)
def test_filters_look_at_headers_key_kind_and_paths(filters: dict[str, str], matched: bool):
    value = orjson.dumps({"error": {"code": "refused"}, "tokens_used": 12})
    record = seen(value, headers=(("kind", b"response"), ("tenant", b"acme")))

    assert matches(record, filters) is matched


def test_filter_finds_any_entry_of_a_packed_record():
    record = seen(
        pack_started([Started(0, 1, 2, 3, 4, 5), Started(0, 1, 2, 33, 4, 5)]), headers=(("kind", b"started"),)
    )

    assert matches(record, {"offset": "33"})


def test_place_is_topic_partition_and_offset():
    assert place_text(seen(None)) == "llm.usage/3/7"


def test_record_without_a_key_matches_no_key():
    assert not matches(seen(None, key=None), {"key": "k"})
