"""Groups the messages of a chat into what must stay or go together.

A group is one message, or an assistant's message that calls tools with the results of those calls, wherever
they stand. A partner of a group is the one that it answers, or that answers it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson

from flows.stages.compression.records import Counter
from flows.stages.count import PART_TOKENS, TURN_TOKENS
from schemas.requests import Message

LONG_QUESTION_CHARS = 1_200
"""Of a longer message of the user only the ends are taken for the question."""
SHORT_PARAGRAPH_CHARS = 600
"""A first or last paragraph up to this length may be the question to the rest."""


@dataclass(slots=True)
class Group:
    """Messages that stay or go together."""

    members: list[int]
    """Their places in the chat, in order."""
    fixed: bool = False
    """Whether they stay, whatever the question."""
    untouched: bool = False
    """Whether they stay byte for byte, too."""
    results: list[int] = field(default_factory=list[int])
    """Those that are results of tools."""


def groups_of(messages: Sequence[Message]) -> list[Group]:
    """The groups of a chat, in the order of their first messages."""
    groups: list[Group] = []
    open_calls: dict[str, Group] = {}
    for place, message in enumerate(messages):
        owner = open_calls.get(message.tool_call_id or "") if message.role == "tool" else None
        if owner is not None:
            owner.members.append(place)
            owner.results.append(place)
            continue
        group = Group([place])
        groups.append(group)
        for call in message.tool_calls or ():
            open_calls[str(call.get("id", ""))] = group
    return groups


def fix(groups: list[Group], messages: Sequence[Message], stable: int, last: int) -> None:
    """Mark what stays: system turns, the stable prefix, pinned messages, the last ones.

    `last` counts messages; the last one of the user always stays, and with it all that follows.
    """
    asked = max((place for place, each in enumerate(messages) if each.role == "user"), default=len(messages))
    tail = min(asked, len(messages) - last)
    for group in groups:
        group.untouched = any(place < stable or is_untouched(messages[place]) for place in group.members)
        group.fixed = group.untouched or any(place >= tail for place in group.members)


def is_untouched(message: Message) -> bool:
    """Whether a message stays byte for byte: a system turn, or pinned by its producer (`"pinned": true`)."""
    return message.role in ("system", "developer") or (message.model_extra or {}).get("pinned") is True


def question_of(messages: Sequence[Message]) -> str:
    """What the user asks: the last message of the user; of a long one its short first and last paragraph."""
    text = next((text_of(each) for each in reversed(messages) if each.role == "user"), "")
    if len(text) <= LONG_QUESTION_CHARS:
        return text
    first, _, last = ends_of(text)
    return f"{first}\n{last}".strip() or text[-SHORT_PARAGRAPH_CHARS:].partition(" ")[2]


def ends_of(text: str) -> tuple[str, str, str]:
    """A text as its first paragraph, what is between, and its last; an end that is long is empty.

    In a message with a document in it the question stands before or after the document.
    """
    paragraphs = text.strip().split("\n\n")
    first = paragraphs[0] if len(paragraphs) > 1 and len(paragraphs[0]) <= SHORT_PARAGRAPH_CHARS else ""
    last = paragraphs[-1] if len(paragraphs) > 1 and len(paragraphs[-1]) <= SHORT_PARAGRAPH_CHARS else ""
    between = paragraphs[bool(first) : len(paragraphs) - bool(last)]
    return first, "\n\n".join(between), last


def partner(groups: list[Group], messages: Sequence[Message], number: int) -> int | None:
    """The group that a group belongs with: the question of an answer, the answer of a question."""
    role = messages[groups[number].members[0]].role
    other = number + 1 if role == "user" else number - 1
    if not 0 <= other < len(groups):
        return None
    other_role = messages[groups[other].members[0]].role
    return other if {role, other_role} == {"user", "assistant"} else None


def text_of(message: Message) -> str:
    """What a message says, in plain text."""
    if message.content is None or isinstance(message.content, str):
        return message.content or ""
    return "\n".join(str(part["text"]) for part in message.content if isinstance(part.get("text"), str))


def tokens_of(messages: Sequence[Message], counter: Counter) -> list[int]:
    """Tokens of each message, its envelope and its calls included."""
    texts = [text_of(message) + (message.name or "") + _calls(message) for message in messages]
    counted = counter.count_many(texts)
    return [
        count + TURN_TOKENS + _other_parts(message) * PART_TOKENS
        for count, message in zip(counted, messages, strict=True)
    ]


def _calls(message: Message) -> str:
    return "".join(orjson.dumps(call).decode() for call in message.tool_calls or ())


def _other_parts(message: Message) -> int:
    """Parts that aren't text."""
    if message.content is None or isinstance(message.content, str):
        return 0
    return sum(not isinstance(part.get("text"), str) for part in message.content)
