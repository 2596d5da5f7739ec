"""What comes back for one request, as a stream of events in an API's words. Pure.

Rules that hold here:
- What was sent can't be taken back: where a new attempt begins and something visible was sent, the stream
  ends with the error `stream_restarted`. Where nothing was, nobody needs to know.
- What was never streamed (a cached answer, a repeat) is one piece, made from the response.
- Every end is said: an answer in the API's way, a failure as its error event; never a bare close.
"""

from connectors.gateway.dialects.dialect import Writer
from connectors.gateway.dialects.errors import NO_RETRY, problem_of, problem_of_loss
from connectors.gateway.ports import Lost, Problem
from schemas.base import JsonObject
from schemas.chunks import Chunk
from schemas.responses import Response

RESTARTED = "the answer began anew elsewhere after part of it was sent; ask again"
"""Why a stream ends that would have to take something back."""


class EventStream:
    """One stream. Its fields are its whole state."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._attempt = 0
        self._shown = False
        self.ended = False
        """Whether the last event was written."""
        self.unwanted = False
        """Whether the answer should be stopped: it can't be shown any more."""

    def take(self, item: Chunk | Response | Lost) -> bytes:
        """The events of one item; none may come of it, and none come after the end."""
        if self.ended:
            return b""
        if isinstance(item, Chunk):
            return self._chunk(item)
        return self._end(item)

    def _chunk(self, chunk: Chunk) -> bytes:
        if chunk.attempt > self._attempt and self._shown:
            return self._restarted()
        self._attempt = max(self._attempt, chunk.attempt)
        if not (chunk.delta or chunk.tool_calls or chunk.reasoning_content or chunk.logprobs):
            return b""
        self._shown = True
        return self._writer.piece(chunk)

    def _end(self, item: Response | Lost) -> bytes:
        problem = problem_of_loss(item) if isinstance(item, Lost) else problem_of(item)
        if problem is not None or isinstance(item, Lost):
            self.ended = True
            return b"" if problem is None else self._writer.fail(problem)
        last = item.last_chunk
        if self._shown and last is not None and last.attempt != self._attempt:
            return self._restarted()
        self.ended = True
        rest = b"" if self._shown else self._unstreamed(item)
        return rest + self._writer.end(item)

    def _restarted(self) -> bytes:
        self.ended = self.unwanted = True
        return self._writer.fail(Problem(502, "stream_restarted", RESTARTED, headers=NO_RETRY))

    def _unstreamed(self, response: Response) -> bytes:
        chunk = as_chunk(response)
        if not (chunk.delta or chunk.tool_calls or chunk.reasoning_content):
            return b""
        return self._writer.piece(chunk)


def as_chunk(response: Response) -> Chunk:
    """A whole answer as one piece."""
    calls = [{**call, "index": place} for place, call in enumerate(response.tool_calls or ())]
    return Chunk(
        request_id=response.request_id,
        attempt=1,
        seq=0,
        delta=response.response or "",
        tool_calls=calls or None,
        reasoning_content=response.reasoning_content,
        logprobs=(response.logprobs or {}).get("content") or None,
        last=True,
    )


def merged(calls: list[JsonObject]) -> list[JsonObject]:
    """Pieces of tool calls, those of one call as one: clients expect an index once in an event."""
    if len(calls) == 1:
        return calls
    made: dict[object, JsonObject] = {}
    for call in calls:
        before = made.get(call.get("index"))
        made[call.get("index")] = call if before is None else _both(before, call)
    return list(made.values())


def _both(before: JsonObject, after: JsonObject) -> JsonObject:
    one, other = before.get("function") or {}, after.get("function") or {}
    arguments = (one.get("arguments") or "") + (other.get("arguments") or "")
    found = {name: value for name, value in after.items() if value is not None}
    return {
        **before,
        **found,
        "function": {**one, **{k: v for k, v in other.items() if v}, "arguments": arguments},
    }
