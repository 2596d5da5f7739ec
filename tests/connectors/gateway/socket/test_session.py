"""One socket's state: the hello, streams, subscriptions, slow readers and bounds."""

from typing import Any

import orjson
import pytest

from connectors.gateway.ports import Lost, Problem
from connectors.gateway.socket.feed import Feed, Row
from connectors.gateway.socket.protocol import Cancel, Limits, Submit
from connectors.gateway.socket.session import Session
from tests.support.sockets import ANN, BOB, EVE, ROOT, chunk, response

LIMITS = Limits(message_bytes=500, subscriptions=2, streams=2, messages_per_s=10, queue_bytes=4000, rows=3)
PRIVATE = frozenset({"dead-letters"})


class Talk:
    """A session with a client that reads all it gets, unless told not to."""

    def __init__(self, caller: Any = ANN, limits: Limits = LIMITS, *, hello: bool = True) -> None:
        self.session = Session(caller, limits, 0.0, PRIVATE)
        self.feeds = {"logs": Feed("e1", 5, ready=True), "metrics": Feed("e2", 5)}
        self.now_s = 0.0
        if hello:
            self.say(type="hello", version=1)

    def say(self, **message: Any) -> list[dict[str, Any]]:
        self.act = self.session.receive(orjson.dumps(message).decode(), self.now_s)
        return self.heard()

    def heard(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while (message := self.session.take()) is not None:
            found.append(orjson.loads(message))
        return found

    def row(self, *levels: str, tenant: str | None = None) -> None:
        for level in levels:
            self.feeds["logs"].append(Row(1, "k", {"level": level}, tenant, 100))

    def tick(self) -> list[dict[str, Any]]:
        self.session.tick(self.feeds)
        return self.heard()

    def watch(self, **more: Any) -> list[dict[str, Any]]:
        return self.say(type="subscribe", id="w", topic="logs", **more) + self.tick()


def levels(message: dict[str, Any]) -> list[str]:
    return [row["value"]["level"] for row in message["rows"]]


def test_the_hello_says_who_one_is_and_what_is_allowed():
    talk = Talk(hello=False)

    (hello,) = talk.say(type="hello", version=1)

    assert hello["caller"] == {"id": "key-ann", "tenant": "acme", "scopes": ["llm:invoke", "metrics:read"]}
    assert hello["limits"]["subscriptions"] == 2
    assert "logs" in hello["topics"]
    assert "dead-letters" not in hello["topics"]


@pytest.mark.parametrize(
    "first",
    [{"type": "ping"}, {"type": "hello", "version": 2}, {"type": "sing"}, {"type": "cancel", "id": "a"}],
)
def test_anything_but_a_hello_of_this_version_closes_the_socket(first: dict[str, Any]):
    talk = Talk(hello=False)
    talk.say(**first)

    assert talk.session.closing is not None
    assert talk.session.closing[0] == 4400
    assert talk.say(type="hello", version=1) == []


def test_a_second_hello_closes_the_socket():
    talk = Talk()
    talk.say(type="hello", version=1)

    assert talk.session.closing is not None


def test_a_stream_is_submitted_streamed_and_ended():
    talk = Talk()
    talk.say(type="submit", id="a", request={"prompt": "hi"})
    act = talk.act
    talk.session.accepted("a", "req", "t0")
    talk.session.piece("a", chunk("req", 0, "x"))
    talk.session.ended("a", response("req"))
    talk.session.piece("a", chunk("req", 1, "late"))
    talk.session.ended("a", response("req"))

    assert act == Submit(type="submit", id="a", request={"prompt": "hi"})
    assert [message["type"] for message in talk.heard()] == ["submitted", "chunk", "response"]


def test_a_stream_that_is_refused_or_lost_ends_with_an_error_and_frees_its_id():
    talk = Talk()
    talk.say(type="submit", id="a", request={})
    talk.session.refused("a", Problem(429, "rate_limited", "slower", param="p"))
    talk.session.accepted("a", "req", "t0")
    talk.say(type="submit", id="a", request={})
    talk.session.accepted("a", "req", "t0")
    talk.session.complain("a", Problem(503, "overloaded", "no cancel"))
    talk.session.ended("a", Lost("gap"))

    assert [(message["type"], message.get("code")) for message in talk.heard()] == [
        ("submitted", None),
        ("error", "overloaded"),
        ("error", "lost"),
    ]


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"type": "submit", "id": "a", "request": {}}, "conflict"),
        ({"type": "submit", "id": "w", "request": {}}, "conflict"),
        ({"type": "follow", "id": "c", "token": "t"}, "overloaded"),
        ({"type": "cancel", "id": "w"}, "not_found"),
        ({"type": "unsubscribe", "id": "a"}, "not_found"),
        ({"type": "subscribe", "id": "a", "topic": "logs"}, "conflict"),
        ({"type": "subscribe", "id": "x", "topic": "dead-letters"}, "forbidden"),
        ({"type": "subscribe", "id": "x", "topic": "secrets"}, "not_found"),
        ({"type": "subscribe", "id": "x", "topic": "logs"}, "overloaded"),
        ({"type": "subscribe", "id": "x"}, "invalid_request"),
    ],
)
def test_what_cannot_be_done_is_an_error_and_changes_nothing(message: dict[str, Any], code: str):
    talk = Talk(limits=Limits(streams=2, subscriptions=1))
    for ref in "ab":
        talk.say(type="submit", id=ref, request={})
    talk.watch()

    (error,) = talk.say(**message)

    assert (error["type"], error["code"], error["id"]) == ("error", code, message["id"])
    assert talk.act is None
    assert talk.session.closing is None


