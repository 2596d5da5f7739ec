"""Which models `make run` uses, and why: by the keys that are set, else a local Ollama's, else our own."""

import asyncio
from collections.abc import MutableMapping

from connectors.providers.ollama import BASE
from connectors.providers.ollama_server import OllamaServer
from flows.settings_env import HOSTED, ollama_url
from flows.settings_providers import KEY_VARIABLES, key_of
from schemas.calls import Missing, ProviderError

LOOK_S = 1.0
"""Longest wait for a local Ollama."""


def choose(env: MutableMapping[str, str], url: str = BASE) -> list[str]:
    """Say which models are used and why, a line each; a local Ollama's is set in `env`.

    `url` is where Ollama is looked for, unless `OLLAMA_HOST` is set.
    """
    if config := env.get("WEIR_CONFIG", "").strip():
        return [f"the models of {config} (WEIR_CONFIG)"]
    said: list[str] = []
    for hosted in HOSTED:
        if key_of(hosted.provider, env):
            variable = next(name for name in KEY_VARIABLES[hosted.provider] if env.get(name, "").strip())
            said.append(f"{variable} is set: {hosted.model_in(env)} ({hosted.variable} names another)")
    host = env.get("OLLAMA_HOST", "").strip()
    if model := env.get("OLLAMA_MODEL", "").strip():
        return [f"OLLAMA_MODEL is set: {model} at {ollama_url(host)}", *said]
    return said or [_local(env, ollama_url(host) if host else url)]


def _local(env: MutableMapping[str, str], url: str) -> str:
    """Name a local Ollama's first chat model in `env`, where there is one."""
    instead = "the embedded model, which quotes the given context"
    try:
        model = asyncio.run(_first_chat_model(url))
    except ProviderError:
        return f"no key is set and no Ollama answers at {url}: {instead}"
    if model is None:
        return f"Ollama answers at {url} but has no chat model (`weir models pull llama3.2`): {instead}"
    env["OLLAMA_HOST"], env["OLLAMA_MODEL"] = url, model
    return f"Ollama answers at {url}: {model} (OLLAMA_MODEL names another)"


async def _first_chat_model(url: str) -> str | None:
    async with OllamaServer(url, quick_s=LOOK_S) as server:
        for model in await server.tags():
            try:
                card = await server.show(model.name)
            except Missing:  # removed meanwhile
                continue
            if card.chats:
                return model.name
    return None
