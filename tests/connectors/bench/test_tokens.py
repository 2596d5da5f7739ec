"""The bench of counters: its texts, its report, its exit codes."""

import orjson
import pytest
import typer
from typer.testing import CliRunner

from connectors.bench import tokens
from connectors.bench.cli import app
from connectors.bench.corpora import PIECE_LETTERS, bytes_of, corpora

KINDS = ["english", "code", "logs", "json", "chinese", "arabic", "hindi", "thai", "emoji"]


def test_corpora_are_of_all_kinds_and_always_the_same():
    made = corpora(60_000)

    assert list(made) == KINDS
    assert made == corpora(60_000)
    assert all(40_000 < bytes_of(pieces) < 90_000 for pieces in made.values())
    assert all(len(piece) <= PIECE_LETTERS for pieces in made.values() for piece in pieces)


def test_report_has_speed_and_equality_of_each_corpus():
    said: list[str] = []
    report = tokens.measure("cl100k", rounds=1, size_bytes=30_000, say=said.append)

    assert list(report["corpora"]) == KINDS
    assert all(found["equal"] and found["first_mb_s"] > 0 for found in report["corpora"].values())
    assert report["corpora"]["english"]["again_ratio"] > 1
    assert report["probe_equal"] is True
    assert len(said) == 1 + len(KINDS)


@pytest.mark.parametrize(
    ("first", "again", "equal", "failed"),
    [
        (12.0, 80.0, True, []),
        (11.9, 80.0, True, ["first_ratio >= 12"]),
        (12.0, 79.9, True, ["again_ratio >= 80"]),
        (99.0, 99.0, False, ["probe_equal", "equal"]),
    ],
)
def test_limit_that_does_not_hold_is_named_and_is_the_exit_code(
    first: float, again: float, equal: bool, failed: list[str], monkeypatch: pytest.MonkeyPatch
):
    figures = {"first_ratio": first, "again_ratio": again, "equal": equal}
    monkeypatch.setattr(tokens, "corpora", lambda size_bytes: {"english": ["a"]})
    monkeypatch.setattr(tokens, "_corpus", lambda *args: figures)
    monkeypatch.setattr(tokens, "reference", lambda name: Letters())
    monkeypatch.setattr(tokens, "build", lambda name: Letters(0 if equal else 1))
    monkeypatch.setattr(tokens, "FileCounter", lambda oracle: oracle)
    done = CliRunner().invoke(app, ["tokens", "--json", "--rounds", "1"])

    assert orjson.loads(done.stdout)["failed"] == failed
    assert (done.exit_code, done.stderr) == (1 if failed else 0, "")


def test_progress_is_shown_unless_only_json_is_wanted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(tokens, "measure", lambda name, rounds, size_bytes, say: say(name) or {"ok": True})

    with pytest.raises(typer.Exit):
        tokens.tokens("o200k", 1, 5000, as_json=False)
    assert capsys.readouterr() == ('{"ok":true}\n', "o200k\n")


class Letters:
    """Counts letters, and some more."""

    def __init__(self, more: int = 0) -> None:
        self.more = more

    def count_many(self, texts: list[str]) -> list[int]:
        return [len(text) + self.more for text in texts]
