"""Shrinks a chat to a budget of tokens.

What stays byte for byte: system turns, the stable prefix (so that the provider's prompt cache hits) and
pinned messages (`"pinned": true`). The last messages stay, too, but where they alone are too much they are
shrunk inside. The means, in this order, each only as far as it is needed: later copies of what was said
before; results of tools that are no longer fresh; extraction, message by message and inside long ones, by
the question; the last messages. A tool call and its results stay or go together. Nothing is rewritten; a
mark stands where something went.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from flows.stages.compression.assembly import GAP
from flows.stages.compression.blocks import Block
from flows.stages.compression.compressor import compress
from flows.stages.compression.packing import chance
from flows.stages.compression.query import read_query
from flows.stages.compression.records import Counter
from flows.stages.compression.scoring import Scorer
from flows.stages.compression.turns import (
    Group,
    ends_of,
    fix,
    groups_of,
    is_untouched,
    partner,
    text_of,
    tokens_of,
)
from schemas.requests import Message

_MARK_TOKENS = 8
"""Room for a mark and for words that count more where they are joined."""


@dataclass(frozen=True, slots=True)
class ChatPolicy:
    """What of a chat is left alone."""

    stable: int = 0
    """Messages at its beginning that stay as they are, byte for byte."""
    last: int = 4
    """Messages at its end that stay; the last one of the user and all after it always do."""
    fresh_results: int = 2
    """Groups of tool results, counted from the end, that are no stale ones."""
    long_tokens: int = 400
    """A message over this length may be shrunk inside."""


class Changed(NamedTuple):
    """What became of a message."""

    place: int
    """Its place in the chat, from 0."""
    before_tokens: int
    """Its tokens before."""
    after_tokens: int
    """Its tokens after; 0 where it was dropped."""
    reason: str
    """`duplicate`, `stale result`, `relevance`."""


class CompressedChat(NamedTuple):
    """A chat within its budget, and how it came to be."""

    messages: tuple[Message, ...]
    """What stayed, in its order."""
    before_tokens: int
    """Tokens before, envelopes of the turns included."""
    after_tokens: int
    """Tokens after."""
    fits: bool
    """Whether that is within the budget; not where what must stay is larger."""
    method: str
    """`whole`, or what was needed of `duplicates`, `stale results`, `extract`, `last`, with `+` between."""
    changed: tuple[Changed, ...]
    """Every message that was shrunk or dropped."""


@dataclass(slots=True)
class _Work:
    """The chat while it shrinks."""

    messages: list[Message]
    groups: list[Group]
    tokens: list[int]
    counter: Counter
    total: int
    dropped: set[int] = field(default_factory=set[int])
    reasons: dict[int, str] = field(default_factory=dict[int, str])
    means: list[str] = field(default_factory=list[str])

    def drop(self, place: int, reason: str, means: str) -> None:
        """Leave a message out."""
        self.dropped.add(place)
        self.total -= self.tokens[place]
        self.reasons[place] = reason
        self.used(means)

    def replace(self, place: int, content: str, reason: str, means: str) -> None:
        """Put something shorter in place of a message's text."""
        message = self.messages[place].model_copy(update={"content": content, "provider_content": None})
        counted = tokens_of([message], self.counter)[0]
        if counted < self.tokens[place]:
            self.total -= self.tokens[place] - counted
            self.messages[place], self.tokens[place], self.reasons[place] = message, counted, reason
            self.used(means)

    def used(self, means: str) -> None:
        """Note a means that did something."""
        if means not in self.means:
            self.means.append(means)


def compress_messages(
    messages: Sequence[Message],
    query: str,
    budget_tokens: int,
    counter: Counter,
    policy: ChatPolicy = ChatPolicy(),
) -> CompressedChat:
    """The chat within its budget, where what must stay allows it; same chat, same result."""
    before = tokens_of(messages, counter)
    work = _Work(list(messages), groups_of(messages), list(before), counter, sum(before))
    fix(work.groups, messages, policy.stable, policy.last)
    if work.total > budget_tokens:
        _drop_copies(work, budget_tokens)
    if work.total > budget_tokens:
        _shorten_stale(work, budget_tokens, policy)
    if work.total > budget_tokens:
        _extract(work, query, budget_tokens, policy)
    if work.total > budget_tokens:
        _shrink_last(work, query, budget_tokens)
    stayed = _marked(work, budget_tokens)
    changed = tuple(
        Changed(place, before[place], 0 if place in work.dropped else work.tokens[place], reason)
        for place, reason in sorted(work.reasons.items())
    )
    method = "+".join(work.means) or "whole"
    return CompressedChat(stayed, sum(before), work.total, work.total <= budget_tokens, method, changed)


def _drop_copies(work: _Work, budget_tokens: int) -> None:
    """What was said before goes, in a result of a tool its text; the first copy stays, or the fixed one."""
    seen: set[str] = set()
    ordered = sorted(work.groups, key=lambda group: (not group.fixed, group.members[0]))
    for group in ordered:
        for place in group.members:
            text = " ".join(text_of(work.messages[place]).split())
            if len(text) < 40 or text not in seen:
                seen.add(text)
            elif not group.fixed and work.total > budget_tokens:
                if len(group.members) == 1:
                    work.drop(place, "duplicate", "duplicates")
                else:
                    work.replace(place, GAP, "duplicate", "duplicates")


