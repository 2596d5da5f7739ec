"""Whatever client, rows and slowness do: what the client sees keeps the protocol's promises.

A model of the client checks each message against all rows there ever were. Bugs are planted in the source
of the session, one line each, and the model has to see every one of them.
"""

from pathlib import Path
from types import ModuleType
from typing import Any

import orjson
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from connectors.gateway.ports import Caller, Lost
from connectors.gateway.socket import session as session_module
from connectors.gateway.socket.feed import Feed, Row
from connectors.gateway.socket.protocol import Limits
from tests.support.sockets import chunk, response

LIMITS = Limits(message_bytes=400, subscriptions=4, streams=2, messages_per_s=6, queue_bytes=2400, rows=3)
WATCHER = Caller("k", "acme", frozenset({"llm:invoke", "metrics:read"}))

refs = st.sampled_from("abc")
operations = st.lists(
    st.one_of(
        st.tuples(st.just("submit"), refs),
        st.tuples(st.just("watch"), st.sampled_from([{}, {"level": "x"}])),
        st.tuples(st.just("unwatch"), st.integers(0, 5)),
        st.tuples(st.just("ping"), st.integers(1, 25)),
        st.tuples(
            st.just("rows"), st.lists(st.sampled_from(["acme", "other", None]), min_size=1, max_size=8)
        ),
        st.tuples(st.just("tick"), st.integers(1, 3)),
        st.tuples(st.just("read"), st.integers(1, 20)),
        st.tuples(st.just("wait"), st.floats(0, 1)),
        st.tuples(st.just("accept"), refs),
        st.tuples(st.just("piece"), refs),
        st.tuples(st.just("end"), st.tuples(refs, st.booleans())),
    ),
    max_size=50,
)


class Model:
    """The client, and all that is known of the truth. It watches twice and asks once from the start."""

    def __init__(self, module: ModuleType) -> None:
        self.session = module.Session(WATCHER, LIMITS, 0.0)
        self.feed = Feed("e", max_rows=6, ready=True)
        self.rows: list[Row] = []
        self.now_s = 0.0
        self.filters: dict[str, dict[str, str]] = {}
        self.told: dict[str, int | None] = {}
        self.paused: set[str] = set()
        self.open: dict[str, str] = {}
        self.lives: dict[str, list[str]] = {ref: [] for ref in "abc"}
        self.pings = self.pongs = 0
        self.say(type="hello", version=1)
        for what, value in (("watch", {}), ("watch", {"level": "x"}), ("submit", "a"), ("accept", "a")):
            self.do(what, value)
        self.do("tick", 1)

    def say(self, **message: Any) -> Any:
        return self.session.receive(orjson.dumps(message).decode(), self.now_s)

    def do(self, what: str, value: Any) -> None:
        getattr(self, f"do_{what}")(value)

    def do_submit(self, ref: str) -> None:
        if self.say(type="submit", id=ref, request={}) is not None:
            assert ref not in self.open
            self.open[ref] = "asked"
            self.lives[ref].append("asked")
            assert len(self.open) <= LIMITS.streams

    def do_watch(self, wanted: dict[str, str]) -> None:
        ref = f"w{len(self.filters)}"
        self.filters[ref] = wanted
        self.say(type="subscribe", id=ref, topic="logs", filter=wanted)

    def do_unwatch(self, number: int) -> None:
        self.say(type="unsubscribe", id=f"w{number}")

    def do_ping(self, count: int) -> None:
        for _ in range(count):
            self.pings += 1
            self.say(type="ping")

    def do_rows(self, tenants: list[str | None]) -> None:
        for tenant in tenants:
            self.rows.append(Row(1, "k", {"level": "xy"[len(self.rows) % 3 % 2]}, tenant, 50))
            self.feed.append(self.rows[-1])

    def do_tick(self, count: int) -> None:
        for _ in range(count):
            before = self.session.queued_bytes
            self.session.tick({"logs": self.feed})
            grown = self.session.queued_bytes - before
            assert before <= LIMITS.queue_bytes // 4 or grown <= 40 * LIMITS.subscriptions

    def do_wait(self, time_s: float) -> None:
        self.now_s += time_s

    def do_accept(self, ref: str) -> None:
        if self.open.get(ref) == "asked":
            self.open[ref] = "submitted"
            self.session.accepted(ref, f"req-{ref}", "t")

    def do_piece(self, ref: str) -> None:
        self.session.piece(ref, chunk(f"req-{ref}", 0, "x" * 300))

    def do_end(self, end: tuple[str, bool]) -> None:
        ref, whole = end
        if self.open.get(ref) == "asked":
            return
        self.session.ended(ref, response(f"req-{ref}") if whole else Lost("gap"))
        self.open.pop(ref, None)

    def do_read(self, most: int) -> None:
        for _ in range(most):
            message = self.session.take()
            if message is None:
                assert self.session.queued_bytes == 0
                return
            self.hear(orjson.loads(message))

    def hear(self, message: dict[str, Any]) -> None:
        ref = message.get("id", "")
        match message["type"]:
            case "snapshot":
                self.paused.discard(ref)
                self.snapshot(ref, message)
            case "delta":
                self.paused.discard(ref)
                assert message["after"] == self.told[ref]
                assert seqs(message) == self.matching(ref, message["after"], message["seq"])
                assert 1 <= len(message["rows"]) <= LIMITS.rows
                self.told[ref] = message["seq"]
            case "paused":
                assert ref not in self.paused
                self.paused.add(ref)
            case "unsubscribed":
                del self.filters[ref]
                self.filters[ref + "-over"] = {}
            case "submitted":
                assert self.lives[ref][0] == "asked"
                self.lives[ref][0] = "submitted"
            case "chunk":
                assert self.lives[ref][0] == "submitted"
            case "response":
                assert self.lives[ref].pop(0) == "submitted"
            case "error" if message["code"] == "lost":
                assert self.lives[ref].pop(0) == "submitted"
            case "pong":
                self.pongs += 1
            case _:
                assert message["type"] in ("hello", "error")

    def snapshot(self, ref: str, message: dict[str, Any]) -> None:
        """The newest rows that match; with `dropped` 0 nothing is missing since what was told last."""
        told = self.told.get(ref)
        everything = self.matching(ref, 0, message["seq"])
        assert seqs(message) == everything[max(0, len(everything) - len(message["rows"])) :]
        assert len(message["rows"]) == min(
            LIMITS.rows, len(self.matching(ref, message["seq"] - 6, message["seq"]))
        )
        if told is not None:
            missing = set(self.matching(ref, told, message["seq"])) - set(seqs(message))
            assert len(missing) <= message["dropped"] <= message["seq"] - told
        self.told[ref] = message["seq"]

    def current(self, ref: str) -> bool:
        """Whether the client was told of the newest row that matches."""
        rows = self.matching(ref, 0, len(self.rows))
        return not rows or rows[-1] <= (self.told[ref] or 0)

    def matching(self, ref: str, after: int, until: int) -> list[int]:
        wanted = self.filters[ref].get("level")
        return [
            seq
            for seq in range(max(after, 0) + 1, until + 1)
            if self.rows[seq - 1].tenant in ("acme", None)
            and wanted in (None, self.rows[seq - 1].value["level"])
        ]


