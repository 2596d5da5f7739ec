"""Puts the doors together: for the gateway, and for the commands, from the same environment."""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

from connectors.gateway.doors.accounts import Accounts
from connectors.gateway.doors.audit import COMMAND_LINE, Trail
from connectors.gateway.doors.keeper import Doors
from connectors.gateway.doors.ports import TOPICS, Store
from connectors.gateway.doors.signing import shared_secret
from connectors.gateway.doors.store import KafkaStore
from connectors.gateway.doors.users import Passwords
from connectors.kafka.topics import ensure_topics
from schemas.cluster import Cluster

PEPPER = "WEIR_KEY_PEPPER"
"""Text that keys are hashed with, so that a copy of the topic is not enough to check guesses."""
SECRET = "WEIR_GATEWAY_SECRET"
"""Text that tokens and tickets are signed with, instead of a secret on the topic."""
ORIGINS = "WEIR_GATEWAY_ORIGINS"
"""Origins besides our own whose pages may ask with a cookie, with commas between them."""


def clock_ms() -> int:
    """Unix time in milliseconds."""
    return time.time_ns() // 1_000_000


def pepper_of(env: Mapping[str, str]) -> bytes | None:
    """The pepper, where one is set."""
    text = env.get(PEPPER, "")
    return text.encode() if text else None


def origins_of(env: Mapping[str, str]) -> frozenset[str]:
    """The origins that are allowed besides our own."""
    return frozenset(each.strip().rstrip("/") for each in env.get(ORIGINS, "").split(",") if each.strip())


async def secret_of(store: Store, env: Mapping[str, str]) -> bytes:
    """The 32 bytes that gateways share, made at the first start; the store must be started.

    Raises:
        ValueError: When `WEIR_GATEWAY_SECRET` is too short.
        Problem: 503 when Kafka doesn't take it.
    """
    return await shared_secret(store, env.get(SECRET) or None, clock_ms())


def doors_of(store: Store, secret: bytes, env: Mapping[str, str], gateways: int = 1) -> Doors:
    """The doorkeeper of a gateway, one of `gateways` that share the load."""
    return Doors(store, clock_ms, pepper=pepper_of(env), gateways=max(1, gateways), secret=secret)


class Desk(NamedTuple):
    """What a command works at."""

    accounts: Accounts
    """Keys and users."""
    trail: Trail
    """Where it is written down."""


@asynccontextmanager
async def desk_on(cluster: Cluster, env: Mapping[str, str]) -> AsyncGenerator[Desk]:
    """Keys and users for a command: makes the topics where they are missing, reads them, ends again.

    Raises:
        KafkaProblem: When Kafka can't be reached.
    """
    await asyncio.to_thread(ensure_topics, cluster, TOPICS)
    store, passwords = KafkaStore(cluster), Passwords()
    try:
        await store.start()
        yield Desk(Accounts(store, clock_ms, passwords, pepper_of(env)), Trail(store))
    finally:
        await store.stop()
        passwords.close()


async def first_key(cluster: Cluster, env: Mapping[str, str]) -> str | None:
    """The admin key of a new installation, to be shown once; `None` where there are keys.

    Raises:
        KafkaProblem: When Kafka can't be reached.
    """
    async with desk_on(cluster, env) as desk:
        made = await desk.accounts.first_key()
        if made is not None:
            await desk.trail.did(COMMAND_LINE, "key.create", {"id": made.id, "name": "first"}, clock_ms())
    return made.text if made is not None else None
