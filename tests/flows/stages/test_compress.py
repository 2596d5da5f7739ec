"""Compressing a request: the context first, then the turns, and what is said of it."""

import pickle
from dataclasses import replace

import pytest

from flows.stages.compress import MOST_LISTED, Shrunk, Task, shrink, stable_of
from flows.stages.count import flat_tokens_of, texts_of
from flows.stages.pictures import Family
from flows.stages.recall import OPENING, recall
from schemas.requests import Message
from tests.flows.stages.compression.making import WordCounter
from tests.flows.stages.making import job

COUNTER = WordCounter()
GATES = "\n\n".join(f"Gate {at} of lake {at} was opened by Marta in {1900 + at}." for at in range(60))
NOISE = "\n\n".join(f"Nothing of note was seen on day {at} by anybody here." for at in range(200))
CONTEXT = f"{NOISE}\n\n{GATES}"


def task(target: int, **fields: object) -> Task:
    asked = recall(job(**fields))
    total = sum(COUNTER.count_many(texts_of(asked))) + flat_tokens_of(asked)
    request = asked.request
    tools = tuple(request.tools or ())
    return Task(asked.messages, request.context, tools, request.response_format, Family.OPENAI, total, target)


def size(shrunk: Shrunk) -> int:
    return shrunk.measured.text_tokens + shrunk.measured.flat_tokens


def test_a_context_is_compressed_by_the_question_and_all_else_stays():
    asked = task(300, prompt="Who opened gate 7, and when?", context=CONTEXT)
    shrunk = shrink(asked, COUNTER)

    assert size(shrunk) <= 300
    assert "opened by Marta in 1907" in str(shrunk.messages[0].content)
    assert str(shrunk.messages[0].content).startswith(OPENING)
    assert shrunk.messages[1:] == asked.messages[1:]


def test_a_large_context_counted_in_pieces_leaves_the_question_and_the_room_alone():
    asked = task(300, prompt="Who opened gate 7, and when?", context=CONTEXT)
    shrunk = shrink(asked, COUNTER)
    by_pieces = shrink(replace(asked, before_tokens=asked.before_tokens + 5_000), COUNTER)

    assert by_pieces == shrunk


def test_the_record_says_what_went_and_how_much():
    shrunk = shrink(task(300, prompt="Who opened gate 7?", context=CONTEXT), COUNTER)
    record = shrunk.record

    assert record.method == "context: extract"
    assert record.before_tokens == COUNTER.count(CONTEXT)
    assert record.after_tokens < 300
    assert record.ratio == pytest.approx(record.after_tokens / record.before_tokens)
    assert record.kept > 0
    assert {each.reason for each in record.dropped} <= {"relevance", "duplicate", "size"}
    assert all(each.start_chars < each.end_chars <= len(CONTEXT) for each in record.dropped)
    assert (record.turns, record.more, record.count_kind) == ([], 0, COUNTER.kind)


def test_a_record_lists_so_much_and_counts_the_rest():
    mixed = "\n\n".join(
        f"Gate {at} opened.\n\nNothing to see on day {at}, nothing at all." for at in range(900)
    )
    record = shrink(task(2500, prompt="Which gate opened?", context=mixed), COUNTER).record

    assert len(record.dropped) == MOST_LISTED
    assert record.more > 0


def test_a_context_inside_a_system_turn_leaves_its_surroundings_as_they_are():
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who opened gate 9?"}]
    asked = task(300, messages=turns, context=CONTEXT)
    shrunk = shrink(asked, COUNTER)

    assert str(shrunk.messages[0].content).startswith(f"Be brief.\n\n{OPENING}")
    assert "Marta in 1909" in str(shrunk.messages[0].content)
    assert size(shrunk) <= 300


def test_turns_are_compressed_where_there_is_no_context_or_it_was_not_enough():
    turns = [
        *({"role": ("user", "assistant")[at % 2], "content": f"Day {at}: {NOISE[:200]}"} for at in range(40)),
        {"role": "user", "content": "Who opened gate 5?"},
    ]  # fmt: skip
    alone = shrink(task(400, messages=turns), COUNTER)
    both = shrink(task(400, messages=turns, context=CONTEXT), COUNTER)

    assert size(alone) <= 400
    assert alone.record.method.startswith("turns: ")
    assert alone.messages[-1].content == "Who opened gate 5?"
    assert size(both) <= 400
    assert both.record.method.startswith("context: extract; turns: ")
    assert "Marta in 1905" in str(both.messages[0].content)
    assert both.record.before_tokens > alone.record.before_tokens
    assert both.record.turns[0].after_tokens <= both.record.turns[0].before_tokens


def test_tools_and_the_answers_shape_are_counted_and_stay():
    tools = [
        {"type": "function", "function": {"name": f"look{at}", "description": "x " * 20}} for at in range(4)
    ]
    bare = task(400, prompt="Who opened gate 7?", context=CONTEXT)
    tooled = task(400, prompt="Who opened gate 7?", context=CONTEXT, tools=tools)
    shrunk = shrink(tooled, COUNTER)

    assert size(shrunk) <= 400
    assert shrunk.record.after_tokens < shrink(bare, COUNTER).record.after_tokens


def test_a_scorer_from_outside_has_its_say():
    class Likes:
        """Likes gate 50."""

        def score_units(self, query: str, units: list[str]) -> list[float]:
            return [1.0 if "Gate 50 of" in unit else 0.0 for unit in units]

    asked = task(300, prompt="Who opened gate 7?", context=CONTEXT)

    assert "Gate 50 of" in str(shrink(asked, COUNTER, Likes()).messages[0].content)  # type: ignore[arg-type]
    assert "Gate 50 of" not in str(shrink(asked, COUNTER).messages[0].content)


def test_what_the_provider_caches_stays_byte_for_byte():
    marked = {
        "role": "user",
        "content": [{"type": "text", "text": NOISE, "cache_control": {"type": "ephemeral"}}],
    }
    turns = [marked, *({"role": "assistant", "content": f"{NOISE[:900]} {at}"} for at in range(9)),
             {"role": "user", "content": "Who?"}]  # fmt: skip
    asked = task(2300, messages=turns)
    shrunk = shrink(asked, COUNTER)

    assert stable_of(asked.messages) == 1
    assert shrunk.messages[0] == asked.messages[0]
    assert len(shrunk.messages) < len(asked.messages)
    assert stable_of([Message(role="user", content="a")]) == 0


def test_task_and_result_travel_and_the_same_task_gives_the_same_bytes():
    asked = task(300, prompt="Who opened gate 7?", context=CONTEXT)
    again = pickle.loads(pickle.dumps(asked))
    first, second = shrink(asked, COUNTER), shrink(again, COUNTER)

    assert again == asked
    assert pickle.loads(pickle.dumps(first)) == second
