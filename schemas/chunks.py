"""`llm.chunks`: pieces of an answer while it is made."""

from typing import Annotated

from annotated_types import Ge

from schemas.base import Event, JsonObject


class Chunk(Event):
    """One streamed piece of a response.

    Key `request_id`. Written by the call step, read by gateways; on the reply topic where the request
    names one. Ordered by `seq` within an attempt. Delivered at least once per attempt.
    """

    request_id: str
    """The request this piece belongs to."""
    attempt: Annotated[int, Ge(1)]
    """Try of the call; a higher one than seen means: drop what you have."""
    seq: Annotated[int, Ge(0)]
    """Place in the attempt, from 0 without gaps."""
    delta: str
    """Text to append."""
    tool_calls: list[JsonObject] | None = None
    """Pieces of tool calls, in the OpenAI delta shape."""
    reasoning_content: str | None = None
    """Thinking to append, where the provider shows it."""
    logprobs: list[JsonObject] | None = None
    """Log-probabilities of the tokens of `delta`, in the shape of OpenAI's `logprobs.content`."""
    last: bool = False
    """Whether the attempt's stream ends here; the response follows."""