def _shorten_stale(work: _Work, budget_tokens: int, policy: ChatPolicy) -> None:
    """Results of tools that are no longer fresh lose their text, oldest first."""
    with_results = [group for group in work.groups if group.results]
    for group in with_results[: max(0, len(with_results) - policy.fresh_results)]:
        for place in group.results:
            if not group.fixed and work.total > budget_tokens:
                work.replace(place, GAP, "stale result", "stale results")


def _extract(work: _Work, query: str, budget_tokens: int, policy: ChatPolicy) -> None:
    """Keep the groups that serve the question best, with their partners; shrink long ones inside."""
    open_groups = [
        number
        for number, group in enumerate(work.groups)
        if not group.fixed and not set(group.members) <= work.dropped
    ]
    room = budget_tokens - work.total + sum(_group_tokens(work, number) for number in open_groups)
    share = max(policy.long_tokens, room // 4)
    for number in open_groups:
        _shrink_inside(work, number, query, share)
    kept = _best(work, open_groups, _worths(work, query), room)
    for number in open_groups:
        for place in () if number in kept else work.groups[number].members:
            work.drop(place, "relevance", "extract")


def _best(work: _Work, open_groups: list[int], worths: list[float], room: int) -> set[int]:
    """The groups that stay: by worth for their tokens, with their partners; of equals the later ones."""
    kept: set[int] = set()
    candidates = set(open_groups)
    mark = work.counter.count(f"{GAP}\n\n")
    room -= mark
    for number in sorted(open_groups, key=lambda each: (-worths[each] / _group_tokens(work, each), -each)):
        other = partner(work.groups, work.messages, number)
        pair = (number, other) if other is not None and other in candidates else (number,)
        wanted = [each for each in pair if each not in kept]
        price = sum(_group_tokens(work, each) for each in wanted) + mark
        if price <= room:
            kept.update(wanted)
            room -= price
    return kept


def _group_tokens(work: _Work, number: int) -> int:
    return sum(work.tokens[place] for place in work.groups[number].members if place not in work.dropped)


def _shrink_inside(work: _Work, number: int, query: str, share: int) -> None:
    for place in work.groups[number].members:
        if work.tokens[place] > share:
            _shrink(work, place, query, share, "extract")


def _shrink_last(work: _Work, query: str, budget_tokens: int) -> None:
    """Shrink the last messages inside, the longest first."""
    places = [
        place for group in work.groups if group.fixed and not group.untouched for place in group.members
    ]
    for place in sorted(places, key=lambda each: (-work.tokens[each], each)):
        over = work.total - budget_tokens
        if over > 0:
            _shrink(work, place, query, work.tokens[place] - over, "last")


def _shrink(work: _Work, place: int, query: str, tokens: int, means: str) -> None:
    """Shrink a message to so many tokens, its envelope included; of a user's the question stays whole."""
    message = work.messages[place]
    if not isinstance(message.content, str):
        return
    first, between, last = ends_of(message.content) if message.role == "user" else ("", message.content, "")
    around = work.tokens[place] - work.counter.count(between) + _MARK_TOKENS
    shorter = compress(between, query, max(0, tokens - around), work.counter)
    pieces = [first, shorter.text or GAP, last]
    work.replace(place, "\n\n".join(piece for piece in pieces if piece), "relevance", means)


def _worths(work: _Work, query: str) -> list[float]:
    """What each group is worth to the question, a little of its neighbours' worth included."""
    pieces, blocks, at = [], [], 0
    for group in work.groups:
        text = "\n".join(text_of(work.messages[place]) or " " for place in group.members)
        blocks.append(Block(at, at + len(text), "prose", -1))
        pieces.append(text)
        at += len(text) + 1
    own = [chance(worth) for worth in Scorer("\n".join(pieces), read_query(query), blocks).worths]
    padded = [0.0, *own, 0.0]
    return [worth + 0.3 * max(padded[at], padded[at + 2]) for at, worth in enumerate(own)]


def _marked(work: _Work, budget_tokens: int) -> tuple[Message, ...]:
    """What stayed; the first message after a gap that may be touched carries the mark, where it fits."""
    gap = False
    for place, message in enumerate(work.messages):
        if place in work.dropped:
            gap = True
        elif gap and _may_carry(message):
            gap = False
            marked = message.model_copy(update={"content": f"{GAP}\n\n{message.content}"})
            more = tokens_of([marked], work.counter)[0] - work.tokens[place]
            if work.total + more <= budget_tokens:
                work.messages[place] = marked
                work.tokens[place] += more
                work.total += more
    return tuple(message for place, message in enumerate(work.messages) if place not in work.dropped)


def _may_carry(message: Message) -> bool:
    """Whether a mark can stand before the text of a message."""
    plain = isinstance(message.content, str) and message.content != "" and message.provider_content is None
    return plain and message.role != "tool" and not is_untouched(message)
