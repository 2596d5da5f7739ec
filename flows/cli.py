"""The command line: a table of commands, and the one place where an expected error becomes a line."""

import importlib
import importlib.util
import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from connectors.kafka.errors import KafkaProblem
from connectors.process.errors import ProcessProblem
from flows import cli_ask, cli_dlq, cli_ops, cli_submit, cli_topics, cli_trace
from flows.settings_keys import SettingsError

EXPECTED = (KafkaProblem, ProcessProblem, SettingsError)
"""Errors that a person can do something about: their text is the whole message."""
BROKEN_PIPE = 1
"""Exit code when whoever read our output is gone; typer has the same."""
INTERRUPTED = 130

app = typer.Typer(
    name="weir",
    help="LLM orchestration as a dataflow: requests and answers through Kafka.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback(invoke_without_command=True)
def _weir(
    context: typer.Context,
    show_version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if show_version:
        typer.echo(version("weir"))
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


app.command()(cli_ops.up)
app.command()(cli_ops.down)
app.command()(cli_ops.status)
app.command()(cli_ops.worker)
app.command()(cli_ask.ask)
app.command()(cli_ask.cancel)
app.command()(cli_submit.submit)
app.command()(cli_topics.tail)
app.command()(cli_trace.trace)
app.command("lag")(cli_topics.show_lag)
app.add_typer(cli_dlq.app, name="dlq")

for _name, _module in (("contracts", "contracts.cli"), ("bench", "connectors.bench.cli")):
    if importlib.util.find_spec(_module) is not None:
        app.add_typer(importlib.import_module(_module).app, name=_name)


def run(args: list[str] | None = None) -> int:
    """Run one command; return its exit code. Expected errors are one line on stderr."""
    try:
        code = app(args=args, prog_name="weir", standalone_mode=False)
        sys.stdout.flush()
    except EXPECTED as error:
        return _fail(str(error), 1)
    except typer.TyperException as error:  # wrong use: unknown options, missing arguments
        return _fail(f"{error.format_message()} (`--help` says what there is)", error.exit_code)
    except BrokenPipeError:
        # Python would flush stdout once more at exit, and complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    return code if isinstance(code, int) else 0


def _fail(message: str, code: int) -> int:
    line = " ".join(message.split())
    print(f"weir: {line}", file=sys.stderr, flush=True)
    return code


def main() -> None:
    """Entry point of the script `weir`."""
    sys.exit(run())


if __name__ == "__main__":
    main()
