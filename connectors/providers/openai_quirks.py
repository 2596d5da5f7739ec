"""What differs between the servers that speak OpenAI's chat completions: one row each. Pure data.

Sources: the servers' own API references (console.groq.com/docs/openai, api-docs.deepseek.com,
docs.mistral.ai/api, inference-docs.cerebras.ai/resources/openai, docs.x.ai, docs.perplexity.ai,
openrouter.ai/docs, docs.together.ai, docs.fireworks.ai), as of November 2026. What a row doesn't name is as
at OpenAI; whether a single model takes a parameter is left to the server's own answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Quirks:
    """One server that speaks OpenAI's format."""

    name: str
    """Its name as a provider."""
    base: str | None = None
    """Where it is unless the route says it; `None`: the route must."""
    limit: Literal["max_tokens", "max_completion_tokens"] | None = None
    """Its name for the limit on the answer; `None`: it takes both, as the caller and the model want it."""
    stream_options: bool = True
    """Whether it takes `stream_options`; one that doesn't tells its usage on every stream."""
    developer: bool = False
    """Whether it knows the role `developer`; elsewhere such a turn goes out as `system`."""
    names: bool = True
    """Whether a turn may have a `name`."""
    json_schema: bool = True
    """Whether `response_format` may be a `json_schema`."""
    reasoning: Literal["reasoning_content", "reasoning"] | None = None
    """The field in which a turn of the assistant takes its thinking back; `None`: it doesn't."""
    lacks: frozenset[str] = frozenset()
    """Parameters that it refuses or ignores."""
    renames: Mapping[str, str] = field(default_factory=dict[str, str])
    """Parameters that it knows by another name."""
    model_prefix: str = ""
    """Put before a model's name that has no slash in it."""


_OLLAMA = frozenset(
    {
        "repeat_penalty",
        "mirostat",
        "mirostat_eta",
        "mirostat_tau",
        "num_ctx",
        "num_gpu",
        "num_thread",
        "num_keep",
        "keep_alive",
        "think",
        "typical_p",
    }
)
"""Options of Ollama and llama.cpp, which no hosted server has."""
_SAMPLERS = frozenset({"top_k", "min_p", "repetition_penalty"})
_LOGPROBS = frozenset({"logprobs", "top_logprobs"})
_STRANGE = _OLLAMA | _SAMPLERS | {"thinking", "best_of"}
"""What OpenAI itself doesn't know."""

_LOCAL = (
    Quirks("vllm", "http://127.0.0.1:8000/v1", "max_tokens", reasoning="reasoning_content"),
    Quirks("hosted_vllm", None, "max_tokens", reasoning="reasoning_content"),
    Quirks("lmstudio", "http://127.0.0.1:1234/v1", "max_tokens"),
    Quirks("llamacpp", "http://127.0.0.1:8080/v1", "max_tokens", reasoning="reasoning_content"),
    Quirks("localai", "http://127.0.0.1:8080/v1", "max_tokens"),
    Quirks("openai_like"),
    Quirks("custom_openai"),
)
_HOSTED = (
    Quirks("openai", "https://api.openai.com/v1", developer=True, lacks=_STRANGE),
    Quirks(
        "groq",
        "https://api.groq.com/openai/v1",
        "max_completion_tokens",
        names=False,
        lacks=_STRANGE | _LOGPROBS | {"logit_bias"},
    ),
    Quirks(
        "mistral",
        "https://api.mistral.ai/v1",
        "max_tokens",
        stream_options=False,
        names=False,
        lacks=_STRANGE | _LOGPROBS | {"logit_bias", "user", "store", "service_tier"},
        renames={"seed": "random_seed"},
    ),
    Quirks(
        "deepseek",
        "https://api.deepseek.com",
        "max_tokens",
        json_schema=False,
        reasoning="reasoning_content",
        lacks=_OLLAMA | _SAMPLERS | {"logit_bias", "seed", "best_of"},
    ),
    Quirks(
        "openrouter",
        "https://openrouter.ai/api/v1",
        developer=True,
        reasoning="reasoning",
        lacks=_OLLAMA | {"thinking", "best_of"},
    ),
    Quirks("together_ai", "https://api.together.xyz/v1", "max_tokens", lacks=_OLLAMA | {"thinking"}),
    Quirks(
        "fireworks_ai",
        "https://api.fireworks.ai/inference/v1",
        "max_tokens",
        reasoning="reasoning_content",
        lacks=_OLLAMA - {"typical_p"},
        model_prefix="accounts/fireworks/models/",
    ),
    Quirks("xai", "https://api.x.ai/v1", names=False, lacks=_STRANGE),
    Quirks(
        "cerebras",
        "https://api.cerebras.ai/v1",
        "max_completion_tokens",
        lacks=_STRANGE | {"frequency_penalty", "presence_penalty", "logit_bias"},
    ),
    Quirks(
        "perplexity",
        "https://api.perplexity.ai",
        "max_tokens",
        stream_options=False,
        lacks=_STRANGE - {"top_k"}
        | _LOGPROBS
        | {"tools", "tool_choice", "parallel_tool_calls", "stop", "seed", "logit_bias", "service_tier"},
    ),
)

QUIRKS: Mapping[str, Quirks] = {quirks.name: quirks for quirks in (*_LOCAL, *_HOSTED)}
"""Every server that speaks OpenAI's format, by its name as a provider."""
OPENAI = QUIRKS["openai"]
ELSEWHERE = Quirks("openai")
"""Provider `openai` at an address that is not OpenAI's: any server, of which we know nothing."""


def at(quirks: Quirks, api_base: str | None) -> Quirks:
    """The row that holds for a route: the provider's own, unless its address says that it is another's."""
    if quirks is OPENAI and api_base is not None and "api.openai.com" not in api_base:
        return ELSEWHERE
    return quirks
