"""The longest prefix of a text within a number of tokens, for any counter.

Counts are nearly, but not quite, proportional to length, and a prefix of more letters may have fewer tokens
(`ab` may be one where `a` is one, too). So: whole prefixes are counted to come near (a handful of counts),
then every end near the limit is tried on the last words alone; the result is counted whole.
"""

from collections.abc import Callable

Count = Callable[[str], int]

_MARGIN_LETTERS = 48
"""How far around an estimated end the next two ends are tried."""
_REACH_LETTERS = 128
"""How far beyond an end that doesn't fit longer ones are tried: the longest tokens are as long."""
_WORDS_LETTERS = 256
"""How much before the end is counted again and again, about."""
_SHORT_LETTERS = 512
"""A text that can be counted whole again and again."""
_LONG_TOKEN_LETTERS = 256
"""More characters than a token has: a longer text is not looked at whole."""


def longest_prefix(count: Count, text: str, limit: int) -> str:
    """The longest prefix of at most `limit` tokens: no prefix up to 128 characters longer fits.

    In a long text whose words can't be counted apart from what is before them (scripts without spaces, some
    tokenizers) it is one of which one character more doesn't fit. Where nothing fits it is empty.
    """
    if limit <= 0:
        return ""
    head = text[: _LONG_TOKEN_LETTERS * limit]
    tokens = count(head)
    if tokens <= limit and (len(head) == len(text) or (tokens := count(text)) <= limit):
        return text
    low, high = _bracket(count, text, limit, tokens / len(head))
    start = _start(count, text, low)
    if start is None:
        return text[: _edge(count, text, limit, low, high)]
    left = limit - count(text[:start])
    longest = min(len(text), high + _REACH_LETTERS)
    best = next((end for end in range(longest, low, -1) if count(text[start:end]) <= left), low)
    return text[: best if count(text[:best]) <= limit else low]


def _bracket(count: Count, text: str, limit: int, ratio: float) -> tuple[int, int]:
    """Two ends close together: the first fits, the second doesn't. `ratio`: tokens a character, about."""
    low, low_tokens, high = 0, 0, len(text)
    while high - low > _REACH_LETTERS:
        width = high - low
        aim = low + int((limit - low_tokens) / ratio)
        for end in (aim - _MARGIN_LETTERS, aim + _MARGIN_LETTERS, (low + high) // 2):
            if low < end < high and (end < aim + _REACH_LETTERS or high - low > width // 2):
                found = count(text[:end])
                low, low_tokens, high = (end, found, high) if found <= limit else (low, low_tokens, end)
    return low, high


def _edge(count: Count, text: str, limit: int, low: int, high: int) -> int:
    """An end that fits, and one character more doesn't."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(text[:middle]) <= limit else (low, middle)
    return low


def _start(count: Count, text: str, end: int) -> int | None:
    """A place before an end from which its last words count alone as they do in the text, if there is one."""
    if end < _SHORT_LETTERS:
        return 0
    tokens = count(text[:end])
    places = [at for at in range(end - 1, end - 2 * _WORDS_LETTERS, -1) if _between_words(text, at)]
    for start in [*places[8:32:8], *places[32::32]]:
        if count(text[:start]) + count(text[start:end]) == tokens:
            return start
    return None


def _between_words(text: str, at: int) -> bool:
    return text[at] == " " and text[at - 1].isalnum() and text[at + 1 : at + 2].isalpha()
