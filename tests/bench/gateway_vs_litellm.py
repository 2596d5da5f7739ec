"""The gateway beside LiteLLM's proxy and a bare Kafka client: `python -m tests.bench.gateway_vs_litellm`.

64 connections in a closed loop ask a provider that takes 200 ms; each round is a slice of the gateway (with
one worker), of LiteLLM's proxy (one worker, with a key, without a database), of a Kafka client with 64
requests under way, and of the bare echo at the gateway's rate. Figures are medians over the rounds; JSON
comes last.

`cpu_ratio`: CPU of gateway and worker together over that of LiteLLM, per request; at most 1/3.
`added_ms`: p50 of the gateway less p50 of the Kafka client; at most 1.5 times p50 of the echo. `copy_ms_p50`
is the same client's when it reads copies at a reply topic, as the gateway does: they follow the response.

The CPU of the broker is apart (`broker_cpu_ms`). The proxy is installed as the tests' clients are.
"""

import argparse
import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any
from urllib.request import urlopen

import aiohttp
import orjson
import yaml
from kafka import KafkaConsumer, KafkaProducer
from kafka.structs import TopicPartition

from connectors.bench import calculate
from connectors.bench.echo import ECHO_IN, ECHO_TOPICS
from connectors.bench.echo_client import read_echo, start_echo
from connectors.bench.load import MODEL, Load, PlainItems
from connectors.bench.options import Options
from connectors.bench.run import Run
from connectors.bench.sampling import Sampler, cpu_between_s
from connectors.kafka.clients import client_settings
from connectors.kafka.ports import free_port
from connectors.kafka.topics import ensure_topics
from schemas.cluster import Cluster
from schemas.topics import GATEWAY_REPLIES, REQUESTS, RESPONSES
from tests.support import clients_setup
from tests.support.gateways import admin_key, running_gateways

SIZE_BYTES = 500
READY_S = 120.0
SILENCE_MS = 20_000
LITELLM_KEY = "sk-bench"


@dataclass
class Slice:
    """What a load saw."""

    times_ms: list[float] = field(default_factory=list[float])
    errors: int = 0
    first_ms: float = 0.0
    last_ms: float = 0.0

    @property
    def per_s(self) -> float:
        """Answers a second."""
        return len(self.times_ms) * 1000 / max(1.0, self.last_ms - self.first_ms)

    @property
    def p50_ms(self) -> float:
        """The median time of an answer."""
        return calculate.percentile(self.times_ms, 0.5)


async def ask(url: str, key: str, requests: int, connections: int) -> Slice:
    """A closed loop over HTTP: each connection asks again when it has its answer."""
    prompt = "How high is the water?".ljust(SIZE_BYTES - 100, ".")
    body = orjson.dumps({"model": MODEL, "messages": [{"role": "user", "content": prompt}]})
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    found, left = Slice(first_ms=time.time_ns() / 1e6), iter(range(requests))

    async def one(session: aiohttp.ClientSession) -> None:
        for _ in left:
            began_s = time.perf_counter()
            async with session.post(f"{url}/v1/chat/completions", data=body, headers=headers) as answer:
                await answer.read()
                found.errors += answer.status != 200
            found.times_ms.append((time.perf_counter() - began_s) * 1000)

    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=connector) as session:
        await asyncio.gather(*(one(session) for _ in range(connections)))
    found.last_ms = time.time_ns() / 1e6
    return found


def ask_kafka(cluster: Cluster, name: str, requests: int, connections: int, topic: str) -> Slice:
    """The same closed loop of a bare Kafka client: requests out, responses in, or their copies at a topic."""
    more = {} if topic == cluster.topic(RESPONSES.name) else {"reply_topic": topic}
    consumer: Any = KafkaConsumer(**client_settings(cluster), enable_auto_commit=False)
    producer: Any = KafkaProducer(**client_settings(cluster), linger_ms=0)
    places = [TopicPartition(topic, number) for number in range(cluster.partitions)]
    consumer.assign(places)
    consumer.seek_to_end(*places)
    for place in places:
        consumer.position(place)
    items = iter(PlainItems(name, requests, cluster.partitions, size_bytes=SIZE_BYTES))
    sent_s: dict[bytes | None, float] = {}
    found = Slice(first_ms=time.time_ns() / 1e6)

    def send() -> None:
        if (item := next(items, None)) is not None:
            sent_s[item.key] = time.perf_counter()
            to = cluster.topic(REQUESTS.name)
            value = orjson.dumps(orjson.loads(item.value) | more) if more else item.value
            producer.send(to, key=item.key, value=value, partition=item.partition)

    for _ in range(connections):
        send()
    while sent_s:
        polled = consumer.poll(timeout_ms=SILENCE_MS)
        assert polled, f"{len(sent_s)} requests have no answer"
        for records in polled.values():
            for record in records:
                if record.key in sent_s:
                    found.times_ms.append((time.perf_counter() - sent_s.pop(record.key)) * 1000)
                    send()
    found.last_ms = time.time_ns() / 1e6
    consumer.close()
    producer.close()
    return found


