"""The window of repeats: its verdicts, its bound, and its table against a plain list."""

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.kafka.rules.window import Ask, Seen, Verdict, Window
from schemas.packed import NO_OFFSET

SPAN_S = 600.0
NEW = Seen(Verdict.NEW)


def ask(offset: int, request: int = 1, body: int = 1, place: int = 0, epoch: int = 1) -> Ask:
    return Ask(place, epoch, request, body, offset)


def test_a_request_is_new_and_its_repeat_in_flight_waits_for_it():
    window = Window(8, SPAN_S)

    assert window.look(ask(5), 0) == NEW
    assert window.look(ask(6), 1) == Seen(Verdict.IN_FLIGHT, 5, NO_OFFSET)


def test_a_repeat_of_an_answered_request_names_the_response():
    window = Window(8, SPAN_S)
    window.look(ask(5), 0)
    window.settle(ask(5), 50, keep=True)

    assert window.look(ask(6), 1) == Seen(Verdict.ANSWERED, 5, 50)


def test_the_same_record_read_again_is_no_repeat():
    window = Window(8, SPAN_S)
    window.look(ask(5), 0)

    assert window.look(ask(5), 1) == NEW
    assert window.look(ask(4), 1) == NEW


def test_the_same_id_with_another_body_is_a_conflict_answered_or_not():
    window = Window(8, SPAN_S)
    window.look(ask(5), 0)

    assert window.look(ask(6, body=2), 1) == Seen(Verdict.CONFLICT, 5, NO_OFFSET)
    window.settle(ask(5), 50, keep=True)
    assert window.look(ask(6, body=2), 1) == Seen(Verdict.CONFLICT, 5, 50)


def test_a_request_that_is_not_remembered_may_be_sent_again():
    window = Window(8, SPAN_S)
    window.look(ask(5), 0)
    window.settle(ask(5), 50, keep=False)

    assert window.look(ask(6, body=2), 1) == NEW
    assert window.look(ask(7, body=2), 2) == Seen(Verdict.IN_FLIGHT, 6, NO_OFFSET)


def test_only_the_record_that_was_entered_can_settle_it():
    window = Window(8, SPAN_S)
    window.look(ask(5), 0)
    for other in (ask(6), ask(5, epoch=2), ask(5, request=9), ask(5, place=1)):
        window.settle(other, 50, keep=True)

    assert window.look(ask(7), 1).verdict is Verdict.IN_FLIGHT


def test_an_entry_holds_for_the_span_and_no_longer():
    window = Window(8, SPAN_S)
    window.look(ask(5), 10)

    assert window.look(ask(6), 10 + SPAN_S).verdict is Verdict.IN_FLIGHT
    assert window.look(ask(6), 11 + SPAN_S) == NEW
    assert window.look(ask(7), 12 + SPAN_S) == Seen(Verdict.IN_FLIGHT, 6, NO_OFFSET)


def test_another_partition_or_an_earlier_ownership_says_nothing():
    window = Window(8, SPAN_S)
    window.look(ask(5), 0)

    assert window.look(ask(6, place=1), 1) == NEW
    assert window.look(ask(6, epoch=2), 1) == NEW


def test_what_the_log_tells_is_learnt_and_the_answer_beats_the_start():
    window = Window(8, SPAN_S)
    window.learn(ask(5), NO_OFFSET, 0)
    window.learn(ask(8), NO_OFFSET, 0)

    assert window.look(ask(9), 1) == Seen(Verdict.IN_FLIGHT, 5, NO_OFFSET)
    window.learn(ask(5), 50, 1)
    window.learn(ask(5), NO_OFFSET, 2)
    assert window.look(ask(9), 2) == Seen(Verdict.ANSWERED, 5, 50)


def test_an_earlier_start_replaces_a_later_one():
    window = Window(8, SPAN_S)
    window.learn(ask(8), NO_OFFSET, 0)
    window.learn(ask(5), NO_OFFSET, 0)

    assert window.look(ask(9), 1) == Seen(Verdict.IN_FLIGHT, 5, NO_OFFSET)


def test_what_was_learnt_in_an_earlier_ownership_is_replaced():
    window = Window(8, SPAN_S)
    window.learn(ask(5), 50, 0)
    window.learn(ask(6, epoch=2), NO_OFFSET, 0)

    assert window.look(ask(9, epoch=2), 1) == Seen(Verdict.IN_FLIGHT, 6, NO_OFFSET)


def test_over_its_bound_the_oldest_goes_and_is_counted():
    window = Window(2, SPAN_S)
    for request in (1, 2, 3):
        window.look(ask(request, request=request), 0)

    assert (len(window), window.overwritten) == (2, 1)
    assert window.look(ask(9, request=2), 1).verdict is Verdict.IN_FLIGHT
    assert window.look(ask(9, request=1), 1) == NEW


