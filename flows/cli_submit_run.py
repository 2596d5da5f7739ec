"""The loop of `weir submit`: find what earlier runs asked and got, ask the rest, write the answers."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from connectors.kafka.client import Client
from connectors.kafka.reading import Place, Seen
from flows.cli_submit_files import Input, Output
from flows.submission import BadLine, Submission, line_number, read_line
from schemas.responses import Response
from schemas.topics import REQUESTS, RESPONSES

LOOK_BACK_S = 11 * 60
"""How far a fresh run looks back for answers to the same lines: over the window of repeated requests."""
MAX_WAITING_BYTES = 64 * 1024 * 1024
"""Most bytes of requests that wait for an answer."""
SLICE = 200
"""Most lines fed between two reads of the answers."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The bounds of a run."""

    in_flight: int = 1000
    """Most requests that wait for an answer."""
    rate_per_s: float | None = None
    """Most requests asked in a second; `None` for no bound."""
    silence_s: float = 600.0
    """Longest time without any answer before the run gives up."""


class SilenceError(Exception):
    """No answer came for too long."""


@dataclass(slots=True)
class Tally:
    """What a run did."""

    asked: int = 0
    """Requests put on the topic by this run."""
    found: int = 0
    """Answers of earlier runs that were on the topic."""
    tokens: int = 0
    """Tokens of the answers written by this run."""
    cost_usd: float = 0.0
    """Their cost."""
    bad: list[int] = field(default_factory=list[int])
    """Lines that are no requests."""


class Run:
    """One run of a submission."""

    def __init__(
        self,
        client: Client,
        submission: Submission,
        output: Output,
        *,
        policy: Policy,
        defaults: Mapping[str, object],
        tell: Callable[[str], None],
    ) -> None:
        self.tally = Tally()
        self._client = client
        self._submission = submission
        self._output = output
        self._policy = policy
        self._defaults = defaults
        self._tell = tell
        self._next_at_s = 0.0

    def starts(self) -> dict[Place, int]:
        """Where a fresh run begins to look for answers to the same lines."""
        places = self._client.places(REQUESTS.name) + self._client.places(RESPONSES.name)
        return self._client.reader.since(places, int((time.time() - LOOK_BACK_S) * 1000))

    def recover(self, starts: Mapping[Place, int]) -> None:
        """Read what earlier runs asked and got, from `starts` to now; then follow the answers from there."""
        reader = self._client.reader
        answers = {place.topic for place in self._client.places(RESPONSES.name)}
        ends = reader.ends(starts)
        for seen in reader.scan(starts, ends):
            if seen.place.topic not in answers:
                number = self._number((seen.header("request_id") or "").encode() or seen.key)
                if number is not None and seen.value is not None:
                    self._submission.found_request(number)
                continue
            number = self._number(seen.key)
            response = None if number is None else self._response(seen)
            if number is not None and response is not None:
                self.tally.found += self._record(number, response, self._submission.found_response)
        self._client.follow_from({place: end for place, end in ends.items() if place.topic in answers})

    def run(self, source: Input, on_step: Callable[[], None]) -> None:
        """Ask what is left and write the answers until there is nothing to wait for.

        Raises:
            SilenceError: When no answer comes for too long.
            KafkaProblem: When Kafka fails us.
        """
        lines = source.lines()
        heard_s = time.monotonic()
        more = True
        while more or self._submission.waiting:
            more = more and self._feed(lines)
            if self._listen(0.02 if more else 0.2) or not self._submission.waiting:
                heard_s = time.monotonic()
            if time.monotonic() - heard_s > self._policy.silence_s:
                raise SilenceError(f"no answer for {self._policy.silence_s:g} s")
            on_step()

    def _feed(self, lines: Iterator[tuple[int, bytes]]) -> bool:
        """Ask a few lines, as far as the bounds let us; `False` when the input is at its end."""
        for _ in range(SLICE):
            if not self._room():
                return True
            line = next(lines, None)
            if line is None:
                return False
            self._take(*line)
        return True

    def _room(self) -> bool:
        waiting = self._submission.waiting
        if len(waiting) >= self._policy.in_flight or self._submission.waiting_bytes >= MAX_WAITING_BYTES:
            return False
        if self._submission.ordered and len(self._submission.held) >= self._policy.in_flight:
            return not waiting
        return self._policy.rate_per_s is None or time.monotonic() >= self._next_at_s

    def _take(self, number: int, text: bytes) -> None:
        submission = self._submission
        if number in submission.done:
            return
        line = read_line(number, text, submission.name, self._defaults)
        if line is None:
            self._output.write(submission.blank(number))
            return
        if isinstance(line, BadLine):
            self.tally.bad.append(number)
            self._tell(f"line {number}: {line.message}")
            self._output.write(submission.bad(line, str(self._defaults.get("tenant", "default"))))
            return
        if submission.must_ask(number):
            self._client.put(line.request, wait=False)
            self.tally.asked += 1
            if self._policy.rate_per_s:
                now_s = time.monotonic()
                self._next_at_s = max(self._next_at_s, now_s - 0.1) + 1 / self._policy.rate_per_s
        submission.asked(number, len(text))

    def _listen(self, timeout_s: float) -> bool:
        """Write the answers that came; whether there were any of ours."""
        heard = False
        for seen in self._client.reader.poll(timeout_s):
            number = self._number(seen.key)
            response = None if number is None else self._response(seen)
            if number is not None and response is not None:
                heard = True
                self._record(number, response, self._submission.answered)
        self._client.check()
        return heard

    def _record(self, number: int, response: Response, take: Callable[[int, Response], list[bytes]]) -> bool:
        """Let the rules take an answer and write what they say; whether it finished its line."""
        known = number in self._submission.done
        self._output.write(take(number, response))
        if known or number not in self._submission.done:
            return False
        self.tally.tokens += response.tokens_used
        self.tally.cost_usd += response.cost_usd
        return True

    def _number(self, key: bytes | None) -> int | None:
        return None if key is None else line_number(self._submission.name, key.decode("utf-8", "replace"))

    def _response(self, seen: Seen) -> Response | None:
        event = self._client.event(seen)
        return event if isinstance(event, Response) else None
