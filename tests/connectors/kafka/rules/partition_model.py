"""A partition as a world of its own: its logs, and workers that follow the rules until they are killed.

The workers use `Marks` and `Scan` as the shells do; the world knows the truth and checks them against it.
What a worker hands to its producer is appended later, in order, and acknowledged later still; a killed
worker loses all of it that was not appended yet. A `Flaw` breaks one rule, to show that this is noticed.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto

from connectors.kafka.rules.marks import Mark, Marks, Note, read_mark
from connectors.kafka.rules.takeover import Found, Scan
from schemas.packed import Settled, Started

SOURCE = 0


class Flaw(Enum):
    """A rule that is broken."""

    NONE = auto()
    FORGETS_INHERITED_NOTE = auto()
    NO_HIGH = auto()
    COMMITS_NEWEST_NOTE = auto()
    WATERMARK_OF_NEXT = auto()
    NOTES_BEFORE_ACK = auto()
    CALLS_BEFORE_ACK = auto()
    SETTLES_BEFORE_ACK = auto()
    FORGETS_ATTEMPTS = auto()


class Phase(Enum):
    """How far a request is with its worker."""

    READ = auto()
    STARTING = auto()
    STARTED = auto()
    CALLED = auto()
    ANSWERING = auto()
    ANSWERED = auto()
    SETTLING = auto()


@dataclass
class Task:
    """A request in a worker's hands."""

    offset: int
    attempt: int
    unknown: bool
    phase: Phase = Phase.READ


@dataclass
class Pending:
    """A record on its way to a log: first appended, then acknowledged."""

    log: list[object]
    entry: object
    acked: Callable[[int], None]
    at: int = -1


@dataclass
class Worker:
    """One life of an owner."""

    marks: Marks
    attempts: dict[int, int]
    tasks: dict[int, Task] = field(default_factory=dict[int, Task])
    sends: dict[int, deque[Pending]] = field(default_factory=dict[int, deque[Pending]])
    acks: dict[int, deque[Pending]] = field(default_factory=dict[int, deque[Pending]])


