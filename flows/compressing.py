"""What a process of the pool runs: one task after the other, from the socket that is its stdin.

    python -m flows.compressing idle|nice MODULE:FUNCTION TOKENIZER [MODULE:SCORER]

The first says when it may run: only where a core is idle, or always, a step behind the worker. Then comes
what makes a counter of the tokenizer's name, and last a scorer of units. It ends when the socket does.
"""

import importlib
import os
import pickle
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from flows.ports import PoolProblem, RunPiece
from flows.stages.compress import Shrunk, Task, shrink
from flows.stages.compression import Counter, UnitScorer
from flows.stages.content import Measured
from flows.stages.count import CountTask
from flows.stages.jobs import Failed
from schemas.codes import Code

NICE = 10
"""How far it steps back behind the worker, whose requests have somebody waiting."""
MOST_NICE = 19
"""The same where a system knows no policy for idle cores."""
LENGTH_BYTES = 8
Result = Shrunk | Measured | str
"""The compressed request, or the count of one; or why there is none."""
R = TypeVar("R", Shrunk, Measured)


def named(place: str) -> Any:
    """What a `MODULE:NAME` means.

    Raises:
        ImportError, AttributeError, ValueError: When it means nothing.
    """
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def answer(piece: bytes, counter: Counter, scorer: UnitScorer | None) -> bytes:
    """The pickled result of a pickled task; what fails is a text."""
    result: Result
    try:
        task: Task | CountTask = pickle.loads(piece)
        result = task.done(counter) if isinstance(task, CountTask) else shrink(task, counter, scorer)
    except Exception as error:  # noqa: BLE001 - one task's failure is an answer, not the process's end
        result = f"{type(error).__name__}: {error}"[:300]
    return pickle.dumps(result, pickle.HIGHEST_PROTOCOL)


async def done_by(run: RunPiece, task: Task | CountTask, kind: type[R], stage: str, done: str) -> R | Failed:
    """The worker's side: have a task done. Its result is of that kind; what can't be `done` is a failure."""
    problem = f"the request could not be {done}: "
    try:
        result: Result = pickle.loads(await run(pickle.dumps(task, pickle.HIGHEST_PROTOCOL)))
    except PoolProblem as error:
        return Failed(Code.INTERNAL, f"{problem}{error}; shorten it, or try again", stage)
    return result if isinstance(result, kind) else Failed(Code.INTERNAL, f"{problem}{result}", stage)


def serve(connection: socket.socket, counter: Counter, scorer: UnitScorer | None) -> None:
    """Answer until the other side is gone."""
    while (head := _read(connection, LENGTH_BYTES)) is not None:
        piece = _read(connection, int.from_bytes(head))
        if piece is None:
            return
        result = answer(piece, counter, scorer)
        connection.sendall(len(result).to_bytes(LENGTH_BYTES))
        connection.sendall(result)


def _read(connection: socket.socket, size: int) -> bytes | None:
    """So many bytes; `None` where the other side is gone."""
    data = bytearray()
    while len(data) < size:
        part = connection.recv(min(size - len(data), 1 << 20))
        if not part:
            return None
        data += part
    return bytes(data)


def step_back(policy: str) -> None:
    """Leave the cores to others: `idle` to all, `nice` to most of them.

    Nice alone doesn't do: a process that runs keeps its core for its slice when the worker wakes.
    """
    if policy == "idle" and hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    else:
        os.nice(MOST_NICE if policy == "idle" else NICE)


def main(policy: str, build: str, tokenizer: str, scorer: str = "") -> None:
    """Be a process of the pool."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    step_back(policy)
    make: Callable[[str], Counter] = named(build)
    with socket.socket(fileno=os.dup(0)) as connection:
        serve(connection, make(tokenizer), named(scorer)() if scorer else None)


if __name__ == "__main__":
    main(*sys.argv[1:])
