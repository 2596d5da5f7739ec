"""An Ollama server, for what is off the hot path: lists, cards, pulls, loading. Over the official SDK.

All failures leave as a `ProviderError`. Every call is bounded; ending a pull early closes its connection, the
server keeps what came, and the next pull goes on from there.
"""

from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, contextmanager
from types import TracebackType
from typing import cast
from urllib.parse import urlsplit

import httpx
import ollama

from connectors.providers.ollama import BASE, server_failure
from connectors.providers.ollama_admin import (
    Embedded,
    LocalModel,
    ModelCard,
    PullProgress,
    local_models,
    model_card,
    progress,
    pull_failure,
)
from connectors.providers.wire import count
from schemas.calls import Malformed, Unavailable

QUICK_S = 10.0
"""Longest wait for an answer that takes no work."""
SLOW_S = 600.0
"""Longest silence of a server that loads a model or checks what it pulled."""


class OllamaServer:
    """`async with OllamaServer(base) as server`. Lives on one event loop."""

    def __init__(
        self,
        base: str | None = None,
        api_key: str | None = None,
        *,
        quick_s: float = QUICK_S,
        slow_s: float = SLOW_S,
    ) -> None:
        self.base = base or BASE
        """Where it is."""
        parts = urlsplit(self.base)
        self._shown = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._quick = self._client(headers, quick_s, quick_s)
        self._slow = self._client(headers, slow_s, quick_s)

    def _client(self, headers: dict[str, str], wait_s: float, connect_s: float) -> ollama.AsyncClient:
        timeout = httpx.Timeout(wait_s, connect=connect_s)
        return ollama.AsyncClient(self.base, headers=headers, timeout=timeout, trust_env=False)

    async def __aenter__(self) -> "OllamaServer":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End all connections."""
        await self._quick.close()
        await self._slow.close()

    async def tags(self) -> tuple[LocalModel, ...]:
        """The models on its disk.

        Raises:
            ProviderError: When it doesn't tell.
        """
        with self._wrapped():
            found = await self._quick.list()
        return local_models(found.model_dump(mode="json"))

    async def loaded(self) -> tuple[LocalModel, ...]:
        """The models in its memory.

        Raises:
            ProviderError: When it doesn't tell.
        """
        with self._wrapped():
            found = await self._quick.ps()
        return local_models(found.model_dump(mode="json"))

    async def show(self, model: str) -> ModelCard:
        """What a model can.

        Raises:
            Missing: When it has no such model; the reason says what to pull.
            ProviderError: When it doesn't tell.
        """
        with self._wrapped():
            found = await self._quick.show(model)
        return model_card(found.model_dump(mode="json"))

    async def load(self, model: str, *, window_tokens: int, keep_alive: float | str | None = None) -> None:
        """Load a model with that window, so that a first call needn't wait for it.

        Raises:
            Missing: When it has no such model; the reason says what to pull.
            ProviderError: When it can't.
        """
        with self._wrapped():
            await self._slow.generate(model, options={"num_ctx": window_tokens}, keep_alive=keep_alive)

    async def embed(self, model: str, texts: list[str]) -> Embedded:
        """The vectors of texts; one that is too long is an error rather than cut.

        Raises:
            Missing: When it has no such model; the reason says what to pull.
            ProviderError: When it can't.
        """
        with self._wrapped():
            found = await self._slow.embed(model, texts, truncate=False)
        return Embedded(tuple(tuple(vector) for vector in found.embeddings), count(found.prompt_eval_count))

    async def pull(self, model: str) -> AsyncGenerator[PullProgress]:
        """Fetch a model; the last progress says `success`. Close the generator to stop.

        Raises:
            Unavailable: When it can't, or the stream is cut.
        """
        done = False
        with self._wrapped(pulling=True):
            parts = await self._slow.pull(model, stream=True)
            async with aclosing(cast(AsyncGenerator[ollama.ProgressResponse], parts)) as stream:
                async for part in stream:
                    found = progress(part.model_dump(mode="json"))
                    done = done or found.status == "success"
                    yield found
        if not done:
            raise pull_failure("it was cut; do it again, and it goes on where it stopped")

    @contextmanager
    def _wrapped(self, *, pulling: bool = False) -> Generator[None]:
        """The SDK's errors as ours, once."""
        try:
            yield
        except ollama.ResponseError as error:
            if pulling:
                raise pull_failure(error.error) from error
            raise server_failure(error.status_code, {}, error.error) from error
        except (ConnectionError, httpx.TransportError) as error:
            slow = isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout)
            reason = "does not answer in time" if slow else "does not answer"
            raise Unavailable(f"the Ollama server at {self._shown} {reason}") from error
        except ValueError as error:  # no JSON, or not of the shape that the SDK expects
            raise Malformed(f"what answers at {self._shown} is no Ollama server") from error
