"""The part of the composition root that says who fits requests into windows."""

import asyncio
import os
import sys

from connectors.process.errors import PoolFailed
from connectors.process.pool import Pool
from connectors.providers.counts import Counts
from flows.calibrations import Calibrations
from flows.fitter import Fitter, FitterPorts, PoolProblem
from flows.settings import Settings
from flows.stages.route import ASKED

ONE_THREAD = {"RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"}
"""A process of the pool takes one core."""


def fitter(settings: Settings, calibrations: Calibrations, loop: asyncio.AbstractEventLoop) -> Fitter:
    """The fitter; nothing is started yet."""
    policy = settings.compression
    command = [
        sys.executable, "-m", "flows.compressing", "connectors.tokenizers.counter:build",
        settings.counting.tokenizer, *([policy.scorer] if policy.scorer else []),
    ]  # fmt: skip
    size = policy.processes or max(1, (os.cpu_count() or 1) // 2)
    pool = Pool(command, size, policy.timeout.total_seconds(), env=ONE_THREAD)

    async def run(piece: bytes) -> bytes:
        try:
            return await pool.run(piece)
        except PoolFailed as error:
            raise PoolProblem(str(error)) from error

    return Fitter(FitterPorts(run, Counts().count, calibrations, ASKED), loop)