def test_scopes_say_what_one_may():
    assert Talk(BOB).say(type="subscribe", id="w", topic="logs")[0]["code"] == "forbidden"
    assert Talk(EVE).say(type="submit", id="a", request={})[0]["code"] == "forbidden"
    assert Talk(ROOT).say(type="subscribe", id="w", topic="dead-letters") == []


def test_a_cancel_is_for_the_shell():
    talk = Talk()
    talk.say(type="submit", id="a", request={})
    talk.say(type="cancel", id="a")

    assert talk.act == Cancel(type="cancel", id="a")


def test_a_subscription_begins_with_a_snapshot_and_goes_on_with_deltas():
    talk = Talk()
    talk.row("a", "b")
    (snapshot,) = talk.watch()
    nothing = talk.tick()
    talk.row("c", "d")
    (delta,) = talk.tick()

    assert (snapshot["epoch"], snapshot["seq"], snapshot["dropped"], levels(snapshot)) == (
        "e1",
        2,
        0,
        ["a", "b"],
    )
    assert nothing == []
    assert (delta["after"], delta["seq"], levels(delta)) == (2, 4, ["c", "d"])


def test_a_snapshot_waits_until_the_past_is_read():
    talk = Talk()
    talk.say(type="subscribe", id="w", topic="metrics")

    assert talk.tick() == []
    talk.feeds["metrics"].ready = True
    assert talk.tick()[0]["type"] == "snapshot"


def test_rows_that_do_not_match_are_passed_over_without_a_message():
    talk = Talk()
    talk.watch(filter={"level": "error"})
    talk.row("info", "info")
    assert talk.tick() == []
    talk.row("error")
    (delta,) = talk.tick()

    assert (delta["after"], delta["seq"], levels(delta)) == (0, 3, ["error"])


def test_a_delta_has_at_most_so_many_rows_and_the_rest_comes_next():
    talk = Talk()
    talk.watch()
    talk.row("a", "b", "c", "d")

    assert [levels(message) for message in talk.tick() + talk.tick()] == [["a", "b", "c"], ["d"]]


