"""`weir up`, `down`, `status` and `worker`: run an installation on this machine."""

import json
import os
import signal
import subprocess
import threading
import time
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO, Annotated

import psutil
import typer

from connectors.kafka.broker import DEFAULT_PORT
from connectors.kafka.clients import address, probe, quieten_kafka_logs
from connectors.kafka.errors import KafkaProblem
from connectors.kafka.offsets import group_state, lag
from connectors.process import state
from connectors.process.errors import AlreadyUp, NotReady
from connectors.process.stack import Stack, StackOptions, weir_command
from flows import cli_gateway, cli_worker
from flows.settings import Settings, load
from schemas.cluster import Cluster

Config = Annotated[
    str | None, typer.Option("--config", metavar="FILE", help="Configuration; else WEIR_CONFIG, else none.")
]
Home = Annotated[Path, typer.Option("--data", envvar="WEIR_DATA", help="Folder of the installation.")]
DEFAULT_HOME = Path(".weir")
KAFKA = "KAFKA_BOOTSTRAP_SERVERS"
DETACH_TIMEOUT_S = 660
"""Longest wait for a detached `weir up`; the first one fetches Kafka."""


def say(line: str) -> None:
    """One line for the operator, on stderr."""
    typer.echo(line, err=True)


def up(
    config: Config = None,
    workers: Annotated[int, typer.Option(min=0, help="How many workers to run.")] = 1,
    data: Home = DEFAULT_HOME,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the embedded broker.")] = DEFAULT_PORT,
    detach: Annotated[bool, typer.Option("--detach", help="Return when all is up.")] = False,
    gateway: Annotated[bool, typer.Option(help="Run an HTTP gateway, too.")] = True,
    first_key: Annotated[bool, typer.Option(hidden=True)] = True,
) -> None:
    """Start broker, topics, workers and a gateway, and look after them.

    With KAFKA_BOOTSTRAP_SERVERS set, or a cluster in the configuration, no broker is started.
    """
    quieten_kafka_logs()
    settings = load(config, os.environ)
    config = str(Path(config).absolute()) if config else None
    if detach:
        _up_detached(data, workers, port, config, gateway)
        return
    url = cli_gateway.chosen_url(os.environ) if gateway else None
    options = StackOptions(
        home=data,
        cluster=settings.cluster,
        embedded=_needs_broker(settings),
        port=port,
        workers=workers,
        worker_args=("--config", config) if config else (),
        drain=settings.delivery.drain,
        gateway_args=cli_gateway.child_args(url, config) if url else None,
        gateway_url=url,
    )
    with state.only_one(options.run_dir):
        _run(Stack(options, say), url, first_key=first_key)


def _needs_broker(settings: Settings) -> bool:
    return not os.environ.get(KAFKA) and settings.cluster.bootstrap == Cluster().bootstrap


def _run(stack: Stack, url: str | None = None, *, first_key: bool = False) -> None:
    """Start, run until a signal, stop; a second signal hurries."""
    stop, hurry = threading.Event(), threading.Event()
    started = False

    def on_signal(*_: object) -> None:
        if not started:
            raise KeyboardInterrupt
        (hurry if stop.is_set() else stop).set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    stack.start()
    started = True
    server = address(stack.cluster)
    say(f"up: Kafka at {server}; Ctrl-C or `weir down` stops")
    if server != Cluster().bootstrap[0]:
        say(f"other commands find it with {KAFKA}={server}")
    if url is not None and first_key:
        cli_gateway.show_first_key(stack.cluster, say)
    stack.run(stop)
    say("stopping; once more to hurry")
    stack.stop(hurry)


def _up_detached(data: Path, workers: int, port: int, config: str | None, gateway: bool = True) -> None:
    """Start `weir up` in a session of its own, pass its lines on until it is ready.

    Raises:
        AlreadyUp: When one runs here.
        NotReady: When it ends, or the time is over.
    """
    run_dir = data.absolute() / "run"
    if (current := state.read(run_dir)) is not None:
        hint = "stop it with `weir down` first"
        raise AlreadyUp(f"Weir is up already (pid {current.supervisor.pid})", hint=hint)
    run_dir.mkdir(parents=True, exist_ok=True)
    log_path = run_dir / "up.log"
    args = ["up", "--workers", str(workers), "--data", str(data.absolute()), "--port", str(port)]
    args += ["--config", config] if config else []
    args += ["--no-first-key"] if gateway else ["--no-gateway"]  # a key belongs on the terminal, not in a log
    with log_path.open("wb") as output:
        child = start_detached(weir_command(*args), output)
    end_s = time.monotonic() + DETACH_TIMEOUT_S
    with log_path.open() as lines:
        while time.monotonic() < end_s:
            code = child.poll()
            for line in lines:
                say(line.rstrip("\n"))
            if code is not None:
                raise NotReady(f"weir up ended with exit code {code}", hint=f"see {log_path}")
            current = state.read(run_dir)
            if current is not None and current.ready and current.supervisor.pid == child.pid:
                child.returncode = 0  # it goes on without us: no warning about a child that still runs
                for line in lines:
                    say(line.rstrip("\n"))
                if current.gateway is not None:
                    found = load(config, {**os.environ, KAFKA: current.bootstrap}).cluster
                    cli_gateway.show_first_key(found, say)
                return
            time.sleep(0.1)
    child.terminate()
    raise NotReady(f"weir up was not ready after {DETACH_TIMEOUT_S} s", hint=f"see {log_path}")


