"""What stands under `weir:` of what lies outside a request: how long recall waits, what may be read."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from flows.settings_env import CONVERSATIONS, from_env
from flows.settings_keys import SettingsError
from flows.settings_values import (
    Parsers,
    changed,
    choice,
    filled,
    positive,
    size,
    some_duration,
    text,
    texts,
)
from flows.stages.limits import RecallPolicy
from schemas.contexts import Conversations
from schemas.memories import MemoryPolicy
from schemas.references import ReferencePolicy

RECALL: Parsers = {"timeout": some_duration}
REFERENCES: Parsers = {"roots": texts, "max_bytes": size, "held_bytes": size}
MOST_BYTES = 8 * 1024 * 1024
"""A turn must fit its topic."""

MEMORY: Parsers = {
    "store": choice("local", "mem0", "off"), "folder": text, "recalled": positive, "max_entries": positive,
    "search": some_duration, "opening": some_duration, "mem0_url": text, "mem0_api_key": text,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outside:
    """What lies outside the requests."""

    recall: RecallPolicy = field(default_factory=RecallPolicy)
    """How long a request waits for it."""
    references: ReferencePolicy = field(default_factory=ReferencePolicy)
    """Which contexts may be read by reference."""
    memory: MemoryPolicy = field(default_factory=MemoryPolicy)
    """Where memories are looked up."""
    conversations: Conversations = field(default_factory=Conversations)
    """How much is kept of conversations, and where."""


def outside(weir: dict[str, dict[str, object]], env: Mapping[str, str]) -> Outside:
    """Read the sections `recall`, `references`, `memory` and `conversations`.

    Raises:
        SettingsError: When a value is wrong.
    """
    references = filled("weir.references", weir["references"], ReferencePolicy(), REFERENCES)
    if references.max_bytes > references.held_bytes:
        raise SettingsError("weir.references.held_bytes: must be at least max_bytes")
    recall = filled("weir.recall", weir["recall"], RecallPolicy(), RECALL)
    memory = filled("weir.memory", weir["memory"], MemoryPolicy(), MEMORY)
    return Outside(recall, references, memory, _conversations(weir["conversations"], env))


def _conversations(values: Mapping[str, object], env: Mapping[str, str]) -> Conversations:
    found = changed(
        filled("weir.conversations", values, Conversations(), CONVERSATIONS), from_env("conversations", env)
    )
    if max(found.turn_bytes, found.history_bytes) > MOST_BYTES:
        raise SettingsError(f"weir.conversations: turn_bytes and history_bytes can be at most {MOST_BYTES}")
    return found
