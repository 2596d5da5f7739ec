"""The promises of delivery, on a real worker, a real broker and a provider that counts its calls."""

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Generator
from uuid import uuid4

import pytest
from kafka.partitioner.default import murmur2

from connectors.kafka.broker import EmbeddedBroker
from connectors.kafka.clients import admin
from schemas.control import Cancel
from schemas.topics import CHUNKS, CONTROL, DEAD_LETTERS, REQUESTS, RESPONSES, USAGE
from tests.support.command import environment
from tests.support.installation import Installation, installed
from tests.support.kafka import PARTITIONS, fresh_topics, requires

pytestmark = pytest.mark.broker


@pytest.fixture(scope="module")
def weir(broker: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory) -> Generator[Installation]:
    """One installation for all tests of the module; each uses ids of its own."""
    topics = fresh_topics(broker)
    home = tmp_path_factory.mktemp("delivery")
    with installed(topics, home, WEIR_REPLY_PREFIXES=f"reply.,{topics.cluster.prefix}reply.") as found:
        yield found


def fresh_id() -> str:
    return uuid4().hex


def home_of(context_id: str) -> int:
    return (murmur2(context_id.encode()) & 0x7FFFFFFF) % PARTITIONS


def test_request_has_one_response_on_its_partition_and_an_entry_on_the_ledger(weir: Installation):
    name = fresh_id()
    place = weir.ask({"request_id": name, "model": "bench", "prompt": "hi"}, partition=2)

    (answer,) = weir.answers(name)
    entries = weir.until(lambda: [got for got in weir.read(USAGE) if got.value["request_id"] == name])

    assert answer.partition == 2
    assert answer.headers["source"] == f"llm.requests/2/{place.offset}".encode()
    assert answer.value["tokens_used"] > 0
    assert [got.value["response_offset"] for got in entries] == [answer.offset]


def test_openai_chat_body_is_a_request_as_it_stands(weir: Installation):
    place = weir.ask({"model": "bench", "messages": [{"role": "user", "content": "hi"}]}, partition=1)

    (answer,) = weir.answers(f"llm.requests/1/{place.offset}")

    assert answer.value["finish_reason"] == "stop"


def test_kcat_is_a_client(weir: Installation):
    requires("kcat")
    name, cluster = fresh_id(), weir.topics.cluster
    body = f'{{"request_id":"{name}","model":"bench","prompt":"from kcat"}}'
    topic = weir.topics.name(REQUESTS)
    subprocess.run(
        ["kcat", "-P", "-b", cluster.bootstrap[0], "-t", topic, "-k", name],
        input=body.encode(),
        check=True,
        timeout=30,
    )

    (answer,) = weir.answers(name)
    command = ["kcat", "-C", "-b", cluster.bootstrap[0], "-t", weir.topics.name(RESPONSES)]
    seen = subprocess.run(
        [*command, "-p", str(answer.partition), "-o", str(answer.offset), "-c", "1", "-e", "-q"],
        capture_output=True,
        check=True,
        timeout=30,
    )

    assert name.encode() in seen.stdout


def test_repeat_is_neither_called_nor_answered_again(weir: Installation):
    name = fresh_id()
    body = {"request_id": name, "model": "bench", "prompt": "latency=300"}
    weir.ask(body, partition=0)
    weir.ask(body, partition=0)  # while the first is in flight
    weir.answers(name)
    weir.ask(body | {"timeout_ms": 5000}, partition=0)  # after the answer; times and addresses don't count
    last = fresh_id()
    weir.ask({"request_id": last, "model": "bench", "prompt": "hi"}, partition=0)
    weir.answers(last)

    assert len(weir.answers(name)) == 1
    assert weir.calls(name) == 1


def test_repeat_at_a_new_reply_address_gets_a_copy(weir: Installation):
    cluster = weir.topics.cluster
    reply = f"{cluster.prefix}reply.a"
    with admin(cluster) as client:
        client.create_topics({reply: {"num_partitions": 2, "replication_factor": 1}})
    time.sleep(2.5)  # until the worker knows the topic
    name = fresh_id()
    body = {"request_id": name, "model": "bench", "prompt": "hi"}
    weir.ask(body, partition=0)
    (first,) = weir.answers(name)
    weir.ask(body, partition=0, headers={"reply_topic": reply, "reply_partition": "1", "correlation_id": "c"})

    (copy,) = weir.until(lambda: weir.read(reply))

    assert copy.partition == 1
    assert copy.headers["correlation_id"] == b"c"
    assert copy.value["response"] == first.value["response"]
    assert weir.calls(name) == 1


def test_same_id_with_another_body_is_refused(weir: Installation):
    name = fresh_id()
    weir.ask({"request_id": name, "model": "bench", "prompt": "one"}, partition=3)
    weir.answers(name)
    weir.ask({"request_id": name, "model": "bench", "prompt": "two"}, partition=3)

    answers = weir.answers(name, count=2)

    assert [got.value.get("error", {}).get("code") for got in answers] == [None, "invalid_request"]
    assert answers[1].value["error"]["field"] == "request_id"
    assert weir.calls(name) == 1


