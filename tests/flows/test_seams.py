"""A new provider and a new stage need neither call, nor source, nor sink.

Everything that is new stands here, in the five places that such a change may touch: a codec, its
registration, a stage, its place among the steps, and this test.
"""

import inspect
import sys
import time
from types import ModuleType
from typing import Any

import pytest
from bytewax.testing import TestingSink, run_main
from bytewax.visualize import to_rendered

from connectors.providers.registry import Registry
from flows import calling, orchestrate
from flows.app import Worker
from flows.calling import Calls
from flows.drive import CallPolicy, CallPorts
from flows.orchestrate import build
from flows.ports import PieceSink
from flows.settings import load
from flows.stages.health import Health
from flows.stages.jobs import Job, Work
from flows.stages.retry import RetryPolicy
from flows.steps import BoundSteps
from schemas.arrivals import Outcome
from schemas.calls import Answer, Call, HttpRequest, Piece, Route
from schemas.chunks import Chunk
from schemas.records import Record
from schemas.responses import Usage
from tests.flows.doubles import DrainingSource, FakeAnswers, FakeDoor, FakeLedger, FakeOutlet, bound
from tests.flows.stages.making import route

# --- 1: a provider


class Parrot:
    """Says what it hears."""

    def encode(self, call: Call) -> HttpRequest | None:
        """Nothing goes over a wire."""
        return None

    async def complete(
        self, call: Call, request: HttpRequest | None, sink: PieceSink | None, gate: Any
    ) -> Answer:
        """The last turn, word by word where it is streamed."""
        text = str(call.messages[-1].content)
        for word in text.split() if sink is not None else ():
            await sink(Piece(f"{word} "))  # type: ignore[misc]
        return Answer(text, "stop", Usage(input_tokens=1, output_tokens=1))

    async def close(self) -> None:
        """Nothing is open."""


# --- 2: its registration, as a plugin


def _parrot(_: Route) -> Parrot:
    return Parrot()


def register(registry: Registry) -> None:
    """What the worker calls when it loads the plugin."""
    registry.register("parrot", _parrot)


# --- 3: a stage


def shout(job: Job) -> Job:
    """The turns in capitals; pure."""
    job.messages = tuple(
        message.model_copy(update={"content": str(message.content).upper()}) for message in job.messages
    )
    return job


# --- 4: its place among the steps


def with_shout(steps: BoundSteps) -> BoundSteps:
    """The steps with `shout` after `recall`."""

    def rule(items: list[Work]) -> list[Work]:
        return [shout(item) if isinstance(item, Job) else item for item in items]

    names = [name for name, _ in steps.between]
    steps.between.insert(names.index("recall") + 1, ("shout", rule))
    return steps


# --- 5: the test

ROUTE = route("parrot:grey", "grey")


def record(offset: int, body: bytes) -> Record:
    return Record(0, 3, offset, time.time_ns() // 1_000_000, None, body)


def test_a_made_up_provider_and_stage_serve_requests_through_the_flow():
    registry = Registry()
    register(registry)
    outbox, settled = FakeOutlet(), list[Outcome]()
    ports = CallPorts(registry, FakeLedger(), FakeDoor(), outbox, lambda: True)
    calls = Calls(ports, CallPolicy(RetryPolicy(), True, "llm.chunks"), Health())
    calls.open(pytest.fail)
    steps = with_shout(bound(submit=calls.submit, answers=FakeAnswers(), routes=(ROUTE,)))
    bodies = [b'{"prompt": "a b"}', b'{"prompt": "c d", "model": "grey", "stream": true}']
    source = DrainingSource(
        [record(offset, body) for offset, body in enumerate(bodies)], lambda: len(settled) == 2
    )
    run_main(build(source, steps, TestingSink(settled)))
    calls.close()
    calls.loop.close()

    responses = [outcome.response for outcome in sorted(settled, key=lambda each: each.record.offset)]
    assert [(each.response, each.provider) for each in responses if each] == [
        ("A B", "parrot"),
        ("C D", "parrot"),
    ]
    chunks = [Chunk.model_validate_json(sent.value or b"") for sent in outbox.sent]
    assert "".join(chunk.delta for chunk in chunks) == "C D "
    assert chunks[-1].last


def test_the_made_up_stage_stands_in_the_graph():
    drawn = to_rendered(build(DrainingSource([], lambda: True), with_shout(bound()), TestingSink([])))
    names = [step.step_id.removeprefix("weir.") for step in drawn.substeps]

    assert names[names.index("recall") + 1] == "shout"


def test_a_provider_comes_with_a_plugin_that_the_configuration_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
):
    plugin = ModuleType("a_made_up_plugin")
    plugin.register = register  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "a_made_up_plugin", plugin)
    config = tmp_path / "weir.yaml"
    config.write_text(
        "model_list:\n"
        "  - model_name: grey\n"
        "    litellm_params: {model: parrot/grey}\n"
        "weir: {plugins: [a_made_up_plugin]}\n",
        encoding="utf-8",
    )
    worker = Worker(load(str(config), {}))
    worker.flow()
    worker._calls.loop.close()

    assert "parrot" in worker._registry.names()
    assert isinstance(worker._registry.of(ROUTE), Parrot)


def test_neither_call_nor_graph_knows_a_provider_or_a_stage_by_name():
    sources = inspect.getsource(calling) + inspect.getsource(orchestrate)

    for name in Registry().names():
        assert f'"{name}"' not in sources
    for name in ("admit", "recall", "compress", "shout"):
        assert f'"{name}"' not in sources
