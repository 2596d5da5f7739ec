"""What a picture costs in tokens, by each family's rule, and how large it is, read from its first bytes.

A picture that is only named by its address, or whose size can't be read, costs what a usual one costs.
Sources: OpenAI's guide to images (tiles of 512), Anthropic's vision page (width x height / 750), Google's
page on tokens (258 for each tile).
"""

import base64
import binascii
from enum import StrEnum
from math import ceil
from struct import unpack_from

from schemas.base import JsonObject


class Family(StrEnum):
    """Providers that count alike."""

    OPENAI = "openai"
    """OpenAI, and whoever speaks its protocol."""
    ANTHROPIC = "anthropic"
    """Claude."""
    GEMINI = "gemini"
    """Gemini."""


LOW_DETAIL_TOKENS = 85
"""A picture with `detail: low` on OpenAI."""
UNKNOWN_TOKENS = {Family.OPENAI: 765, Family.ANTHROPIC: 1600, Family.GEMINI: 1548}
"""A picture of unknown size: 1024 x 1024 at high detail; the most that Claude takes; six tiles."""
_HEAD_LETTERS, _LONG_HEAD_LETTERS = 64, 400_000
"""Base64 characters that are looked at; the size of a JPEG stands behind its preview."""
_TILE_TOKENS, _BASE_TOKENS, _GEMINI_TILE_TOKENS = 170, 85, 258
_CLAUDE_EDGE, _CLAUDE_MOST_TOKENS, _CLAUDE_AREA = 1568, 1600, 750
Size = tuple[int, int]


def is_picture(part: JsonObject) -> bool:
    """Whether a part of a message is a picture, in OpenAI's or Anthropic's shape."""
    return "image_url" in part or part.get("type") == "image"


def picture_tokens(part: JsonObject, family: Family) -> int:
    """Tokens of a picture."""
    picture = part.get("image_url")
    low = isinstance(picture, dict) and picture.get("detail") == "low"
    if low and family is Family.OPENAI:
        return LOW_DETAIL_TOKENS
    size = size_of(_encoded(part))
    return UNKNOWN_TOKENS[family] if size is None else _RULES[family](*size)


def openai_tokens(width: int, height: int) -> int:
    """Fitted into 2048 x 2048, then the short side down to 768: 170 a tile of 512, and 85."""
    scale = min(1.0, 2048 / max(width, height))
    scale = min(scale, 768 / min(width, height))
    tiles = ceil(width * scale / 512) * ceil(height * scale / 512)
    return _BASE_TOKENS + _TILE_TOKENS * tiles


def claude_tokens(width: int, height: int) -> int:
    """Area by 750, after the long side was brought down to 1568; at most 1,600."""
    scale = min(1.0, _CLAUDE_EDGE / max(width, height))
    return min(_CLAUDE_MOST_TOKENS, ceil(width * scale * height * scale / _CLAUDE_AREA))


def gemini_tokens(width: int, height: int) -> int:
    """258 up to 384 x 384; larger ones are cut into tiles of 256 to 768, 258 each."""
    if max(width, height) <= 384:
        return _GEMINI_TILE_TOKENS
    unit = min(768, max(256, int(min(width, height) / 1.5)))
    return _GEMINI_TILE_TOKENS * ceil(width / unit) * ceil(height / unit)


_RULES = {Family.OPENAI: openai_tokens, Family.ANTHROPIC: claude_tokens, Family.GEMINI: gemini_tokens}


def size_of(encoded: str) -> Size | None:
    """Width and height of a picture in base64: PNG, GIF, JPEG or WebP; nothing for others."""
    jpeg = encoded.startswith("/9j/")
    head = encoded[: _LONG_HEAD_LETTERS if jpeg else _HEAD_LETTERS]
    try:
        data = base64.b64decode(head[: len(head) // 4 * 4], validate=True)
    except (binascii.Error, ValueError):
        return None
    found = _size(data)
    return found if found and min(found) > 0 else None


def _encoded(part: JsonObject) -> str:
    """The base64 of a part; empty where it has none."""
    picture, source = part.get("image_url"), part.get("source")
    url = picture.get("url") if isinstance(picture, dict) else picture
    if isinstance(url, str) and url.startswith("data:"):
        return url.partition(";base64,")[2]
    data = source.get("data") if isinstance(source, dict) else None
    return data if isinstance(data, str) else ""


def _size(data: bytes) -> Size | None:
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) >= 24:
        width, height = unpack_from(">II", data, 16)
        return width, height
    if data.startswith((b"GIF87a", b"GIF89a")) and len(data) >= 10:
        width, height = unpack_from("<HH", data, 6)
        return width, height
    if data.startswith(b"\xff\xd8"):
        return _jpeg(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP" and len(data) >= 30:
        return _webp(data)
    return None


def _jpeg(data: bytes) -> Size | None:
    """From segment to segment, until the frame's header."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker, length = unpack_from(">BH", data, at + 1)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = unpack_from(">HH", data, at + 5)
            return width, height
        at += 2 + length
    return None


def _webp(data: bytes) -> Size | None:
    """The three kinds: extended, lossless, lossy."""
    kind = data[12:16]
    if kind == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = unpack_from("<HH", data, 26)
    return (width & 0x3FFF, height & 0x3FFF) if kind == b"VP8 " else None
