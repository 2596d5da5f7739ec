"""Reads what Gemini answers, one `GenerateContentResponse` after the other. Pure.

An answer that OpenAI's shape can't hold (signed parts, code and its results, images, grounding) is kept in
`provider_content` too, its parts as they came; only texts that follow each other are joined. What else the
candidate says, such as `groundingMetadata`, stands there under `metadata`.

finishReason                                              becomes
STOP, with calls of functions                             stop, tool_calls
MAX_TOKENS, CONTINUATION                                  length
SAFETY, RECITATION, BLOCKLIST, PROHIBITED_CONTENT,        content_filter
SPII, LANGUAGE, ESCALATION, MODEL_ARMOR, IMAGE_SAFETY,
IMAGE_PROHIBITED_CONTENT, IMAGE_RECITATION
MALFORMED_FUNCTION_CALL, UNEXPECTED_TOOL_CALL,            Unavailable: the model's slip, and another try
TOO_MANY_TOOL_CALLS, MALFORMED_RESPONSE, NO_IMAGE,        may do better
IMAGE_OTHER; any other without content
MISSING_THOUGHT_SIGNATURE                                 Refused
PUP_LIMITED_DISABLED (the account is closed)              Missing
any other, with content                                   stop

Source: https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse.
"""

from typing import NamedTuple

import orjson

from connectors.providers.errors import one_line
from connectors.providers.gemini_errors import error_of
from connectors.providers.gemini_turns import FORMAT
from connectors.providers.wire import count
from schemas.base import JsonObject
from schemas.calls import Answer, Malformed, Missing, Piece, ProviderError, Refused, Unavailable
from schemas.responses import Usage

_FINISH = {
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    **dict.fromkeys(
        (
            "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE", "ESCALATION",
            "MODEL_ARMOR", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION",
        ),
        "content_filter",
    ),
}  # fmt: skip
_FAILED: dict[str, type[ProviderError]] = {
    "MISSING_THOUGHT_SIGNATURE": Refused,
    "PUP_LIMITED_DISABLED": Missing,
    **dict.fromkeys(
        (
            "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MALFORMED_RESPONSE",
            "NO_IMAGE", "IMAGE_OTHER",
        ),
        Unavailable,
    ),
}  # fmt: skip
_IN_OPENAIS_SHAPE = frozenset({"text", "thought", "functionCall"})
_CALL = frozenset({"id", "name", "args"})
_READ = frozenset(
    {
        "content", "finishReason", "finishMessage", "index", "tokenCount", "logprobsResult", "avgLogprobs",
        "safetyRatings",
    }
)  # fmt: skip
_WORDS_OF_RISK = frozenset({"MEDIUM", "HIGH"})


class Mark(NamedTuple):
    """How much was read."""

    texts: int
    thoughts: int
    calls: int
    tokens: int


