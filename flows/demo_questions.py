"""What `make run` asks: real questions about Weir's own documents, each with the document as its context."""

from dataclasses import dataclass
from pathlib import Path

MAX_CONTEXT_CHARS = 60_000
"""Longest context; a longer document is cut at the end of a paragraph."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question and the document that answers it."""

    text: str
    """What is asked."""
    document: str
    """Path of the document below the project's root."""


QUESTIONS: tuple[Question, ...] = (
    Question("What is Weir?", "README.md"),
    Question("What happens to a request when a worker is killed?", "README.md"),
    Question("How do I find the answer to my own request?", "README.md"),
    Question("How do I add more workers to scale out?", "README.md"),
    Question("What is an unknown outcome?", "README.md"),
    Question("Which commands replay a dead letter?", "README.md"),
    Question("What does the extractive model do?", "README.md"),
    Question("What is not there yet?", "README.md"),
    Question("Which checks must pass before a commit?", "CONTRIBUTING.md"),
    Question("Which packages may connectors import?", "CONTRIBUTING.md"),
    Question("Which topic has the responses, and what is its key?", "contracts/generated/topics.md"),
    Question("What does the field deadline_ms of a request mean?", "contracts/generated/events.md"),
)
"""A dozen."""


def document(root: Path, name: str) -> str:
    """The text of a document, short enough for a context.

    Raises:
        OSError: When it can't be read.
    """
    text = (root / name).read_text(encoding="utf-8")
    if len(text) <= MAX_CONTEXT_CHARS:
        return text
    end = text.rfind("\n\n", 0, MAX_CONTEXT_CHARS)
    return text[: end if end > 0 else MAX_CONTEXT_CHARS]
