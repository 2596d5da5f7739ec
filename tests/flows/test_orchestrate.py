"""The graph: its steps by name and in order, and that building it touches nothing outside."""

import json
import re
import socket
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSink, TestingSource, run_main
from bytewax.visualize import to_json, to_mermaid, to_rendered

from flows.app import Worker
from flows.orchestrate import build
from flows.settings import load
from flows.stages.jobs import Ended, Job
from schemas.arrivals import Outcome
from schemas.codes import Code
from schemas.records import Record
from tests.flows.doubles import ANSWER, DrainingSource, FakeAnswers, bound
from tests.flows.stages.making import route

STEPS = [
    "llm_requests", "decode", "admit", "recall", "count", "cache", "route", "compress", "batch",
    "call", "respond", "settle",
]  # fmt: skip


def flow() -> Dataflow:
    return build(TestingSource[Record]([]), bound(), TestingSink[Outcome]([]))


def record(offset: int, body: bytes) -> Record:
    return Record(0, 3, offset, time.time_ns() // 1_000_000, None, body)


def test_the_steps_of_the_design_stand_in_the_graph_by_name_and_in_order():
    assert [step.step_id for step in to_rendered(flow()).substeps] == [f"weir.{name}" for name in STEPS]


def test_each_step_takes_what_the_one_before_it_gives():
    drawn: dict[str, Any] = json.loads(to_json(flow()))
    steps = drawn["substeps"]
    froms = {
        step["step_id"]: {
            origin.split(".")[1] for port in step["inp_ports"] for origin in port["from_port_ids"]
        }
        for step in steps
    }

    for before, name in pairwise(STEPS):
        assert froms[f"weir.{name}"] == {before}


def test_the_drawing_names_every_step():
    drawing = to_mermaid(flow())
    arrows = re.findall(r"weir\.(\w+) -- .*? --> weir\.(\w+)", drawing)

    assert arrows == list(pairwise(STEPS))


def test_a_flow_may_have_another_name():
    assert to_rendered(build(TestingSource([]), bound(), TestingSink([]), flow_id="other")).flow_id == "other"


def test_building_the_serving_flow_touches_nothing_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    def touched(*_: object, **__: object) -> None:
        raise AssertionError("the outside was touched")

    monkeypatch.setattr(socket.socket, "connect", touched)
    monkeypatch.setattr(socket, "getaddrinfo", touched)
    monkeypatch.setattr(threading.Thread, "start", touched)
    config = tmp_path / "weir.yaml"
    config.write_text("model_list: []\n", encoding="utf-8")
    worker = Worker(load(str(config), {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9"}))
    drawn = to_rendered(worker.flow())
    worker._calls.loop.close()

    assert [step.step_id for step in drawn.substeps] == [f"weir.{name}" for name in STEPS]


def test_requests_go_all_their_way_and_failures_pass_the_steps_by():
    answers = FakeAnswers()
    settled: list[Outcome] = []

    def submit(jobs: list[Job], done: Any) -> None:
        for job in jobs:
            end = Ended(job.record, job, answer=ANSWER, route=route("p:m"))
            threading.Timer(0.01, done, (end,)).start()

    bodies = [b'{"prompt": "hi"}', b"?", b'{"prompt": "hi", "model": "nobody"}', b'{"prompt": "ho"}']
    source = DrainingSource(
        [record(offset, body) for offset, body in enumerate(bodies)], lambda: len(settled) == len(bodies)
    )
    run_main(build(source, bound(submit=submit, answers=answers), TestingSink(settled)))

    by_offset = {outcome.record.offset: outcome.response for outcome in settled}
    assert len(settled) == 4
    codes = [r.error.code if r is not None and r.error else None for _, r in sorted(by_offset.items())]
    assert codes == [None, Code.INVALID_REQUEST, Code.MODEL_UNAVAILABLE, None]
    assert {id(outcome) for outcome in settled} == {id(outcome) for outcome in answers.written}
