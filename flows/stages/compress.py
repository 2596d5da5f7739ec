"""Compresses a request to the room that a route has: its context by the question first, then its turns.

What is counted here is our own count; the caller translates a model's room into it. A `Task` and a `Shrunk`
can be pickled: the work is done in processes of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from flows.stages import compression
from flows.stages.compression import ChatPolicy, Compressed, CompressedChat, Counter, UnitScorer
from flows.stages.compression.turns import tokens_of
from flows.stages.content import Measured, measure
from flows.stages.count import flat_tokens, texts_of_request
from flows.stages.pictures import Family
from flows.stages.recall import OPENING
from schemas.base import JsonObject
from schemas.requests import Message
from schemas.responses import ChangedTurn, CompressionRecord, CountKind, DroppedStretch

MOST_LISTED = 200
"""Stretches, and turns, that a record lists."""
CONTEXT_SHARE = 0.25
"""Least share of the room that a context keeps beside turns that are long themselves."""
_KINDS: dict[str, CountKind] = {"exact": "exact", "calibrated": "calibrated"}


@dataclass(frozen=True, slots=True)
class Task:
    """A request that is too long."""

    messages: tuple[Message, ...]
    """The turns to send, the context in one of them."""
    context: str | None
    """The context, as it stands there."""
    tools: tuple[JsonObject, ...]
    """Definitions of tools; they stay as they are."""
    response_format: JsonObject | None
    """The answer's shape; it stays as it is."""
    family: Family
    """Whose rules the envelope is counted by."""
    before_tokens: int
    """Our count of all of it."""
    target_tokens: int
    """Most that it may come to, by our count."""


@dataclass(frozen=True, slots=True)
class Shrunk:
    """A request that was compressed."""

    messages: tuple[Message, ...]
    """The turns to send."""
    measured: Measured
    """Our count of all of it, by class."""
    record: CompressionRecord
    """What was left out."""


def shrink(task: Task, counter: Counter, scorer: UnitScorer | None = None) -> Shrunk:
    """The request as near to its target as can be; not within it where what must stay is larger."""
    query = compression.question_of(task.messages)
    messages, total = task.messages, task.before_tokens
    context: Compressed | None = None
    chat: CompressedChat | None = None
    place = _place_of(task)
    if task.context and place is not None:
        known = counter.count(task.context)
        # What is around it is counted by itself: a difference of two large counts would be wrong by much.
        around = _tokens(task, _with_context(task, place, ""), counter)
        room = max(task.target_tokens - around, min(known, int(task.target_tokens * CONTEXT_SHARE)))
        context = compression.compress(task.context, query, room, counter, known, scorer)
        messages = _with_context(task, place, context.text)
        total = around + context.after_tokens
    if total > task.target_tokens:
        turns_tokens = sum(tokens_of(messages, counter))
        room = task.target_tokens - (total - turns_tokens)
        policy = ChatPolicy(stable=stable_of(messages))
        chat = compression.compress_messages(messages, query, room, counter, policy)
        messages = chat.messages
    measured = _measured(task, messages, counter)
    return Shrunk(messages, measured, _record(context, chat, _KINDS.get(counter.kind, "estimate")))


def _measured(task: Task, messages: tuple[Message, ...], counter: Counter) -> Measured:
    """Our count of the request with these turns, by class."""
    texts = texts_of_request(messages, task.tools, task.response_format)
    return measure(texts, counter, flat_tokens(messages, len(task.tools), task.family))


def _tokens(task: Task, messages: tuple[Message, ...], counter: Counter) -> int:
    measured = _measured(task, messages, counter)
    return measured.text_tokens + measured.flat_tokens


def stable_of(messages: Sequence[Message]) -> int:
    """How many messages there are up to the last mark of a provider's prompt cache (`cache_control`).

    They stay as they are, so that the cache hits.
    """
    marked = [place for place, message in enumerate(messages) if _is_marked(message)]
    return marked[-1] + 1 if marked else 0


def _is_marked(message: Message) -> bool:
    parts = message.content if isinstance(message.content, list) else []
    return "cache_control" in (message.model_extra or {}) or any("cache_control" in part for part in parts)


def _place_of(task: Task) -> int | None:
    """The message that holds the context."""
    section = f"{OPENING}{task.context}"
    return next(
        (
            place
            for place, message in enumerate(task.messages)
            if isinstance(message.content, str) and section in message.content
        ),
        None,
    )


def _with_context(task: Task, place: int, text: str) -> tuple[Message, ...]:
    message = task.messages[place]
    before, _, after = str(message.content).partition(f"{OPENING}{task.context}")
    shorter = message.model_copy(update={"content": f"{before}{OPENING}{text}{after}"})
    return (*task.messages[:place], shorter, *task.messages[place + 1 :])


def _record(context: Compressed | None, chat: CompressedChat | None, kind: CountKind) -> CompressionRecord:
    """What was done to both."""
    before = after = kept = 0
    methods: list[str] = []
    dropped: list[DroppedStretch] = []
    turns: list[ChangedTurn] = []
    if context is not None:
        before, after, kept = context.before_tokens, context.after_tokens, len(context.kept)
        methods.append(f"context: {context.method}")
        dropped = [
            DroppedStretch(start_chars=each.start, end_chars=each.end, reason=each.reason)
            for each in context.dropped
        ]
    if chat is not None:
        before, after = before + chat.before_tokens, after + chat.after_tokens
        if context is not None:  # it stands in one of the turns and was counted there, too
            before, after = before - context.after_tokens, after - context.after_tokens
        methods.append(f"turns: {chat.method}")
        turns = [ChangedTurn(**each._asdict()) for each in chat.changed]
    return CompressionRecord(
        before_tokens=before,
        after_tokens=max(0, after),
        ratio=min(1.0, max(0, after) / before) if before else 1.0,
        method="; ".join(methods) or "nothing",
        count_kind=kind,
        kept=kept,
        dropped=dropped[:MOST_LISTED],
        turns=turns[:MOST_LISTED],
        more=max(0, len(dropped) - MOST_LISTED) + max(0, len(turns) - MOST_LISTED),
    )
