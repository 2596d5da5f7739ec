"""Whether the response cache may answer, and what it said.

There is no store behind it yet, so nothing is ever a hit. With one, the key will be made of the canonical
request, one caller at a time will fill a key, and a hit will bring its answer with it.
"""

from flows.stages.jobs import Job
from schemas.requests import CacheMode, Request


def cache(job: Job) -> Job:
    """Note on the job whether the cache was asked (`miss`) or not (`off`)."""
    job.cache = "miss" if mode_of(job.request) in (CacheMode.ON, CacheMode.READ_ONLY) else "off"
    return job


def mode_of(request: Request) -> CacheMode:
    """What the request allows; by default only answers that are the same every time are kept."""
    if request.cache is not None:
        return request.cache
    return CacheMode.OFF if request.temperature else CacheMode.ON
