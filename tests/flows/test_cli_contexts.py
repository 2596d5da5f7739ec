"""`weir contexts`: what is kept, as it was said, and what is forgotten, with workers and without."""

import time
from collections.abc import Callable, Generator
from pathlib import Path

import orjson
import pytest
from kafka import KafkaProducer

from connectors.bench.workers import end_all
from connectors.kafka.clients import client_settings
from schemas.contexts import Turn, turn_key
from schemas.requests import Message
from schemas.topics import CONTEXTS
from tests.connectors.contexts.making import A, B, turn
from tests.support.command import Weir
from tests.support.conversing import EchoProvider, context_of, feed, started, written
from tests.support.kafka import Topics

pytestmark = pytest.mark.broker
PATIENCE_S = 30.0


@pytest.fixture
def weir(
    topics: Topics, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Generator[Weir]:
    found = Weir(topics.cluster, monkeypatch, capsys)
    yield found
    found.close()


def write(topics: Topics, *turns: Turn) -> None:
    producer = KafkaProducer(**client_settings(topics.cluster))
    for each in turns:
        producer.send(
            topics.name(CONTEXTS), value=each.to_bytes(), key=turn_key(each.context_id, each.seq), partition=1
        ).get(timeout=20)
    producer.close()


def until(seen: Callable[[], bool]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not seen():
        assert time.monotonic() < end_s
        time.sleep(0.05)


def test_conversations_are_listed_the_latest_last(weir: Weir, topics: Topics):
    write(topics, turn(1, asked_ms=1000), turn(2, asked_ms=3000), turn(2, asked_ms=3000))
    write(topics, turn(4, B, "other", asked_ms=2000))
    rows = orjson.loads(weir("contexts", "list", "--json").out)

    assert [(row["context_id"], row["tenant"], row["turns"], row["last_ms"]) for row in rows] == [
        (str(B), "other", 1, 2000),
        (str(A), "t", 2, 3000),
    ]
    assert rows[1]["bytes"] == sum(len(turn(n, asked_ms=at).to_bytes()) for n, at in ((1, 1000), (2, 3000)))
    assert [
        row["tenant"] for row in orjson.loads(weir("contexts", "list", "--tenant", "t", "--json").out)
    ] == ["t"]
    table = weir("contexts", "list", "--limit", "1")
    assert str(A) in table.out
    assert str(B) not in table.out
    assert "1 older ones are not listed" in table.err


def test_a_conversation_is_shown_turn_by_turn(weir: Weir, topics: Topics):
    calls = [{"id": "c", "type": "function", "function": {"name": "depth", "arguments": "{}"}}]
    asked = [Message(role="user", content=[{"type": "text", "text": "see"}])]
    write(topics, turn(9), turn(1, system="be short"))
    write(topics, turn(5).model_copy(update={"asked": asked, "model": "m"}))
    write(topics, turn(6).model_copy(update={"answer": Message(role="assistant", tool_calls=calls)}))
    shown = weir("contexts", "show", str(A)).out

    assert shown.index("system: be short\nuser: q1\nassistant: a1") < shown.index("turn 5")
    assert 'user: [{"type":"text","text":"see"}]' in shown
    assert "(t, m)" in shown
    assert '"name":"depth"' in shown
    assert [each["seq"] for each in orjson.loads(weir("contexts", "show", str(A), "--json").out)] == [
        1,
        5,
        6,
        9,
    ]


def test_what_is_no_turn_is_skipped_with_a_word(weir: Weir, topics: Topics):
    topics.produce(CONTEXTS, [b"{}"], key=b"odd", partition=0)
    write(topics, turn(1))
    listed = weir("contexts", "list", "--json")

    assert len(orjson.loads(listed.out)) == 1
    assert "llm.contexts/0/0 is no turn: skipped" in listed.err
    assert "forgot 1 turns" in weir("contexts", "forget", str(A)).err


def test_what_is_wrong_is_said_in_one_line(weir: Weir):
    for args, reason in (
        (("show", "nonsense"), "'nonsense' is no context_id: it must be a uuid"),
        (("forget", "nonsense"), "'nonsense' is no context_id: it must be a uuid"),
        (("show", str(A)), f"nothing is kept of conversation {A}"),
    ):
        outcome = weir("contexts", *args)

        assert (outcome.code, outcome.out, outcome.err.count("\n")) == (1, "", 1)
        assert reason in outcome.err


def test_a_conversation_is_forgotten_by_the_log_and_the_others_stay(weir: Weir, topics: Topics):
    write(topics, turn(1), turn(2), turn(3, B))

    assert "forgot 2 turns" in weir("contexts", "forget", str(A)).err
    assert [row["context_id"] for row in orjson.loads(weir("contexts", "list", "--json").out)] == [str(B)]
    assert weir("contexts", "show", str(A)).code == 1
    assert "forgot 0 turns" in weir("contexts", "forget", str(A)).err


def test_a_running_worker_forgets_at_once_and_one_that_starts_later_knows(
    weir: Weir, topics: Topics, tmp_path: Path
):
    with EchoProvider() as provider:
        workers = [started(topics, provider, tmp_path, "one")]
        try:
            feed(topics, ["kept", "kgone"], range(3))
            until(lambda: len(written(topics, CONTEXTS)) == 6)
            weir("contexts", "forget", str(context_of("kgone")))
            time.sleep(0.3)
            feed(topics, ["kept", "kgone"], range(3, 5))
            until(lambda: len(written(topics, CONTEXTS)) == 10)
            workers[0].kill()
            feed(topics, ["kept", "kgone"], range(5, 6))
            until(lambda: provider.calls == 12)
        finally:
            end_all(workers)

    assert [len(provider.heard[f"kept-{n}"][-1].before) for n in range(6)] == [0, 1, 2, 3, 4, 5]
    assert [len(provider.heard[f"kgone-{n}"][-1].before) for n in range(6)] == [0, 1, 2, 0, 1, 2]
