"""OpenAI's vocabularies, as `rs-bpe` carries them: the bytes of each token, in the order of ranks."""

from collections.abc import Callable, Mapping
from typing import Protocol, cast

from rs_bpe import openai


class _Decoder(Protocol):
    def decode_tokens(self, tokens: list[int]) -> bytes: ...


class Vocabulary(Protocol):
    """What `rs-bpe` has for each vocabulary."""

    bpe: Callable[[], _Decoder]
    count: Callable[[str], int]
    count_till_limit: Callable[[str, int], int | None]


_SIZES: Mapping[str, int] = {"o200k": 199_998, "cl100k": 100_256}
"""Number of tokens, special ones left out."""
NAMES = tuple(_SIZES)
"""The vocabularies there are."""


def vocabulary(name: str) -> Vocabulary:
    """The vocabulary of a name, ready to count."""
    return cast(Vocabulary, getattr(openai, f"{name}_base")())


def tokens_of(name: str) -> list[bytes]:
    """The bytes of every token; its place is its rank."""
    decoder = vocabulary(name).bpe()
    return [bytes(decoder.decode_tokens([rank])) for rank in range(_SIZES[name])]
