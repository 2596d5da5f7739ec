"""Turns of a conversation, from the OpenAI shape to Gemini's `contents`. Pure.

system, developer     parts of `systemInstruction`, wherever they stand
user                  role `user`
tool, function        role `user`, a `functionResponse` named after the call that it answers
assistant             role `model`; its `provider_content` of the format `gemini` goes out as it is

Turns of one role that follow each other are one content, but results of functions keep one of their own: the
API counts them against the calls. Thinking in OpenAI's shape has no signature, so it isn't sent back.

Source: https://ai.google.dev/api/caching#Content and https://ai.google.dev/gemini-api/docs/thought-signatures.
"""

import re
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson

from connectors.providers.gemini_media import media
from schemas.base import JsonObject
from schemas.calls import Call, Refused
from schemas.requests import Message

FORMAT = "gemini"
"""Name of Gemini's own shape in `provider_content`."""
OWN_ID = re.compile(r"call_\d+")
"""Ids that the codec makes where the API gives none; they don't go out."""
UNSIGNED = "skip_thought_signature_validator"
"""What the API takes for the signature of a call that another model made."""

_NEEDS_SIGNATURE = re.compile(r"(?:.*/)?gemini-(?:[3-9]|\d\d|(?:pro|flash|flash-lite)-latest)")


class _Asked(NamedTuple):
    name: str
    api_id: str


@dataclass(slots=True)
class Turns:
    """What was said so far. Its fields are its whole state."""

    call: Call
    system: list[JsonObject] = field(default_factory=list[JsonObject])
    """Parts of the system instruction."""
    contents: list[JsonObject] = field(default_factory=list[JsonObject])
    """The conversation."""
    _asked: dict[str, _Asked] = field(default_factory=dict[str, _Asked])
    _last: str = ""

    def add(self, place: int, message: Message) -> None:
        """Take the turn at a place of the request.

        Raises:
            Refused: When Gemini can't take it; the reason names it.
        """
        if message.role in ("system", "developer"):
            self.system += _said(self.call, place, message, text_only=True)
        elif message.role == "user":
            self._say("user", "user", _said(self.call, place, message))
        elif message.role == "assistant":
            self._say("model", "model", self._answered(place, message))
        else:
            self._say("user", "results", [self._result(place, message)])

    def _say(self, role: str, kind: str, parts: list[JsonObject]) -> None:
        if not parts:
            return
        if kind == self._last:
            self.contents[-1]["parts"] += parts
        else:
            self.contents.append({"role": role, "parts": list(parts)})
        self._last = kind

    def _answered(self, place: int, message: Message) -> list[JsonObject]:
        own = message.provider_content
        if own is not None and own.get("format") == FORMAT:
            return self._own(place, own.get("content"))
        parts = _said(self.call, place, message, text_only=True)
        calls = [self._call(place, found) for found in message.tool_calls or ()]
        if calls and "thoughtSignature" not in calls[0] and _NEEDS_SIGNATURE.match(self.call.route.model):
            calls[0]["thoughtSignature"] = UNSIGNED
        return parts + calls

    def _own(self, place: int, parts: object) -> list[JsonObject]:
        """Parts as the API gave them; their calls are remembered for the turns that answer them."""
        if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
            raise Refused(f"messages.{place}.provider_content: `content` must be a list of parts")
        calls = [part["functionCall"] for part in parts if isinstance(part.get("functionCall"), dict)]
        for index, found in enumerate(calls):
            api_id = str(found.get("id") or "")
            self._asked[api_id or f"call_{index}"] = _Asked(str(found.get("name")), api_id)
        return parts

    def _call(self, place: int, found: JsonObject) -> JsonObject:
        """A tool call of an earlier turn: Gemini takes the arguments as an object."""
        try:
            function = found["function"]
            name, arguments = function["name"], function.get("arguments") or "{}"
            read = orjson.loads(arguments) if isinstance(arguments, str) else arguments
        except (KeyError, TypeError, AttributeError, orjson.JSONDecodeError):
            read = name = None
        if not isinstance(read, dict) or not isinstance(name, str):
            raise Refused(f"messages.{place}.tool_calls: not a call of a function with JSON arguments")
        given = str(found.get("id") or "")
        api_id = "" if OWN_ID.fullmatch(given) else given
        self._asked[given] = _Asked(name, api_id)
        made: JsonObject = {"functionCall": _with_id({"name": name, "args": read}, api_id)}
        if signature := _signature(found):
            made["thoughtSignature"] = signature
        return made

    def _result(self, place: int, message: Message) -> JsonObject:
        asked = self._asked.get(message.tool_call_id or "")
        if asked is None:
            if not message.name:
                raise Refused(f"messages.{place}.tool_call_id: no turn before it has a call of that id")
            asked = _Asked(message.name, "")
        parts = _said(self.call, place, message)
        text = "\n".join(part["text"] for part in parts if "text" in part)
        made: JsonObject = {"name": asked.name, "response": _response(text)}
        if others := [part for part in parts if "text" not in part]:
            made["parts"] = others
        return {"functionResponse": _with_id(made, asked.api_id)}


def _with_id(made: JsonObject, api_id: str) -> JsonObject:
    return {"id": api_id, **made} if api_id else made


def _signature(found: JsonObject) -> str | None:
    """A signature in the place where Google's OpenAI-compatible API has it."""
    extra = found.get("extra_content")
    google = extra.get("google") if isinstance(extra, dict) else None
    signature = google.get("thought_signature") if isinstance(google, dict) else None
    return signature if isinstance(signature, str) else None


def _response(text: str) -> JsonObject:
    """A result as the object that Gemini wants: the text's own, or one around it."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = None
    return value if isinstance(value, dict) else {"result": text}


def _said(call: Call, place: int, message: Message, text_only: bool = False) -> list[JsonObject]:
    """The parts of a turn; empty texts, which the API refuses, are left out."""
    content = message.content
    if not isinstance(content, list):
        return [{"text": content}] if content else []
    parts: list[JsonObject] = []
    for part in content:
        kind = part.get("type")
        if kind in ("text", "input_text", "refusal"):
            if text := str(part.get("text") or part.get("refusal") or ""):
                parts.append({"text": text})
        elif not text_only and (made := media(place, part)) is not None:
            parts.append(made)
        elif not call.route.drop_params:
            where = f"messages.{place}.content.{kind}"
            raise Refused(f"gemini does not take `{where}` in a turn of role `{message.role}`")
    return parts
