"""The turns of a call to a server that speaks OpenAI's chat completions. Pure.

Turns go out as they came: parts (images, documents, audio), explicit nulls and unknown fields included. A
turn that this server itself made goes back as it was, where its `provider_content` is there.
"""

from connectors.providers.openai_quirks import Quirks
from schemas.base import JsonObject
from schemas.calls import Call, Refused
from schemas.requests import Message

FORMAT = "openai"
"""Name of the format in `provider_content`."""


def turns(call: Call, quirks: Quirks) -> list[JsonObject]:
    """All turns of a call, oldest first.

    Raises:
        Refused: When one has what the server lacks; the reason names it.
    """
    return [_turn(call, quirks, place, message) for place, message in enumerate(call.messages)]


def _turn(call: Call, quirks: Quirks, place: int, message: Message) -> JsonObject:
    made = message.model_dump(exclude_unset=True)
    own = made.pop("provider_content", None)
    if own and message.role == "assistant" and (kept := _as_it_was(own, quirks)) is not None:
        return kept
    thinking = made.pop("reasoning_content", None)
    if thinking and quirks.reasoning is not None and message.role == "assistant":
        made[quirks.reasoning] = thinking
    if message.role == "developer" and not quirks.developer:
        made["role"] = "system"
    if not quirks.names and made.pop("name", None) and message.role != "tool" and not call.route.drop_params:
        # The name on a tool's answer repeats what its `tool_call_id` says.
        raise Refused(f"{quirks.name} does not know `messages.{place}.name`; leave it out or set drop_params")
    return made


def _as_it_was(own: JsonObject, quirks: Quirks) -> JsonObject | None:
    """The message in `provider_content`, where this server made it; of what it said only the id goes back."""
    content = own.get("content")
    if own.get("format") != FORMAT or own.get("server", quirks.name) != quirks.name:
        return None
    if not isinstance(content, list) or not content or not isinstance(content[0], dict):
        return None
    kept: JsonObject = {"role": "assistant", **content[0]}
    audio = kept.get("audio")
    if isinstance(audio, dict):
        kept["audio"] = {"id": audio.get("id")}
    return kept