@contextlib.contextmanager
def litellm_proxy(run: Run) -> Generator[tuple[str, int]]:
    """LiteLLM's proxy in front of the same provider; its address and process."""
    config, port = run.home / "litellm.yaml", free_port()
    params = {"model": f"openai/{MODEL}", "api_base": run.provider.api_base, "api_key": "bench"}
    config.write_text(yaml.safe_dump({"model_list": [{"model_name": MODEL, "litellm_params": params}]}))
    program = clients_setup.python(now=True).with_name("litellm")
    where = ("--host", "127.0.0.1", "--port", str(port))
    command = [program, "--config", config, *where, "--telemetry", "False"]
    env = os.environ | {
        "LITELLM_MASTER_KEY": LITELLM_KEY,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "ERROR",
    }
    url, log = f"http://127.0.0.1:{port}", run.home / "litellm.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(command, env=env, stdout=output, stderr=output) as process,
    ):
        try:
            end_s = time.monotonic() + READY_S
            while not _alive(f"{url}/health/liveliness"):
                assert process.poll() is None, log.read_text()[-2000:]
                assert time.monotonic() < end_s, log.read_text()[-2000:]
                time.sleep(0.2)
            yield url, process.pid
        finally:
            process.terminate()


def _alive(url: str) -> bool:
    try:
        urlopen(url, timeout=5).close()
    except OSError:
        return False
    return True


class Rounds:
    """All slices, and their figures by name."""

    def __init__(self, run: Run, requests: int, connections: int) -> None:
        self._run, self._requests, self._connections = run, requests, connections
        self.figures: dict[str, list[float]] = {}
        self.errors = 0

    def http(self, name: str, url: str, key: str, pids: dict[str, int]) -> float:
        """A slice over HTTP; its answers a second."""
        return self._note(name, pids, lambda: asyncio.run(ask(url, key, self._requests, self._connections)))

    def kafka(self, number: int) -> None:
        """Slices of the Kafka client, by response and by copy."""
        cluster = self._run.cluster
        for name, topic in (("kafka", RESPONSES), ("copy", GATEWAY_REPLIES)):
            wish = (f"{name}{number}", self._requests, self._connections, cluster.topic(topic.name))
            self._note(name, {}, lambda wish=wish: ask_kafka(cluster, *wish))

    def echo(self, number: int, rate: float) -> None:
        """A slice of the echo, at a rate."""
        cluster, name = self._run.cluster, f"echo{number}"
        items = PlainItems(name, self._requests, cluster.partitions, size_bytes=SIZE_BYTES)
        Load(cluster, cluster.topic(ECHO_IN.name), items, rate).join()
        time.sleep(0.5)
        self._add("echo_ms_p50", read_echo(cluster, f"{name}-").percentile(0.5))

    def _note(self, name: str, pids: dict[str, int], play: Callable[[], Slice]) -> float:
        self._run.say(f"{name}: {self._requests} requests")
        samplers = {each: Sampler(lambda pid=pid: [pid]) for each, pid in pids.items()}
        found = play()
        time.sleep(0.3)
        for each, sampler in samplers.items():
            sampler.close()
            used_s = cpu_between_s(sampler.samples, found.first_ms, found.last_ms)
            self._add(f"{each}_cpu_ms", used_s * 1000 / self._requests)
        self.errors += found.errors
        self._add(f"{name}_ms_p50", found.p50_ms)
        self._add(f"{name}_per_s", found.per_s)
        return found.per_s

    def _add(self, name: str, value: float) -> None:
        self.figures.setdefault(name, []).append(value)

    def report(self) -> dict[str, Any]:
        """The figures, and whether they are as promised."""
        found = {name: round(statistics.median(values), 3) for name, values in self.figures.items()}
        ratio = (found["gateway_cpu_ms"] + found["worker_cpu_ms"]) / found["litellm_cpu_ms"]
        added_ms = found["gateway_ms_p50"] - found["kafka_ms_p50"]
        limits = {
            "cpu_ratio <= 1/3": ratio <= 1 / 3,
            "added_ms <= 1.5 x echo_ms_p50": added_ms <= 1.5 * found["echo_ms_p50"],
            "errors <= 0": self.errors == 0,
        }
        failed = [name for name, holds in limits.items() if not holds]
        figures = {"cpu_ratio": round(ratio, 3), "added_ms": round(added_ms, 2), "errors": self.errors}
        return {**found, **figures, "ok": not failed, "failed": failed}


def compare(run: Run, found: argparse.Namespace) -> dict[str, Any]:
    """Everything is up all the time; the load goes to one at a time."""
    ensure_topics(run.cluster, ECHO_TOPICS)
    key, worker = admin_key(run.cluster), run.start_worker()
    run.warm_up()
    rounds = Rounds(run, found.requests, found.connections)
    broker = {"broker": run.broker.pid} if run.broker and run.broker.pid else {}
    with contextlib.ExitStack() as exits:
        config = ("--config", str(run.config))
        (gateway,) = exits.enter_context(running_gateways(run.cluster, run.home, 1, *config))
        litellm_url, litellm = exits.enter_context(litellm_proxy(run))
        exits.enter_context(start_echo(run.cluster, SIZE_BYTES))
        for url, one in ((gateway.url, key), (litellm_url, LITELLM_KEY)):
            asyncio.run(ask(url, one, 2 * found.connections, found.connections))
        for number in range(found.rounds):
            ours = {"gateway": gateway.process.pid, "worker": worker.pid, **broker}
            rate = rounds.http("gateway", gateway.url, key, ours)
            rounds.http("litellm", litellm_url, LITELLM_KEY, {"litellm": litellm})
            rounds.kafka(number)
            rounds.echo(number, rate)
    return rounds.report()


def main() -> None:
    """The script."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=3000, help="in each slice")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--latency-ms", type=float, default=200)
    found = parser.parse_args()
    options = Options(requests=found.requests, rate=0, latency_ms=found.latency_ms)
    with Run(options, lambda line: print(line, file=sys.stderr, flush=True)) as run:
        report = compare(run, found)
    if report["ok"]:
        run.forget()
    print(orjson.dumps({"bench": "gateway_vs_litellm", **report}).decode())
    sys.exit(not report["ok"])


if __name__ == "__main__":
    main()
