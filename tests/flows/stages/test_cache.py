"""What the cache is asked."""

import pytest

from flows.stages.cache import cache
from tests.flows.stages.making import job


@pytest.mark.parametrize(
    ("fields", "noted"),
    [
        ({}, "miss"),
        ({"temperature": 0}, "miss"),
        ({"temperature": 0.1}, "off"),
        ({"cache": "on", "temperature": 1}, "miss"),
        ({"cache": "read_only"}, "miss"),
        ({"cache": "write_only"}, "off"),
        ({"cache": "off"}, "off"),
    ],
)
def test_cache_is_asked_where_the_request_allows_it(fields: dict[str, object], noted: str):
    assert cache(job(**fields)).cache == noted
