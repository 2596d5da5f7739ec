"""A context by reference: the text lies outside the topic, and the request says where.

ReferenceProblem
├── Forbidden   the address is outside what may be read       never again
├── Unfit       too large, no text, not what was announced    never again
└── Away        the store fails or is busy                    the same request may be sent again
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, MaxLen, MinLen
from pydantic import StringConstraints

from schemas.base import Event

MEDIA_TYPES = r"^(text/[a-z0-9.+-]{1,60}|application/(json|x-ndjson|xml|yaml))(; ?charset=utf-8)?$"
"""Types of text."""


class ContextRef(Event):
    """Where a request's context lies, when it is too large for the topic."""

    url: Annotated[str, MinLen(1), MaxLen(2000)]
    """Address below one of the configured roots: `file:///data/x.txt`, `s3://bucket/x.txt`. It is taken as it
    stands: nothing in it is decoded, and `..`, `%41`, `?`, `#` and a second protocol are refused."""
    media_type: Annotated[str, StringConstraints(pattern=MEDIA_TYPES)] = "text/plain"
    """What kind of text it is; always UTF-8."""
    encoding: Literal["text", "zstd"] = "text"
    """How it lies there: as it is, or as one zstd frame."""
    size_bytes: Annotated[int, Ge(0)] | None = None
    """How many bytes lie there; another size is refused."""
    sha256: Annotated[str, StringConstraints(pattern="^[0-9a-fA-F]{64}$")] | None = None
    """SHA-256 of the bytes that lie there, in hex; other bytes are refused."""


@dataclass(frozen=True, slots=True)
class ReferencePolicy:
    """What may be read by reference."""

    roots: tuple[str, ...] = ()
    """Addresses below which contexts may lie; `{tenant}` stands for the request's. None: none may."""
    max_bytes: int = 64 * 1024 * 1024
    """Largest context by reference, as it lies and as text."""
    held_bytes: int = 256 * 1024 * 1024
    """Most bytes of such contexts in a worker at a time; further requests wait in recall."""


class ReferenceProblem(Exception):  # noqa: N818 - named by whose fault it is
    """A reference that gives no text. Its own text is one line that says what to do."""

    retriable = False
    """Whether the same request may be sent again."""

    def __init__(self, message: str, field: str = "url") -> None:
        super().__init__(message)
        self.field = f"context_ref.{field}"
        """The field at fault."""


class Forbidden(ReferenceProblem):
    """The address is outside what may be read."""


class Unfit(ReferenceProblem):
    """What lies there is too large, no text, or not what was announced."""


class Away(ReferenceProblem):
    """The store fails or is busy."""

    retriable = True
