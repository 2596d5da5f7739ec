"""`weir submit`: requests from a file, responses to a file; stopped or killed, the same command goes on."""

import re
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from connectors.kafka.client import Client
from flows.cli_settings import load_settings
from flows.cli_show import dumps
from flows.cli_submit_files import Input, Output, State, state_path
from flows.cli_submit_run import Policy, Run, SilenceError, Tally
from flows.cli_text import ended, note, seconds_option, usd
from flows.submission import NAME_CHARS, ForeignOutputError, Submission, submission_name

SAID_LINES = 20
"""Most bad or failed lines that are named."""
PLAIN_EVERY_S = 5.0
"""Between two lines of progress where stderr is not a terminal."""


def submit(  # noqa: PLR0913, PLR0917 (the options of a command)
    source: Annotated[str, typer.Argument(metavar="IN", help="JSON lines, a request each; `-` for stdin.")],
    out: Annotated[str, typer.Option("-o", "--out", help="Where answers go; `-` for stdout.")] = "-",
    model: Annotated[str | None, typer.Option(help="Model of the lines that name none.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Tenant of the lines that name none.")] = None,
    job: Annotated[
        str | None, typer.Option(help="Name of the submission; when absent it is made from IN's bytes.")
    ] = None,
    rate: Annotated[float | None, typer.Option(min=0.001, help="Most requests in a second.")] = None,
    in_flight: Annotated[int, typer.Option(min=1, help="Most requests that wait for an answer.")] = 1000,
    timeout: Annotated[str, typer.Option(help="Longest silence before giving up: 30s, 10m.")] = "10m",
    ordered: Annotated[bool, typer.Option("--ordered", help="Answers in the order of IN.")] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Ask again what failed and may be mended by a repeat.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Submit a file of requests and collect the responses. Run it again to go on where it was stopped.

    Exit 1 when a line failed, 130 when it was stopped.
    """
    begun_s = time.monotonic()
    policy = Policy(in_flight, rate, seconds_option(timeout))
    defaults: dict[str, object] = {
        name: value for name, value in (("model", model), ("tenant", tenant)) if value is not None
    }
    try:
        given = Input.of(source)
    except OSError as error:
        raise ended(f"can't read {source}: {error.strerror}", code=2) from error
    output = Output(None if out == "-" else Path(out))
    submission = Submission(_name(job, given, defaults), ordered=ordered)
    tally = _work(submission, given, output, policy=policy, defaults=defaults, retry_failed=retry_failed)
    _summary(submission, tally, time.monotonic() - begun_s, as_json=as_json, to_stdout=out != "-")
    if submission.failed:
        raise typer.Exit(1)


def _name(job: str | None, given: Input, defaults: Mapping[str, object]) -> str:
    if job is not None:
        if len(job) > NAME_CHARS or not re.fullmatch(r"[A-Za-z0-9._-]+", job):
            raise typer.BadParameter(f"--job takes up to {NAME_CHARS} letters, digits, dots and dashes")
        return job
    return f"submit-{uuid4()}" if given.path is None else submission_name(given.digest, defaults)


def _work(
    submission: Submission,
    given: Input,
    output: Output,
    *,
    policy: Policy,
    defaults: Mapping[str, object],
    retry_failed: bool,
) -> Tally:
    """Do all that is left of a submission."""
    try:
        submission.written(output.resume(submission.name, retry_failed=retry_failed))
    except ForeignOutputError as error:
        raise ended(f"{output.path} is not ours to append to: {error}; name another with -o") from error
    if given.count is not None and set(range(1, given.count + 1)) <= submission.done:
        return Tally()
    state = None if output.path is None else State.load(output.path)
    fresh = state is None or state.name != submission.name
    submission.retry_failed = retry_failed or fresh
    with Client(load_settings().cluster) as client:
        run = Run(client, submission, output, policy=policy, defaults=defaults, tell=note)
        starts = run.starts() if state is None or fresh else state.starts
        if output.path is not None and fresh:
            State(submission.name, starts).save(output.path)
        try:
            run.recover(starts)
            with _progress(submission, given.count) as on_step:
                run.run(given, on_step)
        except KeyboardInterrupt:
            raise ended(_stopped(submission, output), code=130) from None
        except SilenceError as error:
            raise ended(
                f"{error}; {_stopped(submission, output)}; is a worker up (`weir status`)?"
            ) from error
        finally:
            output.close()
    if output.path is not None:
        state_path(output.path).unlink(missing_ok=True)
    return run.tally


def _stopped(submission: Submission, output: Output) -> str:
    done, waiting = len(submission.done), len(submission.waiting)
    again = (
        "the same command goes on from here" if output.path is not None else "use -o FILE to be able to go on"
    )
    return f"stopped with {done} lines done and {waiting} waiting: {again}"


@contextmanager
def _progress(submission: Submission, count: int | None) -> Generator[Callable[[], None]]:
    """What to call after each step: it moves a bar on a terminal, else says a line every few seconds."""
    if not sys.stderr.isatty():
        yield _plain_progress(submission, count)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("answers", total=count)

        def step() -> None:
            text = f"answers ({len(submission.waiting)} waiting, {len(submission.failed)} failed)"
            bar.update(task, completed=len(submission.done), description=text)

        yield step


def _plain_progress(submission: Submission, count: int | None) -> Callable[[], None]:
    said_s = time.monotonic()

    def step() -> None:
        nonlocal said_s
        if time.monotonic() - said_s >= PLAIN_EVERY_S:
            said_s = time.monotonic()
            of = "" if count is None else f" of {count}"
            note(f"{len(submission.done)}{of} lines done, {len(submission.waiting)} waiting")

    return step


def _summary(submission: Submission, tally: Tally, took_s: float, *, as_json: bool, to_stdout: bool) -> None:
    """Say what became of the lines: on stderr, or as JSON on stdout unless that carries the answers."""
    done, failed = len(submission.done), submission.failed
    if as_json:
        summary = {
            "job": submission.name,
            "lines": done,
            "answered": done - len(failed),
            "failed": len(failed),
            "bad_lines": tally.bad[:SAID_LINES],
            "asked": tally.asked,
            "found": tally.found,
            "tokens": tally.tokens,
            "cost_usd": round(tally.cost_usd, 9),
            "took_s": round(took_s, 3),
        }
        print(dumps(summary), file=sys.stdout if to_stdout else sys.stderr, flush=True)
        return
    note(
        f"{done} lines: {done - len(failed)} answered, {len(failed)} failed; {tally.asked} asked now, "
        f"{tally.tokens} tokens, {usd(tally.cost_usd)}, {took_s:.1f} s"
    )
    for number, code in sorted(failed.items())[:SAID_LINES]:
        note(f"  line {number}: {code}")
    if len(failed) > SAID_LINES:
        note(f"  and {len(failed) - SAID_LINES} more; they stand in the output with their error")
