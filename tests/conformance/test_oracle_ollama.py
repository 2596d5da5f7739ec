"""The official Ollama SDK as the oracle: our request equals its, and our reading of the reply equals its.

Left out of the comparison, of the body: `tools: []`, which the SDK sends where no tools are (the server takes
both alike), and `truncate` and `shift`, for which the SDK has no argument (`ollama_window.py` says what they
are for). Of the headers: what any HTTP client sets for itself (host, accept-encoding, connection,
content-length, user-agent), and our `x-request-id`.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import ollama
import orjson
import pytest

from connectors.providers.ollama import OllamaCodec
from connectors.providers.ollama_window import WHOLE
from schemas.calls import Answer, Call, HttpRequest
from tests.support.calls import make_call, make_route
from tests.support.fixtures import wire
from tests.support.loopback import Received
from tests.support.oracle import SCHEMA, TOOL, TURNS, captured, cut_everywhere, cut_twice, fed, in_chunks

CODEC = OllamaCodec()
CLIENTS_OWN = {"host", "accept-encoding", "connection", "content-length", "user-agent"}
OTHER_TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_time",
        "description": "Time in a city.",
        "parameters": {"type": "object", "properties": {"zone": {"type": "string", "enum": ["CET", "UTC"]}}},
    },
}


class Case(NamedTuple):
    """One call: the request in Weir's words, and the SDK's arguments that mean the same."""

    request: dict[str, Any]
    theirs: dict[str, Any]
    input_tokens: int = 10
    api_key: str | None = None


def _asked(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"function": {"name": name, "arguments": arguments}}


def _ours(name: str, arguments: dict[str, Any], call_id: str) -> dict[str, Any]:
    text = orjson.dumps(arguments).decode()
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": text}}


IMAGE = "iVBORw0KGgo="
SEEN = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{IMAGE}"}}
SHAPED = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}
CASES: dict[str, Case] = {
    "turns": Case({"messages": TURNS}, {}),
    "prompt": Case({"prompt": "hi"}, {"messages": [{"role": "user", "content": "hi"}]}),
    "limits and sampling": Case(
        {"max_tokens": 5, "temperature": 0.5, "top_p": 0.9, "seed": 1},
        {"options": {"num_predict": 5, "temperature": 0.5, "top_p": 0.9, "seed": 1}},
    ),
    "one stop": Case({"stop": "a"}, {"options": {"stop": ["a"]}}),
    "stops": Case({"stop": ["a", "b"]}, {"options": {"stop": ["a", "b"]}}),
    "penalties and Ollama's own options": Case(
        {"presence_penalty": 0.5, "top_k": 3, "min_p": 0.1, "repeat_last_n": 8},
        {
            "options": {"presence_penalty": 0.5, "top_k": 3, "min_p": 0.1, "repeat_last_n": 8}
        },
    ),
    "a larger window": Case({}, {"options": {"num_ctx": 8192}}, input_tokens=4000),
    "its own window": Case({"num_ctx": 3000}, {"options": {"num_ctx": 3000}}),
    "a tool": Case({"tools": [TOOL]}, {"tools": [TOOL]}),
    "tools": Case({"tools": [TOOL, OTHER_TOOL], "tool_choice": "auto"}, {"tools": [TOOL, OTHER_TOOL]}),
    "no tools where none may be called": Case({"tools": [TOOL], "tool_choice": "none"}, {}),
    "parallel tool calls and results": Case(
        {
            "messages": [
                *TURNS,
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [_ours("get_weather", {"city": "Köln"}, "a"), _ours("get_time", {}, "b")],
                },
                {"role": "tool", "tool_call_id": "a", "content": "12 °C"},
                {"role": "tool", "tool_call_id": "b", "content": "noon"},
            ]
        },
        {
            "messages": [
                *TURNS,
                {
                    "role": "assistant",
                    "content": "",
                    "tool_calls": [_asked("get_weather", {"city": "Köln"}), _asked("get_time", {})],
                },
                {"role": "tool", "content": "12 °C", "tool_name": "get_weather"},
                {"role": "tool", "content": "noon", "tool_name": "get_time"},
            ]
        },
    ),
    "images": Case(
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "What?"}, SEEN, SEEN]}]},
        {"messages": [{"role": "user", "content": "What?", "images": [IMAGE, IMAGE]}]},
    ),
    "thinking of an earlier turn": Case(
        {"messages": [{"role": "assistant", "content": "4", "reasoning_content": "2 + 2"}, TURNS[1]]},
        {"messages": [{"role": "assistant", "content": "4", "thinking": "2 + 2"}, TURNS[1]]},
    ),
    "JSON": Case({"response_format": {"type": "json_object"}}, {"format": "json"}),
    "JSON by a schema": Case({"response_format": SHAPED}, {"format": SCHEMA}),
    "a will to think": Case({"reasoning_effort": "high"}, {"think": "high"}),
    "no will to think": Case({"reasoning_effort": "none"}, {"think": False}),
    "log probabilities": Case(
        {"logprobs": True, "top_logprobs": 3}, {"logprobs": True, "top_logprobs": 3}
    ),
    "time in memory": Case({"keep_alive": "5m"}, {"keep_alive": "5m"}),
    "seconds in memory": Case({"keep_alive": 0}, {"keep_alive": 0}),
    "a key": Case({}, {}, api_key="sk-secret"),
}  # fmt: skip
REPLIES = ["ollama_text.reply.json", "ollama_tools.reply.json", "ollama_rich.reply.json"]
STREAMS = ["ollama_text.stream.ndjson", "ollama_tools.stream.ndjson", "ollama_rich.stream.ndjson"]


def arguments(case: Case) -> dict[str, Any]:
    """The SDK's arguments: the turns, and the window that such a small call asks for."""
    options = {"num_ctx": 2048, **case.theirs.get("options", {})}
    return {"model": "llama3.2", "messages": TURNS, **case.theirs, "options": options}


