"""From an open file to a text: bounded while it is read, hashed, unpacked, and UTF-8."""

import codecs
import hashlib
import io
from collections.abc import Callable
from typing import BinaryIO

import zstandard

from schemas.references import Away, ContextRef, Unfit

CHUNK_BYTES = 1024 * 1024
MAX_WINDOW_BYTES = 32 * 1024 * 1024
"""Largest zstd window that is allocated."""
TOO_LARGE = "has more than {} bytes; a context may have {} (weir.references.max_bytes)"


def text_of(
    opened: BinaryIO, size: int | None, ref: ContextRef, max_bytes: int, wanted: Callable[[], bool]
) -> str:
    """The text that lies there. Blocks; `wanted` is asked before each piece, and ends the reading.

    Raises:
        Unfit: When it is too large, no text, or not what the reference announces.
        Away: When the store fails meanwhile, or it is not wanted any more.
    """
    if size is not None:
        check_size(size, ref, max_bytes)
    stored = _stored(opened, max_bytes, wanted)
    if ref.size_bytes is not None and len(stored) != ref.size_bytes:
        raise Unfit(f"has {len(stored)} bytes, not the {ref.size_bytes} announced", "size_bytes")
    if ref.sha256 is not None and hashlib.sha256(stored).hexdigest() != ref.sha256.lower():
        raise Unfit("has another SHA-256 than announced: it was changed since", "sha256")
    content = _unpacked(stored, max_bytes) if ref.encoding == "zstd" else stored
    return _decoded(content).removeprefix("\ufeff")


def check_size(size: int, ref: ContextRef, max_bytes: int) -> None:
    """Refuse by size before anything is read.

    Raises:
        Unfit: When it is too large, or another than announced.
    """
    if size > max_bytes:
        raise Unfit(TOO_LARGE.format(max_bytes, max_bytes))
    if ref.size_bytes is not None and size != ref.size_bytes:
        raise Unfit(f"has {size} bytes, not the {ref.size_bytes} announced", "size_bytes")


def _decoded(content: bytes | bytearray) -> str:
    """UTF-8 to text, in pieces: a whole one of many megabytes would stop all other threads meanwhile."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    pieces: list[str] = []
    view = memoryview(content)
    for start in range(0, len(content) or 1, CHUNK_BYTES):
        piece = view[start : start + CHUNK_BYTES]
        try:
            pieces.append(decoder.decode(piece, final=start + CHUNK_BYTES >= len(content)))
        except UnicodeDecodeError:
            raise Unfit(f"is not UTF-8, after some {start} bytes", "media_type") from None
    return "".join(pieces)


def _stored(opened: BinaryIO, max_bytes: int, wanted: Callable[[], bool]) -> bytearray:
    found = bytearray()
    while True:
        if not wanted():
            raise Away("nobody waits for it any more")
        try:
            piece = opened.read(CHUNK_BYTES)
        except Exception as error:
            raise Away(f"the store failed while it was read: {type(error).__name__}") from error
        if not piece:
            return found
        found += piece
        if len(found) > max_bytes:
            raise Unfit(TOO_LARGE.format(max_bytes, max_bytes))


def _unpacked(frame: bytearray, max_bytes: int) -> bytes:
    """The content of one zstd frame; measured before it is kept, for a small frame may hold gigabytes."""
    inflater = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
    size = 0
    try:
        with inflater.stream_reader(io.BytesIO(frame)) as pieces:
            while piece := pieces.read(CHUNK_BYTES):
                size += len(piece)
                if size > max_bytes:
                    raise Unfit(f"is larger than {max_bytes} bytes when unpacked", "encoding")
        whole = inflater.decompressobj()
        content = whole.decompress(frame)
    except zstandard.ZstdError:
        raise Unfit("is no zstd frame, or a damaged one", "encoding") from None
    if not whole.eof or whole.unused_data:
        raise Unfit("must be exactly one whole zstd frame", "encoding")
    return content
