"""A file is tried in a child before this process loads it."""

import subprocess
from pathlib import Path

import orjson
import pytest
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from connectors.tokenizers import fast, hf, trial
from connectors.tokenizers.counter import build
from connectors.tokenizers.errors import TokenizerError
from connectors.tokenizers.fast import FastCounter
from connectors.tokenizers.probe import PROBE, probe_texts


def bytes_tokenizer() -> Tokenizer:
    """GPT-2's way with bytes, and two merges."""
    letters = sorted(ByteLevel.alphabet())
    vocab = {letter: rank for rank, letter in enumerate([*letters, "th", "the"])}
    tokenizer = Tokenizer(BPE(vocab, [("t", "h"), ("th", "e")]))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevelDecoder()
    return tokenizer


def changed(model: dict[str, object]) -> bytes:
    whole = orjson.loads(bytes_tokenizer().to_str())
    whole["model"] |= model
    return orjson.dumps(whole)


def test_file_that_both_count_alike_is_counted_fast(tmp_path: Path):
    path = tmp_path / "tokenizer.json"
    bytes_tokenizer().save(str(path))
    counter = build(str(path))

    assert isinstance(counter, FastCounter)
    slow = hf.counter_of(path.read_bytes(), "x")
    assert counter.count_many(list(PROBE.values())) == slow.count_many(list(PROBE.values()))
    assert counter.count("the the") == 3
    assert counter.prefix("the the", 2) == slow.prefix("the the", 2) == "the "
    assert counter.fits("the" * 100, 2) is slow.fits("the" * 100, 2) is False


def test_file_that_the_fast_one_does_not_know_is_counted_by_tokenizers(tmp_path: Path):
    whole = orjson.loads(bytes_tokenizer().to_str())
    whole["normalizer"] = {"type": "Lowercase"}
    path = tmp_path / "tokenizer.json"
    path.write_bytes(orjson.dumps(whole))

    assert build(str(path)).count("THE") == 1


def test_file_that_ends_the_process_is_refused(monkeypatch: pytest.MonkeyPatch):
    died = subprocess.CompletedProcess([], -6, b"", b"")
    monkeypatch.setattr(trial.subprocess, "run", lambda *args, **named: died)

    with pytest.raises(TokenizerError, match=r"x is no tokenizer.json .loading it ended the process"):
        trial.tried(b"{}", "x")


def test_trial_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(trial, "TIMEOUT_S", 0.001)

    with pytest.raises(TokenizerError, match="loading it ended the process"):
        trial.tried(bytes_tokenizer().to_str().encode(), "x")


def test_abort_of_the_fast_library_alone_leaves_the_file_to_tokenizers():
    data = changed({"vocab": {"a": 4_000_000_000}, "merges": []})

    assert trial.tried(data, "x") is False


@pytest.mark.parametrize("text", [b"", b"{}", changed({"vocab": {"a": "b"}})])
def test_child_says_why_a_file_is_bad(text: bytes, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(TokenizerError, match=r"^x is n") as caught:
        trial.tried(text, "x")

    assert caught.value.hint == hf.HINT
    assert str(caught.value).count(hf.HINT) == 1


def test_inside_the_child(monkeypatch: pytest.MonkeyPatch):
    class Input:
        def __init__(self, data: bytes) -> None:
            self.buffer = self
            self.read = lambda: data

    sound = bytes_tokenizer().to_str().encode()
    replies: list[dict[str, object]] = []
    bad = changed({"vocab": {"a": "b"}})
    for data, with_fast in ((sound, True), (sound, False), (b"{}", True), (bad, True)):
        monkeypatch.setattr(trial.sys, "stdin", Input(data))
        replies.append(trial.main("x", with_fast))
    monkeypatch.setattr(fast, "of_json", lambda data: int("no"))
    monkeypatch.setattr(trial.sys, "stdin", Input(sound))
    replies.append(trial.main("x", True))

    assert [reply.get("fast") for reply in replies] == [True, False, None, None, False]
    assert "no model" in str(replies[2]["error"])
    assert "is no tokenizer.json (invalid type" in str(replies[3]["error"])
    assert "invalid literal" in str(replies[4]["why"])


def test_probe_tells_a_wrong_counter_from_a_right_one():
    counts = [len(text) for text in probe_texts()]

    assert fast.agree(list, counts)
    assert not fast.agree(str.split, counts)