def test_an_entry_whose_time_is_over_is_overwritten_without_a_word():
    window = Window(1, SPAN_S)
    window.look(ask(1, request=1), 0)
    window.look(ask(2, request=2), SPAN_S + 1)
    window.settle(ask(2, request=2), 20, keep=False)
    window.look(ask(3, request=3), SPAN_S + 1)

    assert window.overwritten == 0


def test_a_timestamp_before_1970_is_taken_as_0():
    window = Window(1, SPAN_S)

    assert window.look(ask(1), -5) == NEW
    assert window.look(ask(2), 1).verdict is Verdict.IN_FLIGHT


@dataclass
class Entry:
    """A line of the plain list that stands for the ring."""

    key: tuple[int, int]
    epoch: int
    body: int
    offset: int
    response: int
    time_s: int
    dropped: bool = False


class PlainWindow:
    """The same rules over a list: oldest first, no hashing."""

    def __init__(self, entries: int, span_s: float) -> None:
        self.size, self.span_s = entries, span_s
        self.ring: list[Entry] = []
        self.next = self.overwritten = 0

    def find(self, asked: Ask) -> Entry | None:
        return next((e for e in self.ring if e.key == (asked.place, asked.request_hash)), None)

    def put(self, asked: Ask, response: int, now_s: int) -> None:
        fresh = Entry(
            (asked.place, asked.request_hash), asked.epoch, asked.body_hash, asked.offset, response, now_s
        )
        old = self.find(asked)
        if old is not None:
            self.ring[self.ring.index(old)] = fresh
        elif len(self.ring) < self.size:
            self.ring.append(fresh)
        else:
            gone = self.ring[self.next]
            self.overwritten += not gone.dropped and now_s - gone.time_s <= self.span_s
            self.ring[self.next] = fresh
            self.next = (self.next + 1) % self.size

    def look(self, asked: Ask, now_s: int) -> Seen:
        entry = self.find(asked)
        stale = entry is None or entry.dropped or entry.epoch != asked.epoch
        if entry is None or stale or now_s - entry.time_s > self.span_s:
            self.put(asked, NO_OFFSET, now_s)
            return NEW
        if entry.offset >= asked.offset:
            return NEW
        verdict = Verdict.IN_FLIGHT if entry.response == NO_OFFSET else Verdict.ANSWERED
        if entry.body != asked.body_hash:
            verdict = Verdict.CONFLICT
        return Seen(verdict, entry.offset, entry.response)

    def settle(self, asked: Ask, response: int, keep: bool) -> None:
        entry = self.find(asked)
        if entry is None or entry.dropped or (entry.epoch, entry.offset) != (asked.epoch, asked.offset):
            return
        if keep:
            entry.response = response
        else:
            entry.dropped = True

    def learn(self, asked: Ask, response: int, time_s: int) -> None:
        entry = self.find(asked)
        stale = entry is None or entry.dropped or entry.epoch != asked.epoch
        if entry is None or stale or asked.offset < entry.offset or response != NO_OFFSET:
            self.put(asked, response, time_s)


Act = tuple[str, int, int, int, int, int]
HASHES = (0x0A, 0x1A, 0x2A, 0x05, 0x15, 0x25, 0x0B, 0x04, 0x00)
"""Mixed with partition 0 or 1 they meet in a table of 16 slots, in its last, first and second slot."""
ACTS = st.lists(
    st.tuples(
        st.sampled_from(["look", "look", "look", "keep", "drop", "learn", "tell"]),
        st.sampled_from(HASHES),
        st.integers(1, 2),  # body
        st.integers(0, 5),  # offset, for all but a look
        st.sampled_from([0, 0, 0, 1]),  # ownership begins anew
        st.sampled_from([0, 1, 1, 7, 20]),  # seconds passed
    ),
    max_size=40,
)


@settings(max_examples=600, deadline=None)
@given(entries=st.integers(1, 7), acts=ACTS, place=st.sampled_from([0, 1]))
def test_the_table_agrees_with_a_plain_list(entries: int, acts: list[Act], place: int):
    window, plain = Window(entries, 20), PlainWindow(entries, 20)
    now_s, epoch, offsets = 0, 1, 0
    asked: list[Ask] = []
    for act, request, body, which, anew, passed_s in acts:
        now_s += passed_s
        epoch += anew
        offsets += 1
        if act == "look":
            one = Ask(place, epoch, request, body, offsets)
            asked.append(one)
            assert window.look(one, now_s) == plain.look(one, now_s)
        elif act in ("learn", "tell"):
            one = Ask(place, epoch, request, body, max(0, offsets - which))
            response = NO_OFFSET if act == "learn" else offsets
            window.learn(one, response, now_s)
            plain.learn(one, response, now_s)
        elif asked:
            one = asked[-1 - which % len(asked)]
            window.settle(one, offsets, act == "keep")
            plain.settle(one, offsets, act == "keep")
        assert (len(window), window.overwritten) == (len(plain.ring), plain.overwritten)
    offsets += 1
    for request in HASHES:
        one = Ask(place, epoch, request, 1, offsets)
        assert window.look(one, now_s) == plain.look(one, now_s)
