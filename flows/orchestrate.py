"""START HERE: the serving flow on one page.

    llm.requests -> decode -> admit -> recall -> count -> cache -> route -> compress -> batch -> call
                 -> respond (llm.responses: the commit point) -> settle (what is derived, then the offset)

An item is a `Job` on its way, or an `Ended` that passes the remaining steps by. Nothing here waits but
`call` and `respond`, and they wait outside the flow's thread.
"""

from collections.abc import Callable
from typing import Protocol

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.inputs import Source
from bytewax.outputs import Sink

from flows.operators import async_map, stage
from flows.stages.jobs import Ended, Job, Work
from schemas.arrivals import Outcome
from schemas.records import Record

Rule = Callable[[list[Work]], list[Work]]
"""A step over the batch at hand."""


class Steps(Protocol):
    """What each step does; `flows.steps` binds the pure stages to the clock and the ports."""

    def decode(self, records: list[Record]) -> list[Work]:
        """Bytes to jobs."""
        ...

    @property
    def between(self) -> list[tuple[str, Rule]]:
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
    ring: Callable[[], None] | None = None,
    flow_id: str = "weir",
) -> Dataflow:
    """The serving flow as an ordinary Bytewax dataflow; `ring` wakes a source that rests."""
    flow = Dataflow(flow_id)
    records = op.input("llm_requests", flow, source)
    work = stage("decode", records, steps.decode)
    for name, rule in steps.between:
        work = stage(name, work, rule)
    ended = async_map("call", work, steps.call, bypass=_ended, shard=_route, ring=ring)
    outcomes = async_map("respond", ended, steps.respond, bypass=_nothing, shard=_respond, ring=ring)
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
