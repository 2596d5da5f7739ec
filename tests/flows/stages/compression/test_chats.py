"""Chats: what stays, what goes, and that calls keep their results."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.stages.compression import ChatPolicy, CompressedChat, compress_messages, question_of
from flows.stages.compression.assembly import GAP
from flows.stages.compression.turns import SHORT_PARAGRAPH_CHARS, groups_of, text_of, tokens_of
from schemas.requests import Message
from tests.flows.stages.compression.making import WordCounter, sentences

COUNTER = WordCounter()


def say(role: str, content: str | None, **fields: object) -> Message:
    return Message.model_validate({"role": role, "content": content, **fields})


def call(*ids: str) -> Message:
    """An assistant's message that calls a tool once for each id."""
    calls = [
        {"id": each, "type": "function", "function": {"name": "look", "arguments": "{}"}} for each in ids
    ]
    return say("assistant", None, tool_calls=calls)


def result(call_id: str, content: str) -> Message:
    return say("tool", content, tool_call_id=call_id)


def total(messages: tuple[Message, ...] | list[Message]) -> int:
    return sum(tokens_of(messages, COUNTER))


def small_talk(turns: int, first: int = 0) -> list[Message]:
    """Turns that say different things about nothing."""
    chat: list[Message] = []
    for at in range(first, first + turns):
        chat.append(say("user", f"What do you think of the weather on day {at}? It looked grey to me."))
        chat.append(say("assistant", f"Day {at} was mild, with some wind from the hills and little rain."))
    return chat


CHAT = [
    say("system", "You help the keeper of a dam."),
    *small_talk(6),
    say("user", "The code of the north gate is 7731, remember it."),
    say("assistant", "Noted, as you wish."),
    *small_talk(6, first=6),
    say("user", "Which code opens the north gate?"),
]


def test_the_relevant_turn_stays_with_its_neighbour_and_so_do_system_and_last_turns():
    shrunk = compress_messages(CHAT, question_of(CHAT), 150, COUNTER, ChatPolicy(last=2))

    texts = [text_of(message).removeprefix(f"{GAP}\n\n") for message in shrunk.messages]
    assert shrunk.fits
    assert shrunk.method == "extract"
    assert texts[0] == text_of(CHAT[0])
    assert text_of(CHAT[13]) in texts
    assert text_of(CHAT[14]) in texts
    assert texts[-2:] == [text_of(each) for each in CHAT[-2:]]
    assert shrunk.after_tokens == total(shrunk.messages) <= 150
    assert shrunk.before_tokens == total(CHAT)
    assert {each.reason for each in shrunk.changed} == {"relevance"}


def test_a_gap_is_marked_on_the_message_after_it():
    shrunk = compress_messages(CHAT, question_of(CHAT), 150, COUNTER, ChatPolicy(last=2))

    kept = [CHAT.index(say(m.role, text_of(m).removeprefix(f"{GAP}\n\n"))) for m in shrunk.messages]
    gaps = [at for at, place in enumerate(kept) if at and place != kept[at - 1] + 1]
    assert gaps
    assert [at for at, m in enumerate(shrunk.messages) if text_of(m).startswith(GAP)] == gaps


def test_a_chat_that_fits_is_not_touched():
    shrunk = compress_messages(CHAT, "gate", 10_000, COUNTER)

    assert shrunk == CompressedChat(tuple(CHAT), total(CHAT), total(CHAT), True, "whole", ())


def test_the_stable_prefix_and_pinned_messages_stay_byte_for_byte():
    chat = list(CHAT)
    chat[8] = say("user", "Pinned: the lake freezes in January.", pinned=True)

    shrunk = compress_messages(chat, question_of(chat), 190, COUNTER, ChatPolicy(stable=5, last=1))

    assert shrunk.fits
    assert list(shrunk.messages[:5]) == chat[:5]
    assert chat[8] in shrunk.messages


def test_copies_go_first_and_are_enough_where_they_make_it_fit():
    paste = "The manual says that the north gate closes when the water is above the third mark. " * 3
    chat = [*small_talk(1), say("user", paste), *small_talk(2, 1), say("user", paste), *small_talk(1, 3)]

    shrunk = compress_messages(chat, "gate", total(chat) - 20, COUNTER, ChatPolicy(last=2))

    assert shrunk.method == "duplicates"
    assert [(each.place, each.after_tokens, each.reason) for each in shrunk.changed] == [(7, 0, "duplicate")]