def asked(case: Case, reply: bytes, kind: str, *, stream: bool = False) -> tuple[Received, Any]:
    """What the SDK sends for a case, and what it reads."""

    async def call(url: str) -> Any:
        headers = {"authorization": f"Bearer {case.api_key}"} if case.api_key else {}
        async with ollama.AsyncClient(host=url, headers=headers) as client:
            found = await client.chat(**arguments(case), stream=stream)
            return [part async for part in found] if stream else found

    return captured(reply, kind, call)


def our_call(case: Case, *, stream: bool = False) -> Call:
    wish = case.request if "prompt" in case.request else {"messages": TURNS, **case.request}
    route = make_route("ollama", model="llama3.2", api_key=case.api_key)
    return make_call(wish, route=route, stream=stream, input_tokens=case.input_tokens)


def assert_same_request(ours: HttpRequest, theirs: Received) -> None:
    body, sent = orjson.loads(ours.body), orjson.loads(theirs.body)
    assert {name: value for name, value in sent.items() if value != []} == {
        name: value for name, value in body.items() if name not in WHOLE
    }
    assert {name: body[name] for name in WHOLE} == WHOLE
    assert (ours.method, ours.url) == (theirs.method, f"http://127.0.0.1:11434{theirs.path}")
    assert {name: value for name, value in ours.headers.items() if name != "x-request-id"} == {
        name: value for name, value in theirs.headers.items() if name not in CLIENTS_OWN
    }


def assert_same_reading(answer: Answer, parts: list[ollama.ChatResponse]) -> None:
    """Our answer is what the SDK's parts make together."""
    messages, last = [part.message for part in parts], parts[-1]
    assert answer.text == "".join(message.content or "" for message in messages)
    assert answer.reasoning == "".join(message.thinking or "" for message in messages)
    calls = [call["function"] for call in answer.tool_calls]
    assert [(call["name"], orjson.loads(call["arguments"])) for call in calls] == [
        (call.function.name, call.function.arguments)
        for message in messages
        for call in message.tool_calls or []
    ]
    read = [one for part in parts for one in part.logprobs or []]
    ours = (answer.logprobs or {"content": []})["content"]
    assert [(one["token"], one["logprob"]) for one in ours] == [(one.token, one.logprob) for one in read]
    assert [[(top["token"], top["logprob"]) for top in one["top_logprobs"]] for one in ours] == [
        [(top.token, top.logprob) for top in one.top_logprobs or []] for one in read
    ]
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (
        last.prompt_eval_count,
        last.eval_count,
    )
    assert (answer.model, answer.finish_reason_raw) == (last.model, last.done_reason)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", CASES)
def test_a_call_is_what_the_ollama_sdk_sends(name: str, stream: bool):
    case = CASES[name]
    kind = "application/x-ndjson" if stream else "application/json"
    reply = wire("ollama_text.stream.ndjson" if stream else "ollama_text.reply.json")

    theirs, _ = asked(case, reply, kind, stream=stream)

    assert_same_request(CODEC.encode(our_call(case, stream=stream)), theirs)


@pytest.mark.parametrize("name", REPLIES)
def test_a_reply_is_read_as_the_ollama_sdk_reads_it(name: str):
    _, read = asked(CASES["turns"], wire(name), "application/json")

    assert_same_reading(CODEC.decode(200, {}, wire(name)), [read])


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_is_read_as_the_ollama_sdk_reads_it(name: str):
    _, parts = asked(CASES["turns"], wire(name), "application/x-ndjson", stream=True)

    _, answer = fed(CODEC, [wire(name)])
    assert_same_reading(answer, parts)


def chunkings(stream: bytes) -> Iterator[list[bytes]]:
    yield from cut_everywhere(stream)
    yield from in_chunks(stream)


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_is_read_alike_however_it_is_cut(name: str):
    data = wire(name)
    _, whole = fed(CODEC, [data])

    for parts in chunkings(data):
        pieces, answer = fed(CODEC, parts)
        assert answer == whole
        assert "".join(piece.text for piece in pieces) == whole.text
        assert "".join(piece.reasoning for piece in pieces) == whole.reasoning
        deltas = tuple({"index": at, **call} for at, call in enumerate(whole.tool_calls))
        assert tuple(call for piece in pieces for call in piece.tool_calls) == deltas
        found = [one for piece in pieces for one in piece.logprobs]
        assert found == (whole.logprobs or {"content": []})["content"]


def test_a_short_stream_is_read_alike_in_any_three_parts():
    lines = wire("ollama_rich.stream.ndjson").splitlines(keepends=True)
    data = lines[0] + lines[-1]
    _, whole = fed(CODEC, [data])

    assert whole.reasoning == "The sum "
    for parts in cut_twice(data):
        assert fed(CODEC, parts)[1] == whole
