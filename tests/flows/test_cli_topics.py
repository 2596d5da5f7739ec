"""`weir tail`, `trace`, `lag` and `dlq`, on the real broker with a stand-in for the flow."""

import base64
import signal
import time
from collections.abc import Generator

import orjson
import pytest

from schemas.codes import Code
from schemas.dead_letters import DeadLetter
from schemas.topics import CHUNKS, CONTEXTS, CONTROL, DEAD_LETTERS, REQUESTS, RESPONSES, USAGE
from tests.support.answering import Answering
from tests.support.command import DEAD, Weir
from tests.support.kafka import Topics

pytestmark = pytest.mark.broker


@pytest.fixture
def weir(
    topics: Topics, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Generator[Weir]:
    command = Weir(topics.cluster, monkeypatch, capsys)
    yield command
    command.close()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def letter(request_id: str = "r-1", **fields: object) -> bytes:
    values: dict[str, object] = {
        "request_id": request_id,
        "source": f"llm.requests/0/{request_id[2:]}",
        "code": Code.INVALID_REQUEST,
        "message": "not JSON",
        "stage": "decode",
        "key": b64(b"k"),
        "value": b64(b"\xff{"),
        "timestamp_ms": int(time.time() * 1000),
    }
    return DeadLetter.model_validate(values | fields).to_bytes()


def test_tail_shows_the_last_records_over_all_partitions_by_time(weir: Weir, topics: Topics):
    for at in range(6):
        topics.produce(RESPONSES, [b'{"n": %d}' % at], partition=at % 4)

    outcome = weir("tail", "responses", "--from", "-3", "--until-end", "--json")

    assert [orjson.loads(line)["value"]["n"] for line in outcome.out.splitlines()] == [3, 4, 5]


def test_tail_from_the_beginning_filters_by_key_and_value(weir: Weir, topics: Topics):
    topics.produce(RESPONSES, [b'{"tenant": "a"}', b'{"tenant": "b"}'], key=b"k1")
    topics.produce(RESPONSES, [b'{"tenant": "b"}'], key=b"k2")
    base = ("tail", "llm.responses", "--from", "beginning", "--until-end")

    assert weir(*base).out.count("\n") == 3
    assert weir(*base, "--key", "k1").out.count("\n") == 2
    assert weir(*base, "--key", "k1", "--filter", "tenant=b").out.count("\n") == 1


def test_tail_follows_what_comes_until_it_has_enough(weir: Weir, topics: Topics):
    process = weir.start("tail", "control", "-n", "2")
    time.sleep(2.5)
    for _ in range(40):
        if process.poll() is not None:
            break
        topics.produce(CONTROL, [b"{}"], key=b"later")
    out, _ = process.communicate(timeout=20)

    assert process.returncode == 0
    assert out.count("later") == 2


def test_tail_that_follows_ends_by_interrupt(weir: Weir, topics: Topics):
    topics.produce(CONTROL, [b"{}"])
    process = weir.start("tail", "control", "--from", "beginning")
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)

    assert process.returncode == 130
    assert err == ""


def test_tail_piped_into_head_ends_quietly(weir: Weir, topics: Topics):
    topics.produce(CONTROL, [b'{"text": "%s"}' % (b"x" * 100)] * 2000)

    out, err = weir.start(
        "tail", "control", "--from", "beginning", "--until-end", shell="| head -1"
    ).communicate(timeout=30)

    assert out.count("\n") == 1
    assert err == ""


def test_tail_unpacks_started_entries(weir: Weir, topics: Topics):
    with Answering(topics.cluster):
        weir("ask", "hi")
        outcome = weir(
            "tail", "usage", "--from", "beginning", "--filter", "kind=started", "-n", "1", "--json"
        )

    assert orjson.loads(outcome.out)["value"][0]["attempt"] == 1


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("tail", "nothing"), "there is no topic 'nothing'"),
        (("tail", "usage", "--filter", "x"), "name=value"),
        (("tail", "usage", "--from", "here"), "beginning"),
        (("lag", "--every", "x"), "not a duration"),
        (("dlq", "replay"), "--all"),
    ],
)
def test_wrong_use_is_exit_2(weir: Weir, args: tuple[str, ...], said: str):
    outcome = weir(*args)

    assert outcome.code == 2
    assert said in outcome.err


