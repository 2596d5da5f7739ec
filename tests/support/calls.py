"""Calls for tests of providers."""

from collections.abc import Mapping
from typing import Any

from schemas.calls import Call, Piece, Route, Timeouts
from schemas.requests import Message, Request


def make_route(provider: str = "openai", **settings: Any) -> Route:
    model = settings.pop("model", "some-model")
    return Route(name=f"{provider}:{model}", model_name="some", provider=provider, model=model, **settings)


def make_call(
    request: Mapping[str, Any] | None = None,
    *,
    route: Route | None = None,
    stream: bool = False,
    max_tokens: int | None = None,
    input_tokens: int = 10,
) -> Call:
    """A call of a request in its wire form; its messages are sent as they are."""
    asked = Request.model_validate(request or {"prompt": "Say hello to the reader."})
    messages = asked.messages or [Message(role="user", content=asked.prompt)]
    limit = max_tokens if max_tokens is not None else asked.output_limit_tokens
    return Call(
        "req-1", asked, tuple(messages), route or make_route(), limit, stream or asked.stream, input_tokens
    )


FAST = Timeouts(connect_s=0.5, first_byte_s=0.3, between_bytes_s=0.2, total_s=2.0)
"""Timeouts that a test can wait for."""


class Pieces:
    """A sink that keeps what it gets."""

    def __init__(self) -> None:
        self.got: list[Piece] = []

    async def __call__(self, piece: Piece) -> None:
        self.got.append(piece)

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.got)


def always() -> bool:
    """A gate that is open."""
    return True
