"""Images, sound, video and documents as Gemini's parts."""

from typing import Any

import orjson
import pytest

from connectors.providers.gemini import GeminiCodec
from schemas.calls import Refused
from tests.support.calls import make_call, make_route

PNG = "data:image/png;base64,AA=="


def inline(mime_type: str) -> dict[str, Any]:
    return {"inlineData": {"mimeType": mime_type, "data": "AA=="}}


def said(*parts: dict[str, Any], **settings: Any) -> Any:
    turns = [{"role": "user", "content": list(parts)}]
    call = make_call({"messages": turns}, route=make_route("gemini", **settings))
    [content] = orjson.loads(GeminiCodec().encode(call).body)["contents"]
    return content["parts"]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "image_url", "image_url": {"url": PNG}}, inline("image/png")),
        ({"type": "image_url", "image_url": PNG}, inline("image/png")),
        (
            {"type": "image_url", "image_url": {"url": "https://x/a.JPG?b=c.png#d", "detail": "low"}},
            {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://x/a.JPG?b=c.png#d"}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://x/a", "format": "image/webp"}},
            {"fileData": {"mimeType": "image/webp", "fileUri": "https://x/a"}},
        ),
        (
            {"type": "video_url", "video_url": {"url": "https://youtu.be/x"}},
            {"fileData": {"fileUri": "https://youtu.be/x"}},
        ),
        (
            {"type": "file", "file": {"file_id": "gs://bucket/a.pdf"}},
            {"fileData": {"mimeType": "application/pdf", "fileUri": "gs://bucket/a.pdf"}},
        ),
        (
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"}},
            inline("application/pdf"),
        ),
        (
            {"type": "file", "file": {"file_data": "data:text/x;a=b;base64,AA==", "format": "text/plain"}},
            inline("text/plain"),
        ),
        ({"type": "image_url", "image_url": {"url": "data:image/png;a=b;base64,AA=="}}, inline("image/png")),
        ({"type": "document_url", "document_url": {"url": "data:;base64,AA=="}}, inline("text/plain")),
        ({"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}}, inline("audio/mp3")),
        ({"type": "input_audio", "input_audio": {"data": "AA=="}}, inline("audio/wav")),
        ({"type": "input_text", "text": "a"}, {"text": "a"}),
        ({"inlineData": {"mimeType": "x/y", "data": ""}}, {"inlineData": {"mimeType": "x/y", "data": ""}}),
        (
            {"fileData": {"fileUri": "u"}, "videoMetadata": {"fps": 1}},
            {"fileData": {"fileUri": "u"}, "videoMetadata": {"fps": 1}},
        ),
    ],
)
def test_a_part_is_sent_along_or_named(part: dict[str, Any], expected: dict[str, Any]):
    assert said(part) == [expected]


@pytest.mark.parametrize(
    ("part", "where"),
    [
        ({"type": "image_url", "image_url": {}}, "image_url: needs a URL"),
        ({"type": "image_url", "image_url": {"url": ""}}, "image_url: needs a URL"),
        ({"type": "image_url", "image_url": {"url": "data:image/png,x"}}, "must be in base64"),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64"}}, "must be in base64"),
        ({"type": "file", "file": {"file_data": "AA=="}}, "`file_data` must be a data URL"),
        ({"type": "file", "file": {}}, "file: needs a URL"),
        ({"type": "input_audio", "input_audio": {}}, "needs `data`"),
    ],
)
def test_a_broken_part_is_refused(part: dict[str, Any], where: str):
    with pytest.raises(Refused, match=where):
        said(part, drop_params=True)


@pytest.mark.parametrize("part", [{"type": "hologram"}, {"made_up": 1}, {"type": "file", "file": 5}])
def test_a_part_that_gemini_lacks_is_refused_or_dropped(part: dict[str, Any]):
    with pytest.raises(Refused, match=r"messages\.0\.content\..* in a turn of role `user`"):
        said(part)

    assert said({"type": "text", "text": "a"}, part, drop_params=True) == [{"text": "a"}]
