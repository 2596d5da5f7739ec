"""Google's SDK for Gemini, google-generativeai 0.8.6, on loopback; no other file of the tests imports it.

It speaks plain HTTP where `api_endpoint` has a scheme and the transport is `rest`. The package is past its
end of support, and says so with a warning when it is imported.
"""

import asyncio
import warnings
from collections.abc import Mapping
from typing import Any

import orjson
from google.protobuf import json_format

from schemas.base import JsonObject

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import google.generativeai as genai
    from google.ai import generativelanguage as glm
    from google.generativeai import protos

KEY = "k-1"
MODEL = "gemini-2.5-flash"


def _ask(url: str, kind: str, settings: Mapping[str, Any]) -> Any:
    made = {
        name: settings[name] for name in ("system_instruction", "tools", "tool_config") if name in settings
    }
    asked = {name: settings[name] for name in ("generation_config", "safety_settings") if name in settings}
    options = {"api_endpoint": url, "api_key": KEY}
    with glm.GenerativeServiceClient(transport="rest", client_options=options) as client:
        model = genai.GenerativeModel(MODEL, **made)
        model._client = client
        contents = [protos.Content(content) for content in settings["contents"]]
        if kind == "count":
            return model.count_tokens(contents).total_tokens
        response = model.generate_content(contents, stream=kind == "stream", **asked)
        chunks = list(response) if kind == "stream" else [response]
        return [type(chunk._result).pb(chunk._result) for chunk in chunks]


async def ask(url: str, kind: str, settings: Mapping[str, Any]) -> Any:
    """What the SDK reads when it is asked for `whole`, `stream` or `count`: its messages, or the number."""
    return await asyncio.to_thread(_ask, url, kind, settings)


def request_json(body: bytes, kind: str) -> JsonObject:
    """A body of the SDK as the API's reference writes it; what is changed is all the same to the API.

    The SDK writes enums as integers, integers of 64 bits as text, and an empty `generationConfig` where
    nothing is set.
    """
    message = protos.CountTokensRequest if kind == "count" else protos.GenerateContentRequest
    named = json_format.MessageToDict(json_format.Parse(body, message.pb(message())))
    inner = named["generateContentRequest"] if kind == "count" else named
    if not inner.get("generationConfig", True):
        del inner["generationConfig"]
    _as_numbers(inner.get("generationConfig", {}).get("responseSchema", {}))
    return named


def _as_numbers(schema: JsonObject) -> None:
    for name in ("minItems", "maxItems"):
        if name in schema:
            schema[name] = int(schema[name])
    for inner in schema.get("properties", {}).values():
        _as_numbers(inner)


def as_list(stream: bytes) -> bytes:
    """A stream of events as the list of responses that the SDK asks for."""
    events = [line[5:] for line in stream.splitlines() if line.startswith(b"data:")]
    return b"[" + b",".join(events) + b"]"


def known(body: bytes) -> bytes:
    """A reply without the parts of it that are newer than the SDK, which ends with an error on those."""
    value = orjson.loads(body)
    for reply in value if isinstance(value, list) else [value]:
        reply.pop("responseId", None)
        for name in ("thoughtsTokenCount", "toolUsePromptTokenCount", "promptTokensDetails"):
            reply.get("usageMetadata", {}).pop(name, None)
        for candidate in reply.get("candidates", ()):
            for part in candidate.get("content", {}).get("parts", ()):
                part.pop("thoughtSignature", None)
    return orjson.dumps(value)
