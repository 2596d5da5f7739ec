"""The embedded broker: Apache Kafka itself, one node, as a child process that dies with us.

Rules that hold here:
- One data folder has one broker: a lock is held from `launch` to `stop`.
- The data folder is formatted once, beside its place, and moved there when that is done.
- Ready means that it answered a Metadata request, not that its port is open.
- A JVM that ended by SIGTERM says 143; that is success.
"""

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import IO

from connectors.kafka.clients import probe
from connectors.kafka.errors import BrokerFailed, KafkaProblem
from connectors.kafka.jars import asset, find_jars, find_java
from connectors.kafka.ports import free_port, is_free
from connectors.process.spawn import spawn
from schemas.cluster import Cluster

DEFAULT_PORT = 19092
CLUSTER_ID = "V2VpckVtYmVkZGVkQnJva2"
"""22 characters of base64, as Kafka wants it; the same for every embedded broker."""
_JVM = ("-Xms64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+ExitOnOutOfMemoryError")
_FORMAT_TIMEOUT_S = 60
_GOOD_EXITS = (0, 128 + signal.SIGTERM, -signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Listener:
    """One more door of the broker, besides the plain one that we use ourselves."""

    name: str
    """Its name, in capitals."""
    protocol: str
    """`SSL`, `SASL_PLAINTEXT` or `SASL_SSL`."""
    port: int
    """Where it listens, on 127.0.0.1."""


@dataclass(frozen=True, slots=True)
class BrokerOptions:
    """What may differ between embedded brokers."""

    heap_mb: int = 256
    """Most memory of the Java heap, in MB."""
    properties: Mapping[str, str] = field(default_factory=dict[str, str])
    """Further broker properties; they win over those of `deploy/kafka/server.properties`."""
    listeners: tuple[Listener, ...] = ()
    """Further doors, with TLS or passwords."""
    ready_timeout: timedelta = timedelta(seconds=60)
    """Longest wait for the first answer."""
    stop_timeout: timedelta = timedelta(seconds=15)
    """Longest wait after SIGTERM, before SIGKILL."""


def _silent(line: str) -> None:
    """Say nothing."""


class EmbeddedBroker:
    """A broker of our own on 127.0.0.1. Use `start` and `stop`, or as a context manager.

    It can be started again after `stop` or `kill`, on the same data and port.
    """

    name = "broker"
    always = True

    def __init__(
        self,
        data_dir: Path,
        port: int = DEFAULT_PORT,
        log_path: Path | None = None,
        options: BrokerOptions | None = None,
        *,
        say: Callable[[str], None] = _silent,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._home = data_dir.absolute()
        self.port = port or free_port()
        """Where it listens; chosen here where 0 was asked for."""
        self.log_path = (log_path or data_dir / "broker.log").absolute()
        """Its log; three files of 10 MB at most."""
        self._options = options or BrokerOptions()
        self._say = say
        self._env = dict(os.environ if env is None else env)
        self._child: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None

    @property
    def bootstrap(self) -> str:
        """`host:port` for clients."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """Process id of the JVM, while it is ours."""
        return self._child.pid if self._child is not None else None

    def __enter__(self) -> "EmbeddedBroker":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Launch and wait until ready; nothing happens where it runs. On failure nothing is left running.

        Raises:
            NotInstalled: When Java, or Maven for the first start, is missing.
            BrokerFailed: When it does not come up, or the data folder or the port is in use.
        """
        if self._child is not None and self.poll() is None:
            return
        try:
            self.launch()
            self.wait_ready()
        except BaseException:
            self.kill()
            raise

    def launch(self) -> None:
        """Start the JVM and return at once (after formatting, the first time).

        Raises:
            NotInstalled: When Java, or Maven for the first start, is missing.
            BrokerFailed: When the data folder or the port is in use, or can't be formatted.
        """
        java = find_java(self._env)
        jars = find_jars(self._env, self._say)
        self._take_lock()
        if not is_free(self.port):
            self._free_lock()
            raise BrokerFailed(f"port {self.port} is taken", hint="choose another with --port")
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        self._out_path.unlink(missing_ok=True)
        flags = [*_JVM, f"-Xmx{self._options.heap_mb}m", "-Djava.awt.headless=true"]
        self._home.joinpath("log4j2.properties").write_text(asset("log4j2.properties"))
        flags.append(f"-Dlog4j2.configurationFile={self._home / 'log4j2.properties'}")
        flags.append(f"-Dweir.kafka.log={self.log_path}")
        command = [java, *flags, "-cp", f"{jars}/*"]
        controller_port = free_port(self.port, *(door.port for door in self._options.listeners))
        if not (self._home / "log").is_dir():
            self._format(command, controller_port)
        properties = self._write_properties("server.properties", self._home / "log", controller_port)
        self._child = spawn([*command, "kafka.Kafka", str(properties)], env=self._env, output=self._out_path)

    def wait_ready(self) -> None:
        """Wait for the first real answer, saying every 5 s that we wait.

        Raises:
            BrokerFailed: When the JVM ends, or the time is over.
        """
        began_s = time.monotonic()
        said_s = 0.0
        last = "no answer"
        while (waited_s := time.monotonic() - began_s) < self._options.ready_timeout.total_seconds():
            if (code := self.poll()) is not None:
                raise BrokerFailed(f"the broker ended with exit code {code}: {self._why()}", hint=self._look)
            try:
                probe(Cluster((self.bootstrap,)), timedelta(seconds=2))
            except KafkaProblem as problem:
                last = problem.reason
            else:
                return
            if waited_s - said_s >= 5:
                said_s = waited_s
                self._say(f"waiting for the broker, {waited_s:.0f} s")
            time.sleep(0.05)
        limit_s = self._options.ready_timeout.total_seconds()
        raise BrokerFailed(f"the broker was not ready after {limit_s:g} s ({last})", hint=self._look)

    def poll(self) -> int | None:
        """Exit code of the JVM, or `None` while it runs or was never started."""
        return self._child.poll() if self._child is not None else None

    @property
    def patience(self) -> timedelta:
        """Longest wait after `terminate`."""
        return self._options.stop_timeout

    def terminate(self) -> None:
        """Ask it to end (SIGTERM)."""
        if self._child is not None:
            self._child.terminate()

    def last_words(self) -> str:
        """Where to look after a failure, with the most telling line."""
        return f"{self.log_path}: {self._why()}"

    def stop(self) -> bool:
        """End it in good order: SIGTERM, then SIGKILL when the time is over. Whether the order was good."""
        if self._child is None:
            return True
        self._child.terminate()
        try:
            code = self._child.wait(self._options.stop_timeout.total_seconds())
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        self._forget()
        return code in _GOOD_EXITS

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
        self._forget()

    @property
    def _out_path(self) -> Path:
        """What the JVM says before it has a log."""
        return self.log_path.with_name(self.log_path.name + ".out")

    @property
    def _look(self) -> str:
        return f"see {self.log_path}"

    def _forget(self) -> None:
        self._child = None
        self._free_lock()

    def _take_lock(self) -> None:
        self._home.mkdir(parents=True, exist_ok=True)
        if self._lock is not None:
            return
        lock = (self._home / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            hint = "stop it with `weir down`, or choose another folder with --data"
            raise BrokerFailed(f"{self._home} is in use by another broker", hint=hint) from error
        self._lock = lock

    def _free_lock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _format(self, command: list[str], controller_port: int) -> None:
        self._say("formatting the broker's data folder")
        work = self._home / "log.new"
        properties = self._write_properties("format.properties", work, controller_port)
        argv = [*command, "kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", CLUSTER_ID]
        argv += ["-c", str(properties)]
        try:
            done = subprocess.run(
                argv, capture_output=True, text=True, timeout=_FORMAT_TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired as error:
            self._free_lock()
            raise BrokerFailed("formatting the data folder took too long", hint="try again") from error
        if done.returncode != 0:
            self._free_lock()
            why = (done.stderr + done.stdout).strip().splitlines() or ["no reason given"]
            raise BrokerFailed(
                f"{self._home} can't be formatted: {why[0][:300]}", hint="choose another folder"
            )
        work.rename(self._home / "log")

    def _write_properties(self, name: str, log_dir: Path, controller_port: int) -> Path:
        more = self._options.listeners
        fill = {
            "PORT": str(self.port),
            "CONTROLLER_PORT": str(controller_port),
            "LOG_DIR": str(log_dir),
            "MORE_LISTENERS": "".join(f",{door.name}://127.0.0.1:{door.port}" for door in more),
            "MORE_PROTOCOLS": "".join(f",{door.name}:{door.protocol}" for door in more),
        }
        text = asset("server.properties")
        for key, value in fill.items():
            text = text.replace(f"@{key}@", value)
        lines = [f"{key}={value}" for key, value in self._options.properties.items()]
        path = self._home / name
        path.write_text("\n".join([text, *lines, ""]))
        return path

    def _why(self) -> str:
        """The most telling line that the broker left behind."""
        lines: list[str] = []
        for path in (self._out_path, self.log_path):
            if path.is_file():
                lines += path.read_text(errors="replace").splitlines()[-200:]
        telling = [line for line in lines if "ERROR" in line or "Exception" in line or "FATAL" in line]
        return (telling or lines or ["it said nothing"])[-1].strip()[:300]
