"""`weir contracts`: what it prints and how it ends."""

from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from contracts.cli import app
from contracts.model import PATH

RUNNER = CliRunner()


def test_check_prints_what_it_compared():
    result = RUNNER.invoke(app, ["check"])

    assert result.exit_code == 0
    assert result.stdout.startswith("0 mismatches in 4 participants, ")


def test_check_prints_one_json_object():
    result = RUNNER.invoke(app, ["check", "--json"])
    report = orjson.loads(result.stdout)

    assert report["ok"] is True
    assert report["mismatches"] == []
    assert report["counts"]["codes"] == 10


@pytest.mark.parametrize("as_json", [False, True])
def test_check_ends_with_one_where_files_are_stale(tmp_path: Path, as_json: bool):
    result = RUNNER.invoke(app, ["check", "--folder", str(tmp_path), *(["--json"] if as_json else [])])

    assert result.exit_code == 1
    assert "run `weir contracts render`" in (result.stdout if as_json else result.stderr)


def test_render_writes_what_is_stale_and_says_so(tmp_path: Path):
    first = RUNNER.invoke(app, ["render", "--folder", str(tmp_path), "--json"])
    second = RUNNER.invoke(app, ["render", "--folder", str(tmp_path)])
    (tmp_path / "codes.md").unlink()
    third = RUNNER.invoke(app, ["render", "--folder", str(tmp_path)])

    assert "topics.md" in orjson.loads(first.stdout)["changed"]
    assert second.stdout == "0 files changed\n"
    assert third.stdout == "1 files changed\n  codes.md\n"


@pytest.mark.parametrize("command", ["check", "render"])
def test_a_contract_that_cannot_be_read_is_one_line_on_stderr(tmp_path: Path, command: str):
    broken = tmp_path / "broken.yaml"
    broken.write_text(PATH.read_text(encoding="utf-8").replace("version: 1.0.0", "version: 1"))

    result = RUNNER.invoke(app, [command, "--contract", str(broken)])

    assert result.exit_code == 1
    assert result.stderr == "broken.yaml: `version` must be text, not 1\n"


def test_a_contract_that_is_not_there_is_one_line_on_stderr(tmp_path: Path):
    result = RUNNER.invoke(app, ["check", "--contract", str(tmp_path / "none.yaml")])

    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
