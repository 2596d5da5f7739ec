"""Text as native libraries take it."""


def without_surrogates(text: str) -> str:
    """The text with lone surrogates replaced: native libraries take valid Unicode only."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
