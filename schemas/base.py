"""The base of every event: frozen, documented field by field, unknown fields refused or kept by choice."""

from typing import Any, TypeAlias

from pydantic import BaseModel, ConfigDict, FailFast

JsonObject: TypeAlias = dict[str, Any]
"""A JSON object whose inside Weir passes on without reading."""


class FirstFault(FailFast):
    """On a list: reading ends at the first bad entry; a hostile one of millions costs minutes, gigabytes."""

    def __hash__(self) -> int:
        return hash(self.fail_fast)


class Event(BaseModel):
    """A typed value that becomes a record's bytes.

    The docstring under a field is its SemDoc: it is the field's description in JSON Schema, in the
    contract and in the generated pages.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    def to_bytes(self) -> bytes:
        """JSON bytes of the event; fields that are `None` are left out."""
        return self.__pydantic_serializer__.to_json(self, exclude_none=True)
