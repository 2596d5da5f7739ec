"""`weir keys` and `weir users` against a real broker."""

import io
import json

import pytest

from tests.support.command import Weir
from tests.support.doors import PASSWORD
from tests.support.kafka import Topics


@pytest.fixture
def weir(topics: Topics, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Weir:
    monkeypatch.setenv("COLUMNS", "200")
    return Weir(topics.cluster, monkeypatch, capsys)


def test_keys_are_made_listed_rotated_and_revoked(weir: Weir):
    made = weir(
        "keys", "create", "billing", "--tenant", "acme", "--scope", "llm:invoke", "--scope", "metrics:read",
        "--model", "small", "--requests-per-minute", "60", "--expires", "1d", "--json",
    )  # fmt: skip
    key = json.loads(made.out)
    assert (made.code, made.err) == (0, "")
    assert key["key"][3:11] == key["id"]
    assert (key["tenant"], key["scopes"], key["models"]) == (
        "acme",
        ["llm:invoke", "metrics:read"],
        ["small"],
    )
    assert key["expires_ms"] - key["created_ms"] == pytest.approx(86_400_000, abs=5000)

    rotated = weir("keys", "rotate", key["id"], "--grace", "1h")
    assert rotated.code == 0
    assert rotated.out.startswith("lk_")
    assert f"the old key {key['id']} is good for another 1h" in rotated.err

    revoked = weir("keys", "revoke", rotated.out[3:11])
    assert (revoked.code, revoked.out) == (0, f"{rotated.out[3:11]} (billing) is revoked\n")
    again = json.loads(weir("keys", "revoke", rotated.out[3:11], "--json").out)
    assert again["state"] == "revoked"

    listed = weir("keys", "list")
    assert (listed.code, "billing" in listed.out, "acme" in listed.out) == (0, True, True)
    rows = json.loads(weir("keys", "list", "--json").out)
    assert [row["state"] for row in rows] == ["good", "revoked"]
    assert rows[1]["rotated_from"] == key["id"]
    assert "key" not in rows[0]
    assert "hash" not in rows[0]


def test_what_can_not_be_done_with_a_key_is_one_line(weir: Weir):
    unknown, scope = weir("keys", "revoke", "nobody00"), weir("keys", "create", "k", "--scope", "root")

    assert (unknown.code, unknown.err) == (1, "weir: there is no such key\n")
    assert (scope.code, scope.err.count("\n")) == (1, 1)
    assert "there are llm:invoke" in scope.err
    assert weir("keys", "create", "k", "--expires", "soon").code == 2


def test_users_are_added_listed_given_a_password_and_removed(weir: Weir, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n{PASSWORD}2\nshort\n"))

    added = weir("users", "add", "ada", "--tenant", "acme", "--scope", "admin", "--password-stdin", "--json")
    assert json.loads(added.out)["scopes"] == ["admin"]
    assert PASSWORD not in added.out + added.err
    assert weir("users", "password", "ada", "--password-stdin").out == "ada has a new password\n"
    assert "12 to 1024 characters" in weir("users", "password", "ada", "--password-stdin").err
    assert "acme" in weir("users", "list").out
    (row,) = json.loads(weir("users", "list", "--json").out)
    assert (row["name"], row["password_ms"] > row["created_ms"]) == ("ada", True)
    assert weir("users", "remove", "ada").out == "ada is removed\n"
    gone = weir("users", "remove", "ada")
    assert (gone.code, gone.err) == (1, "weir: there is no such user\n")
    assert json.loads(weir("users", "list", "--json").out) == []


def test_a_password_is_asked_for_twice_and_not_shown(weir: Weir, monkeypatch: pytest.MonkeyPatch):
    asked: list[dict[str, object]] = []

    def prompt(text: str, **how: object) -> str:
        asked.append(how)
        return PASSWORD

    monkeypatch.setattr("typer.prompt", prompt)

    assert weir("users", "add", "ada").out == "ada may sign in\n"
    assert asked == [{"hide_input": True, "confirmation_prompt": True, "err": True}]
