"""Responses go out: the commit point of every request.

A dead letter is written and acknowledged before its response; a forwarded request takes the place of one.
Nothing is handed over for a partition that isn't this worker's any more. Responses that a reply topic waits
for don't linger: their copy follows as soon as they are acknowledged, and then they are done.
"""

import logging
from collections.abc import Callable
from functools import partial

from connectors.kafka.outbox import Outbox
from connectors.kafka.ownership import Ownership
from connectors.kafka.rules.derived import answer_headers
from schemas.arrivals import Outcome
from schemas.cluster import Cluster
from schemas.packed import Seal, pack_seal
from schemas.records import Outgoing
from schemas.responses import Response
from schemas.topics import RESPONSES

_log = logging.getLogger(__name__)

Copy = Callable[[Response, Callable[[], None]], None]
"""Writes the copy of a response, if it wants one, and calls back when it is durable or can't be written."""
Done = Callable[[Outcome], None]
"""Called on the producer's thread when an outcome is durable."""


class Answering:
    """Writes outcomes to `llm.responses` (or, for moves, where they go)."""

    def __init__(self, cluster: Cluster, ownership: Ownership, outbox: Outbox, copy: Copy) -> None:
        self._responses = cluster.topic(RESPONSES.name)
        self._ownership, self._outbox, self._copy = ownership, outbox, copy

    def write(self, outcomes: list[Outcome], done: Done) -> None:
        """Hand outcomes to the producer; returns at once. Those of partitions given away are dropped."""
        awaited = False
        with self._ownership.writing():
            for outcome in outcomes:
                self._ownership.passed(outcome.record)
                if not self._ownership.owns(outcome.record):
                    self._ownership.counters["dropped"] += 1
                    done(outcome)  # without a response offset: nothing is derived from it
                elif outcome.response is not None and self._ownership.answered_before(outcome.record):
                    _log.warning("%s was answered before: its turn is lost", outcome.record.place)
                    self._ownership.counters["turns_lost"] += 1
                    outcome.response, outcome.value, outcome.dead_letter = None, b"", None
                    done(outcome)
                elif outcome.dead_letter is not None:
                    self._outbox.send(outcome.dead_letter, self._then_answer(outcome, done))
                else:
                    self._hand_over(outcome, done)
                    awaited = awaited or _is_awaited(outcome)
        if awaited:
            self._outbox.hurry_after_turn()

    def _then_answer(self, outcome: Outcome, done: Done) -> Callable[[int], None]:
        def acked(_: int) -> None:
            with self._ownership.writing():
                if self._ownership.owns(outcome.record):
                    self._hand_over(outcome, done)
                else:
                    done(outcome)

        return acked

    def _hand_over(self, outcome: Outcome, done: Done) -> None:
        if outcome.move is not None:
            self._outbox.send(outcome.move, lambda _: done(outcome))
        elif outcome.response is None:
            done(outcome)
        else:
            response = outcome.response
            self._outbox.send(self._record(outcome, response), self._durable(outcome, response, done))

    def _durable(self, outcome: Outcome, response: Response, done: Done) -> Callable[[int], None]:
        def acked(offset: int) -> None:
            outcome.response_offset = offset
            self._ownership.durable(outcome.record, response=offset)
            self._copy(response, partial(done, outcome))

        return acked

    def _record(self, outcome: Outcome, response: Response) -> Outgoing:
        identity = outcome.identity
        hashes = (0, 0) if identity is None else (identity.request_hash, identity.body_hash)
        headers = (
            *answer_headers(response, b"response"),
            ("source", outcome.record.place.encode()),
            ("seal", pack_seal(Seal(*hashes, outcome.remembered))),
        )
        key = response.request_id.encode("utf-8", "replace")
        return Outgoing(self._responses, outcome.value, outcome.record.partition, key, headers)


def _is_awaited(outcome: Outcome) -> bool:
    """Whether a reply topic's reader waits for the response."""
    return outcome.response is not None and outcome.response.reply_topic is not None
