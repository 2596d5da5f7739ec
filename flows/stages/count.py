"""Counts the tokens of what is sent, before the call.

Counted are the texts of all turns, names, tool calls, tool definitions and the answer's schema; to that come
3 tokens for each turn and 3 for the answer's opening, as the OpenAI cookbook has it. Pictures and other
parts that aren't text get a flat estimate.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

import orjson

from flows.stages.jobs import Job
from schemas.base import JsonObject
from schemas.requests import Message
from schemas.responses import CountKind

TURN_TOKENS = 3
"""Envelope of one turn."""
ANSWER_TOKENS = 3
"""Opening of the answer."""
PART_TOKENS = 765
"""One part that isn't text: what a picture of 1024 x 1024 costs at high detail on GPT-4o."""
LOW_DETAIL_TOKENS = 85
"""A picture with `detail: low`."""
_KINDS: dict[str, CountKind] = {"exact": "exact", "calibrated": "calibrated"}


class Counter(Protocol):
    """Counts tokens; see `flows.ports.Counter`."""

    kind: str
    """`exact`, `calibrated` or `estimate`."""

    def count_many(self, texts: list[str]) -> list[int]:
        """Tokens of each text."""
        ...


def count(job: Job, counter: Counter) -> Job:
    """Fill in the job's input tokens."""
    return count_batch([job], counter)[0]


def count_batch(jobs: Sequence[Job], counter: Counter) -> list[Job]:
    """Fill in the input tokens of all jobs with one call of the counter; same jobs, same order."""
    texts = [texts_of(job) for job in jobs]
    counts = iter(counter.count_many([text for group in texts for text in group]))
    for job, group in zip(jobs, texts, strict=True):
        flat_tokens = sum(_flat_tokens(message) for message in job.messages)
        job.input_tokens = sum(next(counts) for _ in group) + flat_tokens + ANSWER_TOKENS
        job.estimate_kind = _KINDS.get(counter.kind, "estimate")
    return list(jobs)


def texts_of(job: Job) -> list[str]:
    """Every text of a job that a model reads."""
    texts: list[str] = []
    for message in job.messages:
        if isinstance(message.content, str):
            texts.append(message.content)
        else:
            texts.extend(_part_text(part) for part in message.content or () if _is_text(part))
        if message.name:
            texts.append(message.name)
        texts.extend(_written(message.tool_calls or ()))
    texts.extend(_written(job.request.tools or ()))
    if job.request.response_format is not None:
        texts.extend(_written([job.request.response_format]))
    return texts


def _written(objects: Iterable[JsonObject]) -> list[str]:
    return [orjson.dumps(value).decode() for value in objects]


def _is_text(part: JsonObject) -> bool:
    return isinstance(part.get("text"), str)


def _part_text(part: JsonObject) -> str:
    return str(part["text"])


def _flat_tokens(message: Message) -> int:
    """Envelope of a turn and its parts that aren't text."""
    parts = [] if message.content is None or isinstance(message.content, str) else message.content
    return TURN_TOKENS + sum(_part_tokens(part) for part in parts if not _is_text(part))


def _part_tokens(part: JsonObject) -> int:
    picture = part.get("image_url")
    low = isinstance(picture, dict) and picture.get("detail") == "low"
    return LOW_DETAIL_TOKENS if low else PART_TOKENS