def test_who_comes_back_goes_on_where_it_was():
    talk = Talk()
    talk.row("a", "b", "c")

    (delta,) = talk.watch(since=2, epoch="e1")
    assert (delta["type"], delta["after"], levels(delta)) == ("delta", 2, ["c"])


def test_who_comes_back_and_missed_nothing_is_told_so():
    talk = Talk()
    talk.row("a")

    (delta,) = talk.watch(since=1, epoch="e1")
    assert (delta["type"], delta["after"], delta["seq"], delta["rows"]) == ("delta", 1, 1, [])


@pytest.mark.parametrize("back", [{"since": 1, "epoch": "e1"}, {"since": 7, "epoch": "e0"}, {"since": 7}])
def test_who_comes_back_too_late_or_to_another_gateway_gets_a_snapshot(back: dict[str, Any]):
    talk = Talk()
    talk.row(*"abcdefgh")

    (snapshot,) = talk.watch(**back)
    assert (snapshot["type"], snapshot["seq"], levels(snapshot)) == ("snapshot", 8, ["f", "g", "h"])
    assert snapshot["dropped"] == (4 if back.get("epoch") == "e1" else 0)


def test_a_slow_reader_is_paused_and_gets_what_is_still_held():
    talk = Talk()
    talk.watch()
    stuff(talk)
    talk.row("a", "b")
    talk.session.tick(talk.feeds)
    talk.session.tick(talk.feeds)
    paused = [message for message in talk.heard() if message["type"] == "paused"]
    (delta,) = talk.tick()

    assert paused == [{"type": "paused", "id": "w"}]
    assert levels(delta) == ["a", "b"]


def test_a_slower_one_gets_a_fresh_snapshot_and_the_number_it_missed():
    talk = Talk()
    talk.watch()
    stuff(talk)
    talk.row(*"abcdefghi")
    talk.session.tick(talk.feeds)
    talk.heard()
    (snapshot,) = talk.tick()

    assert (snapshot["type"], snapshot["dropped"], levels(snapshot)) == ("snapshot", 6, ["g", "h", "i"])


def stuff(talk: Talk) -> None:
    """Fill the queue over the bound for rows."""
    talk.say(type="submit", id="s", request={})
    talk.session.accepted("s", "req", "t")
    talk.session.piece("s", chunk("req", 0, "x" * 1100))


def test_pieces_of_answers_are_kept_and_the_shell_is_told_to_wait():
    talk = Talk()
    stuff(talk)
    assert talk.session.room
    for seq in range(1, 4):
        talk.session.piece("s", chunk("req", seq, "x" * 1000))

    assert not talk.session.room
    assert len(talk.heard()) == 5
    assert (talk.session.room, talk.session.queued_bytes) == (True, 0)


def test_an_unsubscribed_topic_is_silent():
    talk = Talk()
    talk.watch()
    assert talk.session.watched == {"logs"}
    assert talk.say(type="unsubscribe", id="w") == [{"type": "unsubscribed", "id": "w"}]
    talk.row("a")

    assert (talk.tick(), talk.session.watched) == ([], set())


def test_messages_over_the_rate_are_not_acted_on_and_far_over_it_closes():
    talk = Talk(limits=Limits(messages_per_s=10))
    answers = [talk.say(type="ping")[0] for _ in range(21)]
    talk.now_s = 0.5
    later = [talk.say(type="ping")[0]["type"] for _ in range(3)]

    assert [answer["type"] for answer in answers] == ["pong"] * 19 + ["error"] * 2
    assert answers[-1]["code"] == "rate_limited"
    assert "pong" in later
    for _ in range(60):
        talk.say(type="ping")
    assert talk.session.closing == (4429, "too many messages")


def test_a_message_that_is_too_large_closes_the_socket():
    talk = Talk()
    talk.say(type="ping", id="x" * 500)

    assert talk.session.closing == (1009, "the message is too large")
