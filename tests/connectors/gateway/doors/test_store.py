"""The store on a real broker: read whole, followed, written durably, and two gateways see the same."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import pytest

from connectors.gateway.doors import setup
from connectors.gateway.doors.accounts import Accounts, KeySpec
from connectors.gateway.doors.signing import Ticket, use_up
from connectors.gateway.doors.store import KafkaStore
from connectors.gateway.doors.users import Passwords
from connectors.gateway.ports import INVOKE, Problem
from connectors.kafka.broker import EmbeddedBroker
from connectors.kafka.errors import BrokerDown, TopicMismatch
from schemas.cluster import Cluster
from schemas.topics import GATEWAY_AUDIT, GATEWAY_KEYS
from tests.support.command import DEAD
from tests.support.doors import CHEAP, bearer
from tests.support.kafka import Topics


@asynccontextmanager
async def opened(cluster: Cluster) -> AsyncGenerator[KafkaStore]:
    store = KafkaStore(cluster)
    try:
        await store.start()
        yield store
    finally:
        await store.stop()


def accounts(store: KafkaStore) -> Accounts:
    return Accounts(store, setup.clock_ms, Passwords(CHEAP))


async def until(holds: Callable[[], object], seconds: float = 10.0) -> bool:
    """Whether something comes to hold within the time."""
    for _ in range(round(seconds / 0.02)):
        if holds():
            return True
        await asyncio.sleep(0.02)
    return False


def test_what_is_written_is_in_the_book_at_once_and_after_a_restart(topics: Topics):
    async def work() -> None:
        async with opened(topics.cluster) as store:
            assert store.ready
            key, text = await accounts(store).create_key(KeySpec("k"), "test")
            gone, _ = await accounts(store).create_key(KeySpec("gone"), "test")
            await store.write(GATEWAY_KEYS, gone.id, None)
            assert list(store.book.keys) == [key.id]
        async with opened(topics.cluster) as again:
            assert again.book.keys == {key.id: key}
            doors = setup.doors_of(again, bytes(32), {})
            assert (await doors.admit(bearer(text.text), INVOKE)).id == key.id

    asyncio.run(work())


def test_a_key_revoked_at_one_gateway_is_refused_at_the_other(topics: Topics):
    async def work() -> None:
        async with opened(topics.cluster) as here, opened(topics.cluster) as there:
            key, text = await accounts(here).create_key(KeySpec("k"), "test")
            doors = setup.doors_of(there, bytes(32), {})
            assert await until(lambda: key.id in there.book.keys)
            assert (await doors.admit(bearer(text.text), INVOKE)).id == key.id

            await accounts(here).revoke_key(key.id)
            assert await until(lambda: there.book.keys[key.id].revoked_ms)
            with pytest.raises(Problem, match="revoked"):
                await doors.admit(bearer(text.text), INVOKE)

    asyncio.run(work())


def test_two_gateways_that_start_at_once_have_one_secret_and_let_a_ticket_in_once(topics: Topics):
    async def work() -> None:
        async with opened(topics.cluster) as here, opened(topics.cluster) as there:
            secrets = await asyncio.gather(setup.secret_of(here, {}), setup.secret_of(there, {}))
            assert len({*secrets}) == 1
            for number in range(5):
                ticket = Ticket(f"nonce{number}", setup.clock_ms() + 30_000, "key:aaaaaaaa")
                assert sorted(await asyncio.gather(use_up(here, ticket), use_up(there, ticket))) == [
                    False,
                    True,
                ]
        async with opened(topics.cluster) as later:
            assert await setup.secret_of(later, {}) == secrets[0]

    asyncio.run(work())


def test_only_the_end_of_the_trail_is_read(topics: Topics):
    async def work() -> None:
        entry = b'{"at_ms": %d, "caller": "c", "action": "a"}'
        topics.produce(GATEWAY_AUDIT, [entry % n for n in range(1100)])
        async with opened(topics.cluster) as store:
            assert (len(store.book.audit), store.book.audit[0].at_ms) == (1000, 100)

    asyncio.run(work())


def test_a_store_without_topics_or_broker_says_what_to_do(broker: EmbeddedBroker):
    async def work(cluster: Cluster) -> None:
        async with opened(cluster):
            pass

    with pytest.raises(TopicMismatch, match="weir up"):
        asyncio.run(work(Cluster((broker.bootstrap,), prefix="nothing.")))
    with pytest.raises(BrokerDown):
        asyncio.run(work(Cluster((DEAD,))))


def test_a_record_that_is_not_taken_is_a_503(topics: Topics, monkeypatch: pytest.MonkeyPatch):
    async def work() -> None:
        async with opened(topics.cluster) as store:
            with pytest.raises(Problem) as caught:
                await store.write(GATEWAY_KEYS, "k", b"x" * 10_000_000)
            assert (caught.value.status, caught.value.code) == (503, "overloaded")
            monkeypatch.setattr("connectors.gateway.doors.store.MAX_WAITING", 0)
            with pytest.raises(Problem, match="too many changes"):
                await store.write(GATEWAY_KEYS, "k", b"x")

    asyncio.run(work())


def test_the_first_key_is_made_once_on_topics_that_it_makes(broker: EmbeddedBroker, topics: Topics):
    fresh = Cluster((broker.bootstrap,), prefix=f"{topics.cluster.prefix}new.", partitions=1)

    first = asyncio.run(setup.first_key(fresh, {"WEIR_KEY_PEPPER": "p"}))

    assert first is not None
    assert asyncio.run(setup.first_key(fresh, {})) is None

    async def work() -> None:
        async with setup.desk_on(fresh, {}) as desk:
            (key,) = desk.accounts.book.keys.values()
            assert (key.id, key.peppered, key.scopes) == (first[3:11], True, ["admin"])
            assert [entry.action for entry in desk.accounts.book.audit] == ["key.create"]

    asyncio.run(work())
