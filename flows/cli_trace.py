"""`weir trace REQUEST_ID`: everything the topics know about one request, in the order of time."""

import time
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import orjson
import typer
from pydantic import ValidationError

from connectors.kafka.reading import Place, Reader, Seen, partition_of, reading
from flows.cli_settings import load_settings
from flows.cli_show import clock_text, dumps, kind_of, place_text, settled_fields, started_fields
from flows.cli_text import ended, millis, receipt, seconds_option
from schemas.base import JsonObject
from schemas.chunks import Chunk
from schemas.cluster import Cluster
from schemas.contexts import parse_turn_key
from schemas.dead_letters import DeadLetter
from schemas.packed import PackedError, unpack_settled, unpack_started
from schemas.responses import Response
from schemas.topics import (
    CHUNKS,
    CONTEXTS,
    CONTROL,
    DEAD_LETTERS,
    REQUESTS,
    RESPONSES,
    SOURCES,
    USAGE,
    parse_source,
    source_text,
)
from schemas.usage import Finished

SHOWN_CHARS = 160
"""Longest shown text of an answer or a question."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to a request."""

    at_ms: int
    """When, Unix time in milliseconds."""
    what: str
    """`request`, `started`, `chunks`, `response`, `finished`, `settled`, `turn`,
    `dead letter`, `cancel`."""
    place: str
    """Where it stands, as `topic/partition/offset`."""
    said: str
    """It, in a few words."""
    detail: JsonObject
    """All of it."""


def trace(
    request_id: Annotated[
        str, typer.Argument(help="The request; `topic/partition/offset` where it has none.")
    ],
    since: Annotated[str, typer.Option(help="How far to look back: 1h, 1d, 7d.")] = "1d",
    as_json_lines: Annotated[bool, typer.Option("--json", help="A JSON object a line.")] = False,
) -> None:
    """Show everything about one request, over all topics, in the order of time. Exit 1 for nothing."""
    since_ms = int((time.time() - seconds_option(since)) * 1000)
    cluster = load_settings().cluster
    with reading(cluster) as reader:
        events = sorted(collect(reader, cluster, request_id, since_ms), key=lambda event: event.at_ms)
    if not events:
        raise ended(f"nothing about {request_id} in the last {since}; --since looks further back")
    for event in events:
        if as_json_lines:
            fields = {"at_ms": event.at_ms, "what": event.what, "place": event.place, "detail": event.detail}
            print(dumps(fields))
        else:
            after = millis(event.at_ms - events[0].at_ms)
            print(f"{clock_text(event.at_ms)}  +{after:<8} {event.what:<11} {event.place:<28} {event.said}")


def collect(reader: Reader, cluster: Cluster, request_id: str, since_ms: int) -> Iterator[Event]:
    """All events of a request that was put on its topic at or after a moment; in no order."""
    requests = _requests(reader, cluster, request_id, since_ms)
    yield from (_request_event(seen) for seen in requests)
    numbers = sorted({seen.place.partition for seen in requests})
    from_ms = min((seen.timestamp_ms for seen in requests), default=since_ms)
    offsets = {(0, seen.place.partition, seen.offset) for seen in requests}
    sources = {source_text(SOURCES[source].name, number, offset) for source, number, offset in offsets}
    for seen in _scan(reader, _places(reader, cluster, RESPONSES.name, numbers), from_ms):
        if seen.value is not None and (_keyed(seen, request_id) or seen.header("source") in sources):
            yield from _careful(seen, lambda seen: [_response_event(seen)])
    for seen in _scan(reader, _places(reader, cluster, USAGE.name, numbers), from_ms):
        yield from _careful(seen, lambda seen: _usage_events(seen, request_id, offsets))
    for seen in _scan(reader, _places(reader, cluster, CONTEXTS.name, numbers), from_ms):
        yield from _careful(seen, lambda seen: _turn_events(seen, offsets))
    for seen in _scan(reader, _places(reader, cluster, DEAD_LETTERS.name, numbers), from_ms):
        if seen.value is not None and _keyed(seen, request_id):
            yield from _careful(seen, lambda seen: [_dead_letter_event(seen)])
    for seen in _scan(reader, _places(reader, cluster, CONTROL.name, []), since_ms):
        if _keyed(seen, request_id):
            yield Event(seen.timestamp_ms, "cancel", place_text(seen), "asked to stop", _loads(seen))
    yield from _chunk_events(reader, cluster, request_id, from_ms)


def _careful(seen: Seen, read: Callable[[Seen], Iterable[Event]]) -> list[Event]:
    """What a record says; one that somebody else wrote and nobody can read is told, not fatal."""
    try:
        return list(read(seen))
    except (ValidationError, PackedError) as error:
        said = f"can't be read: {str(error).splitlines()[0]}"
        return [Event(seen.timestamp_ms, "unreadable", place_text(seen), said, {})]


def _turn_events(seen: Seen, offsets: Container[tuple[int, int, int]]) -> list[Event]:
    """The turn of a conversation, or that it was forgotten; none of another request."""
    try:
        _, seq = parse_turn_key(seen.key)
    except ValueError:
        return []
    if (0, seen.place.partition, seq) not in offsets:
        return []
    said = "forgotten" if seen.value is None else f"kept, {len(seen.value)} bytes"
    return [Event(seen.timestamp_ms, "turn", place_text(seen), said, _loads(seen))]


def _places(reader: Reader, cluster: Cluster, topic: str, numbers: Sequence[int]) -> list[Place]:
    """Partitions of a topic with these numbers; all where none is given."""
    places = reader.places(cluster.topic(topic))
    return [place for place in places if place.partition in numbers] if numbers else places


def _scan(reader: Reader, places: list[Place], since_ms: int) -> Iterator[Seen]:
    return reader.scan(reader.since(places, since_ms), reader.ends(places))


