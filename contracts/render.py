"""What is made from the contract: pages, JSON Schemas, the AsyncAPI document. Same contract, same bytes."""

from collections.abc import Mapping
from pathlib import Path

import orjson

from contracts import asyncapi, pages
from contracts.asyncapi import schema_of
from contracts.code import models
from contracts.model import Contract

GENERATED = Path(__file__).with_name("generated")
"""Where the rendered files are committed."""


def rendered(contract: Contract) -> dict[str, bytes]:
    """Every generated file: name and bytes."""
    facts = models()
    files = {
        "llm-orchestration.asyncapi.json": _json(asyncapi.document(contract, facts)),
        "operations.md": pages.operations(contract).encode(),
        "topics.md": pages.topics(contract).encode(),
        "events.md": pages.events(contract).encode(),
        "headers.md": pages.headers(contract).encode(),
        "codes.md": pages.codes(contract).encode(),
        "packed.md": pages.packed(contract).encode(),
    }
    for name in contract.events:
        if name in facts:
            files[f"{name}.schema.json"] = _json(schema_of(contract, facts[name]))
    return files


def write(files: Mapping[str, bytes], folder: Path = GENERATED) -> list[str]:
    """Write what differs from what lies in `folder`, remove what isn't made any more; return the names."""
    changed = stale(files, folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in changed:
        if name in files:
            (folder / name).write_bytes(files[name])
        else:
            (folder / name).unlink()
    return changed


def stale(files: Mapping[str, bytes], folder: Path = GENERATED) -> list[str]:
    """Names of files in `folder` that are missing, differ, or aren't rendered any more."""
    there = {path.name: path.read_bytes() for path in folder.glob("*") if path.is_file()}
    return sorted(name for name in files.keys() | there.keys() if files.get(name) != there.get(name))


def _json(document: object) -> bytes:
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
