"""What `weir up` runs: broker, topics and workers, all or nothing."""

import os
import signal
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

from connectors.kafka.clients import probe
from connectors.kafka.errors import BrokerDown, TopicMismatch
from connectors.process import stack, state
from connectors.process.stack import Stack, StackOptions
from schemas.cluster import Cluster
from schemas.topics import TOPICS
from tests.support.kafka import Topics, requires

pytestmark = pytest.mark.broker


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that print what they were given and sleep."""
    script = "import os, sys, time; print(sys.argv[1:], os.environ['KAFKA_BOOTSTRAP_SERVERS'], flush=True)"
    command = (sys.executable, "-c", f"{script}; time.sleep(60)")
    monkeypatch.setattr(stack, "worker_command", lambda *args: (*command, *args))


def _options(home: Path, cluster: Cluster, workers: int) -> StackOptions:
    return StackOptions(home, cluster, False, 0, workers, ("--config", "x.yaml"), timedelta(seconds=2))


def test_workers_run_on_a_cluster_elsewhere_until_they_are_stopped(tmp_path: Path, topics: Topics):
    said: list[str] = []
    running, event = Stack(_options(tmp_path, topics.cluster, 2), said.append), threading.Event()

    report = running.start()
    current = state.read(tmp_path / "run")
    event.set()
    running.run(event)
    running.stop()

    assert report.created == ()
    assert current is not None
    assert (current.ready, current.embedded, current.drain_s) == (True, False, 2.0)
    assert [process.name for process in current.processes] == ["worker-0", "worker-1"]
    assert not [process for process in current.processes if process.alive]
    assert state.read(tmp_path / "run") is None
    assert [line.split(":")[0] for line in said[:2]] == ["worker-0", "worker-1"]


def test_killed_worker_is_replaced_by_the_spare_at_once(
    tmp_path: Path, topics: Topics, monkeypatch: pytest.MonkeyPatch
):
    script = "import sys, time; print(*sys.argv[1:], flush=True); line = sys.stdin.readline()\n"
    script += "print(line, flush=True)\nif line or '--standby' not in sys.argv: time.sleep(60)"
    monkeypatch.setattr(stack, "worker_command", lambda *args: (sys.executable, "-c", script, *args))
    monkeypatch.setattr(stack, "SPARE_LATER", timedelta(0))
    said: list[str] = []
    running, event = Stack(_options(tmp_path, topics.cluster, 1), said.append), threading.Event()
    running.start()
    thread = threading.Thread(target=running.run, args=(event,))
    thread.start()
    try:
        before = _processes(tmp_path, "worker-0", "spare")
        time.sleep(0.2)
        os.kill(before["worker-0"], signal.SIGKILL)
        after = _processes(tmp_path, "worker-0", "spare", but=before)
    finally:
        event.set()
        thread.join()
        running.stop()

    assert after["worker-0"] == before["spare"]
    assert '"instance_id": "worker-0"' in (tmp_path / "log" / "spare.log").read_text()
    assert not [pid for pid in (*before.values(), *after.values()) if state.start_time(pid)]


def _processes(home: Path, *names: str, but: dict[str, int] | None = None) -> dict[str, int]:
    """Process ids by name, once these run and are other ones than `but`."""
    end_s = time.monotonic() + 10
    while time.monotonic() < end_s:
        current = state.read(home / "run")
        found = {one.name: one.pid for one in current.processes if one.alive} if current else {}
        if set(names) == set(found) and not set(found.items()) & set((but or {}).items()):
            return found
        time.sleep(0.02)
    raise AssertionError(f"{names} did not come up")


def test_topics_with_other_partitions_stop_it_before_a_worker_starts(tmp_path: Path, topics: Topics):
    said: list[str] = []
    other = Cluster(topics.cluster.bootstrap, prefix=topics.cluster.prefix, partitions=9)

    with pytest.raises(TopicMismatch, match="partitions is 4, Weir expects 9"):
        Stack(_options(tmp_path, other, 1), said.append).start()

    assert said[0].startswith("topic differs, left as it is: ")
    assert not [line for line in said if "started" in line]
    assert state.read(tmp_path / "run") is None


def test_embedded_broker_is_started_first_and_stopped_last(tmp_path: Path):
    requires("java", "mvn")
    said: list[str] = []
    options = StackOptions(home=tmp_path, port=0, cluster=Cluster(partitions=1, security="SSL"))
    running = Stack(options, said.append, env=dict(os.environ))

    report = running.start()
    probe(running.cluster)
    current = state.read(tmp_path / "run")
    output, end_s = tmp_path / "log" / "worker-0.log", time.monotonic() + 20
    while not output.read_text() and time.monotonic() < end_s:
        time.sleep(0.05)
    running.stop()

    assert len(report.created) == len(TOPICS)
    assert current is not None
    assert [process.name for process in current.processes] == ["broker", "worker-0"]
    assert (
        (tmp_path / "log" / "worker-0.log").read_text().startswith("['--instance-id', 'worker-0'] 127.0.0.1:")
    )
    assert [line.split(":")[0] for line in said[-2:]] == ["worker-0", "broker"]
    with pytest.raises(BrokerDown):
        probe(running.cluster)


def test_commands_name_this_python():
    assert stack.weir_command("up") == (sys.executable, "-m", "flows.cli", "up")
