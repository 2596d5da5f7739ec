"""Images and documents for Claude, from parts in the OpenAI shape. Pure.

data:image/...;base64        image block        base64
https://...                  image block        url; Claude fetches it
data:application/pdf;base64  document block     base64, with the file's name as its title
data:text/...                document block     text
file_id                      document block     a file that was uploaded to Anthropic

Source: https://platform.claude.com/docs/en/build-with-claude/vision and .../pdf-support.
"""

import binascii
from base64 import b64decode
from urllib.parse import unquote_to_bytes

from schemas.base import JsonObject
from schemas.calls import Refused

_PDF = "application/pdf"


def image(path: str, found: object) -> JsonObject:
    """The block of an `image_url` part: its address, or what its data URL holds.

    Raises:
        Refused: When it is neither.
    """
    url = found.get("url") if isinstance(found, dict) else found
    if isinstance(url, str) and url.startswith(("https://", "http://")):
        return {"type": "image", "source": {"type": "url", "url": url}}
    return _held(path, url)


def media(path: str, file: JsonObject) -> JsonObject:
    """The block of a `file` part: a document, or an image, by its type.

    Raises:
        Refused: When it holds neither data that Claude takes nor the id of a file.
    """
    if file.get("file_data") is not None:
        block = _held(path, file["file_data"])
    elif isinstance(file.get("file_id"), str):
        block = {"type": "document", "source": {"type": "file", "file_id": file["file_id"]}}
    else:
        raise Refused(f"{path}: a file needs `file_data` or `file_id`")
    if block["type"] == "document" and file.get("filename"):
        block["title"] = file["filename"]
    return block


def _held(path: str, url: object) -> JsonObject:
    """The block of a data URL (RFC 2397)."""
    head, comma, data = url.partition(",") if isinstance(url, str) else ("", "", "")
    if not (comma and head.startswith("data:")):
        raise Refused(f"{path}: anthropic takes media as data URLs, and images by https, too")
    kind, *settings = head.removeprefix("data:").split(";")
    packed = settings[-1:] == ["base64"]
    if packed and kind.startswith("image/"):
        return {"type": "image", "source": {"type": "base64", "media_type": kind, "data": data}}
    if packed and kind == _PDF:
        return {"type": "document", "source": {"type": "base64", "media_type": kind, "data": data}}
    if kind.startswith("text/"):
        text = _text(path, data, packed)
        return {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": text}}
    raise Refused(f"{path}: anthropic takes images, PDF (both as base64) and text, not `{kind[:60]}`")


def _text(path: str, data: str, packed: bool) -> str:
    try:
        return (b64decode(data, validate=True) if packed else unquote_to_bytes(data)).decode()
    except (binascii.Error, ValueError) as error:
        raise Refused(f"{path}: the text of a data URL can't be read") from error
