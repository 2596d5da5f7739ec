"""The stories of two workers: partitions that move, and a worker that sleeps through losing them."""

from signal import SIGCONT, SIGSTOP
from uuid import UUID

from connectors.kafka.offsets import group_state
from connectors.kafka.reading import partition_of
from tests.breaks import counts
from tests.breaks.counts import Counts
from tests.breaks.stage import Ask, Stage, signal_to

MOVED_S = 2.5
"""In this time a partition that may move has moved."""


def join(stage: Stage) -> Counts:
    """A second worker joins while calls are in flight that end before the drain bound.

    called_again    calls beyond the first of each request
    false_crashes   partitions that the new owner took for those of a crashed worker
    """
    slow = _one_each(stage, "slow", "hold=1")
    stage.start("one")
    stage.send(*slow)
    stage.expect("both slow calls", lambda: all(stage.called(ask.name) for ask in slow))
    stage.start("two")
    stage.expect("two members", lambda: len(group_state(stage.cluster).members) == 2)
    stage.pause(MOVED_S)
    stage.provider.release(*(ask.name for ask in slow))
    stage.expect("a partition with the second worker", lambda: "took over" in stage.log("two"))
    after = _one_each(stage, "after")
    stage.send(*after)
    stage.finish(Ask("last"), *(ask.name for ask in [*slow, *after]))
    return counts.common(stage.facts()) | {
        "called_again": counts.called_again(stage, *(ask.name for ask in [*slow, *after])),
        "false_crashes": stage.log("two").count("taken over after a crash"),
    }


def bound(stage: Stage) -> Counts:
    """A second worker joins, and the calls outlast the drain bound: the late answer is the old owner's."""
    slow = _one_each(stage, "slow", "hold=1")
    stage.start("one", WEIR_DRAIN_MS="500")
    stage.send(*slow)
    stage.expect("both slow calls", lambda: all(stage.called(ask.name) for ask in slow))
    stage.start("two", WEIR_DRAIN_MS="500")
    stage.expect("a slow answer by the new owner", lambda: any(stage.answered(ask.name) for ask in slow))
    stage.pause(0.5)
    stage.provider.release(*(ask.name for ask in slow))
    stage.pause(1.0)
    stage.finish(Ask("last"), *(ask.name for ask in slow))
    return counts.common(stage.facts())


def zombie(stage: Stage) -> Counts:
    """One of two workers sleeps beyond its session; its answer comes meanwhile, the other does its work.

    staying  workers that were thrown out of the group and did not exit
    """
    sleeper = stage.start("one", WEIR_CREDITS="1", WEIR_HEARTBEAT_MS="600")
    stage.start("two")
    stage.expect("a partition each", lambda: _took(stage, "one") and _took(stage, "two"))
    slow = _one_each(stage, "slow", "hold=1", turns=True)  # turns settle at once, so the next is fed at once
    queued = [Ask(f"queued-{n}-{ask.partition}", partition=ask.partition) for ask in slow for n in range(3)]
    stage.send(*slow, *queued)
    stage.expect("both slow calls", lambda: all(stage.called(ask.name) for ask in slow))
    stage.pause(0.5)
    names = [ask.name for ask in [*slow, *queued]]
    signal_to(sleeper, SIGSTOP)
    try:
        stage.expect("the work of the sleeper done by the other", lambda: _done_but_one(stage, names))
        stage.provider.release(*(ask.name for ask in slow))
        stage.expect("all answers", lambda: stage.answered(*names))
    finally:
        signal_to(sleeper, SIGCONT)
    stage.until(lambda: bool(sleeper.exits), 8.0)
    stage.pause(0.5)
    stage.finish(Ask("last"))
    return counts.common(stage.facts()) | {"staying": int(not sleeper.exits)}


def _one_each(stage: Stage, name: str, prompt: str = "low", *, turns: bool = False) -> list[Ask]:
    """A request on each partition; with `turns` the first one of a conversation that belongs there."""
    partitions = range(stage.cluster.partitions)
    homes = {partition_of(str(each).encode(), len(partitions)): each for each in map(_context, range(40))}
    return [
        Ask(f"{name}-{number}", prompt, number, context_id=homes[number] if turns else None)
        for number in partitions
    ]


def _context(number: int) -> UUID:
    return UUID(int=number)


def _took(stage: Stage, name: str) -> bool:
    """Whether a worker has scanned and feeds a partition."""
    return "took over" in stage.log(name)


def _done_but_one(stage: Stage, names: list[str]) -> bool:
    """Whether all are answered but the call that the other worker itself has in flight."""
    return sum(stage.answered(name) for name in names) == len(names) - 1
