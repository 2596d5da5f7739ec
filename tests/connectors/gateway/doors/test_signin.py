"""Signing in: right or wrong told alike, tries limited, sessions bounded."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from connectors.gateway.doors import sessions
from connectors.gateway.doors.visits import Visit, visit
from connectors.gateway.ports import Problem
from tests.support.doors import PASSWORD, House


def refused(work: Coroutine[Any, Any, object]) -> Problem:
    with pytest.raises(Problem) as caught:
        asyncio.run(work)
    return caught.value


def test_the_right_password_begins_a_session_whose_cookie_is_not_kept():
    house = House()
    asyncio.run(house.user("ada"))

    caller, sid = asyncio.run(house.signin.by_password("ada", PASSWORD, "browser " * 100))

    session = house.store.book.sessions[sessions.session_id(sid)]
    assert (caller.id, session.user, session.key_id, len(session.agent)) == ("user:ada", "ada", None, 200)
    assert all(sid not in key and sid.encode() not in (value or b"") for _, key, value in house.store.log)


def test_a_wrong_password_and_an_unknown_user_are_told_the_same():
    house = House()
    asyncio.run(house.user("ada"))

    wrong = refused(house.signin.by_password("ada", PASSWORD + "x", ""))
    unknown = refused(house.signin.by_password("bob", PASSWORD, ""))

    assert (wrong.status, wrong.code, wrong.message) == (unknown.status, unknown.code, unknown.message)
    assert (wrong.status, wrong.code) == (401, "invalid_credentials")
    assert [entry.action for entry in house.store.book.audit] == ["signin.refused"] * 2
    assert PASSWORD not in str(house.store.log)


def test_a_name_is_tried_ten_times_a_minute_and_no_more():
    house = House()
    asyncio.run(house.user("ada"))
    for _ in range(10):
        assert refused(house.signin.by_password("ada", "wrong password", "")).status == 401

    problem = refused(house.signin.by_password("ada", PASSWORD, ""))

    assert (problem.status, problem.code, problem.headers["retry-after"]) == (429, "rate_limited", "61")
    house.clock.now_ms += 61_000
    assert asyncio.run(house.signin.by_password("ada", PASSWORD, ""))[0].id == "user:ada"


def test_an_address_tries_thirty_times_a_minute_whatever_the_names():
    house = House()

    async def work() -> list[int]:
        visit.set(Visit("10.0.0.7"))
        return [(await status(house, f"user{n}")) for n in range(31)]

    async def status(house: House, name: str) -> int:
        with pytest.raises(Problem) as caught:
            await house.signin.by_password(name, PASSWORD, "")
        return caught.value.status

    assert asyncio.run(work()) == [401] * 30 + [429]
    assert refused(house.signin.by_key("lk_", "")).status == 401


def test_of_twenty_one_sessions_the_oldest_ends():
    house = House()
    asyncio.run(house.user("ada"))
    asyncio.run(house.user("bob"))
    asyncio.run(house.signin.by_password("bob", PASSWORD, ""))
    began: list[str] = []
    for _ in range(22):
        house.clock.now_ms += 31_000
        began.append(sessions.session_id(asyncio.run(house.signin.by_password("ada", PASSWORD, ""))[1]))

    assert [each.id for each in house.signin.all() if each.user == "ada"] == began[2:]
    assert len(house.signin.all()) == 21


def test_an_ended_session_ends_once_and_is_not_listed():
    house = House()
    text = asyncio.run(house.key())
    _, sid = asyncio.run(house.signin.by_key(text, ""))
    headers = {"host": "localhost", "cookie": f"sid={sid}"}
    found = house.signin.of(headers)
    assert found is not None
    assert found.key_id == text[3:11]

    asyncio.run(house.signin.end(found.id))
    asyncio.run(house.signin.end(found.id))

    assert house.signin.all() == []
    assert house.signin.of(headers) is None
    assert house.signin.of({}) is None


def test_an_idle_session_is_not_listed():
    house = House()
    asyncio.run(house.user("ada"))
    asyncio.run(house.signin.by_password("ada", PASSWORD, ""))
    house.clock.now_ms += sessions.IDLE_MS

    assert house.signin.all() == []
