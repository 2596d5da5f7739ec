"""Real gateways as processes, and HTTP clients that read streams from them."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import aiohttp
import orjson

from connectors.gateway.doors.accounts import KeySpec
from connectors.gateway.doors.setup import desk_on
from connectors.gateway.ports import ADMIN
from connectors.kafka.ports import free_port
from schemas.cluster import Cluster
from tests.support.command import environment

READY_S = 40.0
"""Longest wait until a gateway is ready."""


def admin_key(cluster: Cluster) -> str:
    """A key that may do everything, with as many streams as it likes."""

    async def make() -> str:
        async with desk_on(cluster, {}) as desk:
            _, made = await desk.accounts.create_key(
                KeySpec("tests", scopes=(ADMIN,), streams=100_000), "tests"
            )
            return made.text

    return asyncio.run(make())


@dataclass
class GatewayProcess:
    """One gateway."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def wait_ready(self) -> None:
        """Wait until `/readyz` says so."""
        end_s = time.monotonic() + READY_S
        while True:
            assert self.process.poll() is None, f"the gateway ended: {self.log.read_text()[-2000:]}"
            assert time.monotonic() < end_s, f"the gateway isn't ready: {self.log.read_text()[-2000:]}"
            try:
                urlopen(f"{self.url}/readyz", timeout=5).close()
            except OSError:
                time.sleep(0.1)
            else:
                return

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()


@contextmanager
def running_gateways(cluster: Cluster, home: Path, count: int, *args: str) -> Generator[list[GatewayProcess]]:
    """Gateways that serve; at the end they are stopped in good order, or killed after 20 s."""
    made: list[GatewayProcess] = []
    for number in range(count):
        port, log = free_port(), home / f"gateway-{number}.log"
        command = [sys.executable, "-m", "flows.cli_gateway", "--port", str(port), "--no-first-key", *args]
        env = os.environ | environment(cluster)
        with log.open("ab") as output:
            process = subprocess.Popen(command, env=env, stdout=output, stderr=output)
        made.append(GatewayProcess(process, f"http://127.0.0.1:{port}", log))
    try:
        for gateway in made:
            gateway.wait_ready()
        yield made
    finally:
        for gateway in made:
            gateway.process.send_signal(signal.SIGTERM)
        for gateway in made:
            try:
                gateway.process.wait(20)
            except subprocess.TimeoutExpired:
                gateway.kill()


@dataclass
class Told:
    """What one client was told."""

    request_id: str = ""
    pieces: list[str] = field(default_factory=list[str])
    done: bool = False
    error: str = ""
    delays_ms: list[float] = field(default_factory=list[float])

    @property
    def in_order(self) -> bool:
        """Whether no piece is missing, twice, or out of place; a piece begins with its number."""
        return [piece.split(" ")[0] for piece in self.pieces] == [str(n) for n in range(len(self.pieces))]


class StreamClient:
    """One client: asks for a stream, and reads it."""

    def __init__(self, session: aiohttp.ClientSession, key: str, wish: dict[str, Any]) -> None:
        self._session, self._key, self._wish = session, key, wish
        self.told = Told()
        self.model = "auto"
        """The model that is asked for."""
        self.measured_from_s = 0.0
        """Only delays of pieces that were written from then on are kept, Unix time in seconds."""

    def _headers(self, idempotency: str | None) -> dict[str, str]:
        headers = {"authorization": f"Bearer {self._key}"}
        return headers | ({"idempotency-key": idempotency} if idempotency else {})

    async def chat(self, url: str, idempotency: str | None = None) -> None:
        """Ask by OpenAI's API; what an earlier try told is forgotten."""
        self.told = Told()
        body = {
            "model": self.model,
            "stream": True,
            "messages": [{"role": "user", "content": "hi"}],
            "metadata": self._wish,
        }
        path, headers = f"{url}/v1/chat/completions", self._headers(idempotency)
        async with self._session.post(path, json=body, headers=headers) as response:
            self.told.request_id = response.headers.get("x-request-id", "")
            if response.status != 200:
                self.told.error = f"{response.status} {await response.text()}"
                return
            async for line in response.content:
                self._chat_line(line)

    def _chat_line(self, line: bytes) -> None:
        if line.startswith(b"data: [DONE]"):
            self.told.done = True
        elif line.startswith(b"data: "):
            event = orjson.loads(line[6:])
            if "error" in event:
                self.told.error = str(event["error"])
            for choice in event.get("choices", ()):
                if choice["delta"].get("content"):
                    self._piece(choice["delta"]["content"])

    def _piece(self, text: str) -> None:
        self.told.pieces.append(text)
        words = text.split(" ")
        if self._wish.get("stamped") and len(words) > 1 and float(words[1]) >= self.measured_from_s:
            self.told.delays_ms.append((time.time() - float(words[1])) * 1000)

    async def events(self, url: str, request_id: str) -> None:
        """Find a stream again, from its start."""
        self.told = Told(request_id)
        path = f"{url}/api/streams/{request_id}/events"
        async with self._session.get(path, headers=self._headers(None)) as response:
            if response.status != 200:
                self.told.error = f"{response.status} {await response.text()}"
                return
            kind = b""
            async for line in response.content:
                if line.startswith(b"event: "):
                    kind = line[7:].strip()
                elif line.startswith(b"data: ") and kind == b"chunk":
                    self._piece(orjson.loads(line[6:])["delta"])
                elif line.startswith(b"data: "):
                    self.told.done = kind == b"response"
                    self.told.error = "" if self.told.done else line.decode()
