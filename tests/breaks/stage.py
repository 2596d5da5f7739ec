"""What a story is played on: topics of its own, a provider, and real workers from a tree of packages."""

import contextlib
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from uuid import UUID

import orjson
import yaml
from kafka import KafkaProducer

from connectors.bench import calculate
from connectors.bench.facts import Answered, Facts, Place
from connectors.bench.topics_reader import TopicsReader
from connectors.bench.workers import Worker, end_all, worker_env
from connectors.kafka.clients import client_settings
from schemas.cluster import Cluster
from schemas.topics import CONTROL, REQUESTS
from tests.breaks.provider import StoryProvider
from tests.breaks.trees import environment

SESSION_MS = 2000
PATIENCE_S = 25.0
"""Longest wait for what happens with and without a break: a worker's start, a takeover, an answer."""
LAST_S = 10.0
"""Longest wait for the last request of a story; by then its worker has been up for a while."""
RULES = {"WEIR_SESSION_MS": str(SESSION_MS), "WEIR_HEARTBEAT_MS": "300", "WEIR_COMMIT_EVERY_MS": "100"}


class StoryError(Exception):
    """A story could not be played to its end."""


class TooLateError(StoryError):
    """The machine was too slow for a moment that a story had to meet; play it again."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A request of a story."""

    name: str
    """Its id."""
    prompt: str = "how high is the water?"
    """Its prompt; `hold=N` holds its first N calls at the provider."""
    partition: int = 0
    """Where it is put."""
    model: str = "bench"
    """Its model."""
    tenant: str = "default"
    """Its tenant."""
    context_id: UUID | None = None
    """Its conversation."""
    headers: tuple[tuple[str, bytes], ...] = ()
    """Its headers."""
    more: dict[str, object] = field(default_factory=dict[str, object])
    """Further fields of its body."""

    def body(self) -> bytes:
        """Its value."""
        fields = {"request_id": self.name, "model": self.model, "prompt": self.prompt, "tenant": self.tenant}
        own = {} if self.context_id is None else {"context_id": str(self.context_id)}
        return orjson.dumps(fields | own | self.more)