def test_a_copy_among_the_last_messages_stays_and_the_earlier_one_goes():
    paste = "The manual says that the north gate closes when the water is above the third mark. " * 3
    chat = [*small_talk(1), say("user", paste), *small_talk(2, 1), say("user", paste)]

    shrunk = compress_messages(chat, "gate", total(chat) - 20, COUNTER, ChatPolicy(last=1))

    assert [each.place for each in shrunk.changed] == [2]


def tools_chat() -> list[Message]:
    chat = [say("system", "You look things up."), say("user", "Find out about the gates.")]
    for at in range(5):
        chat += [call(f"c{at}", f"d{at}")]
        chat += [result(f"c{at}", f"Gate {at} is {at * 11} metres wide, painted in {at + 1900}. " * 4)]
        chat += [result(f"d{at}", f"Lake {at} holds {at * 13} tons of water at mark {at + 500}. " * 4)]
        chat += [say("assistant", f"Looked at gate and lake {at}.")]
    return [*chat, say("user", "How wide is gate 3?")]


def test_stale_results_lose_their_text_oldest_first_and_keep_their_calls():
    chat = tools_chat()

    shrunk = compress_messages(chat, question_of(chat), total(chat) - 100, COUNTER)

    assert shrunk.method == "stale results"
    assert len(shrunk.messages) == len(chat)
    assert [each.place for each in shrunk.changed] == [3, 4, 7]
    assert {text_of(shrunk.messages[each.place]) for each in shrunk.changed} == {GAP}


def test_fresh_results_are_no_stale_ones():
    chat = tools_chat()
    stale = [3, 4, 7, 8, 11, 12]
    emptied = [say("tool", GAP) if at in stale else message for at, message in enumerate(chat)]

    enough = compress_messages(chat, question_of(chat), total(emptied), COUNTER)
    too_little = compress_messages(chat, question_of(chat), total(emptied) - 1, COUNTER)

    assert enough.method == "stale results"
    assert [each.place for each in enough.changed] == stale
    assert too_little.method == "stale results+extract"


def test_repeated_results_are_emptied_not_dropped():
    chat = tools_chat()
    chat[8] = result("d1", text_of(chat[4]))

    shrunk = compress_messages(chat, question_of(chat), total(chat) - 10, COUNTER)

    assert shrunk.method == "duplicates"
    assert [(each.place, each.reason) for each in shrunk.changed] == [(8, "duplicate")]
    assert text_of(shrunk.messages[8]) == GAP


def unpaired(messages: tuple[Message, ...] | list[Message]) -> set[str]:
    """Calls without a result, and results without a call."""
    calls = {str(each["id"]) for message in messages for each in message.tool_calls or ()}
    results = {message.tool_call_id or "" for message in messages if message.role == "tool"}
    return calls ^ results


@pytest.mark.parametrize("budget_tokens", [60, 120, 200, 300, 500])
def test_calls_and_results_stay_or_go_together(budget_tokens: int):
    chat = tools_chat()

    shrunk = compress_messages(chat, question_of(chat), budget_tokens, COUNTER, ChatPolicy(last=1))

    assert unpaired(shrunk.messages) == set()
    assert shrunk.fits


def test_a_planted_orphan_is_seen():
    chat = tools_chat()

    assert unpaired(chat) == set()
    assert unpaired([*chat[:3], *chat[4:]]) == {"c0"}
    assert unpaired([*chat[:2], *chat[3:]]) == {"c0", "d0"}


def test_a_result_belongs_to_the_latest_call_of_its_id():
    chat = [call("a"), result("a", "one"), call("a"), result("a", "two"), result("z", "of nobody")]

    assert [(group.members, group.results) for group in groups_of(chat)] == [
        ([0, 1], [1]),
        ([2, 3], [3]),
        ([4], []),
    ]


