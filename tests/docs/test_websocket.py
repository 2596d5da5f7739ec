"""The page of the WebSocket's protocol says what its source says."""

from pathlib import Path

from connectors.gateway.socket import protocol

PAGE = Path(__file__).resolve().parents[2] / "docs" / "websocket.md"


def test_the_page_is_the_protocols_own_words():
    assert (protocol.__doc__ or "").strip() in PAGE.read_text(encoding="utf-8")
