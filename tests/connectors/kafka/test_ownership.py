"""Ownership: who may go on, what waits, what settles, and what is another worker's."""

import threading
from types import SimpleNamespace

from connectors.kafka.partitions import Partition, State
from connectors.kafka.rules.marks import Mark, Note
from connectors.kafka.rules.poison import Poison
from schemas.arrivals import Arrival, Closing, Identity
from schemas.cluster import Delivery
from schemas.packed import NO_OFFSET
from schemas.records import Record
from tests.connectors.kafka.owning import START, live, owned, record, who

GO = (Arrival.GO, NO_OFFSET)
HELD = (Arrival.HELD, NO_OFFSET)


def offsets(records: list[Record]) -> list[int]:
    return [each.offset for each in records]


def read(partition: Partition, *at: int) -> list[Record]:
    return [record(partition, offset) for offset in at]


def close(ownership: object, one: Record, identity: Identity | None, response: int = NO_OFFSET) -> Closing:
    return Closing(one, identity, response, response != NO_OFFSET)


def test_as_many_records_are_released_as_there_are_credits():
    ownership = owned(Delivery(credits=2, window_entries=4))
    partition = live(ownership)
    ownership.put(partition, read(partition, 10, 11, 12), 12)

    taken = ownership.take(9)
    assert offsets(taken) == [10, 11]
    assert (ownership.under_way, partition.under_way, partition.buffered) == (2, 2, 1)
    assert ownership.take(9) == []
    ownership.close([close(ownership, taken[0], None)])
    assert offsets(ownership.take(9)) == [12]
    assert ownership.buffered_bytes == 0


def test_no_more_are_released_than_asked_for():
    ownership = owned()
    partition = live(ownership)
    ownership.put(partition, read(partition, 10, 11, 12), 12)

    assert offsets(ownership.take(2)) == [10, 11]
    assert offsets(ownership.take(2)) == [12]


def test_nothing_is_released_out_of_lease():
    allowed = False
    ownership = owned(allowed=lambda: allowed)
    partition = live(ownership)
    ownership.put(partition, read(partition, 10), 10)

    assert ownership.take(9) == []
    allowed = True
    assert offsets(ownership.take(9)) == [10]


def test_what_was_answered_before_is_left_out_and_counted():
    ownership = owned()
    partition = live(ownership, answered={11})
    ownership.put(partition, read(partition, 10, 11, 12), 12)

    assert offsets(ownership.take(9)) == [10, 12]
    assert ownership.counters["skipped"] == 1


def test_a_partition_that_was_revoked_during_its_scan_is_not_revived():
    ownership = owned()
    partition = ownership.adopt(0, 3, START, Poison.takeover(START))
    ownership.drain(partition)

    assert not ownership.revive(partition, set(), {}, 0, Note(0, 0))


def test_a_scan_says_where_the_crash_count_begins():
    ownership = owned()
    partition = live(ownership, mark=Mark(10, Note(0, 0)), answered={10, 11})

    assert (partition.poison.crashes, partition.poison.start) == (1, 12)


def test_a_draining_partition_releases_nothing_more_and_keeps_its_watermark():
    ownership = owned()
    partition = live(ownership)
    ownership.put(partition, read(partition, 10, 11), 11)
    first = ownership.take(1)
    ownership.drain(partition)
    ownership.put(partition, read(partition, 12), 12)

    assert ownership.leaving
    assert ownership.take(9) == []
    ownership.close([close(ownership, first[0], None)])
    assert partition.marks.watermark()[0] == 11


def test_a_partition_given_up_is_nobodys_here():
    ownership = owned()
    partition = live(ownership)
    ownership.put(partition, read(partition, 10, 11), 11)
    taken = ownership.take(1)

    assert ownership.give_up(partition) == 1
    assert ownership.give_up(partition) == 1
    ownership.drain(partition)
    assert partition.state is State.GONE
    assert not ownership.owns(taken[0])
    assert ownership.arrive(taken[0], who()) == (Arrival.GONE, NO_OFFSET)
    ownership.close([close(ownership, taken[0], None)])
    ownership.durable(taken[0], response=99)
    assert (ownership.under_way, ownership.counters["abandoned"]) == (0, 1)
    assert ownership.take(9) == []
    assert partition.marks.ends == START.note


