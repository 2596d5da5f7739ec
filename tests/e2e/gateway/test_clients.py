"""The official clients, LangChain and LiteLLM as users: the real gateway, broker and worker, fake providers.

One table of what can be asked; each client does as much of it as it can.
"""

import base64
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from tests.e2e.gateway.conftest import PIECES, PROVIDERS, SCRIPTED, Front
from tests.e2e.gateway.wrongs import CHANGED, CLASSES, WRONGS
from tests.support.clients import PROGRAMS, Client
from tests.support.scripted import CITY, WEIR

pytestmark = [pytest.mark.broker, pytest.mark.timeout(1000)]

WORDS = {"openai": ("stop", "tool_calls"), "anthropic": ("end_turn", "tool_use")}
"""How an answer ends that is whole, and one that calls a tool."""
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(64))
CHARS = 256
"""Characters of the fake provider's answers."""
SLOW, LATER = "latency=20000", "latency=4000"
CANT_LEAVE = {"litellm-anthropic": "its streams have no way to close them"}
each_client = pytest.mark.parametrize("name", PROGRAMS)
each_provider = pytest.mark.parametrize("model", PROVIDERS)
each_script = pytest.mark.parametrize("model", SCRIPTED)


def able(front: Front, name: str, verb: str) -> Client:
    """A client that can do something; the others skip it, for they have no such call."""
    client = front.client(name)
    if verb not in client.verbs:
        pytest.skip(f"{name} has no {verb}")
    return client


@each_client
@each_provider
def test_an_answer_comes_whole_and_as_a_stream_with_its_usage(front: Front, name: str, model: str):
    client = front.client(name)
    finish = WORDS[client.program.words][0]

    whole = client.ask("create", model)
    streamed = client.ask("stream", model)

    assert (len(whole["text"]), whole["finish"]) == (CHARS, finish)
    assert whole["output_tokens"] == CHARS // 4
    assert whole["input_tokens"] > 0
    assert whole.get("served", model) == model
    assert whole.get("request_id", "req_").startswith("req_")
    assert (streamed["text"], streamed["finish"]) == (whole["text"], finish)
    assert 2 <= streamed["pieces"] <= PIECES
    assert streamed["output_tokens"] == CHARS // 4


@each_client
@each_script
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_tool_goes_round_trip(front: Front, name: str, model: str, stream: bool):
    client = front.client(name)

    told = client.ask("tools", model, stream=stream)

    assert (told["name"], told["arguments"]) == ("weather", {"city": CITY})
    assert told["finish"] == WORDS[client.program.words][1]
    assert told["text"] == f"The tool says: 12 degrees in {CITY}"


@each_client
@each_script
def test_an_answer_keeps_to_a_schema(front: Front, name: str, model: str):
    assert front.client(name).ask("schema", model) == {"data": WEIR}


@each_client
@each_script
def test_a_picture_reaches_the_provider(front: Front, name: str, model: str):
    told = front.client(name).ask("vision", model, png=base64.b64encode(PNG).decode())

    assert told == {"text": f"Pictures of {len(PNG)} bytes."}


@each_client
@pytest.mark.parametrize("case", WRONGS)
def test_an_error_has_its_status_and_its_class(front: Front, name: str, case: str):
    client, wrong = front.client(name), WRONGS[case]
    status = 529 if client.program.api == "anthropic" and wrong.status == 503 else wrong.status
    asked: dict[str, Any] = {"verb": "create", "model": "script"}
    if wrong.limits is not None:
        asked["key"] = front.key(**wrong.limits)
    if wrong.once:
        asked["headers"] = {"idempotency-key": uuid4().hex}
    before = None if wrong.before is None else client.ask(**asked | wrong.before)

    told = client.ask(**asked | wrong.wish)

    assert before is None or before["text"].startswith("You said: ")
    assert told["status"] == CHANGED.get((name, status), status)
    assert told["error"] == CLASSES[name][status], told


@each_client
def test_a_retry_of_the_client_reaches_the_provider(front: Front, name: str):
    text = f"fault=503:1 {uuid4().hex}"

    told = front.client(name).ask("create", "script", text, retries=2)

    assert told.get("text") == f"You said: {text}", told
    assert front.scripted.calls[text] == 2


@each_client
def test_a_timeout_of_the_client_ends_the_call_at_the_provider(front: Front, name: str):
    client, before = front.client(name), closed(front)

    told = client.ask("create", "openai", SLOW, timeout_s=1)

    assert told["error"] == CLASSES[name][0]
    assert waited(lambda: closed(front) == before + 1)


@each_client
def test_a_stream_that_is_left_ends_the_call_at_the_provider(front: Front, name: str):
    if name in CANT_LEAVE:
        pytest.skip(CANT_LEAVE[name])
    client, before = front.client(name), closed(front)

    told = client.ask("stream", "openai", LATER, leave_after=2)

    assert told["pieces"] == 2
    assert waited(lambda: closed(front) == before + 1)


@each_client
def test_models_are_listed(front: Front, name: str):
    told = able(front, name, "models").ask("models", "")

    assert {"auto", *PROVIDERS, *SCRIPTED} <= set(told["models"])


@each_client
def test_responses_are_created_and_streamed(front: Front, name: str):
    told = able(front, name, "responses").ask("responses", "script")

    assert told == {"text": "You said: Hi.", "streamed": "You said: Hi."}


@each_client
def test_tokens_are_counted(front: Front, name: str):
    told = able(front, name, "count").ask("count", "script", "one two three")

    assert 3 <= told["input_tokens"] <= 20


def closed(front: Front) -> int:
    """Calls that the fake provider's caller cut, so far."""
    return sum(call.end == "closed" for call in front.fake.calls())


def waited(look: Callable[[], bool], most_s: float = 10) -> bool:
    """Whether it comes to be."""
    end_s = time.monotonic() + most_s
    while not look() and time.monotonic() < end_s:
        time.sleep(0.05)
    return look()
