"""`weir memory`: what is remembered of users. Works on the topic, with or without workers."""

import tempfile
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from connectors.memory.feed import feed
from connectors.memory.local import LocalMemory
from connectors.memory.mem0 import Mem0Memory
from connectors.memory.records import forget as write_tombstones
from connectors.memory.records import remembered
from flows.cli_settings import load_settings
from flows.cli_show import clock_text, dumps
from flows.cli_text import ended
from schemas.memories import MemoryProblem, Remembered, scope_of

app = typer.Typer(no_args_is_help=True, help="What is remembered of users.")

FEED_S = 30.0
"""Longest wait for an answer of mem0, which nobody waits for."""
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Tenant = Annotated[str, typer.Option(help="Whose users.")]
User = Annotated[str | None, typer.Option(help="Only this user.")]
SomeUser = Annotated[str, typer.Option(help="Whose memories.")]


@app.command("list")
def list_memories(tenant: Tenant = "default", user: User = None, as_json: AsJson = False) -> None:
    """List what is remembered, oldest first."""
    _show(_of(tenant, user), as_json)


@app.command("search")
def search_memories(
    query: Annotated[str, typer.Argument(help="What is wanted, in words.")],
    user: SomeUser,
    tenant: Tenant = "default",
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 5,
    as_json: AsJson = False,
) -> None:
    """Find what a request of this user would be given, best first."""
    held = {one.key: one for one in _of(tenant, user)}
    with tempfile.TemporaryDirectory() as folder:
        memory = LocalMemory(Path(folder), max(len(held), 1))
        for one in held.values():
            memory.add(one.text, one)
        memory.done(0)
        found = memory.search(query, scope_of(tenant, user), limit)
        memory.close()
    _show([held[key] for key, _ in found], as_json)


@app.command("forget")
def forget(
    memory_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="Id of one memory.")] = None,
    tenant: Tenant = "default",
    user: User = None,
    everything: Annotated[bool, typer.Option("--all", help="All that is remembered of --user.")] = False,
    as_json: AsJson = False,
) -> None:
    """Forget one memory, or all of a user; workers drop them within a second or two."""
    if (memory_id is None) == (not everything) or (everything and user is None):
        raise ended("give the ID of a memory, or --all with --user", code=2)
    held = [one for one in _of(tenant, user) if everything or one.id == memory_id]
    if not held and not everything:
        raise ended(f"nothing of {tenant} has the id {memory_id}; see `weir memory list --tenant {tenant}`")
    number = write_tombstones(load_settings().cluster, [one.key for one in held])
    print(dumps({"forgotten": [one.id for one in held]}) if as_json else f"{number} forgotten")


@app.command("follow")
def follow() -> None:
    """Hand what is remembered and forgotten to the mem0 server of the settings, until Ctrl-C."""
    settings = load_settings()
    policy = settings.outside.memory
    if policy.store != "mem0":
        raise ended("weir.memory.store is not mem0: workers follow the topic by themselves", code=2)
    try:
        memory = Mem0Memory(policy, FEED_S)
    except MemoryProblem as problem:
        raise ended(str(problem)) from None
    try:
        feed(settings.cluster, memory, lambda: True)
    finally:
        memory.close()


def _of(tenant: str, user: str | None) -> list[Remembered]:
    held = remembered(load_settings().cluster).values()
    own = (one for one in held if one.tenant == tenant and user in (None, one.user))
    return sorted(own, key=lambda one: one.at_ms)


def _show(found: list[Remembered], as_json: bool) -> None:
    if as_json:
        print(dumps([orjson.loads(one.to_bytes()) for one in found]))
        return
    table = Table("time (UTC)", "user", "id", "text")
    for one in found:
        table.add_row(clock_text(one.at_ms), one.user, one.id, one.text)
    Console().print(table)
