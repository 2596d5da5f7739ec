"""The embedded model `extractive`: quotes the sentences of the given context that fit the question best.

It needs no key and no network, costs nothing, answers the same every time, and says what it does. It never
pretends to be a language model.
"""

import asyncio
import re

from connectors.providers.passages import Passage, passages
from connectors.providers.ranking import scores
from connectors.providers.wire import Gate, PieceSink
from schemas.calls import Answer, Call, HttpRequest, Piece, Refused, Unavailable
from schemas.requests import Message
from schemas.responses import Usage

PREFIX = "From the given context:"
"""What every quotation starts with."""
NO_CONTEXT = "No context was given, and the embedded model only quotes from context."
"""The answer where there is nothing to quote from."""
NO_MATCH = "The given context has nothing on that, and the embedded model only quotes from context."
"""The answer where nothing fits."""
SENTENCES = 3
"""Most passages of an answer; a route's parameter `sentences` changes it."""
NEAR_BEST_RATIO = 0.5
"""A passage is quoted when its score is at least this share of the best one's."""
CHARS_PER_TOKEN = 4
"""The estimate behind all token numbers of this model."""
THREAD_CHARS = 64 * 1024
"""A longer context is read in a thread, so that the loop goes on."""

_POINTS_BACK = re.compile(r"(It|This|They|These|Those|That|Its|Their|Such|Here)\b")
_PARAGRAPH = re.compile(r"\n\s*\n")


class Extractive:
    """Answers by quoting. No state: one instance serves all."""

    def encode(self, call: Call) -> HttpRequest | None:
        """Nothing goes over a wire.

        Raises:
            Refused: When vectors are wanted.
        """
        if call.request.input is not None:
            raise Refused("the embedded model has no embeddings: name another model for `input`")
        return None

    async def complete(
        self, call: Call, request: HttpRequest | None, sink: PieceSink | None, gate: Gate
    ) -> Answer:
        """Quote from the messages of a call; a sentence is a piece where `call.stream`.

        Raises:
            Unavailable: When the gate says no.
        """
        if not gate():
            raise Unavailable("not allowed to call now")
        if sum(len(_text(message)) for message in call.messages) > THREAD_CHARS:
            parts, finish_reason = await asyncio.to_thread(answer_parts, call)
        else:
            parts, finish_reason = answer_parts(call)
        if call.stream and sink is not None:
            for part in parts:
                await sink(Piece(part))
        text = "".join(parts)
        return Answer(text, finish_reason, _usage(call, text), model="extractive")

    async def close(self) -> None:
        """There is nothing to end."""


def answer_parts(call: Call) -> tuple[list[str], str]:
    """The answer in pieces that join to it, and its finish reason (`length` where it was cut). Pure."""
    question, context = question_and_context(call.messages)
    found = passages(context)
    if not found:
        return _cut([NO_CONTEXT], call.max_tokens)
    wish = call.route.params.get("sentences")
    quoted = choose(question, found, wish if isinstance(wish, int) and wish > 0 else SENTENCES)
    if not quoted:
        return _cut([NO_MATCH], call.max_tokens)
    return _cut([PREFIX, *(f" {text}" for text in render(quoted))], call.max_tokens)


def question_and_context(messages: tuple[Message, ...]) -> tuple[str, str]:
    """The question, which ends the last turn of the user, and all else that was said to the model.

    In a last turn of several paragraphs the last one that asks is the question, or else the last one.
    """
    last = max((place for place, message in enumerate(messages) if message.role == "user"), default=-1)
    if last < 0:
        return "", ""
    paragraphs = [part for part in _PARAGRAPH.split(_text(messages[last])) if part.strip()] or [""]
    asking = [place for place, part in enumerate(paragraphs) if part.rstrip().endswith("?")]
    chosen = asking[-1] if asking else len(paragraphs) - 1
    others = [
        _text(message)
        for place, message in enumerate(messages)
        if place != last and message.role != "assistant"
    ]
    rest = [part for place, part in enumerate(paragraphs) if place != chosen]
    return paragraphs[chosen].strip(), "\n\n".join([*others, *rest]).strip()


def choose(question: str, found: list[Passage], most: int) -> list[Passage]:
    """The passages that answer best, at most `most`, in the order of the text.

    One that points back (`It ...`) brings the one before it along, where there is room.
    """
    marks = scores(question, found)
    best = max(marks)
    if best <= 0:
        return []
    chosen: list[int] = []
    texts: set[str] = set()
    for place in sorted(range(len(found)), key=lambda place: (-marks[place], place)):
        if len(chosen) == most or marks[place] < NEAR_BEST_RATIO * best:
            break
        if found[place].text not in texts and place not in chosen:
            texts.add(found[place].text)
            chosen.append(place)
            if _needs_previous(found, place) and place - 1 not in chosen and len(chosen) < most:
                chosen.append(place - 1)
    return [found[place] for place in sorted(chosen)]


def render(quoted: list[Passage]) -> list[str]:
    """The passages as sentences; what introduced a list is said once."""
    texts: list[str] = []
    lead = ""
    for passage in quoted:
        text = f"`{passage.text}`" if passage.kind == "code" else passage.text
        if passage.lead and passage.lead != lead:
            text = f"{passage.lead} {text}"
        lead = passage.lead
        texts.append(text if text[-1] in ".!?…。！？" else f"{text.rstrip(';,:')}.")
    return texts


def estimated_tokens(text: str) -> int:
    """Tokens of a text by this model's rule: four characters each, rounded up."""
    return -(-len(text) // CHARS_PER_TOKEN)


def _needs_previous(found: list[Passage], place: int) -> bool:
    return (
        place > 0
        and found[place].kind == found[place - 1].kind == "sentence"
        and found[place].trail == found[place - 1].trail
        and _POINTS_BACK.match(found[place].text) is not None
    )


def _cut(parts: list[str], max_tokens: int | None) -> tuple[list[str], str]:
    """As many parts as fit; where only some do, the next one is cut behind a word."""
    if max_tokens is None:
        return parts, "stop"
    room = max_tokens * CHARS_PER_TOKEN
    kept: list[str] = []
    for part in parts:
        if len(part) > room:
            head = part[:room]
            whole = head.rpartition(" ")[0] or (head if not kept else "")
            return ([*kept, whole] if whole.strip() else kept), "length"
        kept.append(part)
        room -= len(part)
    return kept, "stop"


def _text(message: Message) -> str:
    if isinstance(message.content, str):
        return message.content
    return "\n".join(str(part.get("text") or "") for part in message.content or ())


def _usage(call: Call, text: str) -> Usage:
    sent = call.input_tokens or sum(estimated_tokens(_text(message)) for message in call.messages)
    return Usage(input_tokens=sent, output_tokens=estimated_tokens(text), counted_by="estimate")