class World:
    """Logs, the committed mark, and the worker that lives now."""

    def __init__(self, flaw: Flaw = Flaw.NONE) -> None:
        self.flaw = flaw
        self.requests: list[int] = []
        self.end = 0
        self.responses: list[object] = []
        self.usage: list[object] = []
        self.committed: tuple[int, str] | None = None
        self.calls: set[tuple[int, int]] = set()
        self.flagged: set[int] = set()
        self.take_over()

    # --- truth

    def answers(self) -> list[int]:
        return [entry for entry in self.responses if isinstance(entry, int)]

    def started(self) -> dict[int, int]:
        highest: dict[int, int] = {}
        for entry in self.usage:
            if isinstance(entry, Started):
                highest[entry.offset] = max(entry.attempt, highest.get(entry.offset, 0))
        return highest

    def settled(self) -> set[int]:
        return {entry.offset for entry in self.usage if isinstance(entry, Settled)}

    # --- what happens

    def produce(self, gap: int = 0) -> None:
        """A request is appended; offsets may have gaps (fences, transactions)."""
        self.end += gap
        self.requests.append(self.end)
        self.end += 1

    def read(self, most: int) -> list[int]:
        """The worker reads a batch."""
        marks = self.worker.marks
        batch = [offset for offset in self.requests if offset >= marks.next][:most]
        if not batch:
            return []
        taken = marks.read(batch, batch[-1])
        for offset in taken:
            before = self.worker.attempts.get(offset, 0)
            self.worker.tasks[offset] = Task(offset, before + 1, before > 0)
        return taken

    def start(self, task: Task) -> None:
        """The `started` entry goes out."""
        assert (task.offset, task.attempt) not in self.calls, "an attempt number was used twice"
        task.phase = Phase.STARTING

        def acked(at: int) -> None:
            self.worker.marks.durable(usage=at)
            task.phase = Phase.STARTED

        self._send(self.usage, Started(SOURCE, task.attempt, 1, task.offset, 1, 1), acked)
        if self.flaw is Flaw.CALLS_BEFORE_ACK:
            self.call(task)

    def call(self, task: Task) -> None:
        """The bytes leave."""
        assert task.offset not in self.answers(), "a request with a response was called again"
        assert (task.offset, task.attempt) not in self.calls, "an attempt number was used twice"
        earlier = {attempt for offset, attempt in self.calls if offset == task.offset}
        assert task.unknown or not earlier or task.attempt > 1, "an unknown outcome was not flagged"
        assert all(task.attempt > attempt for attempt in earlier), "attempts do not rise"
        self.calls.add((task.offset, task.attempt))
        task.phase = Phase.CALLED

    def retry(self, task: Task) -> None:
        """The call failed; another attempt is due."""
        task.attempt += 1
        task.phase = Phase.READ

    def answer(self, task: Task) -> None:
        """The response goes out."""
        task.phase = Phase.ANSWERING

        def acked(at: int) -> None:
            self.worker.marks.durable(response=at)
            task.phase = Phase.ANSWERED

        self._send(self.responses, task.offset, acked)
        if self.flaw is Flaw.NOTES_BEFORE_ACK:
            self.worker.marks.durable(response=len(self.responses) + 3)

    def settle(self, task: Task) -> None:
        """The `settled` entry goes out; acknowledged, the offset is done."""
        task.phase = Phase.SETTLING

        def acked(at: int) -> None:
            self.worker.marks.durable(usage=at)
            self.worker.marks.settle(task.offset)
            self.worker.tasks.pop(task.offset, None)

        self._send(self.usage, Settled(SOURCE, 0, task.offset, 1, 1, 0), acked)
        if self.flaw is Flaw.SETTLES_BEFORE_ACK:
            self.worker.marks.settle(task.offset)

    def append(self, log: int) -> bool:
        """The broker takes the next record of a log."""
        queue = self.worker.sends.get(log)
        if not queue:
            return False
        pending = queue.popleft()
        pending.at = len(pending.log)
        pending.log.append(pending.entry)
        self.worker.acks.setdefault(log, deque()).append(pending)
        answers = self.answers()
        assert len(answers) == len(set(answers)), "a second response"
        return True

    def acknowledge(self, log: int) -> bool:
        """The worker hears of the next record that was taken."""
        queue = self.worker.acks.get(log)
        if not queue:
            return False
        pending = queue.popleft()
        pending.acked(pending.at)
        return True

    def flush(self) -> None:
        """All that was handed over is taken and acknowledged."""
        for log in (0, 1):
            while self.append(log) or self.acknowledge(log):
                pass

    def commit(self) -> None:
        """The watermark is committed with its note."""
        watermark, note = self.worker.marks.watermark()
        if self.flaw is Flaw.COMMITS_NEWEST_NOTE:
            note = self.worker.marks.notes[-1][1]
        if self.flaw is Flaw.WATERMARK_OF_NEXT:
            watermark = self.worker.marks.next
        done = self.settled() | set(self.answers()) - set(self.worker.tasks)
        assert all(offset in done for offset in self.requests if offset < watermark), (
            "it passed an open offset"
        )
        self.committed = watermark, Mark(watermark, note).metadata()

    def crash(self, appended: int = 0) -> None:
        """The worker is killed; up to so many more of its records are taken, then another takes over."""
        for log in (0, 1):
            for _ in range(appended):
                self.append(log)
        self.take_over()

    def take_over(self) -> None:
        """A new owner fences both logs, scans them, and is checked against the truth."""
        mark = Mark(0, Note(0, 0)) if self.committed is None else read_mark(*self.committed)
        assert mark is not None
        fence = object()
        self.responses.append(fence)
        self.usage.append(fence)
        found = self._scan(mark, fence)
        self._check(mark, found)
        marks = Marks(mark.offset, mark.note, mark.note)
        marks.answered, marks.high, marks.ends = set(found.answered), found.high, found.ends
        if self.flaw is Flaw.FORGETS_INHERITED_NOTE:
            marks = Marks(mark.offset, found.ends, found.ends, found.high, set(found.answered))
        if self.flaw is Flaw.NO_HIGH:
            marks.high = mark.offset
        attempts = {} if self.flaw is Flaw.FORGETS_ATTEMPTS else found.attempts
        self.flagged |= set(attempts)
        self.worker = Worker(marks, attempts)

    def _scan(self, mark: Mark, fence: object) -> Found:
        scan = Scan(SOURCE, mark)
        for at in range(mark.note.usage_offset, len(self.usage)):
            entry = self.usage[at]
            if isinstance(entry, Started):
                scan.take_started([entry])
            elif isinstance(entry, Settled):
                scan.take_settled([entry])
            elif entry is fence:
                scan.usage_end = at + 1
        for at in range(mark.note.response_offset, len(self.responses)):
            entry = self.responses[at]
            if isinstance(entry, int):
                scan.take_response(entry, at)
            elif entry is fence:
                scan.response_end = at + 1
        return scan.result()

    def _check(self, mark: Mark, found: Found) -> None:
        answered = {offset for offset in self.answers() if offset >= mark.offset}
        assert set(found.answered) == answered, "the scan does not know what was answered"
        started = {o: n for o, n in self.started().items() if o >= mark.offset and o not in answered}
        assert found.attempts == started, "the scan does not know what was started"
        assert found.high == max((*answered, *started, mark.offset - 1)) + 1

    def _send(self, log: list[object], entry: object, acked: Callable[[int], None]) -> None:
        which = 0 if log is self.responses else 1
        self.worker.sends.setdefault(which, deque()).append(Pending(log, entry, acked))

    def finish(self) -> None:
        """Nobody is killed any more: everything is answered, once."""
        while True:
            self.flush()
            tasks = list(self.worker.tasks.values())
            if not tasks and not self.read(10):
                break
            for task in tasks:
                self.advance(task)
        self.commit()
        assert sorted(self.answers()) == self.requests, "a request has no response, or two"
        assert self.committed is not None
        assert self.worker.marks.open == {}

    def advance(self, task: Task) -> None:
        """The next step of a task on its straight way; nothing where it waits for an acknowledgement."""
        step = {
            Phase.READ: self.start,
            Phase.STARTED: self.call,
            Phase.CALLED: self.answer,
            Phase.ANSWERED: self.settle,
        }.get(task.phase)
        if step:
            step(task)
