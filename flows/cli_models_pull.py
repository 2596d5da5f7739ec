"""How `weir models pull` shows its progress: bars on a terminal, plain lines elsewhere, or JSON lines."""

import sys
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import asdict, dataclass, field

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from connectors.providers.ollama_admin import PullProgress
from connectors.providers.ollama_server import OllamaServer
from flows.cli_models_rows import Target, key_of
from flows.cli_show import dumps
from flows.cli_text import note

STEP = 10
"""Plain lines come every so many per cent of a layer."""


async def pull_all(targets: list[Target], *, as_json: bool) -> None:
    """Fetch models, one after the other.

    Raises:
        ProviderError: When one can't be fetched.
    """
    for target in targets:
        if as_json:
            await _pull(target, _json_lines(target))
        elif sys.stderr.isatty():
            await _pull_with_bars(target)
        else:
            await _pull(target, Lines(target.model, note))
        if not as_json:
            note(f"{target.model} is there, at {target.base}")


async def _pull(target: Target, show: Callable[[PullProgress], None]) -> None:
    async with (
        OllamaServer(target.base, key_of(target.route)) as server,
        aclosing(server.pull(target.model)) as parts,
    ):
        async for part in parts:
            show(part)


async def _pull_with_bars(target: Target) -> None:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        await _pull(target, Bars(target.model, bars))


@dataclass(slots=True)
class Bars:
    """A bar for each layer."""

    model: str
    bars: Progress
    layers: dict[str, TaskID] = field(default_factory=dict[str, TaskID])

    def __call__(self, part: PullProgress) -> None:
        """Take one line of the server's."""
        if part.digest is None:
            self.bars.print(f"{self.model}: {part.status}", highlight=False)
            return
        total = part.total_bytes or None
        if part.digest not in self.layers:
            self.layers[part.digest] = self.bars.add_task(short(part.digest), total=total)
        self.bars.update(self.layers[part.digest], total=total, completed=part.completed_bytes)


@dataclass(slots=True)
class Lines:
    """A line when the status changes, and every ten per cent of a layer."""

    model: str
    write: Callable[[str], None]
    last: tuple[str, int] = ("", -1)

    def __call__(self, part: PullProgress) -> None:
        """Take one line of the server's."""
        now = steps(part)
        if now != self.last:
            self.last = now
            text = f"{short(part.digest)} {now[1]} %" if part.digest else part.status
            self.write(f"{self.model}: {text}")


def steps(part: PullProgress) -> tuple[str, int]:
    """What a part is about, and how far it is, in steps of ten per cent."""
    share = part.completed_bytes / part.total_bytes if part.total_bytes else 0.0
    return part.digest or part.status, int(share * 100) // STEP * STEP


def short(digest: str | None) -> str:
    """A layer's name as people read it."""
    return (digest or "").removeprefix("sha256:")[:12]


def _json_lines(target: Target) -> Callable[[PullProgress], None]:
    last: list[tuple[str, int]] = []

    def show(part: PullProgress) -> None:
        now = steps(part)
        if [now] != last:
            last[:] = [now]
            print(dumps({"model": target.model, **asdict(part)}), flush=True)

    return show