def test_trace_shows_a_request_from_its_record_to_its_settling(weir: Weir, topics: Topics):
    with Answering(topics.cluster):
        request_id = orjson.loads(weir("ask", "hi", "--json").out)["request_id"]
        weir("cancel", request_id)
        weir("ask", "other")
    topics.produce(DEAD_LETTERS, [letter("r-9"), letter(request_id)], key=request_id.encode())
    outcome = weir("trace", request_id, "--json")

    events = [orjson.loads(line) for line in outcome.out.splitlines()]
    kinds = [event["what"] for event in events]
    assert kinds[0] == "request"
    assert {"started", "response", "finished", "settled", "cancel"} <= set(kinds)
    assert kinds.count("response") == 1
    assert kinds.index("started") < kinds.index("response") < kinds.index("settled")


def test_trace_sums_up_the_chunks_of_each_attempt(weir: Weir, topics: Topics):
    with Answering(topics.cluster) as answering:
        weir("ask", "twice")
        (request_id,) = answering.calls
    outcome = weir("trace", request_id)

    assert "attempt 1: 2 in" in outcome.out
    assert "attempt 2: 2 in" in outcome.out
    assert "echo twice [fake:echo" in outcome.out


def test_trace_finds_a_request_by_its_place_and_by_its_body(weir: Weir, topics: Topics):
    topics.produce(
        REQUESTS, [b'{"prompt": "a"}', b'{"prompt": "b", "request_id": "mine"}', b"not json"], partition=2
    )

    assert "2/0" in weir("trace", "llm.requests/2/0").out
    assert "llm.requests/2/1" in weir("trace", "mine").out
    assert weir("trace", "llm.requests/2/0", "--json").out.count("\n") == 1


def test_trace_shows_the_turn_of_a_conversation_and_no_other(weir: Weir, topics: Topics):
    topics.produce(REQUESTS, [b'{"prompt": "a"}'], key=b"mine", partition=2)
    for key in ("0b8f5d0e-2a49-4c65-9f0e-6f6c1b1f3a11/0", "0b8f5d0e-2a49-4c65-9f0e-6f6c1b1f3a11/1", "odd"):
        topics.produce(CONTEXTS, [b'{"asked": []}'], key=key.encode(), partition=2)
    events = [orjson.loads(line) for line in weir("trace", "llm.requests/2/0", "--json").out.splitlines()]

    assert [(event["what"], event["place"]) for event in events] == [
        ("request", f"{topics.name(REQUESTS)}/2/0"),
        ("turn", f"{topics.name(CONTEXTS)}/2/0"),
    ]
    assert "kept, 13 bytes" in weir("trace", "llm.requests/2/0").out


def test_trace_tells_of_records_that_nobody_can_read(weir: Weir, topics: Topics):
    topics.produce(REQUESTS, [b'{"prompt": "a"}'], key=b"mine")
    for topic in (RESPONSES, DEAD_LETTERS, CHUNKS, CONTROL):
        topics.produce(topic, [b"[]"], key=b"mine")

    outcome = weir("trace", "mine")

    assert outcome.code == 0
    assert outcome.out.count("unreadable") == 2


def test_trace_of_nothing_says_how_to_look_further(weir: Weir):
    outcome = weir("trace", "nobody")

    assert outcome.code == 1
    assert "--since" in outcome.err


def test_lag_shows_each_partition(weir: Weir, topics: Topics):
    topics.produce(REQUESTS, [b"{}"] * 3, partition=1)

    rows = orjson.loads(weir("lag", "--json").out)
    assert [row["lag"] for row in rows] == [0, 3, 0, 0]
    assert "3" in weir("lag").out


def test_lag_is_shown_again_until_it_is_stopped(weir: Weir):
    process = weir.start("lag", "--json", "--watch", "--every", "100ms")
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(2)]
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)

    assert process.returncode == 130
    assert all(len(orjson.loads(line)) == 4 for line in lines)


