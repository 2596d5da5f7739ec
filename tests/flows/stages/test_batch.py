"""Batching passes through for now."""

from flows.stages.batch import batch
from tests.flows.stages.making import job


def test_every_job_is_a_batch_of_its_own_in_order():
    one, two = job(prompt="1"), job(prompt="2")

    assert batch([one, two]) == [(one,), (two,)]
    assert batch([]) == []
