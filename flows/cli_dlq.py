"""`weir dlq`: list dead letters, show one with its original bytes, and send the original bytes again."""

import base64
import binascii
import time
from collections.abc import Iterable, Mapping
from typing import Annotated

import orjson
import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from connectors.kafka.client import Client
from connectors.kafka.reading import Place, Reader, reading
from flows.cli_settings import load_settings
from flows.cli_show import clock_text, dumps
from flows.cli_text import ended, note, seconds_option
from schemas.base import JsonObject
from schemas.cluster import Cluster
from schemas.dead_letters import DeadLetter
from schemas.records import Headers
from schemas.topics import DEAD_LETTERS, REQUESTS, parse_source

app = typer.Typer(no_args_is_help=True, help="Dead letters: requests that could not be worked on.")

DROPPED_HEADERS = frozenset({"request_id", "replay", "deadline_ms", "hop", "origin", "attempts"})
"""Headers of the first try that a replay doesn't repeat: they are set anew, or hold for that try only."""

Since = Annotated[str, typer.Option(help="How far to look back: 1h, 7d.")]
CodeFilter = Annotated[str | None, typer.Option(help="Only dead letters with this code.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_letters(
    code: CodeFilter = None,
    stage: Annotated[str | None, typer.Option(help="Only those of this stage.")] = None,
    since: Since = "30d",
    as_json: AsJson = False,
) -> None:
    """List dead letters, oldest first."""
    letters = [
        letter
        for letter in _letters(since)
        if code in (None, letter.code.value) and stage in (None, letter.stage)
    ]
    if as_json:
        print(dumps([orjson.loads(letter.to_bytes()) for letter in letters]))
        return
    table = Table("time (UTC)", "request", "code", "stage", "replays", "message")
    for letter in letters:
        at = clock_text(letter.timestamp_ms)
        table.add_row(
            at, letter.request_id, letter.code, letter.stage, str(replays_of(letter)), letter.message
        )
    Console().print(table)


@app.command("show")
def show_letter(
    request_id: Annotated[str, typer.Argument(help="Its request, or `topic/partition/offset`.")],
    since: Since = "30d",
    as_json: AsJson = False,
) -> None:
    """Show one dead letter with the original key, headers and bytes."""
    for letter in _chosen(_letters(since), [request_id]):
        event: JsonObject = orjson.loads(letter.to_bytes())
        if as_json:
            print(dumps(event | original(letter)))
            continue
        print(f"request    {letter.request_id}\nrecord     {letter.source}")
        print(f"time       {clock_text(letter.timestamp_ms)} UTC\nfailure    {letter.code} at {letter.stage}")
        print(
            f"message    {letter.message}\ncost       {letter.cost_usd} USD\nreplays    {replays_of(letter)}"
        )
        for name, value in original(letter).items():
            print(f"{name:<10} {value if isinstance(value, str) else dumps(value)}")


@app.command("replay")
def replay(
    request_ids: Annotated[list[str] | None, typer.Argument(help="Which ones.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All of them, or all with --code.")] = False,
    code: CodeFilter = None,
    since: Since = "30d",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent.")] = False,
) -> None:
    """Send the original bytes of dead letters again, with the same key and request id."""
    if not request_ids and not every:
        raise typer.BadParameter("name requests, or say --all")
    letters = [letter for letter in _letters(since) if code in (None, letter.code.value)]
    chosen = _chosen(letters, request_ids) if request_ids else letters
    if not chosen:
        note("no dead letters to replay")
        return
    if dry_run:
        for letter in chosen:
            print(f"{letter.request_id}  {letter.code}  replay {replays_of(letter) + 1}")
        return
    with Client(load_settings().cluster) as client:
        for letter in chosen:
            _send(client, letter, int(time.time() * 1000))
        client.flush()
    note(f"sent {len(chosen)} again; `weir trace REQUEST_ID` shows what became of them")


def original(letter: DeadLetter) -> JsonObject:
    """The original key, headers and value as text; bytes that are not UTF-8 as base64."""
    return {
        "key": None if letter.key is None else _readable(_decoded(letter.key)),
        "headers": {name: _readable(_decoded(value)) for name, value in letter.headers},
        "value": None if letter.value is None else _readable(_decoded(letter.value)),
    }


def replays_of(letter: DeadLetter) -> int:
    """How often the record had been replayed when it became this dead letter."""
    return _number(letter, "replay") or 0


def replay_headers(letter: DeadLetter, now_ms: int) -> Headers:
    """Headers of the replay: the original ones, the original id, the count; a deadline gives as much time."""
    kept = tuple((name, _decoded(value)) for name, value in letter.headers if name not in DROPPED_HEADERS)
    added = [("request_id", letter.request_id.encode()), ("replay", str(replays_of(letter) + 1).encode())]
    deadline_ms = _deadline_ms(letter)
    if deadline_ms is not None:
        left_ms = max(deadline_ms - letter.timestamp_ms, 1000)
        added.append(("deadline_ms", str(now_ms + left_ms).encode()))
    return kept + tuple(added)


def _deadline_ms(letter: DeadLetter) -> int | None:
    """The deadline that the first try had, from its header or its body."""
    header = _number(letter, "deadline_ms")
    if header is not None:
        return header
    try:
        body = orjson.loads(_decoded(letter.value or ""))
    except orjson.JSONDecodeError:
        return None
    found = body.get("deadline_ms") if isinstance(body, dict) else None
    return found if isinstance(found, int) else None


def _number(letter: DeadLetter, header: str) -> int | None:
    """The last header of that name as a number; `None` where there is none or it is hostile."""
    texts = [_decoded(value) for name, value in letter.headers if name == header]
    return int(texts[-1]) if texts and texts[-1].isdigit() and len(texts[-1]) < 18 else None


def _send(client: Client, letter: DeadLetter, now_ms: int) -> None:
    key = None if letter.key is None else _decoded(letter.key)
    value = None if letter.value is None else _decoded(letter.value)
    if key is None:
        _, partition, _ = parse_source(letter.source)
        place = client.places(REQUESTS.name)[partition]
    else:
        place = client.home(REQUESTS.name, key)
    client.write(place, key, value, replay_headers(letter, now_ms), wait=False)


def _letters(since: str) -> list[DeadLetter]:
    """Dead letters of the last time, oldest first, then by record; one that was written twice stands once."""
    since_ms = int((time.time() - seconds_option(since)) * 1000)
    cluster = load_settings().cluster
    with reading(cluster) as reader:
        found = _read(reader, cluster, since_ms)
    return sorted(found.values(), key=lambda letter: (letter.timestamp_ms, letter.source))


def _read(reader: Reader, cluster: Cluster, since_ms: int) -> Mapping[str, DeadLetter]:
    places: list[Place] = reader.places(cluster.topic(DEAD_LETTERS.name))
    letters: dict[str, DeadLetter] = {}
    for seen in reader.scan(reader.since(places, since_ms), reader.ends(places)):
        if seen.value is None:
            continue
        try:
            letter = DeadLetter.model_validate_json(seen.value)
        except ValidationError:
            note(f"{seen.place.topic}/{seen.place.partition}/{seen.offset} is not a dead letter: skipped")
            continue
        letters[letter.source] = letter
    return letters


def _chosen(letters: Iterable[DeadLetter], wanted: list[str]) -> list[DeadLetter]:
    """The letters of these requests or records; one that isn't there ends the command."""
    held = list(letters)
    for name in wanted:
        if not any(name in (letter.request_id, letter.source) for letter in held):
            raise ended(f"there is no dead letter {name!r}; `weir dlq list` shows what there is")
    return [letter for letter in held if letter.request_id in wanted or letter.source in wanted]


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return text.encode()


def _readable(data: bytes) -> object:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}
