"""Google's SDKs as oracles: our request equals theirs, and our reading of the reply equals theirs.

google-generativeai 0.8.6, the last of its line, is asked on loopback. What is newer than it (thinking,
signatures, JSON Schema as it is, seeds, ...) is compared with its successor google-genai 3.4.0, which is no
dependency: `gemini_genai.oracle.json` holds the requests that it sent on loopback for the arguments in `sdk`,
and what it read of the other fixtures. It speaks `v1` where its elder spoke `v1beta`; our route's base says
which. Of both, paths and bodies are compared whole, and all headers but those of `LEFT_OUT`.
"""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
from google.protobuf import json_format

from connectors.providers.gemini import GeminiCodec
from schemas.calls import Answer, Piece
from tests.support.calls import make_call, make_route
from tests.support.fixtures import wire, wire_json
from tests.support.gemini_calls import CALLS, OracleCall
from tests.support.gemini_sdk import KEY, MODEL, as_list, ask, known, request_json
from tests.support.oracle import captured, cut_everywhere, cut_twice, fed, in_chunks

CODEC = GeminiCodec()
NEWER = wire_json("gemini_genai.oracle.json")
STREAMS = ["gemini_text.stream.sse", "gemini_tools.stream.sse", "gemini_rich.stream.sse"]
REPLIES = [f"gemini_{name}.reply.json" for name in ("text", "tools", "rich", "cut_off", "safety")]
LEFT_OUT = {
    "user-agent": "says which program calls: ours is not the SDK",
    "x-goog-api-client": "the SDK's telemetry",
    "x-goog-request-params": "the SDK's, for routing by gRPC: the path says the same",
    "x-request-id": "ours alone: the request's id, for the logs of a proxy",
    "host": "the connection's: set by what moves the bytes",
    "connection": "the connection's",
    "content-length": "the connection's; the bodies themselves are compared",
    "accept": "the connection's",
    "accept-encoding": "the connection's: what it can unpack",
}
"""Headers that are not compared, and why."""
ENUMS_AS_NUMBERS = {"$alt": ["json;enum-encoding=int"]}
"""What google-generativeai asks for in every URL: enums in the answer as numbers. Ours are names."""

SNAKES = {
    name: "".join([first, *(word.title() for word in rest)])
    for name in (
        "include_thoughts", "thinking_budget", "thinking_level", "parameters_json_schema", "inline_data",
        "mime_type", "file_uri",
    )
    for first, *rest in [name.split("_")]
}  # fmt: skip
"""Names that google-genai writes in snake case in some places; the API takes both alike."""


def in_camel_case(value: Any) -> Any:
    """A body of google-genai in camel case throughout, and without an empty `generationConfig`."""
    if isinstance(value, dict):
        kept = {name: found for name, found in value.items() if (name, found) != ("generationConfig", {})}
        return {SNAKES.get(name, name): in_camel_case(found) for name, found in kept.items()}
    return [in_camel_case(found) for found in value] if isinstance(value, list) else value


def compared(headers: Any) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in LEFT_OUT}


def test_the_tables_are_long_enough():
    assert len(CALLS) >= 20
    assert len(NEWER["calls"]) >= 16
    assert len({call.name for call in CALLS}) == len(CALLS)


@pytest.mark.parametrize("case", CALLS, ids=lambda case: case.name)
def test_a_call_is_what_the_sdk_sends(case: OracleCall):
    body = {
        "whole": known(wire("gemini_text.reply.json")),
        "stream": known(as_list(wire("gemini_text.stream.sse"))),
        "count": b'{"totalTokens": 31}',
    }[case.kind]
    received, read = captured(body, "application/json", lambda url: ask(url, case.kind, case.sdk))

    call = make_call(case.request, route=make_route("gemini", model=MODEL, api_key=KEY, api_base="http://x"))
    ours = CODEC.encode_count(call) if case.kind == "count" else CODEC.encode(call)
    mine, their = urlsplit(ours.url), urlsplit(received.path)
    assert orjson.loads(ours.body) == request_json(received.body, case.kind)
    assert (ours.method, mine.path) == (received.method, their.path)
    assert parse_qs(their.query) == ENUMS_AS_NUMBERS
    assert mine.query == ("alt=sse" if case.kind == "stream" else "")
    assert compared(ours.headers) == compared(received.headers)
    if case.kind == "count":
        assert CODEC.decode_count(200, {}, body) == read == 31


@pytest.mark.parametrize("case", NEWER["calls"], ids=lambda case: case["name"])
def test_a_call_is_what_the_newer_sdk_sends(case: dict[str, Any]):
    route = make_route("gemini", model=case["model"], api_key="k", api_base="http://x/v1")
    ours = CODEC.encode(make_call(case["request"], route=route))

    assert orjson.loads(ours.body) == in_camel_case(case["body"])
    assert ours.url == f"http://x{case['path']}"
    assert compared(ours.headers) == case["headers"]


