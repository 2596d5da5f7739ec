"""The trail says who did what from where, and no secret, whatever it is given."""

import asyncio
import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.gateway.doors import audit, keys
from connectors.gateway.doors.audit import COMMAND_LINE, Trail, clean
from connectors.gateway.doors.visits import Visit, visit
from connectors.gateway.ports import Caller
from tests.support.doors import MemoryStore

KEY = keys.make(b"\7" * 38)
CALLER = Caller("user:ada", "acme", frozenset({"admin"}))
NAMES = st.sampled_from([*sorted(audit.HIDDEN), "Prompt", "name", "id", "x" * 300, KEY.text])
DETAILS = st.recursive(
    st.none() | st.integers() | st.just(KEY.text) | st.just("MARK " * 60),
    lambda inner: st.lists(inner, max_size=40) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=20,
)


@given(st.dictionaries(NAMES, DETAILS, max_size=5))
def test_details_hold_no_key_no_hidden_value_and_no_long_text(details: dict[str, object]):
    cleaned = clean(details)
    text = json.dumps(cleaned)

    assert KEY.secret not in text
    assert "MARK " * 41 not in text
    for name, value in cleaned.items():
        assert value == "[hidden]" or name.lower() not in audit.HIDDEN


def test_what_is_hidden_shortened_and_kept():
    details = {
        "prompt": "why", "Authorization": "Bearer x", "id": "a", "n": 1, "yes": True, "none": None,
        "inner": {"password": "p", "deeper": {"list": [{"deepest": 1}], "key": KEY.text}},
        "odd": object(),
    }  # fmt: skip

    assert clean(details) == {
        "prompt": "[hidden]", "Authorization": "[hidden]", "id": "a", "n": 1, "yes": True, "none": None,
        "inner": {"password": "[hidden]", "deeper": {"list": ["..."], "key": "[hidden]"}}, "odd": "object",
    }  # fmt: skip


def test_an_entry_says_who_what_when_and_from_where():
    store = MemoryStore()
    trail = Trail(store)

    async def work() -> None:
        visit.set(Visit("10.0.0.7"))
        await trail.did(CALLER, "key.create", {"id": "a"}, 5)
        await trail.did(COMMAND_LINE, "key.revoke", {}, 6)
        await trail.did(None, "signin.refused", {}, 7)

    asyncio.run(work())

    first = store.book.audit[0]
    assert (first.caller, first.tenant, first.action) == ("user:ada", "acme", "key.create")
    assert (first.at_ms, first.address, first.details) == (5, "10.0.0.7", {"id": "a"})
    assert [each.caller for each in store.book.audit] == ["user:ada", "command line", "-"]


def test_an_entry_that_kafka_does_not_take_is_logged(caplog: pytest.LogCaptureFixture):
    store = MemoryStore()
    store.away = True
    trail = Trail(store)

    with caplog.at_level(logging.ERROR, "weir.gateway.audit"):
        asyncio.run(trail.did(CALLER, "key.create", {"key": KEY.text}, 5))

    assert trail.unwritten == 1
    assert "key.create" in caplog.text
    assert KEY.secret not in caplog.text


def test_who_knocks_without_end_does_not_fill_the_trail():
    store = MemoryStore()
    trail = Trail(store)

    async def knock() -> None:
        for _ in range(200):
            await trail.refused("door.invalid_api_key", {}, 1000)

    asyncio.run(knock())

    assert (len(store.log), trail.unwritten) == (120, 80)