def test_dead_letters_are_listed_once_each_and_filtered(weir: Weir, topics: Topics):
    topics.produce(DEAD_LETTERS, [letter("r-1"), letter("r-1"), letter("r-2", code=Code.CRASH_LOOP), b"{}"])

    everything = weir("dlq", "list", "--json")
    assert [one["request_id"] for one in orjson.loads(everything.out)] == ["r-1", "r-2"]
    assert "is not a dead letter: skipped" in everything.err
    assert "r-2" in weir("dlq", "list", "--code", "crash_loop").out
    assert "r-1" not in weir("dlq", "list", "--code", "crash_loop").out
    assert orjson.loads(weir("dlq", "list", "--stage", "call", "--json").out) == []


def test_dead_letter_is_shown_with_its_original_bytes(weir: Weir, topics: Topics):
    topics.produce(DEAD_LETTERS, [letter("r-1", headers=[("tenant", b64(b"acme"))])])

    assert orjson.loads(weir("dlq", "show", "r-1", "--json").out)["value"] == {"base64": b64(b"\xff{")}
    shown = weir("dlq", "show", "llm.requests/0/1").out
    assert "invalid_request at decode" in shown
    assert '{"tenant":"acme"}' in shown


def test_dead_letter_that_is_not_there_is_said(weir: Weir):
    assert "there is no dead letter 'r-7'" in weir("dlq", "show", "r-7").err
    assert "no dead letters" in weir("dlq", "replay", "--all").err


def test_replay_sends_the_original_bytes_with_key_id_and_count(weir: Weir, topics: Topics):
    now_ms = int(time.time() * 1000)
    headers = [
        ("tenant", b64(b"acme")),
        ("replay", b64(b"1")),
        ("deadline_ms", b64(b"%d" % (now_ms + 60_000))),
    ]
    topics.produce(DEAD_LETTERS, [letter("r-1", headers=headers, timestamp_ms=now_ms)])
    topics.produce(DEAD_LETTERS, [letter("r-2", key=None, value=b64(b'{"deadline_ms": 5}'), timestamp_ms=9)])
    assert "replay 2" in weir("dlq", "replay", "r-1", "--dry-run").out
    assert topics.consume(REQUESTS, 0) == []

    assert weir("dlq", "replay", "--all", "--since", "20000d").code == 0

    by_id = {dict(record.headers)["request_id"]: record for record in topics.consume(REQUESTS, 2)}
    first, second = by_id[b"r-1"], by_id[b"r-2"]
    sent = dict(first.headers)
    assert (first.key, first.value) == (b"k", b"\xff{")
    assert (sent["tenant"], sent["replay"]) == (b"acme", b"2")
    assert int(sent["deadline_ms"]) >= now_ms + 60_000
    assert (second.key, second.partition, dict(second.headers)["replay"]) == (None, 0, b"1")
    assert int(dict(second.headers)["deadline_ms"]) > now_ms


def test_replayed_request_is_answered_again(weir: Weir, topics: Topics):
    with Answering(topics.cluster) as answering:
        request_id = orjson.loads(weir("ask", "hi", "--json").out)["request_id"]
        value = b64(b'{"prompt": "hi"}')
        topics.produce(DEAD_LETTERS, [letter(request_id, key=b64(request_id.encode()), value=value)])
        weir("dlq", "replay", request_id)
        end_s = time.monotonic() + 15
        while answering.calls[request_id] < 2:
            assert time.monotonic() < end_s
            time.sleep(0.02)

    assert len(topics.consume(RESPONSES, 2)) == 2
    assert topics.consume(USAGE, 1)


@pytest.mark.parametrize(
    "args",
    [
        ("tail", "usage"),
        ("trace", "r"),
        ("lag",),
        ("dlq", "list"),
        ("dlq", "show", "r"),
        ("dlq", "replay", "r"),
        ("contexts", "list"),
        ("contexts", "show", "0b8f5d0e-2a49-4c65-9f0e-6f6c1b1f3a11"),
        ("contexts", "forget", "0b8f5d0e-2a49-4c65-9f0e-6f6c1b1f3a11"),
    ],
)
def test_broker_that_is_down_is_one_line_and_exit_1(
    weir: Weir, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...]
):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", DEAD)

    outcome = weir(*args)

    assert outcome.code == 1
    assert DEAD in outcome.err
    assert outcome.err.count("\n") == 1
