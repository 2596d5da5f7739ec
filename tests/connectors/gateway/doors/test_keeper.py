"""The doorkeeper: every way in, and every way to be turned away."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from connectors.gateway.doors import keys, sessions
from connectors.gateway.doors.accounts import KeySpec
from connectors.gateway.doors.book import SEEN
from connectors.gateway.doors.keeper import Doors
from connectors.gateway.doors.visits import Visit, visit
from connectors.gateway.ports import ADMIN, INVOKE, METRICS_READ, Problem
from schemas.gateway import ApiKey
from schemas.topics import GATEWAY_KEYS
from tests.support.doors import PASSWORD, SECRET, Clock, House, MemoryStore, bearer

HOUR_MS = 3_600_000


def refused(work: Coroutine[Any, Any, object]) -> Problem:
    with pytest.raises(Problem) as caught:
        asyncio.run(work)
    return caught.value


def cookie(sid: str) -> dict[str, str]:
    return {"host": "localhost:8080", "cookie": f"sid={sid}"}


@pytest.mark.parametrize("pepper", [None, b"pepper"])
@pytest.mark.parametrize(
    "form", ["authorization: Bearer {}", "authorization: bearer {} ", "x-api-key: {}", "authorization: {}"]
)
def test_a_key_lets_its_caller_in_however_it_is_sent(form: str, pepper: bytes | None):
    house = House(pepper=pepper)
    spec = KeySpec("k", "acme", (INVOKE,), ("m",), requests_per_minute=7, streams=2)
    text = asyncio.run(house.key(spec))
    name, _, value = form.format(text).partition(": ")

    caller = asyncio.run(house.doors.admit({name: value}, INVOKE, "m"))

    assert (caller.id, caller.tenant, caller.scopes) == (text[3:11], "acme", frozenset({INVOKE}))
    assert (caller.models, caller.requests_per_minute, caller.streams) == (("m",), 7, 2)


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({}, "no key: send"),
        ({"authorization": "Bearer "}, "not a key of ours"),
        ({"authorization": "Basic dXNlcjpwYXNz"}, "not a key of ours"),
        ({"x-api-key": "sk-other"}, "not a key of ours"),
        (bearer(keys.make(b"\7" * 38).text), "not known"),
        ({"host": "localhost", "cookie": f"sid={'x' * 43}"}, "sign in again"),
    ],
)
def test_who_is_not_known_is_told_401(headers: dict[str, str], said: str):
    problem = refused(House().doors.admit(headers, INVOKE))

    assert (problem.status, problem.code) == (401, "invalid_api_key")
    assert said in problem.message
    assert problem.headers == {"www-authenticate": "Bearer"}


def test_a_wrong_secret_and_an_unknown_id_are_told_the_same():
    house = House()
    known, wrong, unknown = (keys.make(each) for each in (b"1" * 38, b"1" * 37 + b"2", b"3" * 38))
    key = ApiKey(
        id=known.id,
        name="k",
        tenant="t",
        scopes=[INVOKE],
        hash=keys.digest(known.text, None),
        last4=known.last4,
        created_ms=1,
    )
    asyncio.run(house.store.write(GATEWAY_KEYS, key.id, key.to_bytes()))

    assert (wrong.id, wrong.secret == known.secret) == (known.id, False)
    assert asyncio.run(house.doors.admit(bearer(known.text), INVOKE)).id == known.id
    assert refused(house.doors.admit(bearer(wrong.text), INVOKE)).message == (
        refused(house.doors.admit(bearer(unknown.text), INVOKE)).message
    )


def test_a_key_that_expired_or_was_revoked_lets_nobody_in():
    house = House()
    expiring = asyncio.run(house.key(KeySpec("k", expires_ms=house.clock.now_ms + 10)))
    revoked = asyncio.run(house.key())
    asyncio.run(house.accounts.revoke_key(revoked[3:11]))

    assert asyncio.run(house.doors.admit(bearer(expiring), INVOKE)).tenant == "default"
    house.clock.now_ms += 10
    assert refused(house.doors.admit(bearer(expiring), INVOKE)).message == "this key is expired"
    assert refused(house.doors.admit(bearer(revoked), INVOKE)).message == "this key is revoked"


def test_scopes_and_models_are_asked_for():
    house = House()
    text = asyncio.run(house.key(KeySpec("k", models=("small",))))
    admin = asyncio.run(house.admin_key())

    scope = refused(house.doors.admit(bearer(text), METRICS_READ))
    model = refused(house.doors.admit(bearer(text), INVOKE, "large"))

    assert (scope.status, scope.code, scope.param) == (403, "forbidden", None)
    assert (model.status, model.code, model.param) == (403, "forbidden", "model")
    assert asyncio.run(house.doors.admit(bearer(admin), METRICS_READ, "large")).may(ADMIN)


def test_a_session_lets_its_user_in_until_it_is_idle_or_the_user_changes():
    house = House()
    asyncio.run(house.user("ada", "acme", (METRICS_READ,)))
    _, sid = asyncio.run(house.signin.by_password("ada", PASSWORD, "browser"))

    caller = asyncio.run(house.doors.admit(cookie(sid), METRICS_READ))
    assert (caller.id, caller.tenant, caller.scopes) == ("user:ada", "acme", frozenset({METRICS_READ}))
    assert refused(house.doors.admit(cookie(sid), INVOKE)).status == 403

    house.clock.now_ms += 12 * HOUR_MS
    assert refused(house.doors.admit(cookie(sid), METRICS_READ)).status == 401
    _, sid = asyncio.run(house.signin.by_password("ada", PASSWORD, ""))
    house.clock.now_ms += 1
    asyncio.run(house.accounts.set_password("ada", PASSWORD + "2"))
    assert refused(house.doors.admit(cookie(sid), METRICS_READ)).status == 401
    _, sid = asyncio.run(house.signin.by_password("ada", PASSWORD + "2", ""))
    asyncio.run(house.accounts.remove_user("ada"))
    assert refused(house.doors.admit(cookie(sid), METRICS_READ)).status == 401


def test_a_session_of_a_key_ends_with_the_key():
    house = House()
    text = asyncio.run(house.key(KeySpec("k", "acme")))
    _, sid = asyncio.run(house.signin.by_key(text, ""))

    assert asyncio.run(house.doors.admit(cookie(sid), INVOKE)).tenant == "acme"
    asyncio.run(house.accounts.revoke_key(text[3:11]))
    assert refused(house.doors.admit(cookie(sid), INVOKE)).status == 401


def test_a_use_is_written_down_every_five_minutes_and_keeps_a_session():
    house = House()
    asyncio.run(house.user("ada"))
    _, sid = asyncio.run(house.signin.by_password("ada", PASSWORD, ""))
    before = len(house.store.log)

    for _ in range(40):
        house.clock.now_ms += HOUR_MS // 30
        asyncio.run(house.doors.admit(cookie(sid), INVOKE))
    written = [key for _, key, _ in house.store.log[before:]]
    assert written == [SEEN + sessions.session_id(sid)] * (40 // 3)

    house.clock.now_ms += HOUR_MS
    house.store.away = True
    assert asyncio.run(house.doors.admit(cookie(sid), INVOKE)).id == "user:ada"


def test_requests_a_minute_are_counted_and_the_wait_is_told():
    house = House()
    caller = asyncio.run(
        house.doors.admit(bearer(asyncio.run(house.key(KeySpec("k", requests_per_minute=2)))), INVOKE)
    )
    free = asyncio.run(house.doors.admit(bearer(asyncio.run(house.key())), INVOKE))

    assert house.doors.charge(free) == {}
    assert house.doors.charge(caller) == {"requests": (2, 1, 61.0)}
    assert house.doors.charge(caller) == {"requests": (2, 0, 61.0)}
    with pytest.raises(Problem) as caught:
        house.doors.charge(caller)
    assert (caught.value.status, caught.value.code) == (429, "rate_limited")
    assert caught.value.headers == {"retry-after": "61", "retry-after-ms": "61000"}
    house.clock.now_ms += 61_000
    assert house.doors.charge(caller)["requests"][1] == 1


def test_more_at_once_than_a_key_may_have_is_refused_until_one_ends():
    house = House()
    text = asyncio.run(house.key(KeySpec("k", streams=1)))

    async def work() -> None:
        visit.set(first := Visit("a"))
        caller = await house.doors.admit(bearer(text), INVOKE)
        await house.doors.admit(bearer(text), INVOKE)  # the same visit counts once
        assert first.caller == caller
        visit.set(Visit("b"))
        with pytest.raises(Problem, match="too many requests at once"):
            await house.doors.admit(bearer(text), INVOKE)
        house.doors.leave(caller)
        await house.doors.admit(bearer(text), INVOKE)

    asyncio.run(work())
    assert house.doors.gauges()["doors_callers_busy"] == 1


def test_a_ticket_stands_for_whoever_got_it_once():
    house = House()
    text = asyncio.run(house.key(KeySpec("k", "acme")))
    asyncio.run(house.user("ada"))
    _, sid = asyncio.run(house.signin.by_password("ada", PASSWORD, ""))

    by_key, expires_ms = house.doors.ticket(bearer(text))
    by_session, _ = house.doors.ticket(cookie(sid))

    assert expires_ms == house.clock.now_ms + 30_000
    assert asyncio.run(house.doors.redeem(by_key)).tenant == "acme"
    assert asyncio.run(house.doors.redeem(by_session)).id == "user:ada"
    for used in (by_key, by_session, "forged", ""):
        problem = refused(house.doors.redeem(used))
        assert (problem.status, problem.code) == (401, "invalid_ticket")


def test_a_ticket_ends_with_time_key_and_session():
    house = House()
    text = asyncio.run(house.key())
    asyncio.run(house.user("ada"))
    _, sid = asyncio.run(house.signin.by_password("ada", PASSWORD, ""))
    old, _ = house.doors.ticket(bearer(text))
    house.clock.now_ms += 30_000
    by_key, _ = house.doors.ticket(bearer(text))
    by_session, _ = house.doors.ticket(cookie(sid))
    asyncio.run(house.accounts.revoke_key(text[3:11]))
    asyncio.run(house.signin.end(sessions.session_id(sid)))

    assert "within 30 s" in refused(house.doors.redeem(old)).message
    assert "may not come in any more" in refused(house.doors.redeem(by_key)).message
    assert "may not come in any more" in refused(house.doors.redeem(by_session)).message


def test_a_ticket_of_a_session_that_is_over_meanwhile_lets_nobody_in():
    house = House()
    asyncio.run(house.user("ada"))
    _, sid = asyncio.run(house.signin.by_password("ada", PASSWORD, ""))
    house.clock.now_ms += sessions.IDLE_MS - 10
    ticket, _ = house.doors.ticket(cookie(sid))
    house.clock.now_ms += 10

    assert "may not come in any more" in refused(house.doors.redeem(ticket)).message


def test_nobody_gets_a_ticket_without_a_key_or_a_session():
    house = House()

    with pytest.raises(Problem) as caught:
        house.doors.ticket({"host": "localhost"})
    assert caught.value.status == 401
    with pytest.raises(Problem) as caught:
        Doors(MemoryStore(), Clock()).ticket(bearer(asyncio.run(house.key())))
    assert caught.value.status == 401


def test_tickets_wait_for_the_secret():
    house = House()
    doors = Doors(house.store, house.clock)
    text = asyncio.run(house.key())

    with pytest.raises(Problem) as caught:
        doors.ticket(bearer(text))
    assert caught.value.status == 503


def test_it_counts_and_writes_down_who_was_let_in_and_who_was_not():
    house = House()
    text = asyncio.run(house.key())
    asyncio.run(house.doors.admit(bearer(text), INVOKE))
    refused(house.doors.admit({}, INVOKE))
    asyncio.run(house.doors.note(None, "thing.done", {"prompt": "x"}))

    counted = house.doors.counters()
    assert (counted["doors_admitted"], counted["doors_refused"], counted["doors_limited"]) == (1, 1, 0)
    assert [entry.action for entry in house.store.book.audit] == ["door.invalid_api_key", "thing.done"]
    assert house.doors.gauges()["doors_keys"] == 1


def test_it_starts_and_stops_with_its_store():
    calls: list[str] = []

    class Slow(MemoryStore):
        @property
        def ready(self) -> bool:
            return "start" in calls

        async def start(self) -> None:
            calls.append("start")

        async def stop(self) -> None:
            calls.append("stop")

    doors = Doors(Slow(), Clock(), secret=SECRET)
    assert not doors.ready

    async def work() -> None:
        await doors.start()
        await doors.start()
        await doors.stop()

    asyncio.run(work())
    assert calls == ["start", "stop"]
