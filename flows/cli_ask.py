"""`weir ask` puts one request on the topic and shows its answer as it comes; `weir cancel` stops one."""

import sys
import time
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from connectors.kafka.client import Client, named
from flows.cli_settings import load_settings
from flows.cli_text import ended, failure, note, receipt, seconds_option
from flows.shown import Shown
from schemas.chunks import Chunk
from schemas.requests import MAX_REQUEST_BYTES, Request
from schemas.responses import Response


def build_request(
    question: str, *, context: str | None, context_id: UUID | None, options: dict[str, object]
) -> Request:
    """The request of a question, with an id.

    Raises:
        ValueError: When it breaks the schema or is too large.
    """
    fields = {"prompt": question, "context": context, "context_id": context_id} | options
    request = named(
        Request.model_validate({name: value for name, value in fields.items() if value is not None})
    )
    if len(request.to_bytes()) > MAX_REQUEST_BYTES:
        raise ValueError("question and context are larger than 8 MiB")
    return request


def ask(  # noqa: PLR0913, PLR0917 (the options of a command)
    question: Annotated[str, typer.Argument(help="What to ask; `-` reads it from stdin.")],
    model: Annotated[str, typer.Option(help="`auto`, or a configured model.")] = "auto",
    context: Annotated[
        str | None, typer.Option(metavar="FILE", help="Text that the answer should draw on; `-` for stdin.")
    ] = None,
    context_id: Annotated[
        UUID | None, typer.Option(help="Conversation; its turns are answered in order.")
    ] = None,
    tenant: Annotated[str, typer.Option(help="Who pays.")] = "default",
    timeout: Annotated[str, typer.Option(help="Longest wait: 500ms, 60s, 5m.")] = "60s",
    as_json: Annotated[bool, typer.Option("--json", help="Print the response event as JSON.")] = False,
    stream: Annotated[bool, typer.Option(help="Show pieces as they come.")] = True,
) -> None:
    """Ask one question and show the answer. Exit 1 when it fails, 130 when it is stopped (and cancelled)."""
    timeout_s = seconds_option(timeout)
    if question == "-" and context == "-":
        raise typer.BadParameter("only one of question and context can come from stdin")
    options: dict[str, object] = {
        "model": model,
        "tenant": tenant,
        "stream": stream and not as_json,
        "timeout_ms": max(1, int(timeout_s * 1000)),
    }
    try:
        request = build_request(
            sys.stdin.read() if question == "-" else question,
            context=read_text(context),
            context_id=context_id,
            options=options,
        )
    except ValueError as error:
        raise ended(f"not a request: {_first_line(error)}", code=2) from error
    with Client(load_settings().cluster) as client:
        response = _follow(client, request, timeout_s, show=not as_json)
    if as_json:
        print(response.to_bytes().decode(), flush=True)
    if response.error is not None:
        raise ended(failure(response))
    note(receipt(response))


def cancel(
    request_id: Annotated[str, typer.Argument(help="The request to stop.")],
    tenant: Annotated[str, typer.Option(help="Its tenant; others can't cancel it.")] = "default",
) -> None:
    """Ask all workers to stop working on a request. An answer that was already written stays."""
    with Client(load_settings().cluster) as client:
        client.cancel(request_id, tenant)
    note(f"cancel of {request_id} is on its way; `weir trace {request_id}` shows what became of it")


def read_text(path: str | None) -> str | None:
    """The text of a file, or of stdin for `-`; a file that can't be read ends the command."""
    if path is None:
        return None
    try:
        return sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ended(f"can't read {path}: {error.strerror}", code=2) from error
    except UnicodeDecodeError as error:
        raise ended(f"{path} is not UTF-8 text", code=2) from error


def _first_line(error: ValueError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:3])[:300]


def _follow(client: Client, request: Request, timeout_s: float, *, show: bool) -> Response:
    """Put the request and show its pieces until the response is there."""
    request_id = str(request.request_id)
    shown = Shown()
    client.follow([request])
    # The worker's own deadline answers first; two seconds more let that answer arrive.
    until_s = time.monotonic() + timeout_s + 2
    try:
        place = client.put(request)
        while time.monotonic() < until_s:
            for event in client.events(0.2):
                if event.request_id != request_id:
                    continue
                if isinstance(event, Chunk):
                    _print(*shown.chunk(event))
                    continue
                if show:
                    _print(*_end(shown, event))
                return event
    except KeyboardInterrupt:
        client.cancel(request_id, request.tenant)
        raise ended(f"stopped; request {request_id} is cancelled", code=130) from None
    raise ended(
        f"no answer within {timeout_s:g} s to {request_id} on {place.topic}/{place.partition}; "
        "is a worker up (`weir status`)? `weir trace` shows where the request is"
    )


def _end(shown: Shown, response: Response) -> tuple[str | None, str]:
    if response.error is not None:
        return None, "\n" if shown.text else ""
    told, text = shown.rest(response)
    return told, text + "\n"


def _print(told: str | None, text: str) -> None:
    if told is not None:
        print(flush=True)
        note(f"[{told}]")
    if text:
        print(text, end="", flush=True)
