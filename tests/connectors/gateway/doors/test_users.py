"""Passwords are hashed with argon2id, few at once, and an unknown user costs as much as a known one."""

import asyncio
import threading

import pytest
from argon2 import PasswordHasher

from connectors.gateway.doors.users import Cost, Passwords
from connectors.gateway.ports import Problem
from tests.support.doors import CHEAP, PASSWORD


def test_a_password_is_kept_as_argon2id_and_recognised():
    passwords = Passwords(CHEAP)

    async def work() -> tuple[str, bool, bool]:
        kept = await passwords.hash(PASSWORD)
        return kept, await passwords.check(kept, PASSWORD), await passwords.check(kept, PASSWORD + "x")

    kept, right, wrong = asyncio.run(work())
    passwords.close()

    assert kept.startswith("$argon2id$v=19$")
    assert (right, wrong) == (True, False)


def test_the_default_is_the_second_choice_of_the_rfc():
    cost = Cost()

    assert (cost.memory_kib, cost.passes, cost.lanes) == (64 * 1024, 3, 4)


def test_an_unknown_user_is_checked_against_a_hash_of_the_same_cost(monkeypatch: pytest.MonkeyPatch):
    passwords, verified = Passwords(CHEAP), list[str]()
    real = PasswordHasher.verify

    def verify(self: PasswordHasher, kept: str, password: str) -> bool:
        verified.append(kept.split("$")[3])
        return real(self, kept, password)

    monkeypatch.setattr(PasswordHasher, "verify", verify)

    async def work() -> list[bool]:
        kept = await passwords.hash(PASSWORD)
        return [await passwords.check(given, PASSWORD) for given in (kept, None, None)]

    assert asyncio.run(work()) == [True, False, False]
    assert verified == ["m=8,t=1,p=1"] * 3


def test_a_hash_that_is_none_and_a_password_that_is_too_long_are_wrong():
    passwords = Passwords(CHEAP)

    async def work() -> list[bool]:
        kept = await passwords.hash("x" * 1024)
        tries = (("no hash", PASSWORD), (None, "nobody's password"), (kept, "x" * 1025), (kept, "x" * 1024))
        return [await passwords.check(given, password) for given, password in tries]

    assert asyncio.run(work()) == [False, False, False, True]


@pytest.mark.parametrize("password", ["", "eleven char", "x" * 1025])
def test_a_password_that_is_too_short_or_too_long_is_refused(password: str):
    with pytest.raises(Problem, match="12 to 1024 characters") as caught:
        asyncio.run(Passwords(CHEAP).hash(password))

    assert (caught.value.status, caught.value.param) == (400, "password")


def test_more_than_may_wait_are_turned_away(monkeypatch: pytest.MonkeyPatch):
    passwords = Passwords(Cost(8, 1, 1, at_once=1, waiting=1))
    go, inside, most = threading.Event(), 0, 0

    def hashed(self: PasswordHasher, password: str) -> str:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        go.wait(10)
        inside -= 1
        return password

    monkeypatch.setattr(PasswordHasher, "hash", hashed)

    async def work() -> list[str | BaseException]:
        tasks = [asyncio.ensure_future(passwords.hash(PASSWORD)) for _ in range(3)]
        await asyncio.sleep(0.01)
        go.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    first, second, third = asyncio.run(work())

    assert (first, second, most) == (PASSWORD, PASSWORD, 1)
    assert isinstance(third, Problem)
    assert third.status == 503