def test_records_of_an_earlier_ownership_are_not_ours():
    ownership = owned()
    old = live(ownership)
    late = record(old, 10)
    ownership.give_up(old)
    new = live(ownership)

    assert not ownership.owns(late)
    assert ownership.owns(record(new, 10))
    ownership.give_up(old)
    assert ownership.partitions[0, 3] is new


def test_acknowledgements_move_the_ends_of_their_partition():
    ownership = owned()
    partition = live(ownership)
    ownership.durable(record(partition, 10), response=50, usage=60)

    assert partition.marks.ends == Note(51, 61)


def test_a_cancelled_request_is_told_at_the_door():
    ownership = owned()
    partition = live(ownership)
    ownership.cancels.add("t", "r", 900_000)

    assert ownership.arrive(record(partition, 10), who("r")) == (Arrival.CANCELLED, NO_OFFSET)
    assert ownership.arrive(record(partition, 11), who("s")) == GO


class Door:
    """A partition with records under way."""

    def __init__(self, *at: int) -> None:
        self.ownership = owned()
        self.partition = live(self.ownership)
        self.ownership.put(self.partition, read(self.partition, *at), max(at))
        self.records = {each.offset: each for each in self.ownership.take(99)}

    def arrive(self, offset: int, identity: Identity) -> tuple[Arrival, int]:
        return self.ownership.arrive(self.records[offset], identity)

    def close(self, offset: int, identity: Identity, response: int = NO_OFFSET) -> list[int]:
        """Settle a request; the offsets that are released then."""
        self.ownership.close([close(self.ownership, self.records[offset], identity, response)])
        return offsets(self.ownership.take(99))


def test_turns_of_a_conversation_pass_one_at_a_time_and_give_their_credit_back():
    door = Door(10, 11, 12)
    turn = who(context=7)

    assert [door.arrive(offset, turn) for offset in (10, 11, 12)] == [GO, HELD, HELD]
    assert (door.ownership.under_way, door.ownership.inside) == (1, 1)
    assert door.close(10, turn) == [11]
    assert door.arrive(11, turn) == GO
    assert door.close(11, turn) == [12]
    assert door.arrive(12, turn) == GO
    assert door.close(12, turn) == []
    assert door.ownership.under_way == 0


def test_a_repeat_in_flight_waits_and_learns_of_the_answer():
    door = Door(10, 11, 12)
    one = who("r", 5)

    assert [door.arrive(offset, one) for offset in (10, 11, 12)] == [GO, HELD, HELD]
    assert door.close(10, one, response=50) == [11, 12]
    assert door.arrive(11, one) == (Arrival.REPEAT, 50)
    assert door.arrive(12, who("r", 5, body_hash=2)) == (Arrival.CONFLICT, 50)


def test_a_repeat_of_a_request_that_is_not_remembered_is_a_new_request():
    door = Door(10, 11)
    one = who("r", 5)
    door.arrive(10, one)
    door.arrive(11, one)

    assert door.close(10, one) == [11]
    assert door.arrive(11, one) == GO


def test_turns_that_wait_in_a_draining_partition_are_left_to_the_next_owner():
    door = Door(10, 11)
    turn = who(context=7)
    door.arrive(10, turn)
    door.arrive(11, turn)
    door.ownership.drain(door.partition)

    assert door.close(10, turn) == []
    assert door.ownership.under_way == 0
    assert door.partition.marks.watermark()[0] == 11


