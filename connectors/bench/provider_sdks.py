"""The official SDKs as their users call them: what our shell is measured against. Only for the bench."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

KEY = "bench"
MODEL = "bench"

Ask = Callable[[str], Awaitable[int]]
"""Asks a prompt; the characters of its answer."""


@dataclass(frozen=True, slots=True)
class Sdk:
    """An SDK's two ways to ask, and its end."""

    whole: Ask
    """One JSON answer."""
    streamed: Ask
    """The same as a stream, piece by piece."""
    close: Callable[[], Awaitable[None]]
    """End its connections."""


def openai_sdk(url: str) -> Sdk:
    """The SDK of OpenAI.

    Raises:
        ImportError: When it isn't installed: it is no dependency of Weir.
    """
    import openai

    client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)
    asked: Any = client.chat.completions.create

    async def whole(prompt: str) -> int:
        answer = await asked(model=MODEL, messages=[{"role": "user", "content": prompt}])
        return len(answer.choices[0].message.content)

    async def streamed(prompt: str) -> int:
        length = 0
        stream = await asked(model=MODEL, messages=[{"role": "user", "content": prompt}], stream=True)
        async for chunk in stream:
            length += len(chunk.choices[0].delta.content or "") if chunk.choices else 0
        return length

    return Sdk(whole, streamed, client.close)


def anthropic_sdk(url: str) -> Sdk:
    """The SDK of Anthropic."""
    import anthropic

    client = anthropic.AsyncAnthropic(base_url=url, api_key=KEY, max_retries=0)
    asked: Any = client.messages.create

    async def whole(prompt: str) -> int:
        turns = [{"role": "user", "content": prompt}]
        return len((await asked(model=MODEL, max_tokens=1024, messages=turns)).content[0].text)

    async def streamed(prompt: str) -> int:
        length = 0
        turns = [{"role": "user", "content": prompt}]
        async for event in await asked(model=MODEL, max_tokens=1024, messages=turns, stream=True):
            if event.type == "content_block_delta":
                length += len(event.delta.text)
        return length

    return Sdk(whole, streamed, client.close)


def ollama_sdk(url: str) -> Sdk:
    """The SDK of Ollama."""
    import ollama

    client = ollama.AsyncClient(host=url)
    asked: Any = client.chat

    async def whole(prompt: str) -> int:
        answer = await asked(model=MODEL, messages=[{"role": "user", "content": prompt}])
        return len(answer.message.content)

    async def streamed(prompt: str) -> int:
        length = 0
        async for part in await asked(
            model=MODEL, messages=[{"role": "user", "content": prompt}], stream=True
        ):
            length += len(part.message.content)
        return length

    return Sdk(whole, streamed, client.close)


def gemini_sdk(url: str) -> Sdk:
    """google-generativeai over REST; it blocks, so each call has a thread."""
    from connectors.providers.sdk_gemini import generative_model

    model: Any = generative_model(MODEL, KEY, url)

    def ask(prompt: str) -> int:
        return len(model.generate_content(prompt).text)

    def ask_streamed(prompt: str) -> int:
        return sum(len(part.text) for part in model.generate_content(prompt, stream=True) if part.parts)

    async def whole(prompt: str) -> int:
        return await asyncio.to_thread(ask, prompt)

    async def streamed(prompt: str) -> int:
        return await asyncio.to_thread(ask_streamed, prompt)

    async def close() -> None:
        model._client.transport.close()
        gc.collect()  # the SDK leaves a stream's last bytes unread, and the connection to the collector

    return Sdk(whole, streamed, close)


SDKS: dict[str, Callable[[str], Sdk]] = {
    "openai": openai_sdk,
    "anthropic": anthropic_sdk,
    "gemini": gemini_sdk,
    "ollama": ollama_sdk,
}
"""The SDK of each provider that is measured."""