def test_failure_that_is_not_remembered_may_be_asked_again(weir: Installation):
    name = fresh_id()
    for _ in range(2):
        weir.ask({"request_id": name, "model": "no-such-model", "prompt": "hi"}, partition=3)

    answers = weir.answers(name, count=2)

    assert [got.value["error"]["code"] for got in answers] == ["model_unavailable"] * 2


def test_turns_of_a_conversation_go_one_at_a_time_wherever_they_were_put(weir: Installation):
    context_id = str(uuid4())
    names = [fresh_id() for _ in range(6)]
    for index, name in enumerate(names):
        body = {"request_id": name, "context_id": context_id, "model": "bench", "prompt": "latency=60"}
        weir.ask(body, partition=home_of(context_id) if index % 2 else (home_of(context_id) + 1) % PARTITIONS)

    answers = weir.answers(*names, count=6)
    calls = sorted(
        (call for call in weir.provider.calls() if call.request_id in names), key=lambda call: call.start_ms
    )

    assert {got.partition for got in answers} == {home_of(context_id)}
    assert len(calls) == 6
    assert all(before.end_ms <= after.start_ms for before, after in itertools.pairwise(calls))


def test_bad_record_gets_a_failure_that_names_the_field_and_a_dead_letter(weir: Installation):
    place = weir.ask({"prompt": "hi", "max_tokens": "many"}, partition=1)
    name = f"llm.requests/1/{place.offset}"

    (answer,) = weir.answers(name)
    letters = weir.until(lambda: [got for got in weir.read(DEAD_LETTERS) if got.value["request_id"] == name])

    assert answer.value["error"]["code"] == "invalid_request"
    assert answer.value["error"]["field"] == "max_tokens"
    assert [got.value["source"] for got in letters] == [name]


def test_reply_topic_outside_the_list_is_refused(weir: Installation):
    name = fresh_id()
    weir.ask({"request_id": name, "model": "bench", "prompt": "hi", "reply_topic": "secrets"}, partition=1)

    (answer,) = weir.answers(name)

    assert answer.value["error"]["field"] == "reply_topic"


def test_late_request_is_not_called(weir: Installation):
    name = fresh_id()
    weir.ask({"request_id": name, "model": "bench", "prompt": "hi"}, headers={"deadline_ms": "1000"})

    (answer,) = weir.answers(name)

    assert answer.value["error"]["code"] == "deadline_exceeded"
    assert weir.calls(name) == 0


def test_deadline_ends_a_call(weir: Installation):
    name = fresh_id()
    weir.ask({"request_id": name, "model": "bench", "prompt": "latency=15000", "timeout_ms": 700})

    (answer,) = weir.answers(name)

    assert answer.value["error"]["code"] == "deadline_exceeded"
    assert len(answer.value["attempts"]) == 1


@pytest.mark.parametrize("early", [True, False])
def test_cancel_stops_a_call_or_a_request_to_come(weir: Installation, early: bool):
    name = fresh_id()
    cancel = Cancel(request_id=name, tenant="t").to_bytes()
    body = {"request_id": name, "tenant": "t", "model": "bench", "prompt": "latency=15000"}
    if early:
        weir.ask(cancel, topic=CONTROL)
        time.sleep(0.7)
    weir.ask(body)
    if not early:
        weir.until(lambda: [call for call in weir.provider.calls() if call.request_id == name])
        weir.ask(cancel, topic=CONTROL)

    (answer,) = weir.answers(name)

    assert answer.value["error"]["code"] == "cancelled"
    assert weir.calls(name) == (0 if early else 1)


def test_cancel_of_another_tenant_has_no_effect(weir: Installation):
    name = fresh_id()
    weir.ask(Cancel(request_id=name, tenant="other").to_bytes(), topic=CONTROL)
    time.sleep(0.7)
    weir.ask({"request_id": name, "tenant": "mine", "model": "bench", "prompt": "hi"})

    (answer,) = weir.answers(name)

    assert "error" not in answer.value


def test_chunks_are_in_order_and_make_up_the_answer(weir: Installation):
    name = fresh_id()
    weir.ask({"request_id": name, "model": "bench", "prompt": "hi", "stream": True})

    (answer,) = weir.answers(name)
    chunks = weir.until(
        lambda: [got for got in weir.read(CHUNKS) if got.value["request_id"] == name],
        answer.value["last_chunk"]["seq"] + 1,
    )
    chunks.sort(key=lambda got: got.value["seq"])

    assert [got.value["seq"] for got in chunks] == list(range(len(chunks)))
    assert "".join(got.value["delta"] for got in chunks) == answer.value["response"]
    assert [got.value["last"] for got in chunks][-1] is True


def test_worker_refuses_topics_with_another_number_of_partitions(weir: Installation):
    env = os.environ | environment(weir.topics.cluster) | {"WEIR_PARTITIONS": "9"}
    command = [sys.executable, "-m", "flows.cli_worker"]

    ended = subprocess.run(command, env=env, capture_output=True, timeout=60, text=True, check=False)

    assert ended.returncode == 70
    assert f"has {PARTITIONS} partitions, 9 are set" in ended.stderr
