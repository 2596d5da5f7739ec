"""The plays of a session: those of all selected tests begin with the first of them."""

from collections.abc import Generator

import pytest

from connectors.kafka.broker import EmbeddedBroker
from schemas.cluster import Cluster
from tests.breaks.plays import Plays
from tests.breaks.table import Break
from tests.support.kafka import requires


@pytest.fixture(scope="session")
def plays(
    request: pytest.FixtureRequest, broker: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Plays]:
    """Every play of the tests that were selected, on the session's broker."""
    requires("git")
    made = Plays(Cluster((broker.bootstrap,)), tmp_path_factory.mktemp("breaks"))
    try:
        made.begin(_selected(request.session.items))
        yield made
    finally:
        made.close()


def _selected(items: list[pytest.Item]) -> list[Break]:
    found: list[Break] = []
    for item in items:
        callspec = getattr(item, "callspec", None)
        broken = None if callspec is None else callspec.params.get("broken")
        if isinstance(broken, Break):
            found.append(broken)
    return found
