"""All that `weir up` runs: broker (unless Kafka is elsewhere), topics, workers, one spare, a gateway."""

import os
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from connectors.kafka.broker import DEFAULT_PORT, BrokerOptions, EmbeddedBroker
from connectors.kafka.errors import KafkaProblem
from connectors.kafka.topics import TopicReport, ensure_topics
from connectors.process import state
from connectors.process.child import Child
from connectors.process.standby import Standby
from connectors.process.supervisor import POLL_S, Supervisor
from schemas.cluster import Cluster

STANDBY = "--standby"
"""Argument of a worker that waits for its role."""
SPARE_LATER = timedelta(seconds=3)
"""How long after the start of a worker the next spare is made."""
GATEWAY_PATIENCE = timedelta(seconds=20)
"""Longest wait for a gateway to end: its drain, and what comes after."""


@dataclass(frozen=True, slots=True)
class StackOptions:
    """What to bring up."""

    home: Path = Path(".weir")
    """Folder of the installation: `kafka/` (data), `run/` (state, lock), `log/`."""
    cluster: Cluster = field(default_factory=Cluster)
    """Kafka; its address is replaced by the embedded broker's."""
    embedded: bool = True
    """Whether to start a broker of our own."""
    port: int = DEFAULT_PORT
    """Port of the embedded broker; 0 for any."""
    workers: int = 1
    """How many workers."""
    worker_args: tuple[str, ...] = ()
    """Further arguments of `weir worker`."""
    drain: timedelta = timedelta(seconds=30)
    """Longest wait for a worker's calls to end when it stops."""
    gateway_args: tuple[str, ...] | None = None
    """Arguments of `weir gateway`; `None` for no gateway."""
    gateway_url: str | None = None
    """Where it listens, for those who ask."""

    @property
    def run_dir(self) -> Path:
        """Where the state file lies."""
        return self.home.absolute() / "run"


class Stack:
    """Broker and workers under one supervisor, in this process: `start`, then `run`, then `stop`."""

    def __init__(
        self, options: StackOptions, say: Callable[[str], None], env: Mapping[str, str] | None = None
    ) -> None:
        self._options = options
        self._say = say
        self._env = dict(os.environ if env is None else env)
        self._home = options.home.absolute()
        self._ready = False
        self.cluster = options.cluster
        """How to reach Kafka; final after `start`."""
        self._spare: Standby | None = None
        self._supervisor = Supervisor(say, launch_errors=(OSError, KafkaProblem), changed=self._write_state)

    def start(self) -> TopicReport:
        """Bring all up, in order; on failure nothing is left running.

        Raises:
            KafkaProblem: When broker or topics can't be had.
        """
        try:
            if self._options.embedded:
                self._start_broker()
            report = ensure_topics(self.cluster)
            for difference in report.differences:
                self._say(f"topic differs, left as it is: {difference}")
            report.require_partitions()
            self._spare = self._standby() if self._options.workers else None
            for number in range(self._options.workers):
                self._supervisor.add(self._worker(f"worker-{number}"), layer=1)
            if self._options.gateway_args is not None:
                self._supervisor.add(self._gateway(self._options.gateway_args), layer=2)
                self._say(f"gateway at {self._options.gateway_url}")
        except BaseException:
            self.stop()
            raise
        self._ready = True
        self._write_state()
        return report

    def run(self, stop: threading.Event) -> None:
        """Supervise, and keep a spare, until the event is set."""
        while not stop.wait(POLL_S):
            self._supervisor.step()
            if self._spare is not None and self._spare.step():
                self._write_state()

    def stop(self, hurry: threading.Event | None = None) -> None:
        """End the spare and the workers, then the broker, and forget the state."""
        if self._spare is not None:
            self._spare.close()
        self._supervisor.stop(hurry)
        state.clear(self._options.run_dir)

    def _start_broker(self) -> None:
        options = BrokerOptions()
        log_path = self._home / "log" / "broker.log"
        broker = EmbeddedBroker(
            self._home / "kafka", self._options.port, log_path, options, say=self._say, env=self._env
        )
        self.cluster = replace(self.cluster, bootstrap=(broker.bootstrap,), security="PLAINTEXT")
        broker.start()
        self._say(f"broker: ready at {broker.bootstrap}, pid {broker.pid}")
        self._supervisor.add(broker)

    def _worker(self, name: str) -> Child:
        return Child(
            name,
            worker_command("--instance-id", name, *self._options.worker_args),
            env=self._worker_env(),
            output=self._home / "log" / f"{name}.log",
            patience=self._options.drain + timedelta(seconds=5),
            spare=self._spare,
        )

    def _gateway(self, args: tuple[str, ...]) -> Child:
        return Child(
            "gateway",
            gateway_command(*args),
            env=self._worker_env(),
            output=self._home / "log" / "gateway.log",
            patience=GATEWAY_PATIENCE,
        )

    def _standby(self) -> Standby:
        command = worker_command(STANDBY, *self._options.worker_args)
        output = self._home / "log" / "spare.log"
        return Standby(command, env=self._worker_env(), output=output, later=SPARE_LATER)

    def _worker_env(self) -> dict[str, str]:
        return self._env | {"KAFKA_BOOTSTRAP_SERVERS": ",".join(self.cluster.bootstrap)}

    def _write_state(self) -> None:
        running = [
            state.observe(ward.name, ward.pid)
            for ward in self._supervisor.wards
            if ward.pid is not None and ward.poll() is None
        ]
        if self._spare is not None and self._spare.pid is not None:
            running.append(state.observe("spare", self._spare.pid))
        current = state.RunState(
            supervisor=state.observe("up", os.getpid()),
            bootstrap=",".join(self.cluster.bootstrap),
            embedded=self._options.embedded,
            data=str(self._home),
            ready=self._ready,
            drain_s=self._options.drain.total_seconds(),
            processes=tuple(running),
            gateway=self._options.gateway_url,
        )
        state.write(self._options.run_dir, current)


def worker_command(*args: str) -> tuple[str, ...]:
    """The command line of a worker process: `weir worker`, without loading the other commands."""
    return (sys.executable, "-m", "flows.cli_worker", *args)


def gateway_command(*args: str) -> tuple[str, ...]:
    """The command line of a gateway process: `weir gateway`, without loading the other commands."""
    return (sys.executable, "-m", "flows.cli_gateway", *args)


def weir_command(*args: str) -> tuple[str, ...]:
    """The command line of `weir` with this Python, wherever we are called from."""
    return (sys.executable, "-m", "flows.cli", *args)
