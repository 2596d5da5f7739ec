"""The `response` of OpenAI's Responses API and its items. Pure.

Source: https://platform.openai.com/docs/api-reference/responses/object.
"""

from connectors.gateway.dialects.dialect import Head
from connectors.gateway.dialects.openai_words import usage as chat_usage
from connectors.gateway.dialects.responses_input import sealed
from schemas.base import JsonObject
from schemas.responses import Response

SEALED = "reasoning.encrypted_content"
"""What `include` asks for to get thinking in a form that can be sent back."""
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


def response_object(
    options: JsonObject, head: Head, output: list[JsonObject], response: Response | None
) -> JsonObject:
    """A response with its items; without an answer it is in progress."""
    reason = None if response is None else _INCOMPLETE.get(response.finish_reason or "")
    status = "in_progress" if response is None else "incomplete" if reason else "completed"
    made: JsonObject = {
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "instructions": None,
        "metadata": {},
        "temperature": None,
        "top_p": None,
        "text": {"format": {"type": "text"}},
        **{name: value for name, value in options.items() if name != "include"},
        "id": head.named("resp_"),
        "object": "response",
        "created_at": head.created_s,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None if reason is None else {"reason": reason},
        "model": (response.model if response is not None else None) or head.model,
        "output": output,
        "previous_response_id": None,
        "store": False,
        "truncation": "disabled",
        "usage": None if response is None else usage(response),
    }
    return made


def usage(response: Response) -> JsonObject:
    """Tokens in the words of this API."""
    found = chat_usage(response)
    return {
        "input_tokens": found["prompt_tokens"],
        "input_tokens_details": found["prompt_tokens_details"],
        "output_tokens": found["completion_tokens"],
        "output_tokens_details": found["completion_tokens_details"],
        "total_tokens": found["total_tokens"],
    }


def items(head: Head, response: Response, *, sealing: bool) -> list[JsonObject]:
    """Thinking, text and calls of tools as items."""
    made: list[JsonObject] = []
    own = response.provider_content if sealing else None
    if response.reasoning_content or own:
        made.append(reasoning_item(head, 0, response.reasoning_content or "", own))
    if response.response or not response.tool_calls:
        logprobs = (response.logprobs or {}).get("content") or []
        made.append(message_item(head, len(made), response.response or "", logprobs))
    for call in response.tool_calls or ():
        made.append(call_item(head, len(made), call))
    return made


def reasoning_item(head: Head, place: int, text: str, own: JsonObject | None = None) -> JsonObject:
    """Thinking, as its summary; with what gives it back to its provider."""
    summary = [{"type": "summary_text", "text": text}] if text else []
    made: JsonObject = {"id": f"{head.named('rs_')}_{place}", "type": "reasoning", "summary": summary}
    return made if own is None else {**made, "encrypted_content": sealed(own)}


def message_item(head: Head, place: int, text: str, logprobs: list[JsonObject]) -> JsonObject:
    """The answer's text."""
    return {
        "id": f"{head.named('msg_')}_{place}",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [text_part(text, logprobs)],
    }


def text_part(text: str, logprobs: list[JsonObject]) -> JsonObject:
    """The one part of a message."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}


def call_item(head: Head, place: int, call: JsonObject) -> JsonObject:
    """A call of a function."""
    function = call.get("function") or {}
    return {
        "id": f"{head.named('fc_')}_{place}",
        "type": "function_call",
        "call_id": call.get("id") or f"call_{place}",
        "name": function.get("name") or "",
        "arguments": function.get("arguments") or "",
        "status": "completed",
    }
