"""`weir contexts`: list conversations, show the turns of one, and forget one."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated
from uuid import UUID

import orjson
import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Column, Table

from connectors.kafka.client import Client
from connectors.kafka.reading import Place, Reader, reading
from flows.cli_settings import load_settings
from flows.cli_show import clock_text, dumps
from flows.cli_text import ended, note
from schemas.base import JsonObject
from schemas.contexts import Turn, parse_turn_key, turn_key
from schemas.requests import Message
from schemas.topics import CONTEXTS

app = typer.Typer(no_args_is_help=True, help="Conversations: what is kept of them, turn by turn.")

Which = Annotated[str, typer.Argument(help="The conversation's `context_id`.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@dataclass(slots=True)
class Conversation:
    """What is known of one, while the log is read."""

    tenant: str = ""
    """Whose it is: that of its last turn."""
    last_ms: int = 0
    """When its last turn was asked, Unix time in milliseconds."""
    turns: dict[int, int] = field(default_factory=dict[int, int])
    """Bytes of each turn, by its number."""

    def take(self, turn: Turn, size_bytes: int) -> None:
        """One more turn, or the same once more."""
        self.turns[turn.seq] = size_bytes
        if turn.asked_ms >= self.last_ms:
            self.last_ms, self.tenant = turn.asked_ms, turn.tenant


@app.command("list")
def list_conversations(
    tenant: Annotated[str | None, typer.Option(help="Only those of this tenant.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most that are listed: the latest.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List conversations, the latest last."""
    found: dict[UUID, Conversation] = {}
    with reading(load_settings().cluster) as reader:
        for context_id, seq, turn, size in _turns(reader, _places(reader)):
            if turn is not None:
                found.setdefault(context_id, Conversation()).take(turn, size)
            elif context_id in found:
                found[context_id].turns.pop(seq, None)
    kept = [(key, each) for key, each in found.items() if each.turns and tenant in (None, each.tenant)]
    latest = sorted(kept, key=lambda pair: (pair[1].last_ms, pair[0]))[-limit:]
    if as_json:
        print(dumps([_summary(key, each) for key, each in latest]))
        return
    whole = Column("context_id", min_width=36, no_wrap=True)
    table = Table(whole, "tenant", "turns", "bytes", "last turn (UTC)")
    for key, each in latest:
        size = str(sum(each.turns.values()))
        table.add_row(str(key), each.tenant, str(len(each.turns)), size, clock_text(each.last_ms))
    Console().print(table)
    if len(latest) < len(kept):
        note(f"{len(kept) - len(latest)} older ones are not listed; --limit says how many are")


@app.command("show")
def show(context_id: Which, as_json: AsJson = False) -> None:
    """Show the turns of a conversation, oldest first."""
    wanted = _uuid(context_id)
    with reading(load_settings().cluster) as reader:
        turns = _of(reader, wanted)
    if as_json:
        print(dumps([orjson.loads(turn.to_bytes()) for turn in turns]))
        return
    for turn in turns:
        who = f"{turn.tenant}, {turn.model}" if turn.model else turn.tenant
        print(f"--- turn {turn.seq}  {clock_text(turn.asked_ms)} UTC  {turn.request_id}  ({who})")
        for message in (*turn.asked, turn.answer):
            print(f"{message.role}: {_text(message)}")


@app.command("forget")
def forget(context_id: Which) -> None:
    """Forget a conversation: running workers drop it at once, and its turns go from the log."""
    wanted = _uuid(context_id)
    with Client(load_settings().cluster) as client:
        places = _places(client.reader)
        kept: dict[tuple[Place, int], None] = {}
        for place, key, seq, gone in _keys(client.reader, places):
            if key == wanted:
                kept[place, seq] = None
                if gone:
                    del kept[place, seq]
        client.forget(wanted)
        for place, seq in kept:
            client.write(place, turn_key(wanted, seq), None, (("kind", b"forgotten"),), wait=False)
        client.flush()
    note(f"forgot {len(kept)} turns of {wanted}")


def _summary(key: UUID, each: Conversation) -> JsonObject:
    return {
        "context_id": str(key),
        "tenant": each.tenant,
        "turns": len(each.turns),
        "bytes": sum(each.turns.values()),
        "last_ms": each.last_ms,
    }


def _of(reader: Reader, wanted: UUID) -> list[Turn]:
    """Its turns by number; a conversation of which nothing is kept ends the command."""
    turns: dict[int, Turn] = {}
    for context_id, seq, turn, _ in _turns(reader, _places(reader)):
        if context_id == wanted and turn is not None:
            turns[seq] = turn
        elif context_id == wanted:
            turns.pop(seq, None)
    if not turns:
        raise ended(f"nothing is kept of conversation {wanted}; `weir contexts list` shows what there is")
    return [turns[seq] for seq in sorted(turns)]


def _places(reader: Reader) -> list[Place]:
    return reader.places(load_settings().cluster.topic(CONTEXTS.name))


def _turns(reader: Reader, places: list[Place]) -> Iterator[tuple[UUID, int, Turn | None, int]]:
    """Every record as conversation, number, turn (`None` where it is forgotten) and bytes, as written."""
    for seen in reader.scan(reader.beginnings(places), reader.ends(places)):
        try:
            context_id, seq = parse_turn_key(seen.key)
            turn = None if seen.value is None else Turn.model_validate_json(seen.value)
        except (ValidationError, ValueError):
            note(f"{seen.place.topic}/{seen.place.partition}/{seen.offset} is no turn: skipped")
            continue
        yield context_id, seq, turn, len(seen.value or b"")


def _keys(reader: Reader, places: list[Place]) -> Iterator[tuple[Place, UUID, int, bool]]:
    """Every record as place, conversation, number, and whether it is forgotten; values are not read."""
    for seen in reader.scan(reader.beginnings(places), reader.ends(places)):
        try:
            yield seen.place, *parse_turn_key(seen.key), seen.value is None
        except ValueError:
            continue


def _text(message: Message) -> str:
    parts = [message.content] if isinstance(message.content, str) else []
    parts += [dumps(message.content)] if isinstance(message.content, list) else []
    parts += [dumps(call) for call in message.tool_calls or ()]
    return "\n  ".join("\n".join(parts).splitlines()) or "(nothing)"


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise ended(f"{text!r} is no context_id: it must be a uuid") from None
