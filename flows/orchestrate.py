"""START HERE: the serving flow on one page.

    llm.requests -> decode -> admit -> recall -> count -> cache -> route -> compress -> batch -> call
                 -> respond (llm.responses: the commit point) -> settle (what is derived, then the offset)

An item is a `Job` on its way, or an `Ended` that passes the remaining steps by. `call` and `respond` wait,
and so do the few items that a `Waiting` step says so of; all of them wait outside the flow's thread.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.inputs import Source
from bytewax.outputs import Sink

from flows.bell import Bell
from flows.operators import Start, async_map, stage, stage_or_wait
from flows.stages.jobs import Ended, Job, Work
from schemas.arrivals import Outcome
from schemas.records import Record

Rule = Callable[[list[Work]], list[Work]]
"""A step over the batch at hand."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A step in which some items wait for what lies outside, or for a slow answer."""

    rule: Rule
    """The step for the items that need not wait: most of them."""
    waits: Callable[[Work], bool]
    """Whether an item must wait; cheap, and the same when asked again."""
    start: Start[Work, Work]
    """Does the whole step for those that must, outside the flow's thread, within a bounded time."""


class Steps(Protocol):
    """What each step does; `flows.steps` binds the pure stages to the clock and the ports."""

    def decode(self, records: list[Record]) -> list[Work]:
        """Bytes to jobs."""
        ...

    @property
    def between(self) -> list[tuple[str, Rule | Waiting]]:
        """The steps between `decode` and `call`, by name, in order."""
        ...

    def call(self, jobs: list[Work], done: Callable[[Ended], None]) -> None:
        """Begin the calls."""
        ...

    def respond(self, ended: list[Ended], done: Callable[[Outcome], None]) -> None:
        """Begin the writing of responses."""
        ...


def build(
    source: Source[Record],
    steps: Steps,
    sink: Sink[Outcome],
    *,
    bell: Bell | None = None,
    flow_id: str = "weir",
) -> Dataflow:
    """The serving flow as an ordinary Bytewax dataflow; `bell` wakes a source that rests."""
    flow = Dataflow(flow_id)
    records = op.input("llm_requests", flow, source)
    work = stage("decode", records, steps.decode)
    for name, rule in steps.between:
        if isinstance(rule, Waiting):
            work = stage_or_wait(name, work, rule.rule, rule.waits, rule.start, bell)
        else:
            work = stage(name, work, rule)
    ended = async_map("call", work, steps.call, bypass=_ended, shard=_route, bell=bell)
    outcomes = async_map("respond", ended, steps.respond, bypass=_nothing, shard=_respond, bell=bell)
    op.output("settle", outcomes, sink)
    return flow


def _ended(item: Work) -> Ended | None:
    return item if isinstance(item, Ended) else None


def _nothing(_: Ended) -> Outcome | None:
    return None


def _route(item: Work) -> str:
    plan = item.plan if isinstance(item, Job) else None
    return plan.routes[0].route.name if plan else ""


def _respond(_: Ended) -> str:
    return "respond"
