"""Ollama's other calls: tags, ps, show, version, load, pull, embed. Pure pairs of `encode_` and `decode_`.

Source: https://docs.ollama.com/api. A decoder raises `Missing` with what to pull where the server lacks the
model, another `ProviderError` by the status, and `Malformed` where a good status has no answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import orjson

from connectors.providers.errors import one_line
from connectors.providers.ollama import server_failure
from connectors.providers.wire import Lines, count, read_object, server_message, to_json
from schemas.base import JsonObject
from schemas.calls import HttpRequest, Malformed, Unavailable

_T = TypeVar("_T")
_HEADERS = {"content-type": "application/json", "accept": "application/json"}


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model that lies on the server's disk, or in its memory."""

    name: str
    """Its name with its tag: `llama3.2:latest`."""
    size_bytes: int
    """On disk; for a loaded one in memory."""
    family: str = ""
    """Its architecture: `llama`, `bert`, ..."""
    parameters: str = ""
    """How many parameters it has, in words: `3.2B`."""
    quantization: str = ""
    """How they are kept: `Q4_K_M`."""
    window_tokens: int | None = None
    """For a loaded one: the window it was loaded with, where the server tells."""
    expires: str | None = None
    """For a loaded one: when it is dropped, RFC 3339."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a server says of one model."""

    length_tokens: int | None
    """Its context length; `None` where the file doesn't tell."""
    capabilities: tuple[str, ...]
    """`completion`, `tools`, `vision`, `thinking`, `embedding`, ...; an old server doesn't tell."""
    family: str = ""
    """Its architecture."""
    parameters: str = ""
    """How many parameters it has, in words."""
    quantization: str = ""
    """How they are kept."""

    @property
    def chats(self) -> bool:
        """Whether it can answer a chat; true where the server doesn't tell and it is no encoder."""
        if self.capabilities:
            return "completion" in self.capabilities
        return "bert" not in self.family


@dataclass(frozen=True, slots=True)
class PullProgress:
    """How far a pull is; one of its layers, where `digest` is set."""

    status: str
    """What the server is doing; `success` at the end."""
    digest: str | None = None
    """The layer."""
    total_bytes: int = 0
    """Size of the layer; 0 where it is not known yet."""
    completed_bytes: int = 0
    """How much of it is there, from earlier pulls included."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors of texts, in their order."""

    vectors: tuple[tuple[float, ...], ...]
    """One for each text."""
    input_tokens: int
    """Tokens of all texts."""


def full_name(model: str) -> str:
    """A model's name with its tag, as the server lists it: `llama3.2` means `llama3.2:latest`."""
    return model if ":" in model.rpartition("/")[2] else f"{model}:latest"


def encode_tags(base: str) -> HttpRequest:
    """Ask what models the server has."""
    return HttpRequest("GET", f"{base}/api/tags", _HEADERS, b"")


def decode_tags(status: int, headers: Mapping[str, str], body: bytes) -> tuple[LocalModel, ...]:
    """The models on disk, newest first, as the server lists them."""
    return local_models(_good(status, headers, body))


def encode_ps(base: str) -> HttpRequest:
    """Ask what models are in memory."""
    return HttpRequest("GET", f"{base}/api/ps", _HEADERS, b"")


def decode_ps(status: int, headers: Mapping[str, str], body: bytes) -> tuple[LocalModel, ...]:
    """The models in memory."""
    return local_models(_good(status, headers, body))


def encode_show(base: str, model: str) -> HttpRequest:
    """Ask what a model can."""
    return HttpRequest("POST", f"{base}/api/show", _HEADERS, to_json({"model": model}))


def decode_show(status: int, headers: Mapping[str, str], body: bytes) -> ModelCard:
    """What a model can."""
    return model_card(_good(status, headers, body))


def encode_version(base: str) -> HttpRequest:
    """Ask for the server's version."""
    return HttpRequest("GET", f"{base}/api/version", _HEADERS, b"")


def decode_version(status: int, headers: Mapping[str, str], body: bytes) -> str:
    """The server's version."""
    return _typed(_good(status, headers, body), "version", str)


def encode_load(
    base: str, model: str, *, window_tokens: int, keep_alive: float | str | None = None
) -> HttpRequest:
    """Load a model without asking it anything."""
    asked: JsonObject = {"model": model, "stream": False, "options": {"num_ctx": window_tokens}}
    if keep_alive is not None:
        asked["keep_alive"] = keep_alive
    return HttpRequest("POST", f"{base}/api/generate", _HEADERS, to_json(asked))


