"""What is too long for a model, through a real worker, its pool of processes and the real broker."""

import base64
import os
import signal
from collections.abc import Generator
from pathlib import Path
from uuid import uuid4

import pytest
import zstandard

from connectors.kafka.broker import EmbeddedBroker
from schemas.base import JsonObject
from schemas.topics import CALIBRATION
from tests.support.installation import Installation, installed
from tests.support.kafka import fresh_topics

pytestmark = pytest.mark.broker

WINDOW = 1500
NOISE = "\n\n".join(f"On day {at} nothing happened that anybody wrote down in the book." for at in range(900))
NEEDLE = "The sluice of Harlow was mended by Marta Quill in 1907."
CONTEXT = f"{NOISE}\n\n{NEEDLE}\n\n{NOISE}"
ASK = "Who mended the sluice of Harlow?"
SMALL: JsonObject = {
    "model_name": "small",
    "litellm_params": {"model": "extractive/extractive"},
    "model_info": {"max_input_tokens": WINDOW},
}
BROKEN: JsonObject = {
    "model_name": "broken",
    "litellm_params": {"model": "openai/nobody", "api_base": "http://127.0.0.1:9/v1", "api_key": "none"},
}


@pytest.fixture(scope="module")
def weir(broker: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory) -> Generator[Installation]:
    with installed(fresh_topics(broker), tmp_path_factory.mktemp("windows"), [SMALL, BROKEN]) as made:
        yield made


def answer(weir: Installation, **fields: object) -> JsonObject:
    name = uuid4().hex
    weir.ask({"request_id": name, "model": "small", "prompt": ASK, "fallbacks": [], **fields})
    (found,) = weir.answers(name)
    return found.value


def children() -> set[int]:
    """Processes that compress, of any worker of this machine's tests."""
    found: set[int] = set()
    for place in Path("/proc").iterdir():
        if place.name.isdecimal():
            try:
                command = (place / "cmdline").read_bytes()
            except OSError:
                continue
            if b"flows.compressing" in command.split(b"\0"):
                found.add(int(place.name))
    return found


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[1])


def test_a_context_over_the_window_is_compressed_by_the_question_and_the_response_says_so(weir: Installation):
    packed = base64.b64encode(zstandard.compress(CONTEXT.encode())).decode()
    plain = answer(weir, context=CONTEXT)
    same = answer(weir, context=packed, context_encoding="zstd+base64")

    assert "Marta Quill" in plain["response"]
    record = plain["compression"]
    assert record["method"] == "context: extract"
    assert record["before_tokens"] > 10 * WINDOW > 10 * record["after_tokens"]
    assert record["ratio"] < 0.1
    assert record["dropped"]
    assert plain["estimated_input_tokens"] <= WINDOW
    assert same["compression"] == record
    assert plain["usage"]["input_tokens"] <= WINDOW


def test_reject_fails_with_the_numbers_and_upgrade_takes_the_larger_model(weir: Installation):
    rejected = answer(weir, context=CONTEXT, overflow="reject")
    upgraded = answer(weir, context=CONTEXT, overflow="upgrade", fallbacks=["bench"])

    assert rejected["error"]["code"] == "token_limit_exceeded"
    assert f"is {WINDOW}" in rejected["error"]["message"]
    assert "compression" not in rejected
    assert (upgraded["provider"], upgraded.get("compression")) == ("openai", None)
    assert upgraded["route"]["considered"] == ["openai:fake"]


def test_a_fallback_with_a_smaller_window_gets_a_tighter_compression(weir: Installation):
    found = answer(weir, context=CONTEXT, model="broken", fallbacks=["small"])

    assert found["route"]["route"] == "extractive:extractive"
    assert [each["outcome"] for each in found["attempts"]][-1] == "ok"
    assert "Marta Quill" in found["response"]
    assert found["compression"]["after_tokens"] < WINDOW


def test_what_must_stay_and_is_too_long_is_told(weir: Installation):
    turns = [{"role": "system", "content": NOISE}, {"role": "user", "content": ASK}]
    found = answer(weir, prompt=None, messages=turns)

    assert found["error"]["code"] == "token_limit_exceeded"
    assert "what must stay" in found["error"]["message"]


def test_a_process_of_the_pool_that_is_killed_is_replaced(weir: Installation):
    answer(weir, context=CONTEXT)
    for pid in children():
        if os.getpid() in {parent_of(pid), parent_of(parent_of(pid))}:
            os.kill(pid, signal.SIGKILL)

    assert "Marta Quill" in answer(weir, context=CONTEXT)["response"]


HOSTILE: dict[str, str] = {
    "one endless line": "water flows past gate 7 and " * 35_000,
    "one endless word": "a" * 1_000_000,
    "100,000 empty paragraphs": f"{NEEDLE}\n\n" + " \n\n" * 100_000 + "The end.",
    "NUL bytes": f"{NEEDLE} \0" * 5_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_contexts_are_answered_within_the_window(weir: Installation, name: str):
    found = answer(weir, context=HOSTILE[name])

    assert found.get("error") is None
    assert found["usage"]["input_tokens"] <= WINDOW


def test_a_megabyte_that_inflates_to_fifty_and_a_lone_surrogate_are_refused(weir: Installation):
    block = os.urandom(1024)
    packed = base64.b64encode(zstandard.compress((block.hex().encode() * 25_000)[:50_000_000])).decode()
    bomb = answer(weir, context=packed, context_encoding="zstd+base64")
    name = uuid4().hex
    weir.ask(b'{"request_id": "%b", "prompt": "\\ud800"}' % name.encode())

    assert bomb["error"]["code"] == "invalid_request"
    assert "larger than" in bomb["error"]["message"]
    assert answer(weir, context=CONTEXT).get("error") is None


def test_how_a_model_counts_is_learnt_told_and_kept(weir: Installation):
    # The fake provider counts bytes by four, as no tokenizer does.
    kinds = [
        answer(weir, model="bench", prompt=f"{at} {NOISE[: 4000 + 100 * at]}")["estimate_kind"]
        for at in range(12)
    ]
    found = answer(weir, model="bench", prompt=NOISE[:6000])
    records = weir.until(lambda: weir.read(CALIBRATION))

    assert kinds[0] == "estimate"
    assert kinds[-1] == found["estimate_kind"] == "calibrated"
    assert abs(found["estimated_input_tokens"] / found["usage"]["input_tokens"] - 1) < 0.02
    assert records
