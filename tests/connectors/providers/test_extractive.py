"""The embedded model: it quotes, and says so."""

import asyncio
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.providers import extractive
from connectors.providers.extractive import (
    NO_CONTEXT,
    NO_MATCH,
    PREFIX,
    Extractive,
    answer_parts,
    question_and_context,
)
from schemas.calls import Answer, Call, Unavailable
from schemas.requests import Message
from tests.support.calls import Pieces, always, make_call, make_route

DOCUMENT = """
# Mill

The mill grinds grain since 1820. It stands at the river.

## Opening hours

The mill is open from May to October. Groups should call before.

## Prices

| visitor | price |
|---|---|
| adult | 4 EUR |
| child | 2 EUR |

## Getting started

Build it with:

```sh
make mill
```

The mill needs:

- a **strong** current
- two `mill_stones` of [basalt](http://x/y)

## Why a river

Wind was too weak here, because the valley is deep.
"""


def ask(question: str, context: str | None = DOCUMENT, **settings: Any) -> Call:
    turns = [{"role": "system", "content": context}] if context is not None else []
    turns.append({"role": "user", "content": question})
    return make_call({"messages": turns}, **settings)


def answer(question: str, context: str | None = DOCUMENT, **settings: Any) -> str:
    return "".join(answer_parts(ask(question, context, **settings))[0])


def complete(call: Call, sink: Pieces | None = None) -> Answer:
    return asyncio.run(Extractive().complete(call, None, sink, always))


@pytest.mark.parametrize(
    ("question", "quoted"),
    [
        ("When is the mill open?", "The mill is open from May to October."),
        ("What does a child pay?", "child — price: 2 EUR."),
        ("How do I build it?", "Build it with: `make mill`."),
        ("Which stones are needed?", "The mill needs: two mill_stones of basalt."),
        ("Why was wind not used?", "Wind was too weak here, because the valley is deep."),
        ("What grinds the grain?", "The mill grinds grain since 1820."),
    ],
)
def test_the_best_sentence_of_the_context_is_quoted(question: str, quoted: str):
    assert answer(question, route=make_route("extractive", params={"sentences": 1})) == f"{PREFIX} {quoted}"


def test_a_sentence_that_points_back_brings_the_one_before():
    assert answer("Does it stand at the river?") == (
        f"{PREFIX} The mill grinds grain since 1820. It stands at the river."
    )


def test_quotes_keep_the_order_of_the_text_and_their_number_is_bounded():
    context = "Beta likes tea and coffee. Alpha likes tea. Gamma likes tea. Delta likes tea. Coffee is hot."
    parts, finish_reason = answer_parts(ask("Who likes tea?", context))

    assert len(parts) == 4
    assert [context.index(part.strip()) for part in parts[1:]] == sorted(
        context.index(part.strip()) for part in parts[1:]
    )
    assert finish_reason == "stop"


def test_the_same_sentence_is_quoted_once():
    assert answer("Who likes tea?", "Alpha likes tea.\n\nAlpha likes tea.") == f"{PREFIX} Alpha likes tea."


def test_without_context_it_says_so():
    assert answer("What is a mill?", None) == NO_CONTEXT
    assert answer("What is a mill?", "# Only a heading\n") == NO_CONTEXT
    assert (
        "".join(answer_parts(make_call({"messages": [{"role": "system", "content": "a"}]}))[0]) == NO_CONTEXT
    )


def test_without_a_match_it_says_so():
    assert answer("Zebra colours?") == NO_MATCH


def test_a_summary_is_asked_of_the_texts_own_words():
    assert "mill" in answer("Summarise this please.")


def test_a_question_inside_the_last_turn_is_told_from_its_context():
    turns = (
        Message(role="system", content="Rules."),
        Message(role="user", content="Earlier."),
        Message(role="assistant", content="Not to be quoted."),
        Message(role="tool", content=[{"type": "text", "text": "Result."}]),
        Message(role="user", content="A text.\n\nWhat of it?\n\nThanks."),
    )

    assert question_and_context(turns) == (
        "What of it?",
        "Rules.\n\nEarlier.\n\nResult.\n\nA text.\n\nThanks.",
    )
    assert question_and_context((Message(role="user", content="A.\n\nB."),)) == ("B.", "A.")
    assert question_and_context((Message(role="user", content=" "),)) == ("", "")


@given(st.integers(1, 60))
def test_an_answer_never_has_more_tokens_than_allowed(max_tokens: int):
    whole = answer("When is the mill open, and who should call?")
    parts, finish_reason = answer_parts(
        ask("When is the mill open, and who should call?", max_tokens=max_tokens)
    )

    assert extractive.estimated_tokens("".join(parts)) <= max_tokens
    assert whole.startswith("".join(parts))
    assert finish_reason == ("stop" if "".join(parts) == whole else "length")


def test_a_stream_is_the_answer_in_pieces():
    call, sink = ask("When is the mill open?", stream=True), Pieces()
    got = complete(call, sink)

    assert sink.text == got.text
    assert len(sink.got) > 1
    assert complete(call).text == got.text


def test_usage_is_an_estimate_and_says_so():
    got = complete(ask("When is the mill open?", input_tokens=0))

    assert got.usage is not None
    assert got.usage.counted_by == "estimate"
    assert got.usage.input_tokens >= len(DOCUMENT) // 4
    assert got.usage.output_tokens == -(-len(got.text) // 4)
    assert (got.model, got.finish_reason) == ("extractive", "stop")


def test_a_closed_gate_answers_nothing():
    with pytest.raises(Unavailable, match="not allowed to call now"):
        asyncio.run(Extractive().complete(ask("Hi?"), None, None, lambda: False))


def test_nothing_goes_over_a_wire():
    provider = Extractive()
    asyncio.run(provider.close())

    assert provider.encode(ask("Hi?")) is None


def test_a_long_context_is_read_off_the_loop(monkeypatch: pytest.MonkeyPatch):
    threads: list[object] = []
    real = asyncio.to_thread

    async def to_thread(*arguments: Any) -> Any:
        threads.append(arguments[0])
        return await real(*arguments)

    monkeypatch.setattr(asyncio, "to_thread", to_thread)
    complete(ask("When is the mill open?"))
    assert threads == []

    long = complete(ask("When is the mill open?", DOCUMENT + "Something else entirely follows.\n\n" * 3000))

    assert threads == [answer_parts]
    assert "May to October" in long.text


def test_thirty_kilobytes_take_a_few_milliseconds():
    call = ask("When is the mill open?", DOCUMENT * 35)
    answer_parts(call)
    times: list[float] = []
    for _ in range(5):
        start = time.process_time()
        answer_parts(call)
        times.append(time.process_time() - start)

    assert min(times) < 0.05


@given(st.text(alphabet=st.sampled_from("aB. \n#|-*`>[]()?=~_<!1"), max_size=80), st.text(max_size=20))
def test_any_text_gets_the_same_answer_twice(context: str, question: str):
    call = ask(question, context)
    parts, finish_reason = answer_parts(call)

    assert answer_parts(call) == (parts, finish_reason)
    assert "".join(parts).startswith((PREFIX, NO_CONTEXT, NO_MATCH))
