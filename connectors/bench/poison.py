"""A plugin that only `weir bench hostile` configures: a codec that stops its worker dead on marked requests.

It is OpenAI's codec under the name `poison`, but a prompt with the mark ends the process in `encode`, as a
fault in native code would: no exception, no cleaning up. Before that it notes the request in the file that
`WEIR_BENCH_POISON_LOG` names, so that the bench can count the stops from outside.
"""

import os
from typing import NoReturn

from connectors.providers.openai import OpenAICodec
from connectors.providers.openai_quirks import Quirks
from connectors.providers.registry import Registry
from schemas.calls import Call, HttpRequest

NAME = "poison"
MARK = "this prompt is poison"
LOG_VARIABLE = "WEIR_BENCH_POISON_LOG"
EXIT_CODE = 77


class PoisonCodec(OpenAICodec):
    """OpenAI's codec, and a trap."""

    def encode(self, call: Call) -> HttpRequest:
        """The bytes of a call; does not return where the prompt is poison."""
        prompt = call.request.prompt
        if prompt is not None and MARK in prompt:
            _die(call.request_id)
        return super().encode(call)


def register(registry: Registry) -> None:
    """What the worker calls when it loads the plugin."""
    registry.register_codec(NAME, PoisonCodec(Quirks(NAME)))


def _die(request_id: str) -> NoReturn:
    path = os.environ.get(LOG_VARIABLE)
    if path is not None:
        with open(path, "a", encoding="utf-8") as log:
            log.write(f"{request_id}\n")
    os._exit(EXIT_CODE)
