"""Two pools as one: a gentle one that works while cores are idle, and a firm one for when none ever is.

What only idle cores work on disturbs nobody, but on a machine that is busy for long it starves. A piece that
the gentle pool hasn't done in time goes to the firm one, and so do all that follow for a while.
"""

import asyncio
import time

from connectors.process.pool import Pool

PATIENCE_S = 5.0
"""Longest that a piece is with the gentle pool, its wait for a turn and a process's start included."""
FIRM_S = 60.0
"""How long all pieces go to the firm pool after that."""


class GentlePool:
    """Lives on one event loop."""

    def __init__(self, gentle: Pool, firm: Pool, patience_s: float = PATIENCE_S) -> None:
        self._gentle, self._firm, self._patience_s = gentle, firm, patience_s
        self._firm_until_s = 0.0

    async def run(self, piece: bytes) -> bytes:
        """The result of a piece.

        Raises:
            PoolFailed: When two processes died of it, or it took too long.
        """
        if time.monotonic() >= self._firm_until_s:
            try:
                async with asyncio.timeout(self._patience_s):
                    return await self._gentle.run(piece)
            except TimeoutError:
                self._firm_until_s = time.monotonic() + FIRM_S
        return await self._firm.run(piece)
