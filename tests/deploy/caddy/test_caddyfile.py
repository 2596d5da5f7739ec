"""Debian's Caddy with our file in front of a gateway, over TLS: it holds nothing back."""

import contextlib
import http.client
import os
import socket
import ssl
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from websockets.sync.client import connect

from connectors.gateway.doors.hardening import Hardened
from connectors.gateway.ports import Problem
from connectors.gateway.socket.entry import refusal
from connectors.gateway.socket.routes import routes
from connectors.kafka.ports import free_port
from tests.support.programs import wants
from tests.support.sockets import Fakes, Log, chunk, response, serving

CADDYFILE = Path(__file__).resolve().parents[3] / "deploy" / "caddy" / "Caddyfile"
MARK = "marker-of-a-secret"


@dataclass
class Front:
    """Caddy in front of a gateway."""

    port: int
    http_port: int
    tls: ssl.SSLContext
    fakes: Fakes
    log: Path

    @contextmanager
    def get(
        self, path: str, method: str = "GET", body: bytes | None = None, **headers: str
    ) -> Generator[http.client.HTTPResponse]:
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=20, context=self.tls)
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        try:
            connection.request(method, path, body, {"authorization": "Bearer ann"} | named)
            answer = connection.getresponse()
            yield answer
            answer.close()
        finally:
            connection.close()


def gateway(fakes: Fakes) -> Hardened:
    async def length(request: Request) -> Response:
        return JSONResponse({"bytes": len(await request.body()), "scheme": request.url.scheme})

    async def ready(_: Request) -> Response:
        return Response("ready")

    extra = [Route("/v1/length", length, methods=["POST"]), Route("/readyz", ready)]
    handlers: Any = {Problem: lambda _, problem: refusal(problem)}
    app = Starlette(routes=[*extra, *routes(fakes.parts())], exception_handlers=handlers)
    return Hardened(app, lambda _: None)


@contextmanager
def fronted(folder: Path, caddyfile: str) -> Generator[Front]:
    program = wants("caddy")
    fakes = Fakes()
    config, log = folder / "Caddyfile", folder / "caddy.log"
    config.write_text(caddyfile, encoding="utf-8")
    port, http_port = free_port(), free_port()
    with serving(gateway(fakes)) as behind, log.open("wb") as out:
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "XDG_DATA_HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder),
            "WEIR_DOMAIN": f"https://127.0.0.1:{port}",
            "WEIR_HTTP_PORT": str(http_port),
            "WEIR_BIND": "127.0.0.1",
            "WEIR_GATEWAYS": f"127.0.0.1:{behind}",
        }
        command = [program, "run", "--config", str(config), "--adapter", "caddyfile"]
        process = subprocess.Popen(command, env=env, stdout=out, stderr=out)
        try:
            authority = folder / "caddy" / "pki" / "authorities" / "local" / "root.crt"
            wait_for(authority, port, process, log)
            tls = ssl.create_default_context(cafile=str(authority))
            yield Front(port, http_port, tls, fakes, log)
        finally:
            process.terminate()
            process.wait(20)


