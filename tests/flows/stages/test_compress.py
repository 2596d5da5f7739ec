"""Compression passes through for now."""

from copy import copy

from flows.stages.compress import compress
from tests.flows.stages.making import job


def test_job_goes_through_unchanged():
    asked = job()

    before = copy(asked)
    assert compress(asked) is asked
    assert asked == before
