"""Schemathesis on the admin API's OpenAPI document: no answer is a 5xx, none is out of its schema."""

import asyncio
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from connectors.gateway.doors.sessions import session_id
from tests.support.doors import START_MS, House

EXAMPLES = 8
"""Calls of each operation, in each of the two sorts."""
SETTINGS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def called(house: House, headers: dict[str, str], mode: GenerationMode, **known: str) -> dict[str, set[int]]:
    """Call every operation with what fits its schema, or doesn't; the statuses of each.

    What is known of the names in the paths stands there, instead of something made up.
    """
    document = schemathesis.openapi.from_asgi("/api/openapi.json", house.app())
    found: dict[str, set[int]] = {}
    for operation in (each.ok() for each in document.get_all_operations()):
        names = {name: value for name, value in known.items() if f"{{{name}}}" in operation.path}
        cases = operation.as_strategy(generation_mode=mode, path_parameters=names or None)
        found[operation.label] = statuses(house, headers, cases)
    return found


def statuses(house: House, headers: dict[str, str], cases: SearchStrategy[Any]) -> set[int]:
    """Statuses of one operation's answers, all of which are as the document says."""
    seen: set[int] = set()

    @SETTINGS
    @given(cases)
    def check(case: Any) -> None:
        house.clock.now_ms += 10_000  # so that nobody is over the limit of tries
        answer = case.call(headers=headers)
        seen.add(answer.status_code)
        case.validate_response(answer, checks=CHECKS)

    check()
    return seen


@pytest.fixture
def house() -> House:
    """With a user; the clock far from the end of any session."""
    made = House()
    asyncio.run(made.user("ada"))
    assert made.clock.now_ms == START_MS
    return made


def test_what_does_not_fit_gets_no_5xx_and_nothing_out_of_schema(house: House):
    key = asyncio.run(house.admin_key())

    found = called(house, {"authorization": f"Bearer {key}"}, GenerationMode.NEGATIVE)

    assert len(found) == 17
    assert 422 in found["POST /keys"]


def test_what_fits_gets_no_5xx_and_nothing_out_of_schema(house: House):
    admin, other = asyncio.run(house.admin_key()), asyncio.run(house.key())
    sid = session_id(asyncio.run(house.signin.by_key(other, ""))[1])
    headers, known = {"authorization": f"Bearer {admin}"}, {"key_id": other[3:11], "session_id": sid}

    found = called(house, headers, GenerationMode.POSITIVE, name="ada", **known)

    assert len(found) == 17
    assert found["POST /keys"] == {201}
    assert found["PATCH /keys/{key_id}"] == {200}
    assert found["DELETE /keys/{key_id}"] == {200}
    assert found["POST /keys/{key_id}/rotate"] == {409}
    assert found["DELETE /users/{name}"] == {204, 404}
    assert found["DELETE /sessions/{session_id}"] == {204, 404}


def test_a_stranger_gets_no_5xx_and_nothing_out_of_schema(house: House):
    found = called(house, {}, GenerationMode.POSITIVE)

    assert found["GET /keys"] == {401}
    assert found["POST /keys"] == {401}
