"""The rules of `weir submit`: which line is which request, what is still to do, what is written next. Pure.

A submission has a name, made of its input or given; line n of it has the request id `NAME-n`. So an answer on
a topic can be told apart from all others, and a repeated run knows what was asked and answered before:

    line's answer stands in OUT                     done
    answer on the topic                             done; written to OUT
    asked, no answer yet                            wait for it; don't ask again
    asked, failed in a way that isn't remembered    done when resumed; on a fresh run or `--retry-failed`: ask
    not asked                                       ask
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

import orjson
from pydantic import ValidationError

from schemas.base import JsonObject
from schemas.codes import NOT_REMEMBERED, Code
from schemas.guard import violation
from schemas.requests import MAX_REQUEST_BYTES, Request
from schemas.responses import Response

NAME_CHARS = 100
"""Longest name of a submission; the line's number must fit behind it."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is a request."""

    number: int
    """Its number in the input, from 1."""
    request: Request
    """What it asks, with its id."""


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is not a request."""

    number: int
    """Its number in the input, from 1."""
    message: str
    """What is wrong with it, in one line."""
    field: str | None = None
    """The field at fault, where one is."""


def submission_name(content_digest: bytes, defaults: Mapping[str, object]) -> str:
    """The name of a submission that was given none: a hash of the input and of what is added to its lines."""
    added = orjson.dumps(dict(defaults), option=orjson.OPT_SORT_KEYS)
    return "submit-" + blake2b(content_digest + added, digest_size=10).hexdigest()


def line_id(name: str, number: int) -> str:
    """Request id of a line."""
    return f"{name}-{number}"


def line_number(name: str, request_id: str) -> int | None:
    """The line of a request id; `None` where it belongs to another submission."""
    head, dash, tail = request_id.rpartition("-")
    return int(tail) if dash and head == name and tail.isascii() and tail.isdigit() else None


def read_line(number: int, text: bytes, name: str, defaults: Mapping[str, object]) -> Line | BadLine | None:
    """Read one line of the input: a request body as JSON. `None` for a blank one.

    `defaults` fill fields that the line lacks. A `request_id` of the line's own becomes its
    `correlation_id`, unless it has one: the id on the topic is made from the line's number.
    """
    if not text.strip():
        return None
    if len(text) > MAX_REQUEST_BYTES:
        return BadLine(
            number, f"{len(text)} bytes are more than the {MAX_REQUEST_BYTES} that a request may have"
        )
    try:
        body = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return BadLine(number, f"not JSON: {error}")
    if not isinstance(body, dict):
        return BadLine(number, 'not a JSON object such as {"prompt": "..."}')
    fields: dict[str, object] = dict(defaults) | body
    own = fields.get("request_id")
    if isinstance(own, str) and "correlation_id" not in fields:
        fields["correlation_id"] = own
    fields["request_id"] = line_id(name, number)
    try:
        return Line(number, Request.model_validate(fields))
    except ValidationError as error:
        where, message = violation(error)
        return BadLine(number, message, where or None)


def answer_line(number: int, response: Response) -> bytes:
    """The line of OUT for an answer: the response event and `line`."""
    event = orjson.loads(response.to_bytes())
    return orjson.dumps({"line": number} | event) + b"\n"


def bad_line(bad: BadLine, name: str, tenant: str) -> bytes:
    """The line of OUT for a bad line: no response event exists, so only `line`, ids and the error."""
    error: JsonObject = {"code": Code.INVALID_REQUEST.value, "message": bad.message}
    if bad.field is not None:
        error["field"] = bad.field
    event = {"line": bad.number, "request_id": line_id(name, bad.number), "tenant": tenant, "error": error}
    return orjson.dumps(event) + b"\n"


@dataclass(frozen=True, slots=True)
class Done:
    """A finished line of OUT."""

    number: int
    """The line of the input."""
    code: str | None
    """Code of its failure; `None` for an answer."""


class ForeignOutputError(Exception):
    """OUT holds something that this submission did not write; the text says where."""


def read_output(name: str, lines: Iterable[bytes]) -> tuple[list[Done], int]:
    """What OUT holds: its finished lines, and how many bytes of it are whole (a kill cuts the last line).

    Raises:
        ForeignOutputError: When a whole line isn't one of this submission.
    """
    done: list[Done] = []
    whole_bytes = 0
    for at, text in enumerate(lines, start=1):
        if not text.endswith(b"\n"):
            break
        try:
            event = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise ForeignOutputError(f"line {at} of it is not JSON") from error
        number = line_number(name, str(event.get("request_id"))) if isinstance(event, dict) else None
        if number is None:
            raise ForeignOutputError(f"line {at} of it belongs to something else than submission {name}")
        failed = event.get("error")
        done.append(Done(number, str(failed.get("code")) if isinstance(failed, dict) else None))
        whole_bytes += len(text)
    return done, whole_bytes


@dataclass(slots=True)
class Submission:
    """What is known of every line. Its fields are its whole state."""

    name: str
    """The submission's name."""
    ordered: bool = False
    """Whether OUT has the order of the input; answers that come early are held back."""
    retry_failed: bool = False
    """Whether a failure found on the topic that a repeat may mend counts as no answer."""
    done: set[int] = field(default_factory=set[int])
    """Lines that are finished: written, or held back."""
    failed: dict[int, str] = field(default_factory=dict[int, str])
    """Finished lines that have no answer, with their code."""
    waiting: dict[int, int] = field(default_factory=dict[int, int])
    """Lines that were asked and not answered, with their size in bytes."""
    held: dict[int, bytes] = field(default_factory=dict[int, bytes])
    """Lines of OUT that wait for an earlier one."""
    following: int = 1
    """With `ordered`: the line that is written next."""
    asked_before: dict[int, int] = field(default_factory=dict[int, int])
    """Requests on the topic from earlier runs, less the failures of theirs that count as no answer."""

    def written(self, done: Iterable[Done]) -> None:
        """Take note of what OUT holds."""
        for one in done:
            self._finish(one.number, one.code)

    def found_request(self, number: int) -> None:
        """Take note of a request record of an earlier run."""
        self.asked_before[number] = self.asked_before.get(number, 0) + 1

    def found_response(self, number: int, response: Response) -> list[bytes]:
        """Take note of a response of an earlier run; return the lines to write now."""
        mendable = response.error is not None and response.error.code in NOT_REMEMBERED
        if self.retry_failed and mendable:
            self.asked_before[number] = self.asked_before.get(number, 0) - 1
            return []
        return self.answered(number, response)

    def must_ask(self, number: int) -> bool:
        """Whether a line is still to be asked, as nobody has and it has no answer."""
        return number not in self.done and self.asked_before.get(number, 0) <= 0

    def asked(self, number: int, size_bytes: int) -> None:
        """Take note that a line waits for its answer, asked now or by an earlier run."""
        self.waiting[number] = size_bytes

    def answered(self, number: int, response: Response) -> list[bytes]:
        """Take an answer; return the lines to write now: none, one, or with `ordered` several."""
        code = None if response.error is None else response.error.code.value
        return self._take(number, code, answer_line(number, response))

    def bad(self, bad: BadLine, tenant: str) -> list[bytes]:
        """Take a bad line; return the lines to write now."""
        return self._take(bad.number, Code.INVALID_REQUEST.value, bad_line(bad, self.name, tenant))

    def blank(self, number: int) -> list[bytes]:
        """Take a line that asks nothing; return the lines to write now."""
        return self._take(number, None, b"")

    @property
    def waiting_bytes(self) -> int:
        """Size of all requests that wait for an answer."""
        return sum(self.waiting.values())

    def _take(self, number: int, code: str | None, text: bytes) -> list[bytes]:
        if number in self.done:
            return []
        self._finish(number, code)
        if not self.ordered:
            return [text] if text else []
        self.held[number] = text
        return self._release()

    def _finish(self, number: int, code: str | None) -> None:
        self.done.add(number)
        self.waiting.pop(number, None)
        if code is not None:
            self.failed[number] = code

    def _release(self) -> list[bytes]:
        ready: list[bytes] = []
        while self.following in self.done:
            ready.append(self.held.pop(self.following, b""))
            self.following += 1
        return [text for text in ready if text]
