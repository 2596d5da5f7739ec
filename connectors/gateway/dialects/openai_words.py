"""What OpenAI's APIs say alike: usage, ids, the message of an answer. Pure.

Source: https://platform.openai.com/docs/api-reference/chat/object.
"""

from schemas.base import JsonObject
from schemas.responses import Response, Usage

OWN = "openai"
"""Format of a `provider_content` whose content is one message in OpenAI's shape."""


def usage(response: Response) -> JsonObject:
    """Tokens in the words of chat completions; our own count where the provider told none."""
    found = response.usage or Usage(input_tokens=response.estimated_input_tokens or 0, counted_by="estimate")
    return {
        "prompt_tokens": found.input_tokens,
        "completion_tokens": found.output_tokens,
        "total_tokens": found.input_tokens + found.output_tokens,
        "prompt_tokens_details": {"cached_tokens": found.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": found.reasoning_tokens},
    }


def message(response: Response) -> JsonObject:
    """The message of an answer; what its provider said beyond OpenAI's own fields is kept."""
    calls = response.tool_calls
    made: JsonObject = {**own_fields(response), "role": "assistant", "refusal": None}
    made["content"] = None if calls and not response.response else response.response or ""
    if calls:
        made["tool_calls"] = calls
    if response.reasoning_content:
        made["reasoning_content"] = response.reasoning_content
    if response.provider_content is not None:
        made["provider_content"] = response.provider_content
    return made


def own_fields(response: Response) -> JsonObject:
    """Fields of the provider's own message: audio, annotations, images."""
    own = response.provider_content or {}
    content = own.get("content")
    if own.get("format") != OWN or not isinstance(content, list) or not content:
        return {}
    first: object = content[0]
    return dict(first) if isinstance(first, dict) else {}
