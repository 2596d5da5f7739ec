"""`weir tail` shows the records of a topic; `weir lag` shows how far the workers are behind."""

import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from connectors.kafka.offsets import PartitionLag, lag
from connectors.kafka.reading import Place, Reader, Seen, reading
from flows.cli_settings import load_settings
from flows.cli_show import as_json, dumps, matches, one_line, topic_name
from flows.cli_text import ended, seconds_option
from schemas.topics import TOPICS


def resolve(topic: str) -> str:
    """The topic that a name on the command line means; an unknown one ends the command."""
    name = topic_name(topic)
    if name is None:
        known = ", ".join(one.name for one in TOPICS)
        raise ended(f"there is no topic {topic!r}; the topics are {known}", code=2)
    return name


def filters_of(texts: list[str]) -> dict[str, str]:
    """Read `name=value` filters; another form is a usage error."""
    pairs: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{text!r}: write a filter as name=value, such as tenant=acme")
        pairs[name] = value
    return pairs


def start_of(text: str) -> int | None:
    """Read where to start: records before the end (0 for `end`), or `None` for the beginning."""
    match text:
        case "beginning":
            return None
        case "end":
            return 0
        case _ if text[:1] == "-" and text[1:].isascii() and text[1:].isdigit():
            return int(text[1:])
        case _:
            raise typer.BadParameter(f"{text!r}: start from `beginning`, `end` or a number such as -20")


def tail(
    topic: Annotated[str, typer.Argument(help="Its name, or the end of it: `responses`, `dlq`.")],
    start: Annotated[
        str, typer.Option("--from", help="`beginning`, `end`, or the last records: -20.")
    ] = "end",
    key: Annotated[str | None, typer.Option(help="Only records with this key.")] = None,
    filters: Annotated[
        list[str] | None,
        typer.Option(
            "--filter", help="Only records with name=value: a header, `kind`, or a path: error.code=…"
        ),
    ] = None,
    as_json_lines: Annotated[bool, typer.Option("--json", help="A JSON object a line.")] = False,
    count: Annotated[int | None, typer.Option("-n", min=1, help="Stop after this many records.")] = None,
    until_end: Annotated[bool, typer.Option("--until-end", help="Stop where the topic ends now.")] = False,
) -> None:
    """Show the records of a topic, and go on as they come. Fences and packed entries are shown as such."""
    back = start_of(start)
    wanted = filters_of(filters or []) | ({} if key is None else {"key": key})
    name = resolve(topic)
    cluster = load_settings().cluster
    shown = 0
    try:
        with reading(cluster) as reader:
            places = reader.places(cluster.topic(name))
            for seen in _records(reader, places, back=back, wanted=wanted, follow=not until_end):
                print(dumps(as_json(seen)) if as_json_lines else one_line(seen), flush=True)
                shown += 1
                if count is not None and shown >= count:
                    return
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _records(
    reader: Reader, places: list[Place], *, back: int | None, wanted: Mapping[str, str], follow: bool
) -> Iterator[Seen]:
    """Records that match: those before the end in the order of time, then with `follow` those that come."""
    ends = reader.ends(places)
    starts = reader.beginnings(places)
    if back is not None:
        starts = {place: max(starts[place], ends[place] - back) for place in places}
    if back != 0:
        older = (seen for seen in reader.scan(starts, ends) if matches(seen, wanted))
        if back is None:
            yield from older
        else:
            newest = sorted(older, key=lambda seen: (seen.timestamp_ms, seen.place, seen.offset))
            yield from deque(newest, maxlen=back)
    if follow:
        reader.assign(ends)
        while True:
            yield from (seen for seen in reader.poll(0.5) if matches(seen, wanted))


def show_lag(
    as_json_output: Annotated[bool, typer.Option("--json", help="Print a JSON array.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again until stopped.")] = False,
    every: Annotated[str, typer.Option(help="Between two readings with --watch.")] = "2s",
) -> None:
    """Show how many requests of each partition are not settled yet."""
    every_s = seconds_option(every)
    cluster = load_settings().cluster
    try:
        while True:
            _show(lag(cluster), as_json_output=as_json_output)
            if not watch:
                return
            time.sleep(every_s)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _show(rows: list[PartitionLag], *, as_json_output: bool) -> None:
    if as_json_output:
        print(dumps([asdict(row) for row in rows]), flush=True)
        return
    if not rows:
        raise ended("the request topic doesn't exist yet; `weir up` creates the topics")
    table = Table("partition", "watermark", "end", "lag")
    for row in rows:
        committed = "-" if row.committed is None else str(row.committed)
        table.add_row(str(row.partition), committed, str(row.end), str(row.lag))
    table.add_section()
    table.add_row("all", "", str(sum(row.end for row in rows)), str(sum(row.lag for row in rows)))
    Console().print(table)
