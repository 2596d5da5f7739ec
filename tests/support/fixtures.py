"""The files under tests/fixtures/wire."""

from pathlib import Path
from typing import Any

import orjson

WIRE = Path(__file__).parent.parent / "fixtures" / "wire"


def wire(name: str) -> bytes:
    """The bytes of a fixture."""
    return (WIRE / name).read_bytes()


def wire_json(name: str) -> Any:
    """The JSON value of a fixture."""
    return orjson.loads(wire(name))
