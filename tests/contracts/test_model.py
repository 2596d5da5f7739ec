"""Reading the contract: what it may say, and where it is told that it may not."""

import pytest

from contracts.model import PATH, ContractError, load, parse


def test_the_contract_is_read():
    assert load().contract == "LLMOrchestration"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "not YAML"),
        ("- 1", "`value` must be a JSON object, not a list"),
        ("a: 1\na: 2", "line 1: key a stands twice"),
    ],
)
def test_what_is_no_contract_is_refused_with_the_place(text: str, said: str):
    with pytest.raises(ContractError, match=said):
        parse(text)


def test_a_broken_clause_is_named_by_its_path():
    text = PATH.read_text(encoding="utf-8").replace("role: coordinator", "role: boss")

    with pytest.raises(ContractError, match=r"`participants\.orchestrator\.role` must be 'coordinator'"):
        parse(text)


def test_an_unknown_key_is_refused():
    with pytest.raises(ContractError, match="`colour` is not a known field"):
        parse(PATH.read_text(encoding="utf-8") + "colour: blue\n")
