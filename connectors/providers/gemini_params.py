"""One parameter at a time, from OpenAI's name to its place in Gemini's body. Pure.

Source: https://ai.google.dev/api/generate-content#generationconfig, and for thinking
https://ai.google.dev/gemini-api/docs/openai#thinking: OpenAI's efforts as levels (from Gemini 3 on) or as
budgets in tokens (before).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from connectors.providers.gemini_schema import fit
from connectors.providers.wire import as_object
from schemas.base import JsonObject
from schemas.calls import Refused, Route

BUDGETS_TOKENS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}
"""What an effort is worth before Gemini 3."""
LEVELS = frozenset({"minimal", "low", "medium", "high", "xhigh"})
"""Efforts that Gemini 3 knows by name."""

_TOP_LEVEL = ("safetySettings", "cachedContent", "labels")
_CONFIG = (
    "temperature", "topP", "topK", "seed", "maxOutputTokens", "stopSequences", "presencePenalty",
    "frequencyPenalty", "responseLogprobs", "responseMimeType", "responseSchema", "responseJsonSchema",
    "responseModalities", "thinkingConfig", "mediaResolution", "speechConfig", "imageConfig",
    "audioTranscriptionConfig", "enableEnhancedCivicAnswers",
)  # fmt: skip
_ELSEWHERE = ("generationConfig", "toolConfig", "serviceTier", "candidateCount")
_SHAPE = ("responseMimeType", "responseSchema", "responseJsonSchema")
_UNHEARD = frozenset({"user", "store", "stream_options", "prompt_cache_key", "safety_identifier"})
_HAS_LEVELS = re.compile(r"(?:.*/)?gemini-(?:[3-9]|\d\d)")


def _snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda found: f"_{found[0].lower()}", name)


NATIVE: dict[str, str] = {_snake(name): name for name in (*_TOP_LEVEL, *_CONFIG, *_ELSEWHERE)}
"""Gemini's name of its own fields, by the name in snake case; many are OpenAI's, too."""


def lack(route: Route, name: str) -> None:
    """Refuse a parameter that Gemini lacks, unless the route lets it be left out.

    Raises:
        Refused: With its name.
    """
    if not route.drop_params:
        raise Refused(f"gemini does not know the parameter `{name}`; leave it out or set drop_params")


@dataclass(slots=True)
class Params:
    """The parameters of one call in their places."""

    route: Route
    """The route of the call."""
    made: JsonObject = field(default_factory=dict[str, object])
    """Fields of the body."""
    config: JsonObject = field(default_factory=dict[str, object])
    """Its `generationConfig`."""

    def place(self, name: str, value: object) -> None:
        """Put one parameter in its place; a later one of the same meaning holds.

        Raises:
            Refused: When Gemini lacks it, or it isn't what it must be; the reason names it.
        """
        name = NATIVE.get(name, name)
        if name in _CONFIG:
            self.config[name] = value
        elif name in _TOP_LEVEL:
            self.made[name] = value
        elif (mapped := _MAPPED.get(name)) is not None:
            mapped(self, value)
        elif name not in _UNHEARD:
            lack(self.route, name)

    def generation_config(self, value: object) -> None:
        """Gemini's own settings, as they are."""
        own = {NATIVE.get(name, name): found for name, found in as_object("generationConfig", value).items()}
        self.candidates(own.pop("candidateCount", 1))
        self.config.update(own)

    def candidates(self, value: object) -> None:
        """How many answers; a response has only one."""
        if value != 1:
            lack(self.route, "n")

    def stop(self, value: object) -> None:
        """Texts that end the answer."""
        self.config["stopSequences"] = [value] if isinstance(value, str) else value

    def logprobs(self, value: object) -> None:
        """Whether log-probabilities are wanted."""
        if not isinstance(value, bool):
            raise Refused("`logprobs` must be true or false")
        if value:
            self.config["responseLogprobs"] = True

    def top_logprobs(self, value: object) -> None:
        """Of how many other tokens."""
        if value:
            self.config["logprobs"] = value

    def service_tier(self, value: object) -> None:
        """How fast and how dear; OpenAI's `auto` and `default` are Gemini's default."""
        if value in ("flex", "standard", "priority"):
            self.made["serviceTier"] = value
        elif value not in ("auto", "default"):
            lack(self.route, "service_tier")

    def modalities(self, value: object) -> None:
        """What the answer may be made of."""
        if not isinstance(value, list):
            raise Refused("`modalities` must be a list")
        self.config["responseModalities"] = [str(name).upper() for name in value]

    def parallel_tool_calls(self, value: object) -> None:
        """Gemini decides for itself whether it calls several functions at once."""
        if value is not True:
            lack(self.route, "parallel_tool_calls")

    def reasoning_effort(self, value: object) -> None:
        """OpenAI's way to say how long to think."""
        effort = str(value)
        if _HAS_LEVELS.match(self.route.model):
            if effort in LEVELS:
                self.config["thinkingConfig"] = {"thinkingLevel": effort.upper(), "includeThoughts": True}
            else:
                lack(self.route, f"reasoning_effort: {effort}")
        elif (budget := BUDGETS_TOKENS.get(effort)) is not None:
            shown = {"includeThoughts": True} if budget else {}
            self.config["thinkingConfig"] = {"thinkingBudget": budget, **shown}
        else:
            lack(self.route, f"reasoning_effort: {effort}")

    def thinking(self, value: object) -> None:
        """Anthropic's way to say it: `enabled` with `budget_tokens`, `adaptive`, `disabled`."""
        wanted = as_object("thinking", value)
        kind, budget = wanted.get("type"), wanted.get("budget_tokens", -1)
        if kind in ("enabled", "adaptive"):
            self.config["thinkingConfig"] = {"thinkingBudget": budget, "includeThoughts": True}
        elif kind != "disabled" or _HAS_LEVELS.match(self.route.model):
            lack(self.route, f"thinking.type: {kind}")
        else:
            self.config["thinkingConfig"] = {"thinkingBudget": 0}

    def response_format(self, value: object) -> None:
        """The shape of the answer."""
        wanted = as_object("response_format", value)
        kind = wanted.get("type")
        if kind not in ("text", "json_object", "json_schema"):
            lack(self.route, "response_format")
            return
        for name in _SHAPE:
            self.config.pop(name, None)
        if kind != "text":
            self.config["responseMimeType"] = "application/json"
        if kind == "json_schema":
            found = as_object("response_format.json_schema", wanted.get("json_schema")).get("schema")
            if not isinstance(found, dict):
                raise Refused("`response_format.json_schema.schema` must be an object")
            said = fit(found)
            self.config["responseJsonSchema" if said is None else "responseSchema"] = said or found


_MAPPED: dict[str, Callable[[Params, object], None]] = {
    "generationConfig": Params.generation_config,
    "candidateCount": Params.candidates,
    "n": Params.candidates,
    "stop": Params.stop,
    "logprobs": Params.logprobs,
    "top_logprobs": Params.top_logprobs,
    "serviceTier": Params.service_tier,
    "modalities": Params.modalities,
    "parallel_tool_calls": Params.parallel_tool_calls,
    "reasoning_effort": Params.reasoning_effort,
    "thinking": Params.thinking,
    "response_format": Params.response_format,
}
