"""Counting by a `tokenizer.json`."""

from pathlib import Path

import orjson
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from connectors.tokenizers import hf
from connectors.tokenizers.counter import build
from connectors.tokenizers.errors import TokenizerError


@pytest.fixture
def small(tmp_path: Path) -> str:
    """A tokenizer of whole words that adds a token around each text, pads and truncates."""
    tokenizer = Tokenizer(WordLevel({"[UNK]": 0, "[CLS]": 1, "hello": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A", special_tokens=[("[CLS]", 1)])
    tokenizer.enable_truncation(2)
    tokenizer.enable_padding(length=9)
    path = tmp_path / "tokenizer.json"
    tokenizer.save(str(path))
    return str(path)


def test_tokens_of_the_text_are_counted_and_no_others(small: str):
    counter = build(small)

    assert counter.count("hello big wide world") == 4
    assert counter.count_many(["hello", "", "a b"]) == [1, 0, 2]
    assert counter.kind == "estimate"


def test_lone_surrogates_do_not_crash(small: str):
    assert build(small).count("hello \ud800") == 2


def test_loading_keeps_the_library_to_one_thread(small: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("TOKENIZERS_PARALLELISM", raising=False)
    build(small)

    assert hf.os.environ["TOKENIZERS_PARALLELISM"] == "false"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is not JSON"),
        (b"\x0a\x0b\x00", "is not JSON"),
        (b'{"model": {"vocab"', "is not JSON"),
        (b"[]", "it has no model with a vocabulary"),
        (b"{}", "it has no model with a vocabulary"),
        (b'{"model": 7}', "it has no model with a vocabulary"),
        (b'{"model": {"vocab": {}}}', "it has no model with a vocabulary"),
        (b'{"model": {"vocab": {"a": "b"}}}', "is no tokenizer.json"),
        (b'{"model": {"type": "BPE", "vocab": {"a": 1}, "merges": ["x y"]}}', "is no tokenizer.json"),
    ],
)
def test_damaged_file_is_named_in_one_line(tmp_path: Path, data: bytes, reason: str):
    path = tmp_path / "tokenizer.json"
    path.write_bytes(data)

    with pytest.raises(TokenizerError) as caught:
        build(str(path))
    assert reason in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_truncated_file_is_refused_at_every_length(small: str, tmp_path: Path):
    whole = Path(small).read_bytes()
    path = tmp_path / "cut.json"

    for length in range(0, len(whole.rstrip()) - 1, 41):
        path.write_bytes(whole[:length])
        with pytest.raises(TokenizerError):
            build(str(path))


def test_missing_file_says_so():
    with pytest.raises(TokenizerError, match="can't be read") as caught:
        build("/nowhere/tokenizer.json")
    assert caught.value.hint == "check the path"


def test_huge_file_is_not_read(small: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hf, "MAX_FILE_BYTES", 10)

    with pytest.raises(TokenizerError, match="is larger than 10 bytes"):
        build(small)


def test_sound_file_of_another_kind_of_model_loads(tmp_path: Path):
    model = {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]}

    assert len(hf.load(orjson.dumps({"version": "1.0", "model": model}), "x").encode("ab").ids) == 1
