"""The stream of one attempt: pieces are gathered for 20 ms or 4 KB, then written as chunks.

A piece goes out at once where none did within the last 20 ms, as the first one does. While the outbox is
full nothing is read from the provider.
"""

import asyncio
import time

from flows.ports import Outlet
from flows.stages.jobs import Job
from schemas.base import JsonObject
from schemas.calls import Answer, Piece
from schemas.chunks import Chunk
from schemas.records import Headers, Outgoing
from schemas.responses import LastChunk

GATHER_S = 0.02
"""Shortest time between two chunks, and the longest that a piece waits for others."""
SLACK_S = 0.002
"""A piece that comes so much too early goes out all the same: connections look every 20 ms, too."""
GATHER_CHARS = 4096
"""Most text that is gathered into one chunk."""
ROOM_S = 0.01
"""Between two looks at a full outbox."""


class Streamer:
    """Writes the chunks of one attempt. Lives on the call loop."""

    def __init__(self, job: Job, attempt: int, outbox: Outlet, topic: str) -> None:
        self._outbox = outbox
        self._attempt = attempt
        self._request_id = job.request_id
        request = job.request
        self._topic = request.reply_topic or topic
        self._partition = request.reply_partition if request.reply_topic else None
        self._headers = _headers(request.correlation_id, request.traceparent)
        self._seq = 0
        self._texts: list[str] = []
        self._chars = 0
        self._tool_calls: list[JsonObject] = []
        self._reasoning: list[str] = []
        self._logprobs: list[JsonObject] = []
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0
        self.first_s: float | None = None
        """When the first piece came, on the monotonic clock, in seconds."""

    async def take(self, piece: Piece) -> None:
        """A piece came; returns when there is room for more."""
        self._texts.append(piece.text)
        self._reasoning.append(piece.reasoning)
        self._chars += len(piece.text) + len(piece.reasoning)
        self._tool_calls.extend(piece.tool_calls)
        self._logprobs.extend(piece.logprobs)
        if self.first_s is None:
            self.first_s = time.monotonic()
            self._write()
        elif self._chars >= GATHER_CHARS:
            self._write()
        elif self._timer is None:
            wait_s = self._due_s - time.monotonic()
            if wait_s <= SLACK_S:
                self._write()
            else:
                self._timer = asyncio.get_running_loop().call_later(wait_s, self._write)
        while self._outbox.full:
            await asyncio.sleep(ROOM_S)

    def finish(self, answer: Answer) -> LastChunk:
        """The attempt answered: write what is left, marked as the last. An unstreamed answer is one chunk."""
        if self.first_s is None:
            self._texts.append(answer.text)
            self._reasoning.append(answer.reasoning)
            self._tool_calls.extend(answer.tool_calls)
            self._logprobs.extend((answer.logprobs or {}).get("content") or ())
        self._write(last=True)
        return LastChunk(attempt=self._attempt, seq=self._seq - 1)

    def stop(self) -> None:
        """Nothing more comes by the clock."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _write(self, last: bool = False) -> None:
        self.stop()
        chunk = Chunk(
            request_id=self._request_id,
            attempt=self._attempt,
            seq=self._seq,
            delta="".join(self._texts),
            tool_calls=self._tool_calls or None,
            reasoning_content="".join(self._reasoning) or None,
            logprobs=self._logprobs or None,
            last=last,
        )
        self._seq += 1
        self._due_s = time.monotonic() + GATHER_S
        self._texts, self._chars, self._tool_calls = [], 0, []
        self._reasoning, self._logprobs = [], []
        key = self._request_id.encode("utf-8", "replace")
        self._outbox.send(
            Outgoing(self._topic, chunk.to_bytes(), self._partition, key, self._headers), lost=_ignore
        )


def _headers(correlation_id: str | None, traceparent: str | None) -> Headers:
    headers: Headers = (("kind", b"chunk"),)
    if correlation_id is not None:
        headers += (("correlation_id", correlation_id.encode("utf-8", "replace")),)
    if traceparent is not None:
        headers += (("traceparent", traceparent.encode("utf-8", "replace")),)
    return headers


def _ignore(error: Exception) -> None:
    """A lost chunk is a gap that the reader sees; the response has the whole text."""
