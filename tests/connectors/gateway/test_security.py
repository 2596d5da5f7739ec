"""Attacks on a real gateway over a real broker: each is refused with the right status, and leaves no trace.

The gateway is a process; tenants `acme` and `bolt` have a key each that may only ask.
"""

import asyncio
import json
import re
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import httpx
import pytest
from kafka import KafkaConsumer
from kafka.structs import TopicPartition

from connectors.gateway.doors.accounts import KeySpec
from connectors.gateway.doors.body import MAX_BODY_BYTES
from connectors.gateway.doors.setup import desk_on
from connectors.kafka.broker import EmbeddedBroker
from connectors.kafka.clients import client_settings
from schemas.cluster import Cluster
from schemas.topics import GATEWAY_AUDIT, GATEWAY_KEYS, GATEWAY_SESSIONS, GATEWAY_USERS
from tests.support.doors import PASSWORD, bearer
from tests.support.gateways import GatewayProcess, admin_key, running_gateways
from tests.support.kafka import fresh_topics
from tests.support.replying import Replying
from tests.support.served import Address, answers

MARK = "MARK-this-is-a-prompt"


@dataclass(frozen=True)
class Scene:
    """What is attacked."""

    cluster: Cluster
    gateway: GatewayProcess
    admin: str
    acme: str
    bolt: str

    def client(self, key: str | None = None) -> httpx.Client:
        """A client with a key, or a stranger."""
        return httpx.Client(base_url=self.gateway.url, headers=bearer(key) if key else {}, timeout=20)

    @property
    def port(self) -> int:
        """Where it listens."""
        return urlsplit(self.gateway.url).port or 0


@pytest.fixture(scope="module")
def scene(broker: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory) -> Generator[Scene]:
    cluster = fresh_topics(broker).cluster
    admin = admin_key(cluster)

    async def tenants() -> list[str]:
        async with desk_on(cluster, {}) as desk:
            await desk.accounts.create_user("ada", PASSWORD, "acme", ("llm:invoke",))
            made = [await desk.accounts.create_key(KeySpec(t, t), "test") for t in ("acme", "bolt")]
            return [text.text for _, text in made]

    acme, bolt = asyncio.run(tenants())
    home: Path = tmp_path_factory.mktemp("gateway")
    with Replying(cluster), running_gateways(cluster, home, 1) as (gateway,):
        yield Scene(cluster, gateway, admin, acme, bolt)


def chat(**more: object) -> dict[str, object]:
    return {"model": "auto", "messages": [{"role": "user", "content": MARK}], **more}


