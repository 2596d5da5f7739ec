"""What of a streamed answer is shown: pieces of the newest attempt then what the response adds. Pure."""

from dataclasses import dataclass

from schemas.chunks import Chunk
from schemas.responses import Response


@dataclass(slots=True)
class Shown:
    """What of an answer stands on the screen. Chunks come at least once, in order within an attempt."""

    attempt: int = 0
    """Try whose pieces are shown; 0 before the first."""
    seq: int = -1
    """Number of the last piece shown."""
    text: str = ""
    """All of its text."""

    def chunk(self, chunk: Chunk) -> tuple[str | None, str]:
        """Take a piece; return a note (a new attempt began) or `None`, and the text to append."""
        told = None
        if chunk.attempt > self.attempt:
            if self.text:
                told = f"attempt {chunk.attempt}: starting again"
            self.attempt, self.seq, self.text = chunk.attempt, -1, ""
        if chunk.attempt < self.attempt or chunk.seq <= self.seq:
            return None, ""
        self.seq = chunk.seq
        self.text += chunk.delta
        return told, chunk.delta

    def rest(self, response: Response) -> tuple[str | None, str]:
        """What the response adds to the pieces: nothing, their missing end, or another answer and a note."""
        whole = response.response or ""
        if whole.startswith(self.text):
            return None, whole[len(self.text) :]
        return "the answer, whole", whole
