"""Fits the context into the plan's token budget.

Passes through for now: `route` has made sure that every planned route takes the whole input. It will leave
out the sentences that serve the question least, and keep a record of what went.
"""

from flows.stages.jobs import Job


def compress(job: Job) -> Job:
    """The job, its messages within the budget of its plan."""
    return job
