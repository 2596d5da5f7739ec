"""What is held of a stream: bounded, and nothing is taken twice or missed, however slow its reader."""

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.gateway.exchange.rules import window
from connectors.gateway.exchange.rules.window import MAX_BYTES, MAX_RECORDS, Raw, Window


def raw(offset: int, size: int = 10) -> Raw:
    return Raw(offset, False, b"x" * size)


def test_a_live_reader_takes_what_is_pushed_in_order():
    held = Window(5, 5)
    for offset in (5, 8, 9):
        held.push(raw(offset))

    assert [held.take(), held.take(), held.take(), held.take()] == [raw(5), raw(8), raw(9), None]
    assert (held.next, held.held_bytes) == (10, 0)


def test_too_many_records_are_dropped_and_the_reader_lags():
    held = Window(0, 0)
    for offset in range(MAX_RECORDS + 5):
        held.push(raw(offset))

    assert (len(held.held), held.held_bytes, held.live, held.overflows) == (0, 0, False, 1)
    assert (held.take(), held.next) == (None, 0)


def test_too_many_bytes_are_dropped_but_a_single_large_record_passes():
    large, small = Window(0, 0), Window(0, 0)
    large.push(raw(0, MAX_BYTES + 1))
    small.push(raw(0, MAX_BYTES))
    small.push(raw(1, 1))

    assert (large.live, small.live) == (True, False)


def test_a_reader_behind_takes_nothing_held_before_it_has_come_there():
    held = Window(0, None)
    held.push(raw(3))
    held.rearm(10)
    held.rearm(12)
    held.push(raw(11))

    assert (held.take(), held.live) == (None, False)
    held.caught(10)
    assert (held.take(), held.live) == (raw(11), True)


def test_what_was_read_from_the_log_is_not_taken_again():
    held = Window(0, None)
    held.rearm(2)
    for offset in (2, 3, 4):
        held.push(raw(offset))

    held.caught(4)
    held.push(raw(3))
    held.caught(1)

    assert (held.take(), held.take(), held.held_bytes) == (raw(4), None, 0)


class World:
    """A partition with one stream's records among foreign ones, the shared consumer, and a reader."""

    def __init__(self) -> None:
        self.log: list[Raw | None] = []
        self.position = 0
        self.window = Window(0, 0)
        self.taken: list[int] = []

    def write(self, ours: bool) -> None:
        self.log.append(raw(len(self.log)) if ours else None)

    def poll(self) -> None:
        """The shared consumer reads on."""
        while self.position < len(self.log):
            found = self.log[self.position]
            self.position += 1
            if found is not None:
                self.window.push(found)

    def read(self, most: int) -> None:
        """The reader takes some, from the log where it must; as `Stream` does."""
        if not self.window.live:
            self.window.rearm(self.position)
            start = self.window.next
            found = [each for each in self.log[start:] if each is not None][:most]
            full = len(found) == most
            self.taken += [each.offset for each in found]
            self.window.caught(found[-1].offset + 1 if full and found else len(self.log))
        for _ in range(most):
            if (one := self.window.take()) is not None:
                self.taken.append(one.offset)


STEPS = st.lists(st.sampled_from(["ours", "foreign", "poll", "read", "read all"]), max_size=120)


def play(steps: list[str]) -> World:
    world = World()
    for step in [*steps, "poll", "read all", "poll", "read all"]:
        if step in ("ours", "foreign"):
            world.write(step == "ours")
        elif step == "poll":
            world.poll()
        else:
            world.read(2 if step == "read" else 1000)
        assert len(world.window.held) <= window.MAX_RECORDS
    return world


def expected(world: World) -> list[int]:
    return [each.offset for each in world.log if each is not None]


@settings(max_examples=100)
@given(STEPS)
def test_every_record_is_taken_once_however_slow_the_reader(steps: list[str]):
    bound, window.MAX_RECORDS = window.MAX_RECORDS, 3
    try:
        world = play(steps)
    finally:
        window.MAX_RECORDS = bound

    assert world.taken == expected(world)


def test_a_planted_bug_that_holds_while_lagging_is_seen():
    class Bug(Window):
        def drop(self) -> None:
            self.held.clear()
            self.held_bytes = 0

    world = World()
    world.window = Bug(0, 0)
    for _ in range(MAX_RECORDS + 2):
        world.write(True)
    world.poll()
    world.read(1000)

    assert world.taken != expected(world)
