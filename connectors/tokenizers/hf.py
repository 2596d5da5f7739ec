"""Counts by any `tokenizer.json`, with Hugging Face's `tokenizers`: 1 to 3 MB/s. The oracle of the others."""

import os
from pathlib import Path
from typing import cast

import orjson
from tokenizers import Tokenizer

from connectors.tokenizers.cutting import longest_prefix
from connectors.tokenizers.errors import TokenizerError
from connectors.tokenizers.text import without_surrogates

MAX_FILE_BYTES = 256 * 1024 * 1024
"""Largest file that is tried."""
HINT = "get it again from where the model comes from"


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

    def fits(self, text: str, limit: int) -> bool:
        """Whether a text has at most `limit` tokens."""
        return self.count(text) <= limit

    def prefix(self, text: str, limit: int) -> str:
        """The longest prefix of at most `limit` tokens."""
        return longest_prefix(self.count, text, limit)


def counter_of(data: bytes, name: str) -> FileCounter:
    """The counter of a file's bytes, which were `checked` and tried before; `name` is for messages.

    Raises:
        TokenizerError: When they are no tokenizer.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    return FileCounter(load(data, name))


def checked(data: bytes, name: str) -> bytes:
    """The bytes, looked through before a native library sees them.

    Raises:
        TokenizerError: When they aren't JSON, or have no model with a vocabulary.
    """
    try:
        parsed: object = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise TokenizerError(f"{name} is not JSON ({error})", HINT) from error
    model = cast(dict[str, object], parsed).get("model") if isinstance(parsed, dict) else None
    if not isinstance(model, dict) or not cast(dict[str, object], model).get("vocab"):
        raise TokenizerError(f"{name} is no tokenizer.json (it has no model with a vocabulary)", HINT)
    return data


def load(data: bytes, name: str) -> Tokenizer:
    """A tokenizer from the bytes of its file; `name` is for messages.

    Raises:
        TokenizerError: When they are none.
    """
    try:
        return Tokenizer.from_str(checked(data, name).decode())
    except TokenizerError:
        raise
    except Exception as error:
        raise TokenizerError(f"{name} is no tokenizer.json ({str(error)[:200]})", HINT) from error


def read(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        TokenizerError: When it can't be read, or is too large.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise TokenizerError(f"{path} is larger than {MAX_FILE_BYTES} bytes", "name a tokenizer.json")
        return path.read_bytes()
    except OSError as error:
        raise TokenizerError(f"{path} can't be read ({error.strerror})", "check the path") from error