def reply_read_by_sdk(replies: list[Any]) -> dict[str, Any]:
    """What the older SDK read, joined over its replies."""
    parts = [part for reply in replies for candidate in reply.candidates for part in candidate.content.parts]
    last = replies[-1]
    calls = [part.function_call for part in parts if part.HasField("function_call")]
    chosen = [
        token
        for reply in replies
        for candidate in reply.candidates
        for token in candidate.logprobs_result.chosen_candidates
    ]
    reason = last.candidates[0].DESCRIPTOR.fields_by_name["finish_reason"].enum_type
    return {
        "text": "".join(part.text for part in parts),
        "calls": [(call.name, json_format.MessageToDict(call.args)) for call in calls],
        "finish_reason": reason.values_by_number[last.candidates[0].finish_reason].name,
        "logprobs": [(token.token, token.log_probability) for token in chosen],
        "usage": (
            last.usage_metadata.prompt_token_count,
            last.usage_metadata.candidates_token_count,
            last.usage_metadata.cached_content_token_count,
        ),
        "model": last.model_version,
    }


def calls_of(answer: Answer) -> list[tuple[str, Any]]:
    functions = [call["function"] for call in answer.tool_calls]
    return [(function["name"], orjson.loads(function["arguments"])) for function in functions]


def logprobs_of(answer: Answer) -> list[tuple[str, float]]:
    return [(token["token"], token["logprob"]) for token in (answer.logprobs or {}).get("content", [])]


@pytest.mark.parametrize("name", [*REPLIES, *STREAMS])
def test_a_reply_is_what_the_sdk_reads(name: str):
    stream = name.endswith(".sse")
    body = known(as_list(wire(name)) if stream else wire(name))
    kind = "stream" if stream else "whole"
    _, replies = captured(
        body,
        "application/json",
        lambda url: ask(url, kind, {"contents": [{"role": "user", "parts": [{"text": "Hi."}]}]}),
    )
    read = reply_read_by_sdk(replies)

    answer = fed(CODEC, [wire(name)])[1] if stream else CODEC.decode(200, {}, wire(name))
    # The older SDK doesn't know thoughts: to it they are text.
    assert answer.reasoning + answer.text == read["text"]
    assert calls_of(answer) == read["calls"]
    assert answer.finish_reason_raw == read["finish_reason"]
    assert logprobs_of(answer) == read["logprobs"]
    assert (answer.model or "") == read["model"]
    used = answer.usage
    assert used is not None
    raw = answer.usage_raw or {}
    assert (
        used.input_tokens - raw.get("toolUsePromptTokenCount", 0),
        used.output_tokens - used.reasoning_tokens,
        used.cached_tokens,
    ) == read["usage"]


@pytest.mark.parametrize("name", [*REPLIES, *STREAMS])
def test_a_reply_is_what_the_newer_sdk_reads(name: str):
    read = NEWER["reads"][name]
    answer = fed(CODEC, [wire(name)])[1] if name.endswith(".sse") else CODEC.decode(200, {}, wire(name))

    assert answer.text == "".join(reply["text"] for reply in read)
    assert answer.reasoning == "".join(reply["thoughts"] for reply in read)
    assert calls_of(answer) == [(call["name"], call["args"]) for reply in read for call in reply["calls"]]
    assert answer.finish_reason_raw == read[-1]["finish_reason"]
    assert logprobs_of(answer) == [tuple(token) for reply in read for token in reply["logprobs"]]
    assert answer.model == read[-1]["model"]
    told = read[-1]["usage"]
    assert answer.usage is not None
    assert answer.usage_raw == told
    assert answer.usage.input_tokens == told["promptTokenCount"] + told.get("toolUsePromptTokenCount", 0)
    assert answer.usage.reasoning_tokens == told.get("thoughtsTokenCount", 0)
    kept = (answer.provider_content or {"content": []})["content"]
    signatures = [signature for reply in read for signature in reply["signatures"]]
    assert [part["thoughtSignature"] for part in kept if "thoughtSignature" in part] == signatures
    assert len([part for part in kept if not part.keys() & {"text", "functionCall"}]) == len(
        [kind for reply in read for kind in reply["kinds"]]
    )


def joined(pieces: list[Piece]) -> tuple[str, str, list[Any], list[Any]]:
    return (
        "".join(piece.text for piece in pieces),
        "".join(piece.reasoning for piece in pieces),
        [part for piece in pieces for part in piece.tool_calls],
        [token for piece in pieces for token in piece.logprobs],
    )


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_is_read_alike_cut_at_every_byte_and_in_every_size(name: str):
    stream = wire(name)
    pieces, answer = fed(CODEC, [stream])

    for cut in (cut_everywhere, in_chunks):
        for parts in cut(stream):
            found, read = fed(CODEC, parts)
            assert read == answer
            assert joined(found) == joined(pieces)


def test_a_short_stream_is_read_alike_in_every_three_parts():
    events = [line for line in wire("gemini_text.stream.sse").split(b"\r\n\r\n") if line]
    short = b"".join(b"data:%b\r\n\r\n" % orjson.dumps(_bare(event)) for event in events)
    pieces, answer = fed(CODEC, [short])

    assert answer.text == "Grüße, reader."
    for parts in cut_twice(short):
        found, read = fed(CODEC, parts)
        assert read == answer
        assert joined(found) == joined(pieces)


def _bare(event: bytes) -> Any:
    """An event with nothing but its text and its end: every two cuts of it take a second."""
    [candidate] = orjson.loads(event[5:])["candidates"]
    kept = {"content": {"parts": candidate["content"]["parts"]}}
    return {"candidates": [kept | {name: candidate[name] for name in ("finishReason",) if name in candidate}]}
