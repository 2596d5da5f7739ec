"""The one way that a tokenizer can fail.

TokenizerError       the name is unknown, or the file is damaged; `hint` says what to do
"""


class TokenizerError(Exception):
    """No counter can be built. The text is one line."""

    code = "tokenizer"
    retriable = False

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(f"{message}: {hint}")
        self.hint = hint
        """What to do about it."""
