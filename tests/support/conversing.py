"""Conversations over a real broker: a provider that notes which turns it saw, and mixed producers.

A prompt is `NAME NUMBER`; the answer is a hash of all that the call held, so a turn that saw other answers
than were given, or none, shows too.
"""

import hashlib
import subprocess
import sys
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple
from urllib.parse import unquote
from uuid import UUID, uuid5

import orjson
import yaml
from kafka import KafkaProducer

from connectors.bench.provider_wire import completion, response, usage_of
from connectors.bench.workers import Worker, worker_env
from connectors.kafka.clients import client_settings
from connectors.kafka.reading import Seen, partition_of, reading
from schemas.topics import REQUESTS, Topic
from tests.support.kafka import Topics

SPACE = UUID("8d2c1f9e-53f3-4c5b-9e0a-6a1d4f6b0000")


def context_of(name: str) -> UUID:
    """The conversation of a name."""
    return uuid5(SPACE, name)


class Heard(NamedTuple):
    """What one call held."""

    asked: str
    """The prompt."""
    before: tuple[str, ...]
    """The turns before it, as `PROMPT -> ANSWER`."""
    answer: str
    """What was answered."""


def answer_to(asked: str, before: tuple[str, ...]) -> str:
    """The answer to a prompt after these turns."""
    return hashlib.blake2b("\n".join((*before, asked)).encode(), digest_size=8).hexdigest()


class EchoProvider:
    """OpenAI's chat completions on a loopback port; remembers every call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.heard: defaultdict[str, list[Heard]] = defaultdict(list[Heard])
        """Calls by request id, in the order in which they came."""
        self.wrong: list[str] = []
        """Calls whose turns don't stand question, answer, question, answer."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.api_base = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> "EchoProvider":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request_id: str, body: bytes) -> str:
        """Note a call and answer it."""
        messages = orjson.loads(body)["messages"]
        *earlier, last = [(each["role"], str(each["content"])) for each in messages]
        questions, answers = earlier[::2], earlier[1::2]
        before = tuple(f"{q} -> {a}" for (_, q), (_, a) in zip(questions, answers, strict=False))
        roles = [role for role, _ in (*earlier, last)]
        said = answer_to(last[1], before)
        with self._lock:
            if roles != ["user", "assistant"] * len(answers) + ["user"]:
                self.wrong.append(f"{request_id}: {roles}")
            self.heard[request_id].append(Heard(last[1], before, said))
        return said

    @property
    def calls(self) -> int:
        """How many requests were called."""
        return len(self.heard)


def _handler(provider: EchoProvider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            said = provider.answer(unquote(self.headers["x-request-id"] or ""), body)
            try:
                self.wfile.write(response(200, completion("echo", said, usage_of(len(body), 16))))
            except OSError:
                self.close_connection = True

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    return Handler


def body_of(name: str, number: int) -> bytes:
    """The request of a turn."""
    fields = {"request_id": f"{name}-{number}", "context_id": str(context_of(name)), "model": "echo"}
    return orjson.dumps(fields | {"prompt": f"{name} {number}"})


def feed(topics: Topics, names: list[str], numbers: range) -> None:
    """Put turns of conversations on the topic, in four ways by turns; returns when they are durable.

    Of a name in `k`: kafka-python, keyed. Others change from turn to turn: kafka-python keyed and not, kcat
    keyed (librdkafka's partitioner isn't Kafka's) and not.
    """
    topic = topics.name(REQUESTS)
    producer = KafkaProducer(**client_settings(topics.cluster), linger_ms=5)
    keyed: list[bytes] = []
    bare: list[bytes] = []
    try:
        futures: list[Any] = []
        for number in numbers:
            for at, name in enumerate(names):
                body, key = body_of(name, number), str(context_of(name)).encode()
                way = 0 if name.startswith("k") else (at + number) % 4
                if way < 2:
                    futures.append(producer.send(topic, value=body, key=key if way == 0 else None))
                elif way == 2:
                    keyed.append(key + b"\t" + body)
                else:
                    bare.append(body)
        for future in futures:
            future.get(timeout=30)
    finally:
        producer.close()
    command = ["kcat", "-P", "-b", topics.cluster.bootstrap[0], "-t", topic]
    for lines, more in ((keyed, ["-K", "\t"]), (bare, [])):
        if lines:
            subprocess.run([*command, *more], input=b"\n".join(lines), check=True, timeout=60)


def orders(topics: Topics, names: list[str]) -> dict[str, list[str]]:
    """Request ids of each conversation in the order of its home partition, each one once."""
    homes = {name: partition_of(str(context_of(name)).encode(), topics.cluster.partitions) for name in names}
    found: dict[str, dict[str, None]] = {name: {} for name in names}
    for record in written(topics, REQUESTS):
        request_id = str(orjson.loads(record.value or b"{}")["request_id"])
        name = request_id.rpartition("-")[0]
        if name in homes and homes[name] == record.place.partition:
            found[name][request_id] = None
    return {name: list(ids) for name, ids in found.items()}


def faults(provider: EchoProvider, order: list[str]) -> list[str]:
    """Turns that did not see exactly the turns before them, with the answers that were kept."""
    wrong: list[str] = []
    before: tuple[str, ...] = ()
    for request_id in order:
        name, _, number = request_id.rpartition("-")
        asked = f"{name} {number}"
        calls = provider.heard[request_id]
        if not calls:
            wrong.append(f"{request_id} was never called")
        for call in calls:
            if call.before != before:
                wrong.append(f"{request_id} saw {len(call.before)} turns, {len(before)} came before it")
        before = (*before, f"{asked} -> {answer_to(asked, before)}")
    return wrong


def started(topics: Topics, provider: EchoProvider, home: Path, name: str, **env: str) -> Worker:
    """A worker of a stable name with a file of turns of its own; it comes back when it is killed."""
    config = home / "weir.yaml"
    params = {"model": "openai/echo", "api_base": provider.api_base, "api_key": "none"}
    config.write_text(yaml.safe_dump({"model_list": [{"model_name": "echo", "litellm_params": params}]}))
    cluster = topics.cluster
    base = worker_env(cluster.bootstrap, cluster.prefix, cluster.partitions, 2000)
    own = {
        "WEIR_INSTANCE_ID": name,
        "WEIR_CONVERSATIONS_FOLDER": str(home / "turns"),
        "WEIR_HEARTBEAT_MS": "300",
    }
    command = [sys.executable, "-m", "flows.cli_worker", "--config", str(config)]
    return Worker(command, base | own | env, home / f"{name}.log")


def written(topics: Topics, topic: Topic) -> list[Seen]:
    """All records with a value that lie on a topic now."""
    with reading(topics.cluster) as reader:
        places = reader.places(topics.name(topic))
        found = reader.scan(reader.beginnings(places), reader.ends(places))
        return [record for record in found if record.value is not None]