def decode_load(status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Nothing: the model is loaded."""
    found = _good(status, headers, body)
    if not _typed(found, "done", bool):
        raise Malformed("the answer is not marked as `done`", status=status, body=body)


def encode_pull(base: str, model: str) -> HttpRequest:
    """Fetch a model; the server goes on where an earlier pull stopped."""
    asked: JsonObject = {"model": model, "stream": True, "insecure": False}
    return HttpRequest("POST", f"{base}/api/pull", _HEADERS, to_json(asked))


def encode_embed(base: str, model: str, texts: Sequence[str]) -> HttpRequest:
    """Ask for the vectors of texts; one that is too long is an error rather than cut."""
    asked: JsonObject = {"model": model, "input": list(texts), "truncate": False}
    return HttpRequest("POST", f"{base}/api/embed", _HEADERS, to_json(asked))


def decode_embed(status: int, headers: Mapping[str, str], body: bytes) -> Embedded:
    """The vectors of texts."""
    found = _good(status, headers, body)
    vectors = tuple(tuple(float(number) for number in vector) for vector in _typed(found, "embeddings", list))
    return Embedded(vectors, count(found.get("prompt_eval_count")))


class PullStream:
    """Reads the progress of a pull, lines of JSON. Its fields are its whole state."""

    __slots__ = ("_lines", "done")

    def __init__(self) -> None:
        self.done = False
        self._lines = Lines()

    def feed(self, data: bytes) -> list[PullProgress]:
        """What these bytes complete.

        Raises:
            ProviderError: When the server reports an error.
        """
        found = [progress(read_object(line)) for line in self._lines.feed(data) if line.strip()]
        self.done = self.done or any(each.status == "success" for each in found)
        return found

    def finish(self) -> None:
        """Nothing: all is there.

        Raises:
            Unavailable: When the stream was cut.
        """
        if not self.done:
            raise Unavailable("the pull was cut: do it again, and it goes on where it stopped")


def local_models(found: JsonObject) -> tuple[LocalModel, ...]:
    """The models of an answer of `tags` or `ps`."""
    return tuple(_local_model(each) for each in _typed(found, "models", list))


def _local_model(found: JsonObject) -> LocalModel:
    details = found.get("details") or {}
    window = found.get("context_length")
    return LocalModel(
        name=found.get("name") or _typed(found, "model", str),
        size_bytes=count(found.get("size")),
        family=details.get("family") or "",
        parameters=details.get("parameter_size") or "",
        quantization=details.get("quantization_level") or "",
        window_tokens=window if isinstance(window, int) and window > 0 else None,
        expires=found.get("expires_at"),
    )


def model_card(found: JsonObject) -> ModelCard:
    """What a model can, from an answer of `show`."""
    details: JsonObject = found.get("details") or {}
    info: JsonObject = found.get("model_info") or found.get("modelinfo") or {}
    length = info.get(f"{info.get('general.architecture')}.context_length")
    return ModelCard(
        length_tokens=length if isinstance(length, int) and length > 0 else None,
        capabilities=tuple(str(each) for each in found.get("capabilities") or ()),
        family=details.get("family") or "",
        parameters=details.get("parameter_size") or "",
        quantization=details.get("quantization_level") or "",
    )


def progress(found: JsonObject) -> PullProgress:
    """One line of a pull.

    Raises:
        ProviderError: When it is an error; `Missing` where nobody has such a model.
    """
    if error := found.get("error"):
        raise pull_failure(str(error))
    status = found.get("status")
    return PullProgress(
        status=status if isinstance(status, str) else "",
        digest=found.get("digest"),
        total_bytes=count(found.get("total")),
        completed_bytes=count(found.get("completed")),
    )


def pull_failure(message: str) -> Unavailable:
    """The error of a pull: the server's own words."""
    return Unavailable(one_line(f"the pull failed: {message}"))


def _good(status: int, headers: Mapping[str, str], body: bytes) -> JsonObject:
    if not 200 <= status < 300:
        raise server_failure(status, headers, server_message(body)[0])
    return read_object(body, status)


def _typed(found: JsonObject, name: str, kind: type[_T]) -> _T:
    value = found.get(name)
    if not isinstance(value, kind):
        raise Malformed(f"the answer has no `{name}`", status=200, body=orjson.dumps(found))
    return value
