"""`weir keys` and `weir users`: who may ask the gateways. Works on the topics, with or without a gateway.

A key is printed once, on stdout, when it is made. A password is asked for or read from
stdin, never an argument.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from connectors.gateway.doors.accounts import KeySpec
from connectors.gateway.doors.admin_models import key_out, user_out
from connectors.gateway.doors.audit import COMMAND_LINE
from connectors.gateway.doors.keys import KeyText
from connectors.gateway.doors.setup import Desk, clock_ms, desk_on
from connectors.gateway.ports import ADMIN, INVOKE, METRICS_READ, Problem
from flows.cli_settings import load_settings
from flows.cli_show import clock_text, dumps
from flows.cli_text import ended, note, seconds_option
from schemas.base import JsonObject
from schemas.gateway import ApiKey

app = typer.Typer(no_args_is_help=True, help="Keys that programs ask the gateway with.")
users_app = typer.Typer(no_args_is_help=True, help="Users who sign in at the gateway's page.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="Id of the key: the part after `lk_`.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the user.")]
Tenant = Annotated[str, typer.Option(help="Who pays.")]
Count = Annotated[int | None, typer.Option(min=1)]
Stdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from stdin.")]
_T = TypeVar("_T")


@app.command("create")
def create_key(  # noqa: PLR0913, PLR0917 - the options of a command
    name: Annotated[str, typer.Argument(help="What people call it.")],
    tenant: Tenant = "default",
    scope: Annotated[list[str] | None, typer.Option(help=f"May be given again; {INVOKE} if none is.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="A model it may ask for; all if none is.")] = None,
    requests_per_minute: Count = None,
    tokens_per_minute: Count = None,
    budget_usd: Annotated[float | None, typer.Option(min=0)] = None,
    streams: Count = None,
    expires: Annotated[str | None, typer.Option(help="How long it is good: 90d, 12h.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it. It can't be printed again."""
    ends_ms = None if expires is None else clock_ms() + round(seconds_option(expires) * 1000)
    spec = KeySpec(
        name=name,
        tenant=tenant,
        scopes=tuple(scope or (INVOKE,)),
        models=tuple(model) if model else None,
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        budget_usd=budget_usd,
        streams=streams,
        expires_ms=ends_ms,
    )

    async def work(desk: Desk) -> tuple[ApiKey, KeyText]:
        key, text = await desk.accounts.create_key(spec, COMMAND_LINE)
        details = {"id": key.id, "name": key.name, "tenant": key.tenant, "scopes": list(key.scopes)}
        await desk.trail.did(COMMAND_LINE, "key.create", details, clock_ms())
        return key, text

    _show_made(*_at_desk(work), as_json=as_json)


@app.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List the keys, oldest first, without their secrets."""

    async def work(desk: Desk) -> list[ApiKey]:
        return sorted(desk.accounts.book.keys.values(), key=lambda key: key.created_ms)

    found = _at_desk(work)
    if as_json:
        print(dumps([_shown(key) for key in found]))
        return
    table = Table("id", "name", "tenant", "scopes", "models", "requests/min", "ends with", "created", "state")
    for key in found:
        models = "all" if key.models is None else ", ".join(key.models)
        limit = "-" if key.requests_per_minute is None else str(key.requests_per_minute)
        state = key_out(key, clock_ms()).state
        created = clock_text(key.created_ms)[:16]
        table.add_row(
            key.id, key.name, key.tenant, ", ".join(key.scopes), models, limit, key.last4, created, state
        )
    Console().print(table)


@app.command("revoke")
def revoke_key(key_id: Id, as_json: AsJson = False) -> None:
    """End a key for good; gateways refuse it within a second."""

    async def work(desk: Desk) -> ApiKey:
        key = await desk.accounts.revoke_key(key_id)
        await desk.trail.did(COMMAND_LINE, "key.revoke", {"id": key.id}, clock_ms())
        return key

    key = _at_desk(work)
    print(dumps(_shown(key)) if as_json else f"{key.id} ({key.name}) is revoked")


@app.command("rotate")
def rotate_key(
    key_id: Id,
    grace: Annotated[str, typer.Option(help="How long the old key stays good: 24h, 0.")] = "24h",
    as_json: AsJson = False,
) -> None:
    """Make a key that takes another's place, and print it."""
    length = timedelta(seconds=seconds_option(grace))

    async def work(desk: Desk) -> tuple[ApiKey, KeyText]:
        key, text = await desk.accounts.rotate_key(key_id, COMMAND_LINE, length)
        await desk.trail.did(COMMAND_LINE, "key.rotate", {"id": key.id, "from": key_id}, clock_ms())
        return key, text

    _show_made(*_at_desk(work), as_json=as_json)
    note(f"the old key {key_id} is good for another {grace}")


