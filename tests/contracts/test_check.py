"""The contract agrees with the code, and a planted difference of any kind is found and named."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts.check import check
from contracts.model import PATH, Contract, load
from contracts.render import GENERATED, rendered, write
from contracts.semdoc import Member

Yaml = dict[str, Any]


@pytest.fixture(scope="module")
def contract() -> Contract:
    return load()


def problems(change: Callable[[Yaml], object]) -> list[str]:
    """What the check says of a contract that differs from ours by one change; files that are stale aside."""
    data: Yaml = yaml.safe_load(PATH.read_text(encoding="utf-8"))
    change(data)
    found = check(Contract.model_validate(data)).mismatches
    return [str(each) for each in found if each.contract != "(generated)"]


def test_contract_and_code_agree_and_none_of_the_counts_is_empty(contract: Contract):
    report = check(contract)

    assert [str(each) for each in report.mismatches] == []
    assert report.ok
    assert min(report.counts.values()) > 0
    assert report.counts["event_fields"] >= 139
    assert report.counts["documented_members"] >= 278


def test_the_contract_names_what_was_asked_for(contract: Contract):
    operation = contract.operations["process_request"]

    assert (contract.contract, contract.version) == ("LLMOrchestration", "1.0.0")
    assert {name: contract.participants[name].role for name in ("orchestrator", "processor", "gateway")} == {
        "orchestrator": "coordinator",
        "processor": "executor",
        "gateway": "interface",
    }
    assert operation.input is not None
    assert operation.output is not None
    assert operation.input.fields == {"prompt": "string", "context_id": "uuid"}
    assert operation.output.fields == {"response": "string", "tokens_used": "integer"}
    assert operation.errors[:2] == ("token_limit_exceeded", "model_unavailable")


def setter(path: str, value: object) -> Callable[[Yaml], None]:
    def change(data: Yaml) -> None:
        *where, last = path.split("/")
        for key in where:
            data = data[key]
        data[last] = value

    return change


def remover(path: str) -> Callable[[Yaml], None]:
    def change(data: Yaml) -> None:
        *where, last = path.split("/")
        for key in where:
            data = data[key]
        del data[last]

    return change


REQUEST = "events/Request/fields"
FIELD = {"type": "string", "meaning": "Something that the code does not have."}
LAYOUT = {"name": "source", "type": "u8", "unit": "ordinal", "meaning": "Number of the source topic."}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (setter(f"{REQUEST}/no_such", FIELD), "Request.fields.no_such <> schemas.requests.Request: is in"),
        (remover(f"{REQUEST}/seed"), "events.Request.fields <> schemas.requests.Request.seed: is in"),
        (setter(f"{REQUEST}/seed/type", "number"), "fields.seed.type <> schemas.requests.Request.seed"),
        (setter(f"{REQUEST}/stream/default", True), "the contract says True, the code False"),
        (setter(f"{REQUEST}/stream/default", 0), "the contract says 0, the code False"),
        (setter(f"{REQUEST}/model/required", True), "events.Request.fields.model.required"),
        (setter(f"{REQUEST}/model/meaning", "Another meaning."), "events.Request.fields.model.meaning"),
        (setter(f"{REQUEST}/seed/unit", "parsecs"), "no unit of that name is explained"),
        (remover(f"{REQUEST}/seed/unit"), "no unit of that name is explained"),
        (setter(f"{REQUEST}/timeout_ms/unit", "s"), "the contract says 's', the code 'ms'"),
        (setter(f"{REQUEST}/model/unit", "s"), "only numbers have a unit"),
        (setter("events/Request/open", False), "events.Request.open"),
        (setter("events/Request/headers", ["tenant"]), "headers.hop <> llm-orchestration.yaml: events on"),
        (setter("events/Chunk/headers", ["no-such"]), "no header of that name is explained"),
        (setter("events/Chunk/topic", "llm.usage"), "the module's docstring does not name `llm.usage`"),
        (setter("events/Chunk/topic", "llm.nowhere"), "does not carry Chunk"),
        (setter("events/Chunk/example", {"request_id": "r"}), "`attempt` is missing"),
        (remover("events/Chunk"), "events and parts <> schemas.Chunk: is in the code"),
        (remover("events/Request"), "events and parts <> schemas.Request: is in the code"),
        (lambda d: d["events"].update(Nothing=d["events"]["Chunk"]), "events and parts.Nothing <> schemas"),
        (lambda d: d["parts"].update(Nothing=d["parts"]["Usage"]), "events and parts.Nothing <> schemas"),
        (setter("parts/Usage/meaning", "Something else here."), "parts.Usage.meaning"),
        (remover("codes/refused"), "codes <> schemas.codes.Code.refused: is in the code"),
        (lambda d: d["codes"].update(lost=d["codes"]["refused"]), "codes.lost <> schemas.codes.Code"),
        (setter("codes/refused/remembered", False), "codes.refused.remembered"),
        (setter("codes/internal/retriable", False), "codes.internal.retriable"),
        (setter("codes/internal/meaning", "Nobody knows why."), "codes.internal.meaning"),
        (remover("outcomes/throttled"), "outcomes <> schemas.calls.throttled: is in the code"),
        (setter("outcomes/refused/elsewhere", True), "outcomes.refused.elsewhere"),
        (remover("enums/Priority"), "enums <> schemas.Priority: is in the code"),
        (
            setter("enums/Nothing", {"meaning": "A list of nothing.", "values": {}}),
            "enums.Nothing <> schemas",
        ),
        (setter("enums/Priority/values/bulk", "May never be done."), "enums.Priority.values.bulk"),
        (setter("enums/Priority/values/slow", "May be done later."), "enums.Priority.values.slow"),
        (setter("enums/CacheMode/meaning", "Another meaning."), "enums.CacheMode.meaning"),
        (setter("topics/llm.requests/kept", "6 d"), "topics.llm.requests.kept"),
        (setter("topics/llm.requests/partitions", 1), "topics.llm.requests.partitions"),
        (setter("topics/llm.cache/compacted", False), "topics.llm.cache.compacted"),
        (setter("topics/llm.chunks/timestamps", "append"), "topics.llm.chunks.timestamps"),
        (setter("topics/llm.chunks/carries", ["Chunk", "Song"]), "no event or packed entry of that name"),
        (setter("topics/llm.chunks/read_by", "nobody"), "topics.llm.chunks.read_by"),
        (remover("topics/llm.gossip"), "topics <> schemas.topics.TOPICS.llm.gossip: is in the code"),
        (
            lambda d: d["topics"].update({"a.b": d["topics"]["llm.gossip"]}),
            "topics.a.b <> schemas.topics.TOPICS",
        ),
        (remover("headers/seal"), "headers <> schemas.topics.HEADERS.seal: is in the code"),
        (lambda d: d["headers"].update(x=d["headers"]["seal"]), "headers.x <> schemas.topics.HEADERS"),
        (setter("headers/seal/meaning", "Something else here."), "headers.seal.meaning"),
        (setter("headers/seal/topics", ["llm.nowhere"]), "no topic of that name is explained"),
        (setter("packed/started/entry_bytes", 32), "packed.started.entry_bytes"),
        (setter("packed/settled/version", 2), "packed.settled.version"),
        (setter("packed/settled/flags", {"MOVED": 4}), "packed.settled.MOVED"),
        (setter("packed/settled/flags", {"LOST": 8}), "the contract says 8, the code None"),
        (setter("packed/seal/fields", [LAYOUT]), "packed.seal.fields"),
        (setter("packed/seal/topic", "llm.usage"), "does not carry seal"),
        (remover("packed/seal"), "packed <> schemas.packed.seal: is in the code"),
        (lambda d: d["packed"].update(lost=d["packed"]["seal"]), "packed.lost <> schemas.packed"),
        (lambda d: d["packed"]["started"]["fields"][1].update(type="u32"), "packed.started.fields"),
        (
            lambda d: d["packed"]["started"]["fields"][1].update(meaning="Something else."),
            "started.attempt.meaning",
        ),
        (lambda d: d["packed"]["started"]["fields"].reverse(), "packed.started.fields"),
        (lambda d: d["packed"]["started"]["fields"][1].update(unit="parsecs"), "no unit of that name"),
        (setter("fences/topics", ["llm.nowhere"]), "no topic of that name is explained"),
        (
            setter("fences/headers", {"mark": "A header of no meaning."}),
            "no header of that name is explained",
        ),
        (setter("operations/replay/done_by", "nobody"), "no participant of that name is explained"),
        (setter("operations/replay/errors", ["lost"]), "no code of that name is explained"),
        (setter("operations/process_request/errors", []), "is in the code, not in the contract"),
        (setter("operations/replay/output/event", "Song"), "no event of that name is explained"),
        (setter("operations/replay/output/topic", "llm.usage"), "operations.replay.output.topic"),
        (setter("operations/replay/output/fields", {"song": "string"}), "no field of Response of that name"),
        (
            setter("operations/replay/output/fields", {"request_id": "uuid"}),
            "replay.output.fields.request_id",
        ),
        (remover("operations/cancel_request"), "operations.events <> llm-orchestration.yaml: events.Cancel"),
        (remover("units/status"), "no unit of that name is explained"),
        (lambda d: [unit.update(words=[]) for unit in d["units"].values()], "says what it counts"),
    ],
)
def test_a_planted_difference_is_found_and_names_both_paths(change: Callable[[Yaml], object], said: str):
    found = problems(change)

    assert any(said in line for line in found), found
    assert all(" <> " in line for line in found)


def test_an_undocumented_field_of_the_code_is_found(contract: Contract, monkeypatch: pytest.MonkeyPatch):
    bare = Member("schemas.requests", "Request", "seed", None, True)
    monkeypatch.setattr("contracts.check.of_schemas", lambda: (bare,))

    report = check(contract)

    assert "(documentation) <> schemas.requests.Request.seed: has no docstring under it" in map(
        str, report.mismatches
    )


def test_a_docstring_that_says_too_little_is_found(contract: Contract, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("contracts.compare.MIN_MEANING_CHARS", 40)

    assert any("its docstring says too little" in str(each) for each in check(contract).mismatches)


def test_a_guard_that_sleeps_is_found(contract: Contract, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("contracts.check.violation", lambda error: ("value", "something is wrong"))
    monkeypatch.setattr("contracts.check.misspelt", lambda names: None)

    found = [str(each) for each in check(contract).mismatches]

    assert "events.Cancel.fields.no_such_field <> schemas.guard.violation: does not name it" in found
    assert "events.Request.fields.seed <> schemas.guard.misspelt: does not spot it" in found


def test_a_model_that_lets_everything_through_is_found(contract: Contract, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("schemas.control.Cancel.model_validate", lambda body: body)

    assert any(
        "events.Cancel.fields.tenant <> schemas.guard" in str(each) for each in check(contract).mismatches
    )


def test_stale_generated_files_are_found_and_an_empty_set_is_not_all_well(contract: Contract, tmp_path: Path):
    report = check(contract, tmp_path)

    assert not report.ok
    assert len(report.mismatches) == report.counts["generated_files"]
    assert "(generated) <> contracts/generated/topics.md: is stale: run `weir contracts render`" in map(
        str, report.mismatches
    )
    assert GENERATED.is_dir()


def test_a_count_of_nothing_is_not_all_well(tmp_path: Path):
    data: Yaml = yaml.safe_load(PATH.read_text(encoding="utf-8"))
    data["invariants"] = []
    contract = Contract.model_validate(data)
    write(rendered(contract), tmp_path)

    report = check(contract, tmp_path)

    assert report.mismatches == ()
    assert not report.ok
