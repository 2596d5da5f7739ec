"""`make run`: the demo, from nothing to answers and back to nothing."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from flows.cli_demo import ROOT
from flows.demo_questions import MAX_CONTEXT_CHARS, QUESTIONS, document
from tests.support.kafka import requires


@pytest.mark.broker
def test_demo_answers_a_dozen_questions_and_leaves_nothing_running(tmp_path: Path):
    requires("java")
    env = os.environ | {"ONCE": "1", "PYTHONPATH": str(ROOT)}
    foreign = ("KAFKA_", "OPENAI_", "ANTHROPIC_", "GEMINI_", "GOOGLE_", "OLLAMA_")
    env = {name: value for name, value in env.items() if not name.startswith(foreign)}
    env["OLLAMA_HOST"] = "127.0.0.1:9"  # whatever listens on this machine is not ours

    done = subprocess.run(
        [sys.executable, "-m", "flows.cli_demo"], cwd=tmp_path, env=env, capture_output=True, text=True,
        timeout=110, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "models: no key is set and no Ollama answers" in done.stderr
    for number, question in enumerate(QUESTIONS, start=1):
        assert f"{number}. {question.text}" in done.stdout
    assert not [one for one in psutil.process_iter(["cmdline"]) if str(tmp_path) in str(one.info["cmdline"])]
    assert not (tmp_path / ".weir" / "run" / "state.json").exists()


@pytest.mark.parametrize("name", sorted({one.document for one in QUESTIONS}))
def test_documents_of_the_questions_exist_and_fit(name: str):
    assert 0 < len(document(ROOT, name)) <= MAX_CONTEXT_CHARS


def test_long_document_is_cut_at_the_end_of_a_paragraph(tmp_path: Path):
    (tmp_path / "long.md").write_text("word " * 10_000 + "\n\n" + "more " * 10_000)
    (tmp_path / "dense.md").write_text("x" * (MAX_CONTEXT_CHARS + 1))

    assert document(tmp_path, "long.md") == "word " * 10_000
    assert len(document(tmp_path, "dense.md")) == MAX_CONTEXT_CHARS
