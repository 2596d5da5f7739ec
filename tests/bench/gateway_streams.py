"""Many streams through one gateway: `python -m tests.bench.gateway_streams` prints one JSON line.

`busy`: 500 streams at 8 pieces a second each, through a real gateway to HTTP clients: none lost, none out of
order; `delay_*` is from a piece's writing to its reading. `open`: 2,000 streams at 2 pieces a second: the
gateway's memory, before and with them. `rounds`: 100 streams at 8 a second beside 50 of large pieces, whose
readers read (first) or never do (second), in turns: `p99_ratio` is the median p99 of the one over that of the
other. Delays are measured after the first seconds, when all streams are open and the kernel's buffers full.

Workers are a stand-in (`tests.support.replying`) in a process of its own, and so is the gateway; the clients
share one process, whose own time is part of the delays.
"""

import argparse
import asyncio
import contextlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson
import psutil

from schemas.cluster import Cluster
from tests.support.gateways import GatewayProcess, StreamClient, admin_key, running_gateways
from tests.support.kafka import fresh_topics, running_broker

LARGE = {"chunks": 160, "every_ms": 125, "chars": 8000}
"""Streams of 64 KB a second."""
WARM = 20
"""Streams that warm the processes up."""


@contextlib.contextmanager
def workers(cluster: Cluster) -> Generator[None]:
    """The stand-in, as a process."""
    where = (cluster.bootstrap[0], cluster.prefix, str(cluster.partitions))
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.replying", *where], stdout=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


class Lab:
    """One gateway and its clients."""

    def __init__(self, gateway: GatewayProcess, key: str, session: aiohttp.ClientSession) -> None:
        self._gateway, self._key, self._session = gateway, key, session
        self._process = psutil.Process(gateway.process.pid)

    def rss_bytes(self) -> int:
        """Memory of the gateway."""
        return self._process.memory_info().rss

    def cpu_s(self) -> float:
        """Its CPU time."""
        times = self._process.cpu_times()
        return times.user + times.system

    async def run(self, streams: int, rate: float, seconds: float) -> dict[str, Any]:
        """Open streams, read them to their ends; delays are those after a third of the time."""
        wish = {"chunks": round(rate * seconds), "every_ms": round(1000 / rate), "stamped": True, "chars": 24}
        clients = [StreamClient(self._session, self._key, wish) for _ in range(streams)]
        for client in clients:
            client.measured_from_s = time.time() + seconds / 3
        began_s, before_bytes = self.cpu_s(), self.rss_bytes()
        tasks = [asyncio.create_task(client.chat(self._gateway.url)) for client in clients]
        most_bytes = before_bytes
        while not all(task.done() for task in tasks):
            await asyncio.wait(tasks, timeout=0.5)
            most_bytes = max(most_bytes, self.rss_bytes())
        await asyncio.gather(*tasks)
        told = [client.told for client in clients]
        delays = sorted(delay for each in told for delay in each.delays_ms)
        pieces = sum(len(each.pieces) for each in told)
        return {
            "streams": streams,
            "whole": sum(each.done and each.in_order and len(each.pieces) == wish["chunks"] for each in told),
            "lost_pieces": streams * wish["chunks"] - pieces,
            "errors": sorted({each.error for each in told if each.error})[:3],
            "delay_p50_ms": round(delays[len(delays) // 2], 1),
            "delay_p99_ms": round(delays[len(delays) * 99 // 100], 1),
            "gateway_cpu_us_per_piece": round((self.cpu_s() - began_s) / max(1, pieces) * 1e6),
            "bytes_per_stream": round((most_bytes - before_bytes) / streams),
            "gateway_rss_mb": round(most_bytes / 2**20),
        }

    @contextlib.asynccontextmanager
    async def reading(self, count: int) -> AsyncGenerator[None]:
        """Clients that read the same streams as those of `never_reading`."""
        clients = [StreamClient(self._session, self._key, LARGE) for _ in range(count)]
        tasks = [asyncio.create_task(client.chat(self._gateway.url)) for client in clients]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def never_reading(self, count: int) -> AsyncGenerator[None]:
        """Clients that ask for long streams of large pieces and read nothing."""
        writers: list[asyncio.StreamWriter] = []
        for _ in range(count):
            writers.append(await self._ask_only())
        try:
            yield
        finally:
            for writer in writers:
                writer.transport.abort()

    async def _ask_only(self) -> asyncio.StreamWriter:
        where = urlsplit(self._gateway.url)
        body = orjson.dumps(
            {
                "model": "auto",
                "stream": True,
                "messages": [{"role": "user", "content": "hi"}],
                "metadata": LARGE,
            }
        )
        reader, writer = await asyncio.open_connection(where.hostname, where.port, limit=1)
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: {where.netloc}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
            f"authorization: Bearer {self._key}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        await writer.drain()
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        return writer


async def play(gateway: GatewayProcess, key: str, found: argparse.Namespace) -> dict[str, Any]:
    """All scenarios, one after the other."""
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=300)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        lab = Lab(gateway, key, session)
        await lab.run(WARM, 8, 2)
        busy = await lab.run(found.busy, 8, found.seconds)
        most = await lab.run(found.open, 2, found.seconds)
        rounds = [await _round(lab, found.seconds) for _ in range(found.rounds)]
    reading, never = (statistics.median(each[n] for each in rounds) for n in (0, 1))
    return {"busy": busy, "open": most, "rounds": rounds, "p99_ratio": round(never / reading, 2)}


async def _round(lab: Lab, seconds: float) -> tuple[float, float]:
    """p99 of the delays beside readers, and beside those who never read."""
    async with lab.reading(50):
        reading = await lab.run(100, 8, seconds)
    async with lab.never_reading(50):
        never = await lab.run(100, 8, seconds)
    assert reading["whole"] == never["whole"] == 100
    return reading["delay_p99_ms"], never["delay_p99_ms"]


def main() -> None:
    """The script."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--busy", type=int, default=500)
    parser.add_argument("--open", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--rounds", type=int, default=5)
    found = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 16_384)), hard))
    with tempfile.TemporaryDirectory() as folder, running_broker(Path(folder) / "kafka") as broker:
        cluster = fresh_topics(broker).cluster
        key = admin_key(cluster)
        with workers(cluster), running_gateways(cluster, Path(folder), 1) as gateways:
            result = asyncio.run(play(gateways[0], key, found))
    print(orjson.dumps({"bench": "gateway_streams", **result}).decode())


if __name__ == "__main__":
    main()
