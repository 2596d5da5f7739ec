"""The same vocabularies as `counter`, run by Hugging Face's `tokenizers`: another algorithm, for comparison.

A token's rank is its number. `tokenizers` wants the merges that
make a token: the one pair that is left when its bytes are merged by all lower ranks. The patterns are those
of tiktoken. Too slow for work (seconds to build, a tenth of the speed); tests hold the fast counter against
it.
"""

from collections.abc import Mapping
from itertools import pairwise

from tokenizers import Regex, Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split

from connectors.tokenizers.vocabulary import tokens_of

_CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_UPPER, _LOWER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
_O200K = "|".join(
    (
        rf"[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]*[{_LOWER}]+{_CONTRACTIONS}?",
        rf"[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]+[{_LOWER}]*{_CONTRACTIONS}?",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)
_CL100K = "|".join(
    (
        _CONTRACTIONS,
        r"[^\r\n\p{L}\p{N}]?\p{L}+",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)


_PATTERNS: Mapping[str, str] = {"o200k": _O200K, "cl100k": _CL100K}
"""The pattern that cuts a text into words."""


def reference(name: str) -> Tokenizer:
    """A tokenizer equal to `o200k` or `cl100k`."""
    ranks = {token: rank for rank, token in enumerate(tokens_of(name))}
    written = {token: _written(token) for token in ranks}
    merges = [_pair(token, ranks) for token in ranks if len(token) > 1]
    model = BPE(
        vocab={written[token]: rank for token, rank in ranks.items()},
        merges=[(written[left], written[right]) for left, right in merges],
    )
    tokenizer = Tokenizer(model)
    words = Split(Regex(_PATTERNS[name]), behavior="isolated")
    tokenizer.pre_tokenizer = Sequence([words, ByteLevel(add_prefix_space=False, use_regex=False)])
    return tokenizer


def _pair(token: bytes, ranks: Mapping[bytes, int]) -> tuple[bytes, bytes]:
    """The last merge that makes a token: its bytes, merged lowest rank first, until two pieces are left."""
    own = ranks[token]
    splits = [
        (token[:cut], token[cut:])
        for cut in range(1, len(token))
        if ranks.get(token[:cut], own) < own and ranks.get(token[cut:], own) < own
    ]
    if len(splits) == 1:
        return splits[0]
    pieces = [bytes([byte]) for byte in token]
    while len(pieces) > 2:
        joined = [ranks.get(left + right, own) for left, right in pairwise(pieces)]
        at = joined.index(min(joined))
        pieces[at : at + 2] = [pieces[at] + pieces[at + 1]]
    return pieces[0], pieces[1]


def _written(token: bytes) -> str:
    """The token in the alphabet of byte-level BPE, one printable letter a byte."""
    return "".join(_ALPHABET[byte] for byte in token)


def _alphabet() -> dict[int, str]:
    """GPT-2's letters of bytes: printable ones stand for themselves, the others for 256 and up."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {byte: chr(256 + at) for at, byte in enumerate(others)}


_ALPHABET: Mapping[int, str] = _alphabet()
