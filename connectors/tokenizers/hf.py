"""Counts by any `tokenizer.json`, with Hugging Face's `tokenizers`: 1 to 2 MB/s."""

import os
from pathlib import Path
from typing import cast

import orjson
from tokenizers import Tokenizer

from connectors.tokenizers.errors import TokenizerError

MAX_FILE_BYTES = 256 * 1024 * 1024
"""Largest file that is tried."""
_HINT = "get it again from where the model comes from"


class FileCounter:
    """Counts by a loaded tokenizer; the special tokens that it adds around a text are not counted."""

    kind = "estimate"

    def __init__(self, tokenizer: Tokenizer) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer

    def count(self, text: str) -> int:
        """Tokens of a text; a lone surrogate counts as a replacement character."""
        return self.count_many([text])[0]

    def count_many(self, texts: list[str]) -> list[int]:
        """Tokens of each text, in order."""
        sound = [without_surrogates(text) for text in texts]
        return [len(found) for found in self._tokenizer.encode_batch_fast(sound, add_special_tokens=False)]


def build(path: str) -> FileCounter:
    """The counter of a `tokenizer.json`. The file is looked through before the native library sees it.

    Raises:
        TokenizerError: When the file is missing, too large, or no tokenizer.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    return FileCounter(load(_read(Path(path)), path))


def load(data: bytes, name: str) -> Tokenizer:
    """A tokenizer from the bytes of its file; `name` is for messages.

    Raises:
        TokenizerError: When they are none.
    """
    try:
        parsed: object = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise TokenizerError(f"{name} is not JSON ({error})", _HINT) from error
    model = cast(dict[str, object], parsed).get("model") if isinstance(parsed, dict) else None
    if not isinstance(model, dict) or not cast(dict[str, object], model).get("vocab"):
        raise TokenizerError(f"{name} is no tokenizer.json (it has no model with a vocabulary)", _HINT)
    try:
        return Tokenizer.from_str(data.decode())
    except Exception as error:
        raise TokenizerError(f"{name} is no tokenizer.json ({str(error)[:200]})", _HINT) from error


def without_surrogates(text: str) -> str:
    """The text with lone surrogates replaced: native libraries take valid Unicode only."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise TokenizerError(f"{path} is larger than {MAX_FILE_BYTES} bytes", "name a tokenizer.json")
        return path.read_bytes()
    except OSError as error:
        raise TokenizerError(f"{path} can't be read ({error.strerror})", "check the path") from error