class Reading:
    """An answer as far as it came. Its fields are its whole state."""

    __slots__ = (
        "_calls", "_lossy", "_message", "_metadata", "_model", "_parts", "_run", "_run_thinks", "_seen",
        "_texts", "_thoughts", "_tokens", "_usage", "finish_reason",
    )  # fmt: skip

    def __init__(self) -> None:
        self.finish_reason: str | None = None
        self._message = ""
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._calls: list[JsonObject] = []
        self._tokens: list[JsonObject] = []
        self._parts: list[JsonObject] = []
        self._run: list[str] = []
        self._run_thinks = False
        self._lossy = False
        self._metadata: JsonObject = {}
        self._usage: JsonObject = {}
        self._model: str | None = None
        self._seen = False

    def add(self, event: JsonObject) -> bool:
        """Take one response; whether it was the last: it has a finish reason and usage.

        Raises:
            Refused: When the prompt was blocked; the reason says why.
            ProviderError: When it is an error.
        """
        if "error" in event:
            found = event["error"]
            raise error_of(found if isinstance(found, dict) else {"message": str(found)})
        if "promptFeedback" in event and (feedback := event["promptFeedback"]).get("blockReason"):
            raise _blocked(feedback)
        for candidate in event.get("candidates") or ():
            if not candidate.get("index"):
                self._candidate(candidate)
        self._model = event.get("modelVersion") or self._model
        usage_now = event.get("usageMetadata")
        if usage_now:
            self._usage.update(usage_now)
        return self.finish_reason is not None and bool(usage_now)

    def mark(self) -> Mark:
        """How much was read so far."""
        return Mark(len(self._texts), len(self._thoughts), len(self._calls), len(self._tokens))

    def since(self, mark: Mark) -> list[Piece]:
        """What came since then, as at most one piece."""
        text = "".join(self._texts[mark.texts :])
        reasoning = "".join(self._thoughts[mark.thoughts :])
        calls, tokens = len(self._calls), len(self._tokens)
        if calls == mark.calls and tokens == mark.tokens:
            return [Piece(text, (), reasoning)] if text or reasoning else []
        deltas = tuple({"index": place, **self._calls[place]} for place in range(mark.calls, calls))
        return [Piece(text, deltas, reasoning, tuple(self._tokens[mark.tokens :]))]

    def answer(self) -> Answer:
        """The answer of all that was read.

        Raises:
            Malformed: When no candidate came at all.
            ProviderError: When it ended in a way that is no answer.
        """
        if not self._seen:
            raise Malformed("the answer has no `candidates`", status=200, body=orjson.dumps(self._usage))
        self._end_run()
        return Answer(
            text="".join(self._texts),
            finish_reason=self._finish(),
            usage=usage(self._usage),
            usage_raw=self._usage or None,
            model=self._model,
            tool_calls=tuple(self._calls),
            finish_reason_raw=self.finish_reason,
            reasoning="".join(self._thoughts),
            provider_content=self._content(),
            logprobs={"content": self._tokens} if self._tokens else None,
        )

    def _candidate(self, candidate: JsonObject) -> None:
        self._seen = True
        for part in (candidate.get("content") or {}).get("parts") or ():
            self._part(part)
        if reason := candidate.get("finishReason"):
            self.finish_reason = str(reason)
            self._message = str(candidate.get("finishMessage") or "")
        if "logprobsResult" in candidate:
            self._tokens += _logprobs(candidate["logprobsResult"])
        for name in candidate.keys() - _READ:
            self._metadata[name] = _joined(self._metadata.get(name), candidate[name])

    def _part(self, part: JsonObject) -> None:
        text, thinks = part.get("text"), part.get("thought") is True
        if isinstance(text, str) and text:
            (self._thoughts if thinks else self._texts).append(text)
        if text is not None and len(part) == 1 + thinks:
            if self._run_thinks is not thinks:
                self._end_run()
                self._run_thinks = thinks
            self._run.append(text)
            return
        self._end_run()
        self._parts.append(part)
        self._lossy = self._lossy or not part.keys() <= _IN_OPENAIS_SHAPE
        if "functionCall" in part:
            self._call(part["functionCall"], part.get("thoughtSignature"))

    def _end_run(self) -> None:
        if self._run:
            text = "".join(self._run)
            self._parts.append({"text": text, "thought": True} if self._run_thinks else {"text": text})
            self._run.clear()

    def _call(self, found: JsonObject, signature: str | None) -> None:
        name, arguments = found.get("name"), found.get("args") or {}
        if not isinstance(name, str) or not isinstance(arguments, dict):
            raise Malformed(
                "a call of a function has no name or no arguments", status=200, body=orjson.dumps(found)
            )
        self._lossy = self._lossy or not found.keys() <= _CALL
        made: JsonObject = {
            "id": found.get("id") or f"call_{len(self._calls)}",
            "type": "function",
            "function": {"name": name, "arguments": orjson.dumps(arguments).decode()},
        }
        if signature:
            made["extra_content"] = {"google": {"thought_signature": signature}}
        self._calls.append(made)

    def _content(self) -> JsonObject | None:
        if not self._lossy and not self._metadata:
            return None
        made: JsonObject = {"format": FORMAT, "content": self._parts}
        return {**made, "metadata": self._metadata} if self._metadata else made

    def _something(self) -> bool:
        return bool(self._texts or self._calls or self._lossy)

    def _finish(self) -> str:
        reason = self.finish_reason or "STOP"
        leaf = _FAILED.get(reason)
        if leaf is None and reason != "STOP" and reason not in _FINISH and not self._something():
            leaf = Unavailable
        if leaf is not None:
            raise leaf(one_line(f"gemini ended the answer with {reason}: {self._message}".removesuffix(": ")))
        return _FINISH.get(reason) or ("tool_calls" if self._calls else "stop")


def usage(raw: JsonObject) -> Usage | None:
    """Tokens in Weir's words; thinking is output, what tools read is input. `None` where nothing was told."""
    if not raw:
        return None
    thoughts_tokens = count(raw.get("thoughtsTokenCount"))
    return Usage(
        input_tokens=count(raw.get("promptTokenCount")) + count(raw.get("toolUsePromptTokenCount")),
        output_tokens=count(raw.get("candidatesTokenCount")) + thoughts_tokens,
        cached_tokens=count(raw.get("cachedContentTokenCount")),
        reasoning_tokens=thoughts_tokens,
    )


def _joined(before: JsonObject | None, now: JsonObject) -> JsonObject:
    """What a candidate says beside its content: citations add up, of all else the last holds."""
    if before and "citationSources" in before and "citationSources" in now:
        return {**now, "citationSources": [*before["citationSources"], *now["citationSources"]]}
    return now


def _blocked(feedback: JsonObject) -> Refused:
    ratings = feedback.get("safetyRatings") or ()
    risky = [
        str(rating.get("category"))
        for rating in ratings
        if rating.get("blocked") or rating.get("probability") in _WORDS_OF_RISK
    ]
    reason = f"gemini blocked the prompt: {feedback['blockReason']}"
    if risky:
        reason += f" ({', '.join(risky)})"
    if said := feedback.get("blockReasonMessage"):
        reason += f": {said}"
    return Refused(one_line(reason))


def _logprobs(found: JsonObject) -> list[JsonObject]:
    """Log-probabilities of the chosen tokens and of those beside them, in OpenAI's shape."""
    beside = found.get("topCandidates") or []
    made: list[JsonObject] = []
    for place, chosen in enumerate(found.get("chosenCandidates") or ()):
        others = (beside[place].get("candidates") if place < len(beside) else None) or ()
        made.append({**_token(chosen), "top_logprobs": [_token(other) for other in others]})
    return made


def _token(found: JsonObject) -> JsonObject:
    text = str(found.get("token") or "")
    return {"token": text, "logprob": found.get("logProbability", 0.0), "bytes": list(text.encode())}
