"""The messages of the WebSocket: what is read, what is refused, and that the table has them all."""

import contextlib

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.gateway.socket import protocol
from connectors.gateway.socket.protocol import Limits, NotUnderstoodError, Submit, Subscribe, read
from connectors.gateway.socket.views import VIEWS
from tests.support.sockets import ANN, chunk, response


def test_a_message_is_read_into_its_type():
    assert read('{"type":"submit","id":"a","request":{"prompt":"hi"}}') == Submit(
        type="submit", id="a", request={"prompt": "hi"}
    )
    assert read(
        '{"type":"subscribe","id":"a","topic":"logs","filter":{"level":["error",null]}}'
    ) == Subscribe(type="subscribe", id="a", topic="logs", filter={"level": ["error", None]})


@pytest.mark.parametrize(
    ("text", "ref", "param"),
    [
        ("", None, None),
        ("[1]", None, None),
        ("{}", None, "type"),
        ('{"type":["submit"]}', None, "type"),
        ('{"type":"sing","id":"a"}', "a", "type"),
        ('{"type":"cancel"}', None, "id"),
        ('{"type":"cancel","id":""}', None, "id"),
        ('{"type":"cancel","id":"' + "x" * 65 + '"}', None, "id"),
        ('{"type":"cancel","id":"a","more":1}', "a", "more"),
        ('{"type":"hello","version":"1"}', None, "version"),
        ('{"type":"subscribe","id":"a","topic":"logs","since":-1}', "a", "since"),
        ('{"type":"submit","id":"a","request":"hi"}', "a", "request"),
    ],
)
def test_what_is_no_message_is_refused_with_its_field(text: str, ref: str | None, param: str | None):
    with pytest.raises(NotUnderstoodError) as refused:
        read(text)

    assert (refused.value.id, refused.value.param) == (ref, param)


def test_a_filter_is_bounded():
    many = orjson.dumps({str(n): 1 for n in range(9)}).decode()

    with pytest.raises(NotUnderstoodError):
        read('{"type":"subscribe","id":"a","topic":"logs","filter":' + many + "}")


@given(
    st.text()
    | st.dictionaries(st.text(), st.text() | st.integers(-9, 9)).map(lambda one: orjson.dumps(one).decode())
)
def test_whatever_comes_is_read_or_refused(text: str):
    with contextlib.suppress(NotUnderstoodError):
        assert read(text).type in protocol._KINDS


def test_nesting_without_end_is_refused():
    with pytest.raises(NotUnderstoodError):
        read('{"type":"submit","id":"a","request":' + '{"a":' * 3000 + "1" + "}" * 3001)


def test_every_message_is_json_and_in_the_table():
    messages = [
        protocol.hello(ANN, ["logs"], Limits()),
        protocol.submitted("a", "req", "t"),
        protocol.chunk('"', chunk("req", 0, "x")),
        protocol.response("a", response("req")),
        protocol.error("internal", "text"),
        protocol.snapshot("a", "logs", ("e", 3), [b'{"seq":3}'], 0),
        protocol.delta("a", 3, 4, [b"{}", b"{}"]),
        protocol.note("paused", "a"),
        protocol.note("unsubscribed", "a"),
        protocol.note("pong", None),
    ]
    table = protocol.__doc__ or ""

    for message in messages:
        assert f"| server | {orjson.loads(message)['type']} |" in table
    for kind in protocol._KINDS:
        assert f"| client | {kind} |" in table
    assert orjson.loads(messages[2])["id"] == '"'
    assert len(orjson.loads(messages[6])["rows"]) == 2


def test_every_topic_that_is_named_can_be_watched():
    assert tuple(VIEWS) == protocol.TOPICS
    for topic in protocol.TOPICS:
        assert f"`{topic}`" in (protocol.__doc__ or "")
