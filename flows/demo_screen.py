"""How the demo shows many answers at once: one streams, the others wait for their turn. Pure: text out."""

from dataclasses import dataclass, field

from flows.cli_text import failure, receipt
from flows.shown import Shown
from schemas.chunks import Chunk
from schemas.responses import Response


@dataclass(slots=True)
class Screen:
    """The answers of some requests, shown in the order they were asked."""

    titles: dict[str, str]
    """Question by request id, in order."""
    texts: dict[str, Shown] = field(default_factory=dict[str, Shown])
    """What came of each answer."""
    responses: dict[str, Response] = field(default_factory=dict[str, Response])
    """What is finished."""
    _shown: int = 0
    _open: bool = False

    @property
    def complete(self) -> bool:
        """Whether every request has its response."""
        return len(self.responses) == len(self.titles)

    def take(self, event: Chunk | Response) -> str:
        """Take a chunk or a response; return what is to be printed now."""
        if event.request_id not in self.titles or event.request_id in self.responses:
            return ""
        in_front = self._front() == event.request_id
        shown = self.texts.setdefault(event.request_id, Shown())
        if isinstance(event, Response):
            self.responses[event.request_id] = event
            return self._advance() if in_front else ""
        told, text = shown.chunk(event)
        if not in_front:
            return ""
        return self._head() + (f"\n[{told}]\n" if told else "") + text

    def _front(self) -> str | None:
        return next((name for at, name in enumerate(self.titles) if at == self._shown), None)

    def _head(self) -> str:
        """The question above an answer, when it was not printed yet."""
        front = self._front()
        if self._open or front is None:
            return ""
        self._open = True
        return f"\n{self._shown + 1}. {self.titles[front]}\n"

    def _advance(self) -> str:
        """Finish the front answer, and all behind it that are finished; open the next one."""
        out = ""
        while (front := self._front()) is not None and (response := self.responses.get(front)) is not None:
            fresh = not self._open
            out += self._head()
            shown = self.texts[front]
            if fresh:
                out += shown.text
            told, rest = shown.rest(response) if response.error is None else (None, failure(response))
            out += (f"\n[{told}]\n" if told else "") + f"{rest}\n   ({receipt(response)})\n"
            self._shown += 1
            self._open = False
        front = self._front()
        if front in self.texts and self.texts[front].text:
            out += self._head() + self.texts[front].text
        return out
