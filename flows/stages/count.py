"""Counts the tokens of what is sent, before the call: every text, the envelope, and pictures.

Counted are the texts of all turns, names, tool calls, tool definitions and the answer's schema; to that come
the envelope of each turn, what a provider tells its model about tools, and pictures by their size. Each
family of providers has its own rules; before the route is known those of OpenAI stand in. Other parts that
aren't text (sound, files) get a flat estimate.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import orjson

from flows.stages.content import Measured, measure, measure_many
from flows.stages.jobs import Job
from flows.stages.pictures import Family, is_picture, picture_tokens
from schemas.base import JsonObject
from schemas.requests import Message, entries
from schemas.responses import CountKind

TURN_TOKENS = 3
"""Envelope of one turn, with OpenAI."""
ANSWER_TOKENS = 3
"""Opening of the answer, with OpenAI."""
PART_TOKENS = 765
"""One part that isn't text: what a picture of 1024 x 1024 costs at high detail on GPT-4o."""
_KINDS: dict[str, CountKind] = {"exact": "exact", "calibrated": "calibrated"}
_FAMILIES = {"anthropic": Family.ANTHROPIC, "gemini": Family.GEMINI}


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a family adds to the texts of a request."""

    turn_tokens: int
    """For each turn."""
    answer_tokens: int
    """Once, for the opening of the answer."""
    tools_tokens: int
    """Once, where there are tools: what the model is told about them."""
    tool_tokens: int
    """For each tool."""


ENVELOPES = {
    Family.OPENAI: Envelope(TURN_TOKENS, ANSWER_TOKENS, tools_tokens=12, tool_tokens=7),
    Family.ANTHROPIC: Envelope(turn_tokens=4, answer_tokens=3, tools_tokens=346, tool_tokens=8),
    Family.GEMINI: Envelope(turn_tokens=2, answer_tokens=2, tools_tokens=10, tool_tokens=8),
}
"""Sources: OpenAI's cookbook on counting, Anthropic's page on tool use; Gemini's are a guess, upwards."""


class Counter(Protocol):
    """Counts tokens; see `flows.ports.Counter`."""

    kind: str
    """`exact`, `calibrated` or `estimate`."""

    def count_many(self, texts: list[str]) -> list[int]:
        """Tokens of each text."""
        ...


@dataclass(frozen=True, slots=True)
class RequestTokens:
    """What a request comes to with one family."""

    text_tokens: int
    """All texts."""
    envelope_tokens: int
    """Turns, the answer's opening, what is told about tools."""
    part_tokens: int
    """Pictures and other parts that aren't text."""

    @property
    def tokens(self) -> int:
        """All of it."""
        return self.text_tokens + self.envelope_tokens + self.part_tokens

    @property
    def flat_tokens(self) -> int:
        """What isn't text; see `content.Measured`."""
        return self.envelope_tokens + self.part_tokens


def count_request(
    messages: Sequence[Message],
    tools: Sequence[JsonObject],
    counter: Counter,
    family: Family = Family.OPENAI,
    response_format: JsonObject | None = None,
) -> RequestTokens:
    """Count all that is sent to a provider of a family."""
    texts = texts_of_request(messages, tools, response_format)
    return RequestTokens(
        sum(counter.count_many(texts)),
        envelope_tokens(len(messages), len(tools), family),
        sum(parts_tokens(message, family) for message in messages),
    )


def count(job: Job, counter: Counter) -> Job:
    """Fill in the job's input tokens."""
    return count_batch([job], counter)[0]


def count_batch(jobs: Sequence[Job], counter: Counter) -> list[Job]:
    """Fill in the input tokens of all jobs, by class, with one call of the counter; same jobs, same order."""
    flats = [flat_tokens_of(job) for job in jobs]
    measured = measure_many([texts_of(job) for job in jobs], counter, flats)
    return [counted(job, found, counter.kind) for job, found in zip(jobs, measured, strict=True)]


def counted(job: Job, measured: Measured, kind: str) -> Job:
    """Fill in what was counted by a counter of that kind."""
    job.measured = measured
    job.input_tokens = measured.text_tokens + measured.flat_tokens
    job.estimate_kind = _KINDS.get(kind, "estimate")
    return job


@dataclass(frozen=True, slots=True)
class CountTask:
    """Texts of a request to be counted elsewhere; can be pickled."""

    texts: tuple[str, ...]
    """All that a model reads."""
    flat_tokens: int
    """What isn't text; see `content.Measured`."""

    def done(self, counter: Counter) -> Measured:
        """Our own count, by class."""
        return measure(self.texts, counter, self.flat_tokens)


def flat_tokens_of(job: Job, family: Family = Family.OPENAI) -> int:
    """What isn't text: envelope and parts; of what is to be embedded what came as tokens."""
    if job.request.input is not None:
        return sum(len(entry) for entry in entries(job.request.input) if isinstance(entry, list))
    return flat_tokens(job.messages, len(job.request.tools or ()), family)


def flat_tokens(messages: Sequence[Message], tools: int, family: Family) -> int:
    """What isn't text in so many turns and tools."""
    parts = sum(parts_tokens(message, family) for message in messages)
    return parts + envelope_tokens(len(messages), tools, family)


def family_of(provider: str) -> Family:
    """Whose rules a provider counts by."""
    return _FAMILIES.get(provider, Family.OPENAI)


def texts_of(job: Job) -> list[str]:
    """Every text of a job that a model reads."""
    if job.request.input is not None:
        return [entry for entry in entries(job.request.input) if isinstance(entry, str)]
    return texts_of_request(job.messages, job.request.tools or (), job.request.response_format)


def texts_of_request(
    messages: Sequence[Message], tools: Sequence[JsonObject], response_format: JsonObject | None
) -> list[str]:
    """Every text of a request that a model reads."""
    texts: list[str] = []
    for message in messages:
        if isinstance(message.content, str):
            texts.append(message.content)
        else:
            texts.extend(_part_text(part) for part in message.content or () if _is_text(part))
        if message.name:
            texts.append(message.name)
        texts.extend(_written(message.tool_calls or ()))
    texts.extend(_written(tools))
    if response_format is not None:
        texts.extend(_written([response_format]))
    return texts


def envelope_tokens(turns: int, tools: int, family: Family) -> int:
    """What a family adds for so many turns and tools."""
    envelope = ENVELOPES[family]
    about_tools = envelope.tools_tokens + tools * envelope.tool_tokens if tools else 0
    return turns * envelope.turn_tokens + envelope.answer_tokens + about_tools


def parts_tokens(message: Message, family: Family) -> int:
    """A turn's parts that aren't text."""
    if message.content is None or isinstance(message.content, str):
        return 0
    return sum(_part_tokens(part, family) for part in message.content if not _is_text(part))


def _written(objects: Iterable[JsonObject]) -> list[str]:
    return [orjson.dumps(value).decode() for value in objects]


def _is_text(part: JsonObject) -> bool:
    return isinstance(part.get("text"), str)


def _part_text(part: JsonObject) -> str:
    return str(part["text"])


def _part_tokens(part: JsonObject, family: Family) -> int:
    return picture_tokens(part, family) if is_picture(part) else PART_TOKENS
