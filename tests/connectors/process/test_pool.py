"""A pool of processes: started late, bounded, replaced when one dies, gone when we are."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from connectors.process.errors import PoolFailed
from connectors.process.pool import Pool

CHILD = """
import os, socket, sys, time
def read(sock, size):
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            sys.exit()
        data += part
    return data
with socket.socket(fileno=os.dup(0)) as sock:
    while True:
        piece = read(sock, int.from_bytes(read(sock, 8)))
        if piece == b"die" or piece.startswith(b"once:") and not os.path.exists(piece[5:]):
            piece[5:] and open(piece[5:], "w").close()
            os._exit(3)
        if piece == b"sleep":
            time.sleep(60)
        result = b"%d:%d" % (os.getpid(), len(piece))
        sock.sendall(len(result).to_bytes(8) + result)
"""


def pool(size: int = 1, timeout_s: float = 20) -> Pool:
    return Pool([sys.executable, "-c", CHILD], size, timeout_s)


def gone(pid: int) -> bool:
    end_s = time.monotonic() + 10
    while time.monotonic() < end_s:
        try:
            state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def play(use: Callable[[Pool], object], made: Pool) -> None:
    async def run() -> None:
        try:
            await use(made)  # type: ignore[misc]
        finally:
            await made.close()

    asyncio.run(run())


def test_nothing_is_started_before_the_first_piece_and_one_process_does_one_after_the_other():
    async def use(made: Pool) -> None:
        assert made.pids == frozenset()
        first, second = await made.run(b"a"), await made.run(b"x" * 3_000_000)
        assert first.split(b":")[0] == second.split(b":")[0]
        assert second.endswith(b":3000000")
        assert len(made.pids) == 1

    play(use, pool(size=3))


def test_no_more_processes_than_set_work_at_once():
    async def use(made: Pool) -> None:
        found = await asyncio.gather(*(made.run(b"%d" % at) for at in range(12)))
        assert len({each.split(b":")[0] for each in found}) <= 2
        assert len(made.pids) <= 2

    play(use, pool(size=2))


def test_a_process_that_dies_is_replaced_and_its_piece_tried_once_more(tmp_path: Path):
    async def use(made: Pool) -> None:
        before = await made.run(b"a")
        after = await made.run(b"once:" + os.fsencode(tmp_path / "died"))
        assert after.split(b":")[0] != before.split(b":")[0]
        assert made.crashes == 1

    play(use, pool())


def test_a_piece_that_kills_two_is_given_up_and_the_next_one_is_done():
    async def use(made: Pool) -> None:
        with pytest.raises(PoolFailed, match="2 processes died"):
            await made.run(b"die")
        assert (await made.run(b"ab")).endswith(b":2")

    play(use, pool())


def test_a_command_that_does_not_start_fails_clearly():
    async def use(made: Pool) -> None:
        with pytest.raises(PoolFailed):
            await made.run(b"a")

    play(use, Pool([sys.executable, "-c", "raise SystemExit(1)"], 1, 20))


def test_one_that_takes_too_long_is_ended_and_so_is_one_whose_piece_nobody_wants():
    async def use(made: Pool) -> None:
        with pytest.raises(PoolFailed, match="not done within"):
            await made.run(b"sleep")
        assert made.pids == frozenset()
        task = asyncio.create_task(made.run(b"sleep"))
        await asyncio.sleep(0.3)
        (pid,) = made.pids
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert gone(pid)

    play(use, pool(timeout_s=1))


def test_the_processes_die_with_their_parent_however_it_ends(tmp_path: Path):
    script = textwrap.dedent("""
        import asyncio, os, sys, time
        from connectors.process.pool import Pool
        async def main():
            pool = Pool([sys.executable, "-c", sys.argv[1]], 1, 60)
            await pool.run(b"a")
            print(*pool.pids, flush=True)
            await pool.run(b"sleep")
        asyncio.run(main())
    """)
    root = Path(__file__).resolve().parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", script, CHILD], cwd=root, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
        parent.wait()

        assert gone(pid)