def _keyed(seen: Seen, request_id: str) -> bool:
    return seen.key is not None and seen.key == request_id.encode()


def _requests(reader: Reader, cluster: Cluster, request_id: str, since_ms: int) -> list[Seen]:
    """The request records of an id: first where its key belongs, then, if need be, everywhere."""
    places = reader.places(cluster.topic(REQUESTS.name))
    exact = _exact(request_id, places, cluster)
    if exact is not None:
        place, offset = exact
        end = min(offset + 1, reader.ends([place])[place])
        return [seen for seen in reader.scan({place: offset}, {place: end}) if seen.offset == offset]
    home = places[partition_of(request_id.encode(), len(places))]
    found = [seen for seen in _scan(reader, [home], since_ms) if _asks(seen, request_id)]
    if found and all(_keyed(seen, request_id) for seen in found):
        return found
    others = [place for place in places if place != home]
    return found + [seen for seen in _scan(reader, others, since_ms) if _asks(seen, request_id)]


def _exact(request_id: str, places: list[Place], cluster: Cluster) -> tuple[Place, int] | None:
    """The record that an id made from its place names; `None` where the id is no place."""
    try:
        topic, partition, offset = parse_source(request_id)
    except ValueError:
        return None
    place = Place(cluster.topic(topic), partition)
    return (place, offset) if place in places and offset >= 0 else None


def _asks(seen: Seen, request_id: str) -> bool:
    """Whether a request record has this id: its header, else its body says so."""
    header = seen.header("request_id")
    if header is not None or seen.value is None:
        return header == request_id
    return request_id.encode() in seen.value and _loads(seen).get("request_id") == request_id


def _loads(seen: Seen) -> JsonObject:
    try:
        value = orjson.loads(seen.value or b"null")
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_CHARS else f"{line[:SHOWN_CHARS]}…"


def _request_event(seen: Seen) -> Event:
    detail = _loads(seen)
    prompt = detail.get("prompt")
    said = _short(prompt) if isinstance(prompt, str) else f"{len(seen.value or b'')} bytes"
    if seen.header("replay") is not None:
        said = f"replay {seen.header('replay')}: {said}"
    if seen.header("origin") is not None:
        said = f"moved from {seen.header('origin')}: {said}"
    return Event(seen.timestamp_ms, "request", place_text(seen), said, detail)


def _response_event(seen: Seen) -> Event:
    response = Response.model_validate_json(seen.value or b"")
    if response.error is None:
        said = f"{_short(response.response or '')} [{receipt(response)}]"
    else:
        said = f"{response.error.code}: {_short(response.error.message)}"
    return Event(seen.timestamp_ms, "response", place_text(seen), said, _loads(seen))


def _usage_events(seen: Seen, request_id: str, offsets: set[tuple[int, int, int]]) -> Iterator[Event]:
    """The entries of a usage record that are about the request records at these offsets, or about its id."""
    number, place, at_ms = seen.place.partition, place_text(seen), seen.timestamp_ms
    value = seen.value or b""
    match kind_of(seen):
        case "started":
            for entry in unpack_started(value):
                if (entry.source, number, entry.offset) in offsets:
                    said = f"attempt {entry.attempt} may leave for its provider"
                    yield Event(at_ms, "started", place, said, started_fields(entry))
        case "settled":
            for entry in unpack_settled(value):
                if (entry.source, number, entry.offset) in offsets:
                    detail = settled_fields(entry)
                    yield Event(at_ms, "settled", place, ", ".join(detail["flags"]) or "done", detail)
        case "finished" if _keyed(seen, request_id):
            attempt = Finished.model_validate_json(value).attempt
            said = f"attempt {attempt.attempt} on {attempt.route}: {attempt.outcome}"
            yield Event(at_ms, "finished", place, f"{said}, {millis(attempt.duration_ms)}", _loads(seen))
        case _:
            return


def _dead_letter_event(seen: Seen) -> Event:
    letter = DeadLetter.model_validate_json(seen.value or b"")
    said = f"{letter.code} at {letter.stage}: {_short(letter.message)}"
    return Event(seen.timestamp_ms, "dead letter", place_text(seen), said, _loads(seen))


def _chunk_events(reader: Reader, cluster: Cluster, request_id: str, since_ms: int) -> Iterator[Event]:
    """One event for all chunks of an attempt, at the time of the first one."""
    places = reader.places(cluster.topic(CHUNKS.name))
    home = places[partition_of(request_id.encode(), len(places))]
    attempts: dict[int, list[tuple[Seen, Chunk]]] = {}
    for seen in _scan(reader, [home], since_ms):
        if seen.value is not None and _keyed(seen, request_id):
            try:
                chunk = Chunk.model_validate_json(seen.value)
            except ValidationError:
                continue
            attempts.setdefault(chunk.attempt, []).append((seen, chunk))
    yield from (_chunks_event(attempt, pieces) for attempt, pieces in attempts.items())


def _chunks_event(attempt: int, pieces: Sequence[tuple[Seen, Chunk]]) -> Event:
    first, last = pieces[0][0], pieces[-1][0]
    ended_well = any(chunk.last for _, chunk in pieces)
    took = millis(last.timestamp_ms - first.timestamp_ms)
    said = f"attempt {attempt}: {len(pieces)} in {took}{'' if ended_well else ', not ended'}"
    detail: JsonObject = {
        "attempt": attempt,
        "count": len(pieces),
        "text": _joined(pieces),
        "ended": ended_well,
    }
    return Event(first.timestamp_ms, "chunks", place_text(first), said, detail)


def _joined(pieces: Iterable[tuple[Seen, Chunk]]) -> str:
    return "".join(chunk.delta for _, chunk in pieces)
