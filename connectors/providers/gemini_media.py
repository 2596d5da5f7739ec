"""Images, sound, video and documents, from OpenAI's parts to Gemini's `inlineData` and `fileData`. Pure.

A base64 data URL is sent along; any other address (https, gs, YouTube, the Files API) is for the server to
fetch. A part without `type` is one in Gemini's own shape and goes out as it is.

Source: https://ai.google.dev/api/caching#Part.
"""

from schemas.base import JsonObject
from schemas.calls import Refused

MIME_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "heic": "image/heic",
    "heif": "image/heif",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "json": "application/json",
    "mp3": "audio/mp3",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "aac": "audio/aac",
    "mp4": "video/mp4",
    "mov": "video/mov",
    "webm": "video/webm",
}
"""MIME types by the ending of an address, where the part doesn't say its own."""

_NATIVE = frozenset({"inlineData", "fileData", "executableCode", "codeExecutionResult", "text"})
_URL_PARTS = ("image_url", "video_url", "audio_url", "document_url")


def media(place: int, part: JsonObject) -> JsonObject | None:
    """The part in Gemini's shape; `None` where it is of no kind that Gemini takes.

    Raises:
        Refused: When it is of a known kind, and broken; the reason names it.
    """
    kind = part.get("type")
    if kind is None:
        return part if part.keys() & _NATIVE else None
    if kind in _URL_PARTS:
        found = part.get(kind)
        given = found if isinstance(found, dict) else {"url": found}
        return _addressed(f"messages.{place}.content.{kind}", given.get("url"), _mime_type(given))
    found = part.get(kind) if kind in ("input_audio", "file") else None
    if not isinstance(found, dict):
        return None
    where = f"messages.{place}.content.{kind}"
    if kind == "input_audio":
        if not isinstance(found.get("data"), str):
            raise Refused(f"{where}: needs `data` in base64")
        return _inline(f"audio/{found.get('format') or 'wav'}", found["data"])
    data = found.get("file_data")
    if data is not None and not str(data).startswith("data:"):
        raise Refused(f"{where}: `file_data` must be a data URL")
    return _addressed(where, data or found.get("file_id"), _mime_type(found))


def _mime_type(given: JsonObject) -> str | None:
    """What the part says of its type; LiteLLM calls it `format`."""
    found = given.get("mime_type") or given.get("format")
    return found if isinstance(found, str) else None


def _addressed(where: str, url: object, mime_type: str | None) -> JsonObject:
    if not isinstance(url, str) or not url:
        raise Refused(f"{where}: needs a URL")
    if not url.startswith("data:"):
        path = url.partition("?")[0].partition("#")[0]
        found = mime_type or MIME_TYPES.get(path.rpartition(".")[2].lower())
        return {"fileData": {"mimeType": found, "fileUri": url} if found else {"fileUri": url}}
    head, comma, data = url.partition(",")
    if not comma or not head.endswith(";base64"):
        raise Refused(f"{where}: a data URL must be in base64")
    return _inline(mime_type or head[5:-7].partition(";")[0] or "text/plain", data)


def _inline(mime_type: str, data: str) -> JsonObject:
    return {"inlineData": {"mimeType": mime_type, "data": data}}
