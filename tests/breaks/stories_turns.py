"""The stories of conversations: a worker dies when a turn's answer is durable, and the turn itself is not.

A long linger holds the turn back: it goes to the producer when the response is acknowledged.
"""

from uuid import UUID

from connectors.bench.topics_reader import read_to_ends
from schemas.contexts import parse_turn_key
from schemas.topics import CONTEXTS
from tests.breaks import counts
from tests.breaks.counts import Counts
from tests.breaks.stage import Ask, Stage, TooLateError

TOLD = UUID("6f1ed002-ab5f-4c2b-9f1c-0c5d3b8c0004")
LINGER = {"WEIR_LINGER_MS": "700", "WEIR_COMMIT_EVERY_MS": "50"}


def untold(stage: Stage) -> Counts:
    """Killed when an answer is durable and its turn is not; the next turn comes after the restart.

    missing_turns  turns that the next one did not see
    """
    _answered_and_killed(stage)
    stage.start()
    return _told(stage)


def untold_twice(stage: Stage) -> Counts:
    """The same, and the successor is killed when it has written the ledger again and not yet the turn.

    missing_turns  turns that the next one did not see
    """
    _answered_and_killed(stage)
    worker = stage.start(restart=False, **LINGER)
    facts = stage.facts()
    stage.expect("the ledger of the first answer", lambda: not counts.missing_ledger(stage, facts))
    worker.kill()
    _too_late_if_kept(stage)
    stage.start()
    return _told(stage)


def _answered_and_killed(stage: Stage) -> None:
    worker = stage.start(restart=False, **LINGER)
    stage.send(Ask("turn-1", context_id=TOLD, partition=_home(stage)))
    stage.expect("the first answer", lambda: stage.answered("turn-1"))
    worker.kill()
    _too_late_if_kept(stage)


def _told(stage: Stage) -> Counts:
    turn = Ask("turn-2", "and now?", context_id=TOLD, partition=_home(stage))
    stage.send(turn)
    stage.finish(Ask("last"), "turn-2")
    return counts.common(stage.facts()) | {"missing_turns": counts.missing_turns(stage, ["turn-1", "turn-2"])}


def _too_late_if_kept(stage: Stage) -> None:
    """Whether the moment was met.

    Raises:
        TooLateError: When the turn was written before the kill.
    """
    kept: list[UUID] = []
    read_to_ends(stage.cluster, [CONTEXTS], lambda record: kept.append(parse_turn_key(record.key)[0]))
    if kept:
        raise TooLateError("the turn was written before the kill")


def _home(stage: Stage) -> int:
    return counts.home(stage, TOLD)
