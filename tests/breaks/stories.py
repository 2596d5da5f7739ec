"""The stories of one worker: small, and timed by what is seen rather than by the clock.

A story returns its counts; all are 0 while the rules hold.
"""

from uuid import UUID

from connectors.kafka.clients import admin
from schemas.codes import Code
from schemas.topics import REQUESTS
from tests.breaks import counts
from tests.breaks.counts import Counts
from tests.breaks.stage import Ask, Stage, TooLateError

SETTLED_S = 0.8
"""Outcomes are gathered for 0.3 s, then written; commits are 0.1 s apart."""
TURNS = UUID("6f1ed002-ab5f-4c2b-9f1c-0c5d3b8c0001")
STRAY = UUID("6f1ed002-ab5f-4c2b-9f1c-0c5d3b8c0002")
HOPPED = UUID("6f1ed002-ab5f-4c2b-9f1c-0c5d3b8c0003")


def calm(stage: Stage) -> Counts:
    """Nothing fails: repeats, conversations, moves and cancels at one worker.

    again_in_flight    calls for a repeat of a request that was still in flight
    wrong_codes        the same id with another body that was not refused
    remembered_lates   a request sent again after it came too late, and not answered
    lost_replays       a replay sent again and not answered
    missing_copies     copies at reply topics that are not there
    overlapping_turns  turns called before the turn before was answered
    missing_turns      turns that a later turn of their conversation did not see
    misplaced          turns answered on another partition than their conversation's
    second_forwards    forwards of a record that had been forwarded
    foreign_cancels    requests that another tenant's cancel stopped
    ignored_cancels    requests answered though a cancel lay there before the worker began
    deaf_calls         calls that went on when a cancel came
    """
    topic = _reply_topic(stage)
    stage.cancel("theirs", "ours")
    stage.cancel("default", "unwanted")
    stage.start(WEIR_GATHER_MS="60")
    home, stray = counts.home(stage, TURNS), 1 - counts.home(stage, STRAY)
    busy = Ask("busy", "hold=1")
    turns = [Ask(f"turn-{n}", "hold=1" if n == 1 else "go on", home, context_id=TURNS) for n in (1, 2, 3)]
    hop = Ask("hopped", partition=1 - counts.home(stage, HOPPED), context_id=HOPPED, headers=(("hop", b"1"),))
    stage.send(Ask("plain"), busy, busy, *turns, Ask("ours", tenant="ours"), Ask("unwanted"))
    stage.send(Ask("stray", partition=stray, context_id=STRAY), hop)
    replay = Ask("replay", headers=(("replay", b"1"),))
    stage.send(Ask("late", more={"deadline_ms": 1}), replay, Ask("stopped", "hold=1"))
    held = ("busy", "turn-1", "stopped")
    stage.expect("the calls that are held", lambda: all(stage.called(name) for name in held))
    stage.expect("the first answers", lambda: stage.answered("plain", "late", "replay"))
    stage.cancel("default", "stopped")
    stage.pause(SETTLED_S)
    again_in_flight = counts.called_again(stage, "busy")
    stage.until(lambda: stage.answered("stopped"), 2.0)
    stage.provider.release(*held)
    stage.send(Ask("plain", more={"reply_topic": topic}), Ask("plain", "another question"))
    stage.send(Ask("late"), replay)
    stage.finish(Ask("last", more={"reply_topic": topic}), *names_of(turns), "busy", "hopped")
    stage.until(lambda: counts.copies(stage, topic) >= 2, 2.0)
    facts = stage.facts()
    conflict, late, again = stage.response("plain", 2), stage.response("late", 1), stage.response("replay", 1)
    mine, unwanted, stopped = (stage.response(name) for name in ("ours", "unwanted", "stopped"))
    asked = [one.request_id for one in facts.asked]
    ids = {one.place: one.request_id for one in facts.asked}
    places = {ids.get(answer.place): answer.partition for answer in facts.answered if answer.place}
    return counts.common(facts.without("replay")) | {
        "again_in_flight": again_in_flight,
        "wrong_codes": int(conflict is None or conflict.code != Code.INVALID_REQUEST),
        "remembered_lates": int(late is None),
        "lost_replays": int(again is None),
        "missing_copies": max(0, 2 - counts.copies(stage, topic)),
        "overlapping_turns": counts.overlapping_turns(facts, names_of(turns)),
        "missing_turns": counts.missing_turns(stage, names_of(turns)),
        "misplaced": int(places.get("stray") != 1 - stray),
        "second_forwards": asked.count("hopped") - 1,
        "foreign_cancels": int(mine is None or mine.code is not None),
        "ignored_cancels": int(unwanted is None or unwanted.code != Code.CANCELLED),
        "deaf_calls": int(stopped is None or stopped.code != Code.CANCELLED),
    }