def test_a_long_message_is_shrunk_inside_before_turns_are_dropped():
    pages = " ".join(f"Page {at} of the manual tells of pump {at} and its valve." for at in range(200))
    chat = [say("user", pages), say("assistant", "Read it."), say("user", "What does page 77 tell of?")]

    shrunk = compress_messages(chat, question_of(chat), 700, COUNTER, ChatPolicy(last=1))

    assert shrunk.fits
    assert "Page 77 of the manual" in text_of(shrunk.messages[0])
    assert GAP in text_of(shrunk.messages[0])
    assert shrunk.changed[0].after_tokens < shrunk.changed[0].before_tokens


def test_a_last_message_that_alone_is_too_long_is_shrunk_around_its_question():
    pages = " ".join(f"Page {at} of the manual tells of pump {at} and its valve." for at in range(300))
    chat = [say("system", "Be brief."), say("user", f"{pages}\n\nWhat does page 77 tell of?")]

    shrunk = compress_messages(chat, question_of(chat), 400, COUNTER)

    assert shrunk.fits
    assert shrunk.method == "last"
    assert shrunk.messages[0] == chat[0]
    assert text_of(shrunk.messages[1]).endswith("What does page 77 tell of?")
    assert "Page 77 of the manual" in text_of(shrunk.messages[1])


def test_what_must_stay_and_is_too_large_is_said_not_to_fit():
    chat = [say("system", "Rule after rule. " * 100), say("user", "Go on.")]

    shrunk = compress_messages(chat, "Go on.", 50, COUNTER)

    assert not shrunk.fits
    assert shrunk.messages == tuple(chat)


def test_parts_that_are_not_text_are_counted_and_kept():
    picture = {"type": "image_url", "image_url": {"url": "data:,x"}}
    chat = [say("user", "x"), Message(role="user", content=[{"type": "text", "text": "See."}, picture])]

    counted = tokens_of(chat, COUNTER)
    shrunk = compress_messages(chat, "x", 10, COUNTER, ChatPolicy(last=1))

    assert counted[1] > 700
    assert shrunk.messages == (chat[1],)
    assert not shrunk.fits


def test_a_providers_own_content_goes_when_its_message_is_shrunk_and_carries_no_mark():
    pages = " ".join(f"Page {at} tells of pump {at}." for at in range(300))
    own = {"blocks": ["as it was"]}
    chat = [
        *small_talk(3),
        say("assistant", "Short.", provider_content=own),
        say("assistant", pages, provider_content=own),
        say("user", "What of page 7?"),
    ]

    shrunk = compress_messages(chat, question_of(chat), 500, COUNTER, ChatPolicy(last=3))

    assert [m.provider_content for m in shrunk.messages if m.role == "assistant"][-2:] == [own, None]
    assert shrunk.messages[-3] == chat[-3]


def test_the_question_is_the_last_message_of_the_user_and_of_a_long_one_its_short_ends():
    document = "word " * 2_000

    assert question_of(CHAT) == "Which code opens the north gate?"
    assert question_of([say("assistant", "Hm.")]) == ""
    assert question_of([say("user", f"Sum up:\n\n{document}\n\nIn a line.")]) == "Sum up:\nIn a line."
    assert question_of([say("user", f"{document}\n\nSum it up.")]) == "Sum it up."
    assert len(question_of([say("user", document)])) <= SHORT_PARAGRAPH_CHARS


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["user", "assistant", "call"]), sentences()), min_size=1, max_size=20),
    st.integers(20, 300),
    st.integers(0, 3),
)
def test_any_chat_keeps_order_pairs_and_budget(turns: list[tuple[str, str]], budget_tokens: int, stable: int):
    chat: list[Message] = []
    for at, (role, text) in enumerate(turns):
        chat += [call(f"c{at}"), result(f"c{at}", text)] if role == "call" else [say(role, text)]

    shrunk = compress_messages(
        chat, "Who built the dam in Peru?", budget_tokens, COUNTER, ChatPolicy(stable, 1)
    )

    kept = [text_of(each).removeprefix(f"{GAP}\n\n") for each in shrunk.messages]
    source = iter([*(text_of(each) for each in chat)])
    assert unpaired(shrunk.messages) == set()
    assert shrunk.fits == (total(shrunk.messages) <= budget_tokens)
    assert shrunk.after_tokens == total(shrunk.messages)
    assert list(shrunk.messages[:stable]) == chat[:stable]
    assert all(text in source for text in kept if GAP not in text)
