"""The broker goes away in the middle of a command: the command ends with what to do, without a traceback."""

import time
from collections.abc import Generator
from pathlib import Path

import orjson
import pytest

from connectors.kafka.broker import EmbeddedBroker
from schemas.topics import CONTROL
from tests.support.answering import Answering
from tests.support.command import Weir
from tests.support.kafka import Topics, fresh_topics, running_broker

pytestmark = pytest.mark.broker


@pytest.fixture
def own_broker(tmp_path: Path) -> Generator[EmbeddedBroker]:
    with running_broker(tmp_path / "kafka") as broker:
        yield broker


@pytest.fixture
def own_topics(own_broker: EmbeddedBroker) -> Topics:
    return fresh_topics(own_broker)


@pytest.fixture
def weir(
    own_topics: Topics, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Generator[Weir]:
    command = Weir(own_topics.cluster, monkeypatch, capsys)
    yield command
    command.close()


def wait_until_asked(answering: Answering) -> None:
    end_s = time.monotonic() + 15
    while not answering.calls:
        assert time.monotonic() < end_s
        time.sleep(0.02)


def test_ask_and_submit_end_with_what_to_do(
    weir: Weir, own_broker: EmbeddedBroker, own_topics: Topics, tmp_path: Path
):
    given = tmp_path / "in.jsonl"
    given.write_bytes(orjson.dumps({"prompt": "wait"}))
    with Answering(own_topics.cluster) as answering:
        asking = weir.start("ask", "wait", "--timeout", "4s")
        submitting = weir.start("submit", str(given), "-o", str(tmp_path / "out"), "--timeout", "4s")
        wait_until_asked(answering)
        while len(answering.calls) < 2:
            time.sleep(0.02)
    own_broker.kill()
    _, asked = asking.communicate(timeout=60)
    _, submitted = submitting.communicate(timeout=60)

    assert (asking.returncode, submitting.returncode) == (1, 1)
    assert "no answer within 4 s" in asked
    assert "the same command goes on from here" in submitted
    assert "Traceback" not in asked + submitted


def test_tail_goes_on_when_the_broker_is_back(weir: Weir, own_broker: EmbeddedBroker, own_topics: Topics):
    own_topics.produce(CONTROL, [b'"first"'])
    tail = weir.start("tail", "control", "--from", "beginning", "-n", "2")
    assert tail.stdout is not None
    assert "first" in tail.stdout.readline()
    own_broker.kill()
    own_broker.start()
    own_topics.produce(CONTROL, [b'"second"'])
    out, err = tail.communicate(timeout=30)

    assert tail.returncode == 0
    assert "second" in out
    assert "Traceback" not in err
