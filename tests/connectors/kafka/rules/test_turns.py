"""Turns: one of a conversation at a time, in order, and bounded in bytes."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.kafka.rules.turns import Turns


def test_the_first_turn_goes_on_and_the_next_waits_until_it_has_settled():
    turns: Turns[str] = Turns(100, 1000)

    assert turns.enter("c", 1, 10, "one")
    assert not turns.enter("c", 2, 10, "two")
    assert not turns.enter("c", 3, 10, "three")
    assert len(turns) == 2
    assert turns.leave("c", 1) == "two"
    assert turns.leave("c", 2) == "three"
    assert turns.leave("c", 3) is None
    assert turns.enter("c", 4, 10, "four")


def test_the_active_turn_may_enter_again():
    turns: Turns[str] = Turns(100, 1000)
    turns.enter("c", 1, 10, "one")
    turns.enter("c", 2, 10, "two")
    turns.leave("c", 1)

    assert turns.enter("c", 2, 10, "two")
    assert turns.held_bytes == 0


def test_only_the_active_turn_can_leave():
    turns: Turns[str] = Turns(100, 1000)
    turns.enter("c", 1, 10, "one")
    turns.enter("c", 2, 10, "two")

    assert turns.leave("c", 2) is None
    assert turns.leave("d", 1) is None
    assert len(turns) == 1


def test_conversations_do_not_wait_for_each_other():
    turns: Turns[str] = Turns(100, 1000)

    assert turns.enter("c", 1, 10, "one")
    assert turns.enter("d", 2, 10, "two")


def test_what_waits_for_an_earlier_request_is_released_all_at_once_in_order():
    turns: Turns[str] = Turns(100, 1000)
    for offset in (4, 5, 6):
        turns.wait("r", offset, 10, str(offset))

    assert len(turns) == 3
    assert turns.release("other") == []
    assert turns.release("r") == ["4", "5", "6"]
    assert turns.held_bytes == 0
    assert turns.release("r") == []


@pytest.mark.parametrize(("size_bytes", "full"), [(100, False), (101, True)])
def test_a_conversation_over_its_bound_fills_the_partition_until_it_is_not(size_bytes: int, full: bool):
    turns: Turns[str] = Turns(queue_bytes=100, total_bytes=1000)
    turns.enter("c", 1, 1, "one")
    turns.enter("c", 2, size_bytes, "two")

    assert turns.full == full
    turns.leave("c", 1)
    assert not turns.full


@pytest.mark.parametrize(("size_bytes", "full"), [(50, False), (51, True)])
def test_many_conversations_together_fill_the_partition(size_bytes: int, full: bool):
    turns: Turns[str] = Turns(queue_bytes=100, total_bytes=100)
    for key in ("c", "d"):
        turns.enter(key, 1, 1, "one")
        turns.enter(key, 2, size_bytes if key == "d" else 50, "two")

    assert turns.full == full


Act = tuple[str, str, int]
ACTS = st.lists(
    st.tuples(
        st.sampled_from(["enter", "leave", "wait", "release"]), st.sampled_from("cde"), st.integers(0, 9)
    ),
    max_size=40,
)


@given(acts=ACTS, queue_bytes=st.integers(0, 12), total_bytes=st.integers(0, 25))
def test_turns_agree_with_a_queue_for_each_conversation(acts: list[Act], queue_bytes: int, total_bytes: int):
    turns: Turns[int] = Turns(queue_bytes, total_bytes)
    active: dict[str, int | None] = {}
    waiting: dict[str, deque[tuple[int, int]]] = {key: deque() for key in ("c", "d", "e", "rc", "rd", "re")}
    for offset, (act, key, size_bytes) in enumerate(acts):
        if act == "enter":
            goes = key not in active
            assert turns.enter(key, offset, size_bytes, offset) == goes
            if goes:
                active[key] = offset
            else:
                waiting[key].append((offset, size_bytes))
        elif act == "wait":
            turns.wait(f"r{key}", offset, size_bytes, offset)
            waiting[f"r{key}"].append((offset, size_bytes))
        elif act == "release":
            assert turns.release(f"r{key}") == [each for each, _ in waiting[f"r{key}"]]
            waiting[f"r{key}"].clear()
        elif key in active:
            following = waiting[key].popleft()[0] if waiting[key] else None
            assert turns.leave(key, active[key] or 0) == following
            if following is None:
                del active[key]
            else:
                active[key] = following
        held = {name: sum(size for _, size in queue) for name, queue in waiting.items()}
        assert turns.held_bytes == sum(held.values())
        assert len(turns) == sum(map(len, waiting.values()))
        over = any(size > queue_bytes for size in held.values())
        assert turns.full == (over or sum(held.values()) > total_bytes)