def kill(stage: Stage) -> Counts:
    """Killed with two calls in flight below four answers; a repeat comes after the restart."""
    worker = stage.start(restart=False)
    stage.send(Ask("slow-0", "hold=1"), Ask("slow-1", "hold=1"))
    stage.expect("the calls of both slow ones", lambda: stage.called("slow-0") and stage.called("slow-1"))
    quick = [Ask(f"quick-{n}") for n in range(4)]
    stage.send(*quick)
    stage.expect("the quick answers", lambda: stage.answered(*names_of(quick)))
    stage.pause(SETTLED_S)
    worker.kill()
    stage.start()
    stage.send(quick[0])
    stage.finish(Ask("last"), "slow-0", "slow-1")
    return counts.common(stage.facts())


def kill_twice(stage: Stage) -> Counts:
    """Killed twice while one call holds the watermark. The window is shut, so that only notes help."""
    worker = stage.start(restart=False, WEIR_WINDOW_MS="1")
    stage.send(Ask("slow", "hold=2"))
    stage.expect("the call of slow", lambda: stage.called("slow"))
    for number in range(3):
        stage.send(Ask(f"first-{number}"))
        stage.expect("an answer of the first worker", lambda n=number: stage.answered(f"first-{n}"))
        stage.pause(SETTLED_S)
    worker.kill()
    worker = stage.start(restart=False, WEIR_WINDOW_MS="1")
    stage.expect("the second call of slow", lambda: stage.called("slow", 2))
    stage.send(Ask("second-0"), Ask("second-1"))
    stage.expect("answers of the second worker", lambda: stage.answered("second-0", "second-1"))
    stage.pause(SETTLED_S)
    worker.kill()
    stage.start(WEIR_WINDOW_MS="1")
    stage.finish(Ask("last"), "slow")
    return counts.common(stage.facts())


def unsettled(stage: Stage) -> Counts:
    """Killed when an answer is durable and committed, and its ledger entry is not written yet.

    missing_ledger  answers without an entry in the ledger

    Raises:
        TooLateError: When the entry was written after all.
    """
    worker = stage.start(restart=False, WEIR_COMMIT_EVERY_MS="20", WEIR_FEED_PAUSE_MS="0")
    stage.send(Ask("first"))
    stage.expect("the first answer", lambda: stage.answered("first"))
    stage.pause(SETTLED_S)
    stage.send(Ask("owed"))
    stage.expect("the answer whose entry is owed", lambda: stage.answered("owed"))
    stage.pause(0.1)
    worker.kill()
    if counts.is_settled(stage, stage.places("owed")[0]):
        raise TooLateError("the ledger entry was written before the kill")
    stage.start()
    stage.finish(Ask("last"))
    facts = stage.facts()
    stage.until(lambda: not counts.missing_ledger(stage, facts), 2.0)
    return counts.common(facts) | {"missing_ledger": counts.missing_ledger(stage, facts)}


def poison(stage: Stage) -> Counts:
    """A record stops its worker whenever it is fed; before it a call that lasts, after it an innocent one.

    innocent_letters  dead letters of other records
    spared            whether the record is no dead letter after four stops
    further_stops     stops beyond the third
    """
    log = stage.home / "poison.txt"
    worker = stage.start(WEIR_BENCH_POISON_LOG=str(log))
    stage.send(Ask("slow", "hold=99"))
    stage.expect("the call of slow", lambda: stage.called("slow"))
    stage.send(Ask("poison", "this prompt is poison", model="poison"), Ask("after"))
    stage.until(lambda: stage.answered("poison", "after") or len(worker.exits) > 3)
    stage.provider.release("slow")
    if len(worker.exits) <= 3:
        stage.finish(Ask("last"), "slow")
    worker.restart = False
    facts = stage.facts()
    buried = {letter.place for letter in facts.buried}
    guilty = stage.places("poison")[0]
    return {
        "duplicate_responses": counts.common(facts)["duplicate_responses"],
        "innocent_letters": len(buried - {guilty}),
        "spared": int(guilty not in buried),
        "further_stops": max(0, len(worker.exits) - 3),
    }


def names_of(asks: list[Ask]) -> list[str]:
    """Ids of requests."""
    return [ask.name for ask in asks]


def _reply_topic(stage: Stage) -> str:
    """A topic that answers may be copied to."""
    name = f"reply.{stage.cluster.topic(REQUESTS.name)}"
    with admin(stage.cluster) as client:
        client.create_topics({name: {"num_partitions": 1, "replication_factor": 1}})
        client.wait_for_topics([name])
    return name
