"""What a browser holds open: the WebSocket, the resumable event stream, the page. See `protocol.py`."""
