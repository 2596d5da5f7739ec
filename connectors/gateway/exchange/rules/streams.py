"""The order of one stream: what of the records on the reply topic is shown, and when it has a hole. Pure.

Rules that hold here:
- A chunk is shown when it is the next one of its attempt; one that was shown is dropped; a gap is `Lost`.
- A higher attempt starts at 0 and tells the reader to drop what it has; a lower one is dropped.
- The response is the end. It names the last chunk that belongs to it: if that isn't the last one shown,
  pieces are missing, and the end is `Lost`. A failure needs no pieces.
- An answer that was asked for as a stream and has no pieces (from a cache, or found late) is shown as one.
"""

from dataclasses import dataclass

from connectors.gateway.ports import Lost
from schemas.base import JsonObject
from schemas.chunks import Chunk
from schemas.responses import Response

Item = Chunk | Response | Lost
"""What a reader is given."""


@dataclass(slots=True)
class Order:
    """How far one reader is. Its fields are its whole state, and all of it travels in a resume token."""

    streamed: bool
    """Whether pieces were asked for."""
    attempt: int = 0
    """Attempt whose pieces are shown; 0 before the first."""
    seq: int = -1
    """Number of the last piece shown; -1 before the first of an attempt."""
    whole: bool = False
    """Whether the last piece of the attempt was shown."""

    def chunk(self, chunk: Chunk) -> Chunk | Lost | None:
        """Take the next chunk of the log: show it, drop it (`None`), or end with a gap."""
        if not self.streamed or chunk.attempt < self.attempt:
            return None
        if chunk.attempt > self.attempt:
            if chunk.seq:
                return Lost(f"pieces 0 to {chunk.seq - 1} of attempt {chunk.attempt} are missing")
            self.attempt, self.seq, self.whole = chunk.attempt, -1, False
        if chunk.seq <= self.seq or self.whole:
            return None
        if chunk.seq != self.seq + 1:
            return Lost(f"piece {self.seq + 1} of attempt {chunk.attempt} is missing; {chunk.seq} came")
        self.seq, self.whole = chunk.seq, chunk.last
        return chunk

    def end(self, response: Response) -> tuple[Item, ...]:
        """Take the response: the last items."""
        if not self.streamed or response.error is not None:
            return (response,)
        last = response.last_chunk
        if last is None:
            return (response,) if self.whole else self._patched(response)
        if (last.attempt, last.seq) == (self.attempt, self.seq):
            return (response,)
        where = f"piece {last.seq} of attempt {last.attempt}"
        return (Lost(f"the answer ends with {where}, which was not the last that came"),)

    def late(self, response: Response) -> tuple[Item, ...]:
        """Take a response that was found without its pieces: what is missing comes as one piece."""
        last = response.last_chunk
        shown = last is not None and (last.attempt, last.seq) == (self.attempt, self.seq)
        if not self.streamed or response.error is not None or shown:
            return (response,)
        return self._patched(response)

    def _patched(self, response: Response) -> tuple[Item, ...]:
        """All of it as one piece of a higher attempt, which takes the place of what was shown."""
        self.attempt, self.seq, self.whole = self.attempt + 1, 0, True
        return (one_chunk(response, self.attempt), response)


def one_chunk(response: Response, attempt: int) -> Chunk:
    """The whole of an answer as a single piece."""
    return Chunk(
        request_id=response.request_id,
        attempt=attempt,
        seq=0,
        delta=response.response or "",
        tool_calls=_deltas(response.tool_calls),
        reasoning_content=response.reasoning_content,
        logprobs=(response.logprobs or {}).get("content"),
        last=True,
    )


def _deltas(calls: list[JsonObject] | None) -> list[JsonObject] | None:
    """Tool calls as pieces of a stream: each says which one it is."""
    return None if not calls else [{"index": index, **call} for index, call in enumerate(calls)]
