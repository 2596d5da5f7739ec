"""Gathers jobs into the batches that are called together.

Passes through for now: every job is a batch of its own, in order. It will close a batch by tokens, number
or age and state which it was.
"""

from collections.abc import Sequence

from flows.stages.jobs import Job


def batch(jobs: Sequence[Job]) -> list[tuple[Job, ...]]:
    """Batches in the order of their first job; every job is in exactly one."""
    return [(job,) for job in jobs]
