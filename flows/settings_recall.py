"""What stands under `weir:` of what lies outside a request: how long recall waits, what may be read."""

from dataclasses import dataclass, field

from flows.settings_keys import SettingsError
from flows.settings_values import Parsers, filled, size, some_duration, texts
from flows.stages.limits import RecallPolicy
from schemas.references import ReferencePolicy

RECALL: Parsers = {"timeout": some_duration}
REFERENCES: Parsers = {"roots": texts, "max_bytes": size, "held_bytes": size}


@dataclass(frozen=True, slots=True)
class Outside:
    """What lies outside the requests."""

    recall: RecallPolicy = field(default_factory=RecallPolicy)
    """How long a request waits for it."""
    references: ReferencePolicy = field(default_factory=ReferencePolicy)
    """Which contexts may be read by reference."""


def outside(weir: dict[str, dict[str, object]]) -> Outside:
    """Read the sections `recall` and `references`.

    Raises:
        SettingsError: When a value is wrong.
    """
    references = filled("weir.references", weir["references"], ReferencePolicy(), REFERENCES)
    if references.max_bytes > references.held_bytes:
        raise SettingsError("weir.references.held_bytes: must be at least max_bytes")
    return Outside(filled("weir.recall", weir["recall"], RecallPolicy(), RECALL), references)
