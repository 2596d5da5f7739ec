"""The providers that come with Weir, and the environment variables that their keys stand in.

As with LiteLLM an entry without an `api_key` takes its provider's own variable, the first one that is set.
Sources: LiteLLM's `docs/set_keys` and its pages of the single providers.
"""

from collections.abc import Mapping

from flows.settings_keys import SettingsError
from flows.settings_values import mapping, resolved

KEY_VARIABLES: Mapping[str, tuple[str, ...]] = {
    "anthropic": ("ANTHROPIC_API_KEY",),
    "cerebras": ("CEREBRAS_API_KEY",),
    "custom_openai": (),
    "deepseek": ("DEEPSEEK_API_KEY",),
    "extractive": (),
    "fireworks_ai": (
        "FIREWORKS_API_KEY",
        "FIREWORKS_AI_API_KEY",
        "FIREWORKSAI_API_KEY",
        "FIREWORKS_AI_TOKEN",
    ),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "groq": ("GROQ_API_KEY",),
    "hosted_vllm": ("HOSTED_VLLM_API_KEY",),
    "llamacpp": (),
    "lmstudio": ("LM_STUDIO_API_KEY",),
    "localai": (),
    "mistral": ("MISTRAL_API_KEY",),
    "ollama": ("OLLAMA_API_KEY",),
    "openai": ("OPENAI_API_KEY",),
    "openai_like": ("OPENAI_LIKE_API_KEY",),
    "openrouter": ("OPENROUTER_API_KEY", "OR_API_KEY"),
    "perplexity": ("PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY"),
    "together_ai": ("TOGETHER_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHERAI_API_KEY", "TOGETHER_AI_TOKEN"),
    "vllm": (),
    "xai": ("XAI_API_KEY",),
}
"""Every provider that comes with Weir, with the variables of its key, the first one first."""
PROVIDERS = frozenset(KEY_VARIABLES)
"""Providers that come with Weir."""
RENAMED = {"ollama_chat": "ollama", "lm_studio": "lmstudio"}
"""LiteLLM's other names of some."""


class Headers(dict[str, str]):
    """Headers by name; their values may be secrets and don't show."""

    def __repr__(self) -> str:
        return f"Headers({sorted(self)})"


def key_of(provider: str, env: Mapping[str, str]) -> str | None:
    """The provider's key, where one of its variables is set."""
    found = (env.get(name, "").strip() for name in KEY_VARIABLES.get(provider, ()))
    return next((key for key in found if key), None)


def headers_of(place: str, value: object, env: Mapping[str, str]) -> Headers:
    """A route's `extra_headers`, references to the environment resolved.

    Raises:
        SettingsError: When they are no mapping of names to texts, or a variable is not set.
    """
    headers = Headers()
    for name, named in mapping(place, value).items():
        found = resolved(named, env)
        if found is None:
            raise SettingsError(f"{place}.{name}: has no value, or its variable is not set")
        if isinstance(found, dict | list | bool):
            raise SettingsError(f"{place}.{name}: must be a text")
        headers[name] = str(found)
    return headers
