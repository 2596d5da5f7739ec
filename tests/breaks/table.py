"""Which patch breaks which rule of delivery, which story shows it, and which count is not 0 then."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tests.breaks import stories, stories_group, stories_turns
from tests.breaks.counts import Counts
from tests.breaks.stage import Stage

STORIES: Mapping[str, Callable[[Stage], Counts]] = MappingProxyType(
    {
        "calm": stories.calm,
        "kill": stories.kill,
        "kill_twice": stories.kill_twice,
        "unsettled": stories.unsettled,
        "poison": stories.poison,
        "join": stories_group.join,
        "bound": stories_group.bound,
        "zombie": stories_group.zombie,
        "untold": stories_turns.untold,
        "untold_twice": stories_turns.untold_twice,
    }
)
"""Every story by its name."""


@dataclass(frozen=True, slots=True)
class Break:
    """A rule that is taken away, and what shows it."""

    patch: str
    """Name of its patch, without `.patch`."""
    rule: str
    """The rule, in one line."""
    story: str
    """The story that shows it."""
    count: str
    """The count that is not 0 then."""
    quick: bool = False
    """Whether `make test` plays it too."""
    also: tuple[str, ...] = ()
    """Patches that must come with it, where a second guard stands behind the first."""

    @property
    def patches(self) -> tuple[str, ...]:
        """All its patches."""
        return (self.patch, *self.also)


BREAKS: tuple[Break, ...] = (
    # identity
    Break("recovery-goes-by-order", "recovery goes by the request record a response names", "kill", "lost"),
    # the commit point
    Break("settle-on-read", "an offset settles when its answer is written, not when it is read",
          "kill", "lost", quick=True),
    Break("settle-on-response", "an offset settles with all that is derived from its response",
          "unsettled", "missing_ledger"),
    Break("derived-not-rewritten", "a takeover writes the ledger that the predecessor owed",
          "unsettled", "missing_ledger"),
    # started
    Break("started-not-awaited", "no byte to a provider before its started entry is acknowledged",
          "calm", "unstarted_calls", quick=True),
    # the note
    Break("newest-note", "the watermark is committed with the note of its own request",
          "kill_twice", "duplicate_responses"),
    Break("no-inherited-note", "what earlier owners answered keeps the note it was inherited with",
          "kill_twice", "duplicate_responses", quick=True),
    # takeover
    Break("answered-not-skipped", "what is answered is skipped", "kill", "duplicate_responses", quick=True),
    Break("responses-not-read", "the responses say what is answered, not the ledger alone",
          "unsettled", "duplicate_responses"),
    Break("unknown-not-flagged", "what was started and not answered is flagged as unknown",
          "kill", "unflagged_unknowns"),
    Break("attempt-number-restarts", "an attempt's number is 1 + the highest started",
          "kill", "reused_attempts"),
    Break("any-fence-ends-usage", "a scan ends at its own fence, not at an earlier owner's",
          "kill_twice", "duplicate_responses", also=("any-fence-ends-responses",)),
    Break("fence-not-written", "a takeover writes its fence first", "kill", "lost"),
    Break("fed-before-scanned", "a partition is fed after its scan", "kill", "duplicate_responses"),
    # rebalance
    Break("release-without-drain", "a partition is given back when its calls are done",
          "join", "called_again"),
    Break("release-without-a-word", "an orderly release is no crash to the next owner",
          "join", "false_crashes"),
    Break("late-answer-is-written", "what comes in after the drain bound is not written",
          "bound", "duplicate_responses"),
    # zombies
    Break("no-exit-when-lost", "a worker that the group has thrown out exits", "zombie",
          "duplicate_responses"),
    Break("no-lease-in-producer", "out of lease nothing is written", "zombie", "duplicate_responses",
          quick=True),
    Break("lease-outlives-session", "the lease is over before the session is", "zombie",
          "duplicate_responses"),
    Break("no-lease-in-source", "out of lease nothing is fed", "zombie", "called_after_answer",
          also=("no-lease-in-call", "no-lease-on-the-wire", "no-lease-in-producer")),
    Break("no-lease-in-call", "out of lease nothing is called", "zombie", "called_after_answer",
          also=("no-lease-in-source", "no-lease-on-the-wire", "no-lease-in-producer")),
    Break("no-lease-on-the-wire", "a call asks the lease once more before its first byte", "zombie",
          "called_after_answer", also=("no-lease-in-source", "no-lease-in-call", "no-lease-in-producer")),
    # repeated requests
    Break("window-forgets", "a repeated request is not called again", "calm", "called_after_answer",
          quick=True),
    Break("window-not-rebuilt", "a takeover rebuilds the window of repeats", "kill", "called_after_answer",
          quick=True),
    Break("repeat-in-flight-not-waited", "a repeat waits for the request that is in flight",
          "calm", "again_in_flight"),
    Break("other-body-is-a-repeat", "the same id with another body is refused", "calm", "wrong_codes"),
    Break("failures-are-remembered", "a failure that may pass is not remembered", "calm",
          "remembered_lates"),
    Break("replays-are-remembered", "a replay is answered however often it is sent", "calm", "lost_replays"),
    Break("repeat-gets-no-copy", "a repeat with a new reply address gets a copy", "calm", "missing_copies"),
    # poison
    Break("no-crash-count", "crashes are counted, and the third named suspect becomes a dead letter",
          "poison", "spared"),
    Break("suspects-not-named", "only a named suspect becomes a dead letter", "poison", "innocent_letters"),
    # moves
    Break("forward-nowhere", "a turn is answered on its conversation's partition", "calm", "misplaced"),
    Break("forward-twice", "a record is forwarded at most once", "calm", "second_forwards"),
    # conversations
    Break("turns-not-ordered", "a conversation's turns are called one after the other",
          "calm", "overlapping_turns", quick=True),
    Break("turns-not-kept", "a turn is kept before the next one is released", "calm", "missing_turns"),
    Break("owed-turn-not-written", "a turn is written again when its request is read again",
          "untold", "missing_turns", quick=True),
    Break("owed-turn-is-called", "a request that is read again for its turn is not called again",
          "untold", "called_after_answer"),
    Break("owed-turn-is-answered", "a request that is read again for its turn is not answered again",
          "untold", "duplicate_responses", also=("owed-turn-is-called",)),
    Break("settled-before-turn", "a takeover settles a turn's request when the turn is written",
          "untold_twice", "missing_turns"),
    # cancel
    Break("cancel-of-any-tenant", "a cancel holds for its own tenant only", "calm", "foreign_cancels",
          quick=True),
    Break("cancel-leaves-calls-alone", "a cancel stops the call that is in flight", "calm", "deaf_calls"),
    Break("cancels-not-read-first", "a worker reads the cancels before it feeds", "calm", "ignored_cancels"),
)  # fmt: skip
"""One or more for each rule."""