def status(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"].get("code", "")


def test_a_tenants_streams_and_answers_are_not_there_for_another(scene: Scene):
    with scene.client(scene.acme) as acme, scene.client(scene.bolt) as bolt:
        mine = acme.post("/v1/chat/completions", json=chat(stream=True), headers={"idempotency-key": "same"})
        asked = acme.post("/v1/async/chat/completions", json=chat()).json()
        request_id = mine.headers["x-request-id"]
        stream = acme.get(f"/api/streams/{request_id}/events").text
        token = re.findall(r"^id: (.+)$", stream, re.MULTILINE)[0]
        assert mine.status_code == 200

        assert status(bolt.get(f"/api/streams/{request_id}/events")) == (404, "not_found")
        resumed = bolt.get(f"/api/streams/{request_id}/events", headers={"last-event-id": token})
        assert status(resumed) == (404, "not_found")
        assert status(bolt.get(f"/v1/async/chat/completions/{asked['id']}")) == (404, "not_found")
        assert status(bolt.delete(f"/v1/async/chat/completions/{asked['id']}")) == (404, "not_found")
        again = {"idempotency-key": "same"}
        theirs = bolt.post("/v1/chat/completions", json=chat(stream=True), headers=again)
        assert theirs.headers["x-request-id"] != request_id


def test_keys_users_sessions_and_the_trail_are_out_of_reach_of_a_tenant(scene: Scene):
    origin = {"origin": scene.gateway.url}
    with scene.client() as ada, scene.client(scene.bolt) as bolt, scene.client(scene.admin) as admin:
        body = {"user": "ada", "password": PASSWORD}
        assert ada.post("/api/session", json=body, headers=origin).status_code == 200
        (session,) = ada.get("/api/sessions").json()["sessions"]

        for path in ("/api/keys", f"/api/keys/{scene.acme[3:11]}", "/api/users", "/api/audit"):
            assert status(bolt.get(path)) == (403, "forbidden")
            assert status(ada.get(path)) == (403, "forbidden")
        assert status(bolt.delete(f"/api/keys/{scene.acme[3:11]}")) == (403, "forbidden")
        assert status(bolt.post("/api/keys", json={"name": "k", "scopes": ["admin"]})) == (403, "forbidden")
        assert bolt.get("/api/sessions").json() == {"sessions": []}
        assert status(bolt.delete(f"/api/sessions/{session['id']}")) == (404, "not_found")
        assert ada.get("/api/me").status_code == 200
        assert admin.delete(f"/api/sessions/{session['id']}").status_code == 204
        assert status(ada.get("/api/me")) == (401, "invalid_api_key")


def forged(text: str) -> str:
    """The same with its last letter but one changed."""
    return text[:-2] + ("a" if text[-2] != "a" else "b") + text[-1]


def test_forged_keys_cookies_tokens_and_tickets_let_nobody_in(scene: Scene):
    with scene.client(scene.acme) as acme, scene.client() as stranger:
        mine = acme.post("/v1/chat/completions", json=chat(stream=True), headers={"idempotency-key": "token"})
        path = f"/api/streams/{mine.headers['x-request-id']}/events"
        token = re.findall(r"^id: (.+)$", acme.get(path).text, re.MULTILINE)[0]
        ticket = acme.post("/api/ws-ticket").json()["ticket"]

        for headers in (
            bearer(forged(scene.acme)),
            bearer(scene.acme[:11] + scene.bolt[11:]),
            {"x-api-key": "lk_"},
            {"cookie": f"sid={'x' * 43}"},
            {"cookie": f"__Host-sid={'x' * 43}"},
            {"authorization": "Bearer null"},
        ):
            assert status(stranger.get("/v1/models", headers=headers)) == (401, "invalid_api_key")
        assert acme.get(path, headers={"last-event-id": forged(token)}).status_code in (400, 404)

    async def opens(query: str, **headers: str) -> int:
        async with aiohttp.ClientSession(headers=headers) as session:
            try:
                async with session.ws_connect(f"{scene.gateway.url}/ws{query}"):
                    return 101
            except aiohttp.WSServerHandshakeError as error:
                return error.status

    async def sockets() -> list[int]:
        good, evil = f"?ticket={ticket}", "https://evil.example"
        return [
            await opens(f"?ticket={forged(ticket)}"),
            await opens(""),
            await opens("", authorization=f"Bearer {forged(scene.acme)}"),
            await opens("", cookie=f"sid={'x' * 43}", origin=scene.gateway.url),
            await opens(good, origin=evil),
            await opens(f"?key={scene.acme}"),
            await opens(good, origin=scene.gateway.url),
            await opens(good, origin=scene.gateway.url),
        ]

    assert asyncio.run(sockets()) == [401, 401, 401, 401, 403, 400, 101, 401]


def test_a_socket_from_a_foreign_page_is_refused_though_its_cookie_is_good(scene: Scene):
    with scene.client() as ada:
        body, origin = {"user": "ada", "password": PASSWORD}, {"origin": scene.gateway.url}
        assert ada.post("/api/session", json=body, headers=origin).status_code == 200
        cookie = f"sid={ada.cookies['sid']}"
        evil = ada.post("/v1/chat/completions", json=chat(), headers={"origin": "https://evil.example"})
        assert status(evil) == (403, "forbidden")

    async def opens(origin: str) -> int:
        async with aiohttp.ClientSession(headers={"cookie": cookie, "origin": origin}) as session:
            try:
                async with session.ws_connect(f"{scene.gateway.url}/ws"):
                    return 101
            except aiohttp.WSServerHandshakeError as error:
                return error.status

    assert asyncio.run(opens("https://evil.example")) == 403
    assert asyncio.run(opens("null")) == 403
    assert asyncio.run(opens(scene.gateway.url)) == 101


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses", "/api/session"])
def test_bodies_that_are_too_large_or_too_deep_are_refused_everywhere(scene: Scene, path: str):
    with scene.client(scene.acme) as acme:
        headers = {"content-type": "application/json"}
        large = acme.post(path, content=b" " * (MAX_BODY_BYTES + 1), headers=headers)
        deep = acme.post(path, content=b'{"a":' * 101 + b"1" + b"}" * 101, headers=headers)

    assert (large.status_code, deep.status_code) == (413, 400)
    assert ("type" in large.json()) == (path == "/v1/messages")
    assert "nested deeper than 100" in deep.text


@pytest.mark.parametrize(
    "probe",
    [
        b"content-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nG",
        b"content-length: 6\r\ncontent-length: 7\r\n\r\n{}",
        b"transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n",
        b"transfer-encoding\x0b: chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_a_smuggled_request_is_never_answered(scene: Scene, probe: bytes):
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer %s\r\n"
    hidden = b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer %s\r\n\r\n"
    key = scene.acme.encode()

    answer = asyncio.run(Address(scene.port).say(head % key + probe + hidden % key, timeout_s=5))

    assert answers(answer) == [400]


def test_no_key_password_cookie_or_prompt_stands_in_a_log_or_on_a_topic_of_the_gateways(scene: Scene):
    with scene.client(scene.admin) as admin, scene.client() as ada:
        made = admin.post("/api/keys", json={"name": "short-lived"}).json()["key"]
        admin.post("/v1/chat/completions", json=chat(stream=True))
        admin.post(f"/v1/chat/completions?q={MARK}", json=chat(n=7), headers={"x-note": MARK})
        admin.post("/v1/chat/completions", content=f'{{"messages": "{MARK}', headers={"x-api-key": made})
        admin.post("/v1/chat/completions", json=chat(metadata={"fault": "fail"}))
        admin.get(f"/v1/models/{made}")
        admin.get("/v1/models", headers={"authorization": f"Basic {MARK}"})
        admin.post("/api/users", json={"name": "eve", "password": MARK})
        ada.post("/api/session", json={"user": MARK, "password": MARK})
        body, origin = {"user": "ada", "password": PASSWORD}, {"origin": scene.gateway.url}
        assert ada.post("/api/session", json=body, headers=origin).status_code == 200
        sid = ada.cookies["sid"]
    logged = scene.gateway.log.read_text()
    kept = {topic.name: written(scene.cluster, topic.name) for topic in TOPICS}

    secrets = [made[12:55], scene.acme[12:55], scene.admin[12:55], PASSWORD, sid]
    assert '"path":"/v1/chat/completions"' in logged
    assert "key.create" in kept[GATEWAY_AUDIT.name]
    assert made[3:11] in kept[GATEWAY_KEYS.name]
    for secret in secrets:
        assert secret not in logged
        assert all(secret not in text for text in kept.values())
    assert MARK not in logged
    assert all(MARK not in text for name, text in kept.items() if name != GATEWAY_AUDIT.name)
    tried = [json.loads(line)["details"] for line in kept[GATEWAY_AUDIT.name].splitlines() if MARK in line]
    assert tried == [{"user": MARK}]  # the name that somebody tried to sign in as, and nothing else


TOPICS = (GATEWAY_KEYS, GATEWAY_USERS, GATEWAY_SESSIONS, GATEWAY_AUDIT)


def written(cluster: Cluster, topic: str) -> str:
    """All values of a topic of one partition, a line each."""
    consumer = KafkaConsumer(**client_settings(cluster), enable_auto_commit=False)
    place = TopicPartition(cluster.topic(topic), 0)
    consumer.assign([place])
    consumer.seek_to_beginning(place)
    end, lines = consumer.end_offsets([place])[place], list[str]()
    while (consumer.position(place) or 0) < end:
        for records in consumer.poll(timeout_ms=200).values():
            lines += [record.value.decode() for record in records if record.value]
    consumer.close()
    return "\n".join(lines)