def seqs(message: dict[str, Any]) -> list[int]:
    return [row["seq"] for row in message["rows"]]


def play(module: ModuleType, steps: list[tuple[str, Any]]) -> None:
    model = Model(module)
    for what, value in steps:
        model.do(what, value)
    model.do_read(10_000)
    assert model.session.queued_bytes == 0
    assert model.pongs <= min(model.pings, LIMITS.messages_per_s * (2 + model.now_s))
    # Whoever reads gets all there is.
    for _ in range(8):
        model.do_tick(1)
        model.do_read(100)
    assert all(model.current(ref) for ref in model.told if ref in model.filters)


@settings(max_examples=150)
@given(operations)
def test_the_client_sees_what_the_protocol_promises(steps: list[tuple[str, Any]]):
    play(session_module, steps)


BUGS = {
    "after is where the look began": ("delta(ref, watch.told,", "delta(ref, watch.cursor,"),
    "a reader too slow gets no snapshot": ("or not feed.holds(watch.cursor)", "or False"),
    "a delta is told as the newest": ("watch.shown = watch.cursor, True", "watch.shown = feed.seq, True"),
    "every tenant's rows are shown": ("viewer = None if self._all else self._caller.tenant", "viewer = None"),
    "filters are ignored": ("feed.after(watch.cursor, watch.wanted,", "feed.after(watch.cursor, {},"),
    "what was dropped isn't said": ("max(0, before - watch.cursor) if known else 0", "0"),
    "paused is said again and again": ("if not watch.paused:", "if True:"),
    "a full queue gets rows all the same": ("self.queued_bytes > self._limits.queue_bytes // 4", "False"),
    "bytes that were sent still count": ("self.queued_bytes -= len(message)", "pass"),
    "an ended stream goes on": ("if self._streams.pop(ref, False):", "if self._streams.get(ref, False):"),
    "pieces before it is submitted": ("if self._streams.get(ref):", "if ref in self._streams:"),
    "streams without a bound": ("len(self._streams) >= self._limits.streams", "False"),
    "the same id twice": ("elif ref in self._streams or ref in self._watches:", "elif ref in self._watches:"),
    "no rate": ("if self._allowance >= 0:", "if True:"),
}
_LOOK = "feed.after(watch.cursor, watch.wanted, viewer, *bounds)"
BUGS["a look goes too far"] = (f"watch.cursor, rows = {_LOOK}", f"watch.cursor, rows = feed.seq, {_LOOK}[1]")


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.replace(" ", "-"))
def test_a_planted_bug_is_seen(bug: str):
    source = Path(session_module.__file__).read_text(encoding="utf-8")
    right, wrong = BUGS[bug]
    assert source.count(right) == 1
    mutant = ModuleType(session_module.__name__)
    exec(compile(source.replace(right, wrong), "<mutant>", "exec"), mutant.__dict__)

    @settings(
        max_examples=500, database=None, derandomize=True, phases=[Phase.generate], report_multiple_bugs=False
    )
    @given(operations)
    def broken(steps: list[tuple[str, Any]]) -> None:
        play(mutant, steps)

    with pytest.raises((AssertionError, KeyError, IndexError, ValueError)):
        broken()
