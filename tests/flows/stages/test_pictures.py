"""What pictures cost."""

import base64
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.stages.pictures import (
    LOW_DETAIL_TOKENS,
    UNKNOWN_TOKENS,
    Family,
    claude_tokens,
    gemini_tokens,
    is_picture,
    openai_tokens,
    picture_tokens,
    size_of,
)

JPEG = (
    b"\xff\xd8\xff\xe0\x00\x10" + b"J" * 14 + b"\xff\xc0\x00\x11\x08" + pack(">HH", 600, 800) + b"\x03" * 10
)
FILES = {
    "png": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + pack(">II", 800, 600) + b"\x08",
    "gif": b"GIF89a" + pack("<HH", 800, 600) + b"\x00" * 9,
    "jpeg": JPEG,
    "webp, extended": b"RIFF\x00\x00\x00\x00WEBPVP8X" + b"\x00" * 8 + b"\x1f\x03\x00" + b"\x57\x02\x00",
    "webp, lossless": b"RIFF\x00\x00\x00\x00WEBPVP8L\x00\x00\x00\x00\x2f"
    + pack("<I", 599 << 14 | 799)
    + b"\x00" * 9,
    "webp, lossy": b"RIFF\x00\x00\x00\x00WEBPVP8 " + b"\x00" * 10 + pack("<HH", 800, 600),
}


def written(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize("kind", FILES)
def test_size_is_read_from_the_first_bytes(kind: str):
    assert size_of(written(FILES[kind] + b"\x00" * 500_000)) == (800, 600)


@pytest.mark.parametrize("kind", FILES)
def test_cut_picture_has_no_size(kind: str):
    assert {size_of(written(FILES[kind][:length])) for length in range(9)} == {None}


@pytest.mark.parametrize(
    "encoded",
    [
        "",
        "§§§§",
        "AAAA",
        "not base64!",
        written(b"\x89PNG\r\n\x1a\n" + b"\x00" * 30),
        written(b"\xff\xd8AAAA"),
    ],
)
def test_anything_else_has_no_size(encoded: str):
    assert size_of(encoded) is None


def test_unknown_webp_has_no_size():
    assert size_of(written(b"RIFF\x00\x00\x00\x00WEBPXXXX" + b"\x01" * 20)) is None


@given(st.binary(max_size=60), st.sampled_from(list(FILES.values())))
def test_no_bytes_crash_it(data: bytes, start: bytes):
    assert size_of(written(start[:9] + data)) is None or min(size_of(written(start[:9] + data)) or (0,)) > 0


@pytest.mark.parametrize(
    ("width", "height", "tokens"), [(1024, 1024, 765), (2048, 4096, 1105), (512, 512, 255), (100, 100, 255)]
)
def test_openai_counts_tiles(width: int, height: int, tokens: int):
    assert openai_tokens(width, height) == tokens


@pytest.mark.parametrize(
    ("width", "height", "tokens"),
    [(200, 200, 54), (1000, 1000, 1334), (8000, 8000, 1600)],
)
def test_claude_counts_area(width: int, height: int, tokens: int):
    assert claude_tokens(width, height) == tokens


@pytest.mark.parametrize(
    ("width", "height", "tokens"),
    [(384, 384, 258), (960, 540, 258 * 6), (768, 768, 1032), (2000, 300, 258 * 16)],
)
def test_gemini_counts_tiles(width: int, height: int, tokens: int):
    assert gemini_tokens(width, height) == tokens


@pytest.mark.parametrize("family", Family)
def test_picture_in_the_request_costs_by_its_size(family: Family):
    encoded = written(FILES["png"])
    shapes = [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{encoded}"}},
        {"type": "image_url", "image_url": f"data:image/png;base64,{encoded}"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": encoded}},
    ]
    by_rule = {Family.OPENAI: openai_tokens, Family.ANTHROPIC: claude_tokens, Family.GEMINI: gemini_tokens}[
        family
    ]

    assert {picture_tokens(shape, family) for shape in shapes} == {by_rule(800, 600)}
    assert all(is_picture(shape) for shape in shapes)


@pytest.mark.parametrize("family", Family)
@pytest.mark.parametrize("part", [{"type": "image", "source": {"type": "url", "url": "x"}}, {"image_url": 7}])
def test_picture_of_unknown_size_costs_what_a_usual_one_does(part: dict[str, object], family: Family):
    assert picture_tokens(part, family) == UNKNOWN_TOKENS[family]


def test_low_detail_is_openais():
    part = {"image_url": {"url": f"data:;base64,{written(FILES['png'])}", "detail": "low"}}

    assert picture_tokens(part, Family.OPENAI) == LOW_DETAIL_TOKENS
    assert picture_tokens(part, Family.ANTHROPIC) == claude_tokens(800, 600)


def test_sound_is_no_picture():
    assert not is_picture({"type": "input_audio", "input_audio": {"data": "x"}})