@users_app.command("add")
def add_user(
    name: Name,
    tenant: Tenant = "default",
    scope: Annotated[list[str] | None, typer.Option(help=f"May be given again; {ADMIN} for all.")] = None,
    password_stdin: Stdin = False,
    as_json: AsJson = False,
) -> None:
    """Make a user who signs in with a password."""
    password = _password(password_stdin)

    async def work(desk: Desk) -> JsonObject:
        scopes = tuple(scope or (INVOKE, METRICS_READ))
        user = await desk.accounts.create_user(name, password, tenant, scopes)
        await desk.trail.did(COMMAND_LINE, "user.create", {"name": name, "scopes": list(scopes)}, clock_ms())
        return user_out(user).model_dump()

    shown = _at_desk(work)
    print(dumps(shown) if as_json else f"{name} may sign in")


@users_app.command("list")
def list_users(as_json: AsJson = False) -> None:
    """List the users, by name."""

    async def work(desk: Desk) -> list[JsonObject]:
        users = sorted(desk.accounts.book.users.values(), key=lambda user: user.name)
        return [user_out(user).model_dump() for user in users]

    found = _at_desk(work)
    if as_json:
        print(dumps(found))
        return
    table = Table("name", "tenant", "scopes", "created")
    for user in found:
        created = clock_text(user["created_ms"])[:16]
        table.add_row(user["name"], user["tenant"], ", ".join(user["scopes"]), created)
    Console().print(table)


@users_app.command("remove")
def remove_user(name: Name) -> None:
    """Remove a user, and end the sessions."""

    async def work(desk: Desk) -> None:
        await desk.accounts.remove_user(name)
        await desk.trail.did(COMMAND_LINE, "user.remove", {"name": name}, clock_ms())

    _at_desk(work)
    print(f"{name} is removed")


@users_app.command("password")
def set_password(name: Name, password_stdin: Stdin = False) -> None:
    """Give a user another password, and end the sessions."""
    password = _password(password_stdin)

    async def work(desk: Desk) -> None:
        await desk.accounts.set_password(name, password)
        await desk.trail.did(COMMAND_LINE, "user.password", {"name": name}, clock_ms())

    _at_desk(work)
    print(f"{name} has a new password")


def _at_desk(work: Callable[[Desk], Awaitable[_T]]) -> _T:
    """Do something at the desk; what can't be done ends the command in one line."""
    settings = load_settings()

    async def run() -> _T:
        async with desk_on(settings.cluster, os.environ) as desk:
            return await work(desk)

    try:
        return asyncio.run(run())
    except Problem as problem:
        raise ended(problem.message) from None


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))


def _shown(key: ApiKey) -> JsonObject:
    return key_out(key, clock_ms()).model_dump()


def _show_made(key: ApiKey, text: KeyText, *, as_json: bool) -> None:
    if as_json:
        print(dumps({"key": text.text, **_shown(key)}))
    else:
        note(f"key {key.id} ({key.name}); keep it, it can't be shown again:")
        print(text.text)