def test_while_it_is_quiet_only_the_suspect_passes_the_steps():
    ownership = owned()
    partition = live(ownership)
    ownership.put(partition, read(partition, 10, 11), 11)
    ownership.quiet = True
    assert ownership.take(9) == []
    ownership.put_alone(partition, record(partition, 12))
    assert ownership.suspected

    taken = ownership.take(9)
    assert offsets(taken) == [12]
    assert (ownership.inside, ownership.suspected) == (1, False)
    ownership.passed(taken[0])
    assert ownership.inside == 0
    ownership.quiet = False
    assert offsets(ownership.take(9)) == [10, 11]


def test_a_suspect_that_was_answered_before_is_not_fed():
    ownership = owned()
    partition = live(ownership, answered={10})
    ownership.put_alone(partition, record(partition, 10))

    assert not ownership.suspected


def test_sealing_waits_for_those_who_are_handing_over():
    ownership = owned()
    partition = live(ownership)
    one = record(partition, 10)
    entered, leave = threading.Event(), threading.Event()

    def write() -> None:
        with ownership.writing():
            assert ownership.owns(one)
            entered.set()
            leave.wait(5)

    writer = threading.Thread(target=write)
    sealer = threading.Thread(target=ownership.seal, args=([partition],))
    writer.start()
    entered.wait(5)
    assert ownership.handing_over
    sealer.start()
    sealer.join(0.05)
    assert sealer.is_alive()
    leave.set()
    sealer.join(5)
    writer.join(5)

    assert not ownership.owns(one)
    assert not ownership.handing_over


def test_a_partition_makes_its_records_with_what_recovery_knows():
    partition = live(owned(), mark=Mark(10, Note(0, 0), 2, 13, 12), attempts={11: 3})

    def made(offset: int, *headers: tuple[str, bytes]) -> Record:
        read = SimpleNamespace(offset=offset, timestamp=5, key=b"k", value=b"v", headers=headers)
        return partition.record(read)

    assert (made(11).attempts, made(11).attempts) == (3, 0)
    assert [made(offset).crash_loop for offset in (11, 12)] == [False, True]
    moved = made(13, ("attempts", b"4"))
    assert (moved.attempts, moved.unknown_outcome, moved.epoch) == (4, False, partition.epoch)
    assert [made(14, ("attempts", value)).attempts for value in (b"x", b"99999", b"")] == [0, 0, 0]
    assert partition.place == 3


def test_a_request_that_owes_its_turn_is_read_again_and_holds_back_the_next():
    ownership = owned()
    partition = ownership.adopt(0, 3, START, Poison.takeover(START))
    partition.owed = {10: 66, 12: 67}
    assert ownership.revive(partition, {10, 11, 12}, {}, 13, START.note)
    ownership.put(partition, read(partition, 10, 11, 12, 13), 13)
    first, second, third = ownership.take(9)
    assert offsets([first, second, third]) == [10, 12, 13]
    assert partition.marks.watermark() == (10, START.note)

    assert ownership.arrive(first, who(context=7)) == (Arrival.OWED, 66)
    assert ownership.arrive(second, who(context=7)) == (Arrival.HELD, 67)
    assert ownership.arrive(third, who(context=7)) == HELD
    assert ownership.answered_before(first)
    ownership.close([close(ownership, first, who(context=7), 66)])
    assert not ownership.answered_before(first)
    assert offsets(ownership.take(9)) == [12]
    assert ownership.arrive(second, who(context=7)) == (Arrival.OWED, 67)
    ownership.close([close(ownership, second, who(context=7), 67)])
    assert offsets(ownership.take(9)) == [13]
    assert ownership.arrive(third, who(context=7)) == GO


def test_a_request_that_owes_its_turn_is_neither_a_repeat_nor_cancelled():
    ownership = owned()
    partition = ownership.adopt(0, 3, START, Poison.takeover(START))
    partition.owed = {10: 66}
    assert ownership.revive(partition, {10}, {}, 11, START.note)
    ownership.cancels.add("t", "r", 10**12)
    ownership.put(partition, read(partition, 10), 10)
    (again,) = ownership.take(9)

    assert ownership.arrive(again, who("r", 5, context=7)) == (Arrival.OWED, 66)