def wait_for(authority: Path, port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Return when a client that trusts the authority can shake hands."""
    end_s = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < end_s:
        with contextlib.suppress(OSError, ssl.SSLError):
            tls = ssl.create_default_context(cafile=str(authority))
            with (
                socket.create_connection(("127.0.0.1", port), 5) as plain,
                tls.wrap_socket(plain, server_hostname="127.0.0.1"),
            ):
                return
        time.sleep(0.05)
    pytest.fail(f"caddy did not come up: {log.read_text(encoding='utf-8')[-2000:]}")


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Generator[Front]:
    with fronted(tmp_path_factory.mktemp("caddy"), CADDYFILE.read_text(encoding="utf-8")) as running:
        yield running


def one_by_one(front: Front, request_id: str, count: int, wait_s: float = 0.0) -> list[bytes]:
    """A stream whose next piece is made only when the one before has arrived."""
    kept = front.fakes.exchange.logs[request_id] = Log("acme", [chunk(request_id, 0, "0")])
    lines: list[bytes] = []
    path = f"/api/streams/{request_id}/events?after={request_id}:0"
    with front.get(path, accept_encoding="gzip, zstd") as answer:
        assert answer.headers["content-encoding"] is None
        while len(lines) < count and (line := answer.readline()):
            if line.startswith(b"data: "):
                lines.append(line)
                time.sleep(wait_s)
                made = len(lines) + 1
                kept.items.append(chunk(request_id, made - 1, "x") if made < count else response(request_id))
    return lines


def test_a_piece_is_not_held_back_until_the_next_comes(front: Front):
    lines = one_by_one(front, "r1", 20)

    assert len(lines) == 20
    assert b'"response"' in lines[-1]


def test_a_stream_may_last_longer_than_a_slow_body(tmp_path: Path):
    caddyfile = CADDYFILE.read_text(encoding="utf-8")
    assert "read_body 60s" in caddyfile
    with fronted(tmp_path, caddyfile.replace("read_body 60s", "read_body 1s")) as front:
        assert len(one_by_one(front, "r2", 8, wait_s=0.25)) == 8


def test_a_websocket_goes_through_with_the_pages_own_origin(front: Front):
    given = {"cookie": "sid=ann", "origin": f"https://127.0.0.1:{front.port}"}
    address = f"wss://127.0.0.1:{front.port}/ws"
    with connect(address, additional_headers=given, ssl=front.tls, proxy=None) as opened:
        for message in ({"type": "hello", "version": 1}, {"type": "ping", "id": "1"}):
            opened.send(orjson.dumps(message).decode())
        assert orjson.loads(opened.recv(10))["type"] == "hello"
        assert orjson.loads(opened.recv(10)) == {"type": "pong", "id": "1"}


def test_the_gateway_knows_that_the_client_came_over_tls(front: Front):
    with front.get("/v1/length", "POST", b"abc") as answer:
        assert orjson.loads(answer.read()) == {"bytes": 3, "scheme": "https"}


def test_a_body_beyond_the_bound_is_refused_and_the_gateway_is_still_asked(front: Front):
    most = 10 * 1024 * 1024
    with front.get("/v1/length", "POST", b"x" * most) as answer:
        assert orjson.loads(answer.read())["bytes"] == most
    with front.get("/v1/length", "POST", b"x" * (most + 1)) as answer:
        assert answer.status == 413
    with front.get("/v1/length", "POST", b"x" * (13 * 1024 * 1024)) as answer:
        assert answer.status in (413, 502)  # Caddy 2.6 says it so
    with front.get("/v1/length", "POST", b"abc") as answer:
        assert answer.status == 200


def test_a_head_without_end_is_refused(front: Front):
    with front.get("/", x_long="x" * 100_000) as answer:
        assert answer.status == 431


def test_the_page_is_compressed_and_plain_http_is_led_to_https(front: Front):
    with front.get("/", accept_encoding="gzip") as page:
        assert page.headers["content-encoding"] == "gzip"
    connection = http.client.HTTPConnection("127.0.0.1", front.http_port, timeout=10)
    connection.request("GET", "/somewhere")
    led = connection.getresponse()
    connection.close()

    assert led.status in (301, 308)
    assert led.headers["location"].startswith("https://127.0.0.1")


def test_no_key_cookie_or_ticket_is_in_its_log(front: Front):
    with front.get(f"/ws?ticket={MARK}", authorization=f"Bearer {MARK}", cookie=f"sid={MARK}") as answer:
        answer.read()
    end_s = time.monotonic() + 30
    while '"uri":"/ws?"' not in front.log.read_text(encoding="utf-8") and time.monotonic() < end_s:
        time.sleep(0.05)
    text = front.log.read_text(encoding="utf-8")

    assert '"uri":"/ws?"' in text
    assert MARK not in text
