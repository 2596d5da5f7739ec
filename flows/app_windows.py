"""The part of the composition root that says who counts long texts and fits requests into windows."""

import asyncio
import os
import sys
from dataclasses import dataclass

from connectors.process.errors import PoolFailed
from connectors.process.gentle import GentlePool
from connectors.process.pool import Pool
from connectors.providers.counts import Counts
from flows.calibrations import Calibrations
from flows.counting import Counting
from flows.fitter import Fitter, FitterPorts
from flows.ports import PoolProblem, RunPiece
from flows.settings import Settings
from flows.stages.route import ASKED

ONE_THREAD = {"RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"}
"""A process of the pool takes one core."""


@dataclass(frozen=True, slots=True)
class Windowing:
    """Who counts what is long, and who fits what is too long; one pool does the work of both."""

    counting: Counting
    """Counts long texts."""
    fitter: Fitter
    """Fits requests into windows."""


def windows(
    settings: Settings, kind: str, calibrations: Calibrations, loop: asyncio.AbstractEventLoop
) -> Windowing:
    """Both; no process is started yet. `kind` is that of the counter."""
    run = _pool(settings)
    fitter = Fitter(FitterPorts(run, Counts().count, calibrations, ASKED), loop)
    return Windowing(Counting(run, kind, loop), fitter)


def _pool(settings: Settings) -> RunPiece:
    """What burns a core, off the worker's; nothing is started yet."""
    policy = settings.compression
    arguments = ["connectors.tokenizers.counter:build", settings.counting.tokenizer]
    arguments += [policy.scorer] if policy.scorer else []
    size = policy.processes or max(1, (os.cpu_count() or 1) // 2)

    def made(when: str) -> Pool:
        command = [sys.executable, "-m", "flows.compressing", when, *arguments]
        return Pool(command, size, policy.timeout.total_seconds(), env=ONE_THREAD)

    both = GentlePool(made("idle"), made("nice"))

    async def run(piece: bytes) -> bytes:
        try:
            return await both.run(piece)
        except PoolFailed as error:
            raise PoolProblem(str(error)) from error

    return run
