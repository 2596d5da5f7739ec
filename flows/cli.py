"""The command line: a table of commands."""

import sys
from importlib.metadata import version
from typing import Annotated

import typer

import connectors.bench.cli
import contracts.cli
from flows import (
    cli_ask,
    cli_contexts,
    cli_dlq,
    cli_gateway,
    cli_keys,
    cli_memory,
    cli_models,
    cli_ops,
    cli_submit,
    cli_topics,
    cli_trace,
)
from flows.cli_errors import INTERRUPTED, fail, guarded

app = typer.Typer(
    name="weir",
    help="LLM orchestration as a dataflow: requests and answers through Kafka.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback(invoke_without_command=True)
def _weir(  # pyright: ignore[reportUnusedFunction] - typer calls it
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
app.command()(cli_gateway.gateway)
app.command()(cli_ask.ask)
app.command()(cli_ask.cancel)
app.command()(cli_submit.submit)
app.command()(cli_topics.tail)
app.command()(cli_trace.trace)
app.command("lag")(cli_topics.show_lag)
app.add_typer(cli_dlq.app, name="dlq")
app.add_typer(cli_contexts.app, name="contexts")
app.add_typer(cli_models.app, name="models")
app.add_typer(cli_memory.app, name="memory")
app.add_typer(cli_keys.app, name="keys")
app.add_typer(cli_keys.users_app, name="users")
app.add_typer(contracts.cli.app, name="contracts")
app.add_typer(connectors.bench.cli.app, name="bench")


def run(args: list[str] | None = None) -> int:
    """Run one command; return its exit code. Expected errors are one line on stderr."""
    return guarded(lambda: _command(args))


def _command(args: list[str] | None) -> int:
    try:
        code = app(args=args, prog_name="weir", standalone_mode=False)
    except typer.TyperException as error:  # wrong use: unknown options, missing arguments
        return fail(f"{error.format_message()} (`--help` says what there is)", error.exit_code)
    except typer.Abort:
        return INTERRUPTED
    return code if isinstance(code, int) else 0


def main() -> None:
    """Entry point of the script `weir`."""
    sys.exit(run())


if __name__ == "__main__":
    main()