class Stage:
    """Use as a context. Topics must exist; at the end everything else is ended."""

    def __init__(self, cluster: Cluster, tree: Path, home: Path) -> None:
        self.cluster, self.home = cluster, home
        self._tree = tree
        self._exits = contextlib.ExitStack()
        self._places: dict[str, list[Place]] = {}
        self.workers: list[Worker] = []
        home.mkdir(parents=True)

    def __enter__(self) -> "Stage":
        with self._exits as exits:
            self.provider = exits.enter_context(StoryProvider())
            self.reader = TopicsReader(self.cluster)
            exits.callback(self.reader.close)
            self._producer = KafkaProducer(**client_settings(self.cluster), linger_ms=0)
            exits.callback(self._producer.close)
            exits.callback(lambda: end_all(self.workers))
            exits.callback(self._kill_all)
            self._exits = exits.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exits.close()

    # --- workers

    def start(self, name: str = "one", *, restart: bool = True, **env: str) -> Worker:
        """A worker with a stable name; without `restart` it stays away once it has ended."""
        kept = {"WEIR_INSTANCE_ID": name, "WEIR_CONVERSATIONS_FOLDER": str(self.home / "turns")}
        own = RULES | environment(self._tree) | kept | env
        base = worker_env(self.cluster.bootstrap, self.cluster.prefix, self.cluster.partitions, SESSION_MS)
        command = [sys.executable, "-m", "flows.cli_worker", "--config", str(self._config())]
        worker = Worker(command, base | own, self.home / f"{name}.log", restart=restart)
        self.workers.append(worker)
        return worker

    def _kill_all(self) -> None:
        for worker in self.workers:
            worker.restart = False
            if worker.alive:
                worker.kill()

    def log(self, name: str) -> str:
        """What a worker said."""
        path = self.home / f"{name}.log"
        return path.read_text() if path.exists() else ""

    def _config(self) -> Path:
        address = {"api_base": self.provider.api_base, "api_key": "none"}
        models = [("bench", "openai"), ("poison", "poison")]
        config = {
            "model_list": [
                {"model_name": name, "litellm_params": {"model": f"{kind}/{name}", **address}}
                for name, kind in models
            ],
            "weir": {"plugins": ["connectors.bench.poison"]},
        }
        path = self.home / "weir.yaml"
        path.write_text(yaml.safe_dump(config))
        return path

    # --- requests

    def send(self, *asks: Ask) -> None:
        """Put requests on the topic, in this order; returns when they are durable."""
        topic = self.cluster.topic(REQUESTS.name)
        futures = [
            self._producer.send(
                topic,
                value=ask.body(),
                key=ask.name.encode(),
                partition=ask.partition,
                headers=list(ask.headers),
            )
            for ask in asks
        ]
        for ask, future in zip(asks, futures, strict=True):
            place = Place(0, ask.partition, future.get(timeout=PATIENCE_S).offset)
            self._places.setdefault(ask.name, []).append(place)

    def cancel(self, tenant: str, request_id: str) -> None:
        """Put a cancel on `llm.control`."""
        value = orjson.dumps({"kind": "cancel", "tenant": tenant, "request_id": request_id})
        topic = self.cluster.topic(CONTROL.name)
        self._producer.send(topic, value=value, key=request_id.encode(), partition=0).get(timeout=PATIENCE_S)

    def places(self, name: str) -> list[Place]:
        """Where the story put the requests of an id, oldest first."""
        return self._places[name]

    # --- what is seen

    def response(self, name: str, number: int = 0) -> Answered | None:
        """The first response to the n-th record of an id, as far as it is there."""
        place = self._places[name][number]
        return next((answer for answer in self.reader.answered if answer.place == place), None)

    def answered(self, *names: str) -> bool:
        """Whether the first records of these ids have a response."""
        return all(self.response(name) is not None for name in names)

    def called(self, name: str, times: int = 1) -> bool:
        """Whether the provider saw a request that often."""
        return len(self.provider.calls(name)) >= times

    def facts(self) -> Facts:
        """All that can be seen from outside now."""
        return self.reader.facts(tuple(self.provider.calls()))

    def lost(self) -> int:
        """Requests without response that are due one; takes half a second."""
        facts = self.facts()
        return len(calculate.lost(facts.asked, facts.answered, facts.done))

    # --- time

    def until(self, seen: Callable[[], bool], patience_s: float = PATIENCE_S) -> bool:
        """Go on reading until something is seen; whether it was within the time."""
        end_s = time.monotonic() + patience_s
        while not seen():
            if time.monotonic() > end_s:
                return False
            self.reader.follow(0.02)
        return True

    def expect(self, what: str, seen: Callable[[], bool]) -> None:
        """The same for what must happen for the story to go on.

        Raises:
            StoryError: When it doesn't.
        """
        if not self.until(seen):
            tail = "\n".join(self.log(path.stem)[-1500:] for path in sorted(self.home.glob("*.log")))
            raise StoryError(f"not seen within {PATIENCE_S:.0f} s: {what}\n{tail}")

    def pause(self, seconds: float) -> None:
        """Let time pass and go on reading."""
        self.until(lambda: False, seconds)

    def finish(self, last: Ask, *names: str) -> None:
        """Send a last request; when it is answered, or should have been, the others have a moment left."""
        self.send(last)
        self.until(lambda: self.answered(last.name), LAST_S)
        self.until(lambda: self.answered(*names), 2.0)
        for _ in range(4):
            if not self.lost():
                return


def signal_to(worker: Worker, number: int) -> None:
    """Send a signal to a worker's process."""
    os.kill(worker.pid, number)
