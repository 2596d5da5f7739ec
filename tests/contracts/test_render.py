"""What is rendered: the same bytes each time, valid schemas, an AsyncAPI document whose references hold."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator

from contracts.code import type_text
from contracts.model import Contract, load
from contracts.render import GENERATED, rendered, stale, write
from contracts.wire import kept_ms

ASYNCAPI = "llm-orchestration.asyncapi.json"


@pytest.fixture(scope="module")
def contract() -> Contract:
    return load()


@pytest.fixture(scope="module")
def asyncapi(contract: Contract) -> dict[str, Any]:
    return orjson.loads(rendered(contract)[ASYNCAPI])


def references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def properties(node: object) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        for name, value in node.get("properties", {}).items():
            yield name, value
        for value in node.values():
            yield from properties(value)


def test_the_same_contract_gives_the_same_bytes(contract: Contract):
    assert rendered(contract) == rendered(load())


def test_what_is_committed_is_what_is_rendered(contract: Contract):
    assert stale(rendered(contract)) == []


def test_stale_missing_and_foreign_files_are_put_right(contract: Contract, tmp_path: Path):
    folder, files = tmp_path / "new", rendered(contract)
    assert write(files, folder) == sorted(files)

    (folder / "topics.md").write_text("old")
    (folder / "codes.md").unlink()
    (folder / "foreign.md").write_text("x")

    assert stale(files, folder) == ["codes.md", "foreign.md", "topics.md"]
    assert write(files, folder) == ["codes.md", "foreign.md", "topics.md"]
    assert write(files, folder) == []


@pytest.mark.parametrize("name", sorted(path.name for path in GENERATED.glob("*.schema.json")))
def test_a_schema_is_valid_documented_and_takes_its_example(name: str, contract: Contract):
    schema = orjson.loads((GENERATED / name).read_bytes())
    documented = list(properties(schema))

    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(dict(contract.events[name.partition(".")[0]].example))
    assert documented
    assert [field for field, value in documented if len(value.get("description", "")) < 10] == []


def test_a_schema_refuses_what_the_code_refuses(contract: Contract):
    schema = orjson.loads(rendered(contract)["Cancel.schema.json"])

    assert list(Draft202012Validator(schema).iter_errors({"request_id": "r", "tennant": "t"}))


def test_every_reference_of_the_asyncapi_document_holds(asyncapi: dict[str, Any]):
    found = set(references(asyncapi))

    assert len(found) > 30
    for reference in found:
        node: Any = asyncapi
        for key in reference.removeprefix("#/").split("/"):
            node = node[key]
        assert node


def test_the_asyncapi_document_has_every_topic_event_and_operation(
    asyncapi: dict[str, Any], contract: Contract
):
    assert asyncapi["asyncapi"] == "3.0.0"
    assert set(asyncapi["channels"]) == set(contract.topics)
    assert set(asyncapi["components"]["messages"]) == set(contract.events)
    assert set(asyncapi["operations"]) == set(contract.operations) - {"call_model"}
    assert asyncapi["operations"]["process_request"]["reply"]["channel"] == {
        "$ref": "#/channels/llm.responses"
    }
    assert asyncapi["operations"]["record_usage"]["action"] == "send"
    assert asyncapi["channels"]["llm.control"]["bindings"]["kafka"]["partitions"] == 1


@pytest.mark.parametrize(
    "page", ["events.md", "topics.md", "headers.md", "codes.md", "packed.md", "operations.md"]
)
def test_a_page_has_a_title_and_whole_tables(page: str, contract: Contract):
    lines = rendered(contract)[page].decode().splitlines()
    rows = [re.sub(r"\\\|", "", line).count("|") for line in lines if line.startswith("|")]

    assert lines[0].startswith("# ")
    assert rows
    assert min(rows) >= 3


def test_an_operation_without_output_has_no_reply(contract: Contract):
    silent = contract.operations["replay"].model_copy(update={"output": None})
    changed = contract.model_copy(update={"operations": {**contract.operations, "replay": silent}})

    assert "reply" not in orjson.loads(rendered(changed)[ASYNCAPI])["operations"]["replay"]


def test_the_pages_name_every_field_code_header_and_topic(contract: Contract):
    files = {name: data.decode() for name, data in rendered(contract).items()}

    assert [
        f for e in contract.events.values() for f in e.fields if f"| `{f}` |" not in files["events.md"]
    ] == []
    assert [code for code in contract.codes if f"| `{code}` |" not in files["codes.md"]] == []
    assert [name for name in contract.headers if f"| `{name}` |" not in files["headers.md"]] == []
    assert [name for name in contract.topics if f"## {name}" not in files["topics.md"]] == []
    assert "| `seed` | `integer` |  | scale |" in files["events.md"]


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "string", "minLength": 1, "maxLength": 5}, "string 1..5"),
        ({"type": "string", "maxLength": 5}, "string ..5"),
        ({"type": "string", "format": "uuid"}, "uuid"),
        ({"type": "integer", "minimum": 0, "exclusiveMaximum": 2.5}, "integer >= 0 < 2.5"),
        ({"anyOf": [{"type": "boolean"}, {"type": "null"}]}, "boolean"),
        ({"anyOf": [{"type": "string"}, {"$ref": "#/$defs/Part"}]}, "string | Part"),
        ({"const": "cancel"}, '"cancel"'),
        ({"enum": ["a", 1]}, '"a" | 1'),
        (
            {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
            "list 1.. of (string 1..)",
        ),
        (
            {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]},
            "pair of (string and integer)",
        ),
        ({"type": "object", "additionalProperties": True}, "object"),
        ({"type": "object"}, "object"),
        ({"type": "object", "additionalProperties": {"type": "number"}}, "map of number"),
    ],
)
def test_a_type_is_written_in_the_contracts_words(schema: dict[str, Any], text: str):
    assert type_text(schema) == text


@pytest.mark.parametrize(
    ("text", "kept"),
    [("for ever", None), ("7 d", 604_800_000), ("1 h", 3_600_000), ("10 min", 600_000), ("5 s", 5_000)],
)
def test_a_retention_is_read(text: str, kept: int | None):
    assert kept_ms(text) == kept


@pytest.mark.parametrize("text", ["", "7", "7 weeks", "d 7", "-1 d"])
def test_what_is_no_retention_is_refused(text: str):
    with pytest.raises(ValueError, match="is not a number and d, h, min or s"):
        kept_ms(text)
