"""`weir bench SCENARIO`: one command a scenario, the same options for all."""

import inspect
import logging
import signal
import sys
from collections.abc import Callable
from dataclasses import fields
from typing import Annotated

import orjson
import typer
from typer.models import OptionInfo

from connectors.bench.errors import BenchError
from connectors.bench.options import Options
from connectors.bench.provider_cpu import Load, measure
from connectors.bench.scenario import Scenario, execute
from connectors.bench.scenarios import SCENARIOS
from connectors.bench.tokens import tokens
from connectors.kafka.errors import KafkaProblem
from schemas.base import JsonObject

NO_FIGURES = 2
"""Exit code of a run that could not be made."""

OPTIONS: dict[str, tuple[type, OptionInfo]] = {
    "requests": (int, typer.Option(help="Requests of the load.")),
    "records": (int, typer.Option(help="The same, as `hostile` calls them.")),
    "rate": (float, typer.Option(help="Requests per second; 0: all at once.")),
    "latency_ms": (float, typer.Option(help="Time at the fake provider.")),
    "session_ms": (int, typer.Option(help="Session timeout of the workers' group.")),
    "seed": (int, typer.Option(help="Seed of faults and hostile records.")),
    "partitions": (int, typer.Option(help="Partitions of the topics.")),
    "size_bytes": (int, typer.Option(help="Length of a request's value.")),
    "static": (bool, typer.Option("--static/--dynamic", help="Whether workers have stable names.")),
    "spare": (bool, typer.Option("--spare/--no-spare", help="Whether workers with names have a warm spare.")),
    "hold_ms": (int, typer.Option(help="The long call of `kill-twice`.")),
    "slices": (int, typer.Option(help="Slices of `paced`.")),
    "bootstrap": (str, typer.Option(help="A broker to use instead of one of our own.")),
    "provider_url": (str, typer.Option(help="A provider to use instead of the fake one.")),
    "as_json": (bool, typer.Option("--json", help="Only progress and the JSON line.")),
}
"""The options of every scenario; those that are absent come from its defaults."""

app = typer.Typer(
    name="bench",
    no_args_is_help=True,
    help="Play a scenario with real workers and a fake provider; prints one JSON line with its figures.",
)


def options_of(scenario: Scenario, given: dict[str, object]) -> Options:
    """The options of a run: what was given, else the scenario's defaults, else the general ones."""
    known = {one.name for one in fields(Options)}
    return Options(**scenario.defaults.filled({name: given[name] for name in known if name in given}))


def show(report: JsonObject, *, as_json: bool) -> None:
    """Print the report: a line a figure and, last, the JSON line."""
    if not as_json:
        for name, value in report.items():
            print(f"{name:24} {value}", file=sys.stderr)
    print(orjson.dumps(report).decode(), flush=True)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def end(number: int, _frame: object) -> None:
    """What SIGTERM does: leave, so that everything that was started is ended."""
    raise SystemExit(128 + number)


def play(scenario: Scenario, options: Options, *, as_json: bool) -> int:
    """Run it and print its report; the exit code: 0 when all limits hold, 1 when not, 2 without figures."""
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    signal.signal(signal.SIGTERM, end)
    try:
        report = execute(scenario, options, _say)
    except (BenchError, KafkaProblem) as error:
        _say(f"error: {error}")
        return NO_FIGURES
    show(report, as_json=as_json)
    return 0 if report["ok"] else 1


def _signature() -> inspect.Signature:
    """The options as typer reads them off a function: all of one kind, all absent unless given."""
    shown = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option]
        )
        for name, (kind, option) in OPTIONS.items()
    ]
    return inspect.Signature(shown)


def _command(scenario: Scenario) -> Callable[..., None]:
    def command(**given: object) -> None:
        as_json = bool(given.pop("as_json"))
        records = given.pop("records")
        given["requests"] = given["requests"] or records
        raise typer.Exit(play(scenario, options_of(scenario, given), as_json=as_json))

    command.__signature__ = _signature()  # pyright: ignore[reportFunctionMemberAccess] (read by inspect)
    return command


for _scenario in SCENARIOS.values():
    app.command(_scenario.name, help=_scenario.about)(_command(_scenario))
app.command()(tokens)


@app.command("provider")
def provider(
    calls: Annotated[int, typer.Option(min=32, help="JSON calls of each side.")] = 2000,
    pieces: Annotated[int, typer.Option(min=10, help="Pieces of a stream.")] = 200,
    as_json: Annotated[bool, typer.Option("--json", help="Only progress and the JSON line.")] = False,
) -> None:
    """CPU of a call and of a streamed piece: our shell and the official SDKs; no Kafka, no worker."""
    try:
        report = measure(Load(calls, pieces), _say)
    except BenchError as error:
        _say(f"error: {error}")
        raise typer.Exit(NO_FIGURES) from error
    show(report, as_json=as_json)
    raise typer.Exit(0 if report["ok"] else 1)


if __name__ == "__main__":
    app()
