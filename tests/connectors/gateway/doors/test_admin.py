"""The admin API: what it does, for whom, and what is written down."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest

from connectors.gateway.doors.accounts import KeySpec
from connectors.gateway.ports import INVOKE
from tests.support.doors import PASSWORD, House, bearer

ORIGIN = {"origin": "http://localhost"}


def played(work: Callable[[House, httpx.AsyncClient], Awaitable[None]]) -> House:
    """The house after the work of a client that has an admin key and follows cookies."""
    house = House()

    async def run() -> None:
        async with house.client() as client:
            client.headers.update(bearer(await house.admin_key()))
            await work(house, client)

    asyncio.run(run())
    return house


def actions(house: House) -> list[str]:
    return [entry.action for entry in house.store.book.audit]


def test_a_key_is_made_shown_once_used_changed_rotated_and_revoked():
    async def work(house: House, client: httpx.AsyncClient) -> None:
        made = await client.post("/api/keys", json={"name": "k", "tenant": "acme", "requests_per_minute": 9})
        assert made.status_code == 201
        key, shown = made.json()["key"], made.json()["made"]
        assert (shown["id"], shown["last4"], shown["state"]) == (key[3:11], key[51:55], "good")
        assert (await client.get("/v1/echo", headers=bearer(key))).json()["caller"] == key[3:11]

        changed = await client.patch(
            f"/api/keys/{key[3:11]}", json={"name": "new", "requests_per_minute": None}
        )
        assert (changed.json()["name"], changed.json()["requests_per_minute"]) == ("new", None)
        assert changed.json()["tenant"] == "acme"

        heir = await client.post(f"/api/keys/{key[3:11]}/rotate", json={"grace_s": 60})
        assert (heir.status_code, heir.json()["made"]["rotated_from"]) == (201, key[3:11])
        assert (await client.get("/v1/echo", headers=bearer(key))).status_code == 200
        house.clock.now_ms += 60_000
        assert (await client.get("/v1/echo", headers=bearer(key))).status_code == 401
        assert (await client.get("/v1/echo", headers=bearer(heir.json()["key"]))).status_code == 200

        revoked = await client.delete(f"/api/keys/{heir.json()['made']['id']}")
        assert (revoked.status_code, revoked.json()["state"]) == (200, "revoked")
        assert (await client.get("/v1/echo", headers=bearer(heir.json()["key"]))).status_code == 401
        listed = (await client.get("/api/keys")).json()["keys"]
        assert [each["state"] for each in listed] == ["good", "expired", "revoked"]
        assert (await client.get(f"/api/keys/{key[3:11]}")).json() == listed[1]
        assert key not in str(listed)
        assert "hash" not in listed[0]

    house = played(work)
    assert [a for a in actions(house) if a.startswith("key")] == [
        "key.create", "key.change", "key.rotate", "key.revoke",
    ]  # fmt: skip


def test_a_user_is_made_signs_in_changes_password_and_goes():
    async def work(house: House, client: httpx.AsyncClient) -> None:
        made = await client.post(
            "/api/users", json={"name": "ada", "password": PASSWORD, "scopes": ["admin"]}
        )
        assert (made.status_code, made.json()["name"]) == (201, "ada")
        assert [u["name"] for u in (await client.get("/api/users")).json()["users"]] == ["ada"]
        del client.headers["authorization"]

        body = {"user": "ada", "password": PASSWORD}
        signed = await client.post("/api/session", json=body, headers=ORIGIN)
        assert (signed.status_code, signed.json()["id"]) == (200, "user:ada")
        assert "HttpOnly; SameSite=Strict" in signed.headers["set-cookie"]
        assert (await client.get("/api/me")).json()["scopes"] == ["admin"]
        found = (await client.get("/api/sessions")).json()["sessions"]
        assert [(each["user"], each["current"]) for each in found] == [("ada", True)]

        house.clock.now_ms += 1
        again = {"password": PASSWORD + "2"}
        changed = await client.put("/api/users/ada/password", json=again, headers=ORIGIN)
        assert changed.status_code == 200
        assert (await client.get("/api/me")).status_code == 401
        signed = await client.post("/api/session", json={"user": "ada", **again}, headers=ORIGIN)
        assert signed.status_code == 200
        assert (await client.delete("/api/users/ada", headers=ORIGIN)).status_code == 204
        assert (await client.get("/api/me")).status_code == 401

    house = played(work)
    assert [a for a in actions(house) if "door" not in a] == [
        "user.create", "session.begin", "user.password", "session.begin", "user.remove",
    ]  # fmt: skip
    assert PASSWORD not in str(house.store.log)


def test_signing_out_ends_the_session_and_clears_the_cookie():
    async def work(house: House, client: httpx.AsyncClient) -> None:
        key = await house.key(KeySpec("k", "acme"))
        del client.headers["authorization"]
        signed = await client.post("/api/session", json={"key": key}, headers=ORIGIN)
        assert (signed.status_code, signed.json()["tenant"]) == (200, "acme")
        assert key not in signed.headers["set-cookie"]
        assert (await client.get("/v1/echo")).json()["caller"] == key[3:11]

        ended = await client.delete("/api/session", headers=ORIGIN)
        assert (ended.status_code, "Max-Age=0" in ended.headers["set-cookie"]) == (204, True)
        assert house.store.book.sessions == {}
        assert (await client.get("/v1/echo")).status_code == 401
        assert (await client.delete("/api/session")).status_code == 204

    played(work)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "invalid_request"),
        ({"user": "ada"}, 400, "invalid_request"),
        ({"user": "ada", "password": "p", "key": "k"}, 400, "invalid_request"),
        ({"user": "ada", "password": "wrong"}, 401, "invalid_credentials"),
        ({"key": "lk_nothing"}, 401, "invalid_api_key"),
        ({"user": 7}, 422, "invalid_request"),
        ({"user": "ada", "pass": "p"}, 422, "invalid_request"),
    ],
)
def test_who_can_not_sign_in_is_told_why(body: dict[str, object], status: int, code: str):
    async def work(house: House, client: httpx.AsyncClient) -> None:
        answer = await client.post("/api/session", json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        assert "set-cookie" not in answer.headers

    played(work)


def test_over_https_the_cookie_is_a_host_cookie_and_over_plain_http_elsewhere_there_is_none():
    house = House()

    async def run() -> None:
        key = await house.key()
        async with house.client("https://weir.example") as client:
            answer = await client.post("/api/session", json={"key": key})
            assert answer.headers["set-cookie"].startswith("__Host-sid=")
            assert "; Secure;" in answer.headers["set-cookie"]
            assert answer.headers["strict-transport-security"] == "max-age=31536000"
        async with house.client("http://weir.example") as client:
            answer = await client.post("/api/session", json={"key": key})
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "insecure")

    asyncio.run(run())


def test_a_ticket_is_given_to_whoever_is_known():
    async def work(house: House, client: httpx.AsyncClient) -> None:
        got = (await client.post("/api/ws-ticket")).json()
        assert got["expires_ms"] == house.clock.now_ms + 30_000
        assert (await house.doors.redeem(got["ticket"])).scopes == {"admin"}
        del client.headers["authorization"]
        assert (await client.post("/api/ws-ticket")).status_code == 401

    played(work)


def test_the_trail_is_shown_newest_first():
    async def work(house: House, client: httpx.AsyncClient) -> None:
        for number in range(3):
            await house.doors.note(None, f"thing.{number}", {})
        entries = (await client.get("/api/audit?limit=2")).json()["entries"]
        assert [entry["action"] for entry in entries] == ["thing.2", "thing.1"]
        assert (await client.get("/api/audit?limit=0")).status_code == 422

    played(work)


def test_what_is_not_there_and_what_does_not_fit_has_one_shape():
    async def work(house: House, client: httpx.AsyncClient) -> None:
        for method, path, body, status, param in (
            ("GET", "/api/keys/aaaaaaaa", None, 404, None),
            ("GET", "/api/keys/short", None, 422, "key_id"),
            ("DELETE", "/api/users/nobody", None, 404, None),
            ("DELETE", "/api/sessions/nobody", None, 404, None),
            ("POST", "/api/keys", {"name": "k", "scopes": ["root"]}, 422, "scopes.0"),
            ("POST", "/api/keys", {"name": "k", "budget_usd": 1e300}, 422, "budget_usd"),
            ("POST", "/api/users", {"name": "a/b", "password": PASSWORD}, 422, "name"),
            ("POST", "/api/users", {"name": "ab", "password": "short"}, 400, "password"),
            ("GET", "/api/nothing", None, 404, None),
            ("PUT", "/api/keys", None, 405, None),
        ):
            answer = await client.request(method, path, json=body)
            error = answer.json()["error"]
            assert (answer.status_code, error["param"]) == (status, param), (path, error)
            assert set(error) == {"message", "type", "param", "code"}

    played(work)


def test_a_value_that_does_not_fit_is_not_said_again():
    async def work(house: House, client: httpx.AsyncClient) -> None:
        answer = await client.post("/api/session", json={"user": "a", "password": "MARK " * 1000})
        assert answer.status_code == 422
        assert "MARK" not in answer.text

    played(work)


def test_without_the_scope_nothing_is_shown_or_done():
    house = House()

    async def run() -> None:
        key = await house.key(KeySpec("k", scopes=(INVOKE,)))
        async with house.client() as client:
            for method, path in (
                ("GET", "/api/keys"), ("POST", "/api/keys"), ("GET", f"/api/keys/{key[3:11]}"),
                ("PATCH", f"/api/keys/{key[3:11]}"), ("DELETE", f"/api/keys/{key[3:11]}"),
                ("POST", f"/api/keys/{key[3:11]}/rotate"), ("GET", "/api/users"), ("POST", "/api/users"),
                ("DELETE", "/api/users/ada"), ("PUT", "/api/users/ada/password"), ("GET", "/api/audit"),
            ):  # fmt: skip
                bodies = {
                    "POST": {"name": "k", "password": PASSWORD},
                    "PUT": {"password": PASSWORD},
                    "PATCH": {},
                }
                body = {} if path.endswith("rotate") else bodies.get(method)
                if path == "/api/keys" and method == "POST":
                    body = {"name": "k"}
                for headers, status in ((bearer(key), 403), ({}, 401)):
                    answer = await client.request(method, path, json=body, headers=headers)
                    assert answer.status_code == status, (method, path)

    asyncio.run(run())
    assert len(house.store.book.keys) == 1
    assert house.store.book.users == {}
