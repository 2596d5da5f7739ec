"""Passwords: argon2id, in threads, few at once, since each takes 64 MiB and many milliseconds."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from connectors.gateway.ports import Problem

MIN_PASSWORD_CHARS = 12
MAX_PASSWORD_CHARS = 1024
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Cost:
    """What one hash costs; the default is RFC 9106's second choice."""

    memory_kib: int = 64 * 1024
    """Memory in KiB."""
    passes: int = 3
    """How often the memory is gone through."""
    lanes: int = 4
    """Degree of parallelism."""
    at_once: int = 2
    """Most hashes at the same time; the others wait."""
    waiting: int = 32
    """Most that wait; more are told 503."""


class Passwords:
    """Hashes and checks passwords without blocking the loop."""

    def __init__(self, cost: Cost | None = None) -> None:
        """Set up; a hash of nobody's password is made at first use, to check unknown users against."""
        cost = cost or Cost()
        self._hasher = PasswordHasher(
            time_cost=cost.passes, memory_cost=cost.memory_kib, parallelism=cost.lanes
        )
        self._pool = ThreadPoolExecutor(cost.at_once, thread_name_prefix="weir-argon2")
        self._bound = cost.at_once + cost.waiting
        self._open = 0
        self._nobody: str | None = None

    async def hash(self, password: str) -> str:
        """The hash to keep.

        Raises:
            Problem: 400 for a password that is too short or too long; 503 when too many are asked for.
        """
        if not MIN_PASSWORD_CHARS <= len(password) <= MAX_PASSWORD_CHARS:
            text = f"a password has {MIN_PASSWORD_CHARS} to {MAX_PASSWORD_CHARS} characters"
            raise Problem(400, "invalid_request", text, param="password")
        return await self._run(lambda: self._hasher.hash(password))

    async def check(self, kept: str | None, password: str) -> bool:
        """Whether the password is right; takes as long for a user that isn't there (`None`).

        Raises:
            Problem: 503 when too many are asked for.
        """
        return await self._run(lambda: self._check(kept, password))

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False)

    def _check(self, kept: str | None, password: str) -> bool:
        if self._nobody is None:
            self._nobody = self._hasher.hash("nobody's password")
        try:
            self._hasher.verify(self._nobody if kept is None else kept, password[:MAX_PASSWORD_CHARS])
        except (VerificationError, InvalidHashError):
            return False
        return kept is not None and len(password) <= MAX_PASSWORD_CHARS

    async def _run(self, work: Callable[[], _T]) -> _T:
        if self._open >= self._bound:
            raise Problem(
                503, "overloaded", "too many sign in at once; try again", headers={"retry-after": "1"}
            )
        self._open += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._open -= 1
