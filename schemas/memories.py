"""`llm.memories`: what is remembered of users, so that later requests can draw on it."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from hashlib import blake2b
from typing import Annotated, Literal
from urllib.parse import quote, unquote

from annotated_types import Ge, MaxLen, MinLen

from schemas.base import Event

MAX_TEXT = 4000
"""Longest text of a memory, in characters."""


class MemoryMode(StrEnum):
    """What a request does with the memory of its user."""

    READ = "read"
    """What is remembered and may help goes with the request."""
    WRITE = "write"
    """Question and answer are remembered."""
    READ_WRITE = "read_write"
    """Read, then written."""


class Remembered(Event):
    """One thing that is remembered of a user. The newest record of a key holds; none without a value.

    Topic `llm.memories`, key `tenant/user/id`, each part percent-encoded. Derived from a response.
    """

    tenant: Annotated[str, MinLen(1), MaxLen(200)]
    """Whose user it is; no other tenant ever sees it."""
    user: Annotated[str, MinLen(1), MaxLen(200)]
    """The request's `user`."""
    id: Annotated[str, MinLen(1), MaxLen(200)]
    """Made of the request's id: the same request is remembered once."""
    text: Annotated[str, MaxLen(MAX_TEXT)]
    """What is remembered: question and answer, each cut at 2,000 characters."""
    request_id: str
    """The request it came from."""
    at_ms: Annotated[int, Ge(0)]
    """When that was asked, Unix time in milliseconds."""

    @property
    def key(self) -> str:
        """The record's key."""
        return memory_key(self.tenant, self.user, self.id)


@dataclass(frozen=True, slots=True)
class MemoryPolicy:
    """Where memories are looked up, and how long that may take."""

    store: Literal["local", "mem0", "off"] = "local"
    """`local`: an index of the worker's own; `mem0`: a mem0 server; `off`: requests go on without."""
    folder: str = ".weir/memory"
    """Folder of the local indexes; each worker takes one of its own in it."""
    recalled: int = 5
    """Most earlier requests that are recalled for one."""
    max_entries: int = 100_000
    """How many requests the local index remembers; over it the oldest are left out."""
    search: timedelta = timedelta(milliseconds=100)
    """Longest search; a request goes on without what is not found by then."""
    opening: timedelta = timedelta(seconds=2)
    """Longest wait of the first requests for an index that is being opened."""
    mem0_url: str | None = None
    """Address of the mem0 server; `None` for mem0's own."""
    mem0_api_key: str | None = field(default=None, repr=False)
    """Key for it; when absent: the variable `MEM0_API_KEY`."""


class MemoryProblem(Exception):  # noqa: N818 - named by whose fault it is
    """A memory that does not work now. Its text is one line; requests go on without."""


def memory_id(request_id: str) -> str:
    """The id of what is remembered of a request."""
    return blake2b(request_id.encode("utf-8", "replace"), digest_size=12).hexdigest()


def scope_of(tenant: str, user: str) -> str:
    """A tenant's user as one text; no two have the same."""
    return f"{quote(tenant, safe='', errors='replace')}/{quote(user, safe='', errors='replace')}"


def memory_key(tenant: str, user: str, id_: str) -> str:
    """The record key of a memory."""
    return f"{scope_of(tenant, user)}/{quote(id_, safe='', errors='replace')}"


def parse_key(key: str) -> tuple[str, str, str]:
    """Tenant, user and id of a record key.

    Raises:
        ValueError: When it isn't one.
    """
    tenant, user, id_ = key.split("/")
    return unquote(tenant), unquote(user), unquote(id_)