def start_detached(command: tuple[str, ...], output: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a command that lives on when we end."""
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
    )


def down(data: Home = DEFAULT_HOME) -> None:
    """Stop what `weir up` started here, in good order; nothing to do is no error."""
    run_dir = data.absolute() / "run"
    current = state.read(run_dir)
    if current is None:
        state.clear(run_dir)
        say("nothing runs here")
        return
    pid = current.supervisor.pid
    os.kill(pid, signal.SIGTERM)
    say(f"stopping pid {pid}")
    bound = timedelta(seconds=current.drain_s + 30)
    if not _gone(current.supervisor, bound):
        os.kill(pid, signal.SIGKILL)  # its children die with it
        _gone(current.supervisor, timedelta(seconds=5))
        state.clear(run_dir)
        raise NotReady(f"pid {pid} did not stop in {bound.total_seconds():g} s and was killed", hint="")
    say("stopped")


def _gone(process: state.ProcessState, bound: timedelta) -> bool:
    end_s = time.monotonic() + bound.total_seconds()
    while process.alive:
        if time.monotonic() > end_s:
            return False
        time.sleep(0.05)
    return True


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """One process of the installation, for people and programs."""

    name: str
    """`up`, `broker`, `worker-0`, ..."""
    pid: int
    """Its process id."""
    alive: bool
    """Whether it runs."""
    uptime_s: float
    """Since when, in seconds."""
    rss_mb: float
    """Resident memory, in MB."""


@dataclass(frozen=True, slots=True)
class Status:
    """What `weir status --json` prints."""

    up: bool
    """Whether a `weir up` runs on this folder."""
    bootstrap: str
    """Kafka's address."""
    kafka: str
    """`answers`, or why it doesn't."""
    processes: list[ProcessStatus]
    """What `weir up` started."""
    group: str | None
    """State of the consumer group of the workers."""
    members: list[str]
    """Workers in the group."""
    lag: int | None
    """Requests that are not settled, over all partitions."""
    gateway: str | None = None
    """Where the gateway listens, as a URL."""


def status(
    config: Config = None,
    data: Home = DEFAULT_HOME,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show what runs here and whether Kafka answers. Exit code 1 when it does not."""
    quieten_kafka_logs()
    current = state.read(data.absolute() / "run")
    env = dict(os.environ)
    if current is not None:
        env.setdefault(KAFKA, current.bootstrap)
    found = _look(load(config, env).cluster, current)
    typer.echo(json.dumps(asdict(found)) if as_json else _table(found))
    if found.kafka != "answers":
        raise typer.Exit(1)


def _look(cluster: Cluster, current: state.RunState | None) -> Status:
    seen = (current.supervisor, *current.processes) if current else ()
    url = current.gateway if current else None
    processes = [_measure(process) for process in seen]
    try:
        probe(cluster)
        group = group_state(cluster)
        waiting = sum(partition.lag for partition in lag(cluster))
    except KafkaProblem as problem:
        return Status(current is not None, address(cluster), str(problem), processes, None, [], None, url)
    members = list(group.members)
    up = current is not None
    return Status(up, address(cluster), "answers", processes, group.state, members, waiting, url)


def _measure(process: state.ProcessState) -> ProcessStatus:
    rss_mb = 0.0
    if alive := process.alive:
        try:
            rss_mb = round(psutil.Process(process.pid).memory_info().rss / 2**20, 1)
        except psutil.Error:
            alive = False
    uptime_s = round(time.time() - process.started_s, 1) if alive else 0.0
    return ProcessStatus(process.name, process.pid, alive, uptime_s, rss_mb)


def _table(found: Status) -> str:
    lines = [f"kafka     {found.bootstrap}  {found.kafka}"]
    if not found.up:
        lines.append("no `weir up` runs on this folder")
    if found.gateway is not None:
        lines.append(f"gateway   {found.gateway}")
    for process in found.processes:
        how = f"up {process.uptime_s:.0f} s, {process.rss_mb:.0f} MB" if process.alive else "dead"
        lines.append(f"{process.name:<9} pid {process.pid}  {how}")
    if found.group is not None:
        lines.append(f"group     {found.group}, {len(found.members)} members, {found.lag} requests waiting")
    return "\n".join(lines)


def worker(
    config: Config = None,
    instance_id: Annotated[
        str | None, typer.Option(help="Stable name: a restart keeps its partitions.")
    ] = None,
) -> None:
    """Run one worker in the foreground, until SIGTERM. Start more to scale out."""
    raise typer.Exit(cli_worker.serve(config, instance_id))
