"""Ollama's calls beside chat: what is sent is what the SDK sends, and replies are read or refused."""

from collections.abc import Awaitable, Callable
from typing import Any

import ollama
import orjson
import pytest

from connectors.providers import ollama_admin as admin
from connectors.providers.ollama_admin import LocalModel, ModelCard, PullProgress, PullStream
from schemas.calls import HttpRequest, Malformed, Missing, Unavailable
from tests.support.oracle import captured

BASE = "http://127.0.0.1:11434"
TAGS = {
    "models": [
        {
            "name": "llama3.2:latest",
            "model": "llama3.2:latest",
            "modified_at": "2026-01-01T00:00:00Z",
            "size": 2_019_393_189,
            "digest": "a80c4f17acd5",
            "details": {"family": "llama", "parameter_size": "3.2B", "quantization_level": "Q4_K_M"},
        }
    ]
}
LOADED = {
    "models": [
        {"model": "m:1b", "size": 5, "context_length": 4096, "expires_at": "2026-01-01T00:05:00Z"},
        {"name": "n", "size": 6, "context_length": 0},
    ]
}
CARD = {
    "details": {"family": "llama", "parameter_size": "3.2B", "quantization_level": "Q4_K_M"},
    "model_info": {"general.architecture": "llama", "llama.context_length": 131_072},
    "capabilities": ["completion", "tools"],
}
PULL = (
    b'{"status":"pulling manifest"}\n'
    b'{"status":"pulling aa","digest":"sha256:aa","total":100}\n'
    b'{"status":"pulling aa","digest":"sha256:aa","total":100,"completed":60}\n'
    b'{"status":"verifying sha256 digest"}\n'
    b'{"status":"success"}\n'
)
Ask = Callable[[ollama.AsyncClient], Awaitable[Any]]


async def _pulled(client: ollama.AsyncClient) -> Any:
    return [part async for part in await client.pull("m", stream=True)]


CALLS: dict[str, tuple[HttpRequest, Ask, bytes]] = {
    "tags": (admin.encode_tags(BASE), lambda client: client.list(), orjson.dumps(TAGS)),
    "ps": (admin.encode_ps(BASE), lambda client: client.ps(), orjson.dumps(LOADED)),
    "show": (admin.encode_show(BASE, "m"), lambda client: client.show("m"), orjson.dumps(CARD)),
    "load": (
        admin.encode_load(BASE, "m", window_tokens=4096, keep_alive="5m"),
        lambda client: client.generate("m", options={"num_ctx": 4096}, keep_alive="5m"),
        b'{"done": true}',
    ),
    "pull": (admin.encode_pull(BASE, "m"), _pulled, PULL),
    "embed": (
        admin.encode_embed(BASE, "m", ["a", "b"]),
        lambda client: client.embed("m", ["a", "b"], truncate=False),
        b'{"embeddings": [[1, 2], [3, 4]], "prompt_eval_count": 2}',
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_is_what_the_ollama_sdk_sends(name: str):
    ours, ask, reply = CALLS[name]

    async def call(url: str) -> Any:
        async with ollama.AsyncClient(host=url) as client:
            return await ask(client)

    theirs, _ = captured(reply, "application/x-ndjson", call)

    assert (ours.method, ours.url) == (theirs.method, BASE + theirs.path)
    assert ours.body == b"" == theirs.body or orjson.loads(ours.body) == orjson.loads(theirs.body)
    assert {name: theirs.headers[name] for name in ours.headers} == ours.headers


def read(value: object) -> tuple[int, dict[str, str], bytes]:
    return 200, {}, orjson.dumps(value)


def test_models_are_read():
    assert admin.decode_tags(*read(TAGS)) == (
        LocalModel("llama3.2:latest", 2_019_393_189, "llama", "3.2B", "Q4_K_M"),
    )
    assert admin.decode_ps(*read(LOADED)) == (
        LocalModel("m:1b", 5, window_tokens=4096, expires="2026-01-01T00:05:00Z"),
        LocalModel("n", 6),
    )


def test_a_card_is_read():
    card = admin.decode_show(*read(CARD))

    assert card == ModelCard(131_072, ("completion", "tools"), "llama", "3.2B", "Q4_K_M")
    assert admin.decode_show(*read({})) == ModelCard(None, ())


@pytest.mark.parametrize(
    ("card", "chats"),
    [
        (ModelCard(None, ("completion",)), True),
        (ModelCard(None, ("embedding",)), False),
        (ModelCard(None, (), family="nomic-bert"), False),
        (ModelCard(None, (), family="llama"), True),
    ],
)
def test_a_model_that_only_embeds_does_not_chat(card: ModelCard, chats: bool):
    assert card.chats is chats


def test_the_rest_is_read():
    assert admin.decode_version(*read({"version": "0.6.5"})) == "0.6.5"
    assert admin.decode_load(*read({"done": True})) is None
    made = admin.decode_embed(*read({"embeddings": [[1, 0.5]], "prompt_eval_count": 3}))
    assert (made.vectors, made.input_tokens) == (((1.0, 0.5),), 3)


DECODERS: list[Callable[[int, dict[str, str], bytes], object]] = [
    admin.decode_tags,
    admin.decode_ps,
    admin.decode_version,
    admin.decode_load,
    admin.decode_embed,
]


@pytest.mark.parametrize("decode", DECODERS)
def test_a_reply_without_what_we_need_is_malformed(decode: Callable[..., object]):
    for body in (b"{}", b"[]", b"x"):
        with pytest.raises(Malformed):
            decode(200, {}, body)


@pytest.mark.parametrize("decode", [*DECODERS, admin.decode_show])
def test_a_missing_model_says_what_to_pull(decode: Callable[..., object]):
    with pytest.raises(Missing, match="weir models pull m"):
        decode(404, {}, b'{"error": "model \'m\' not found"}')
    with pytest.raises(Unavailable, match="500: out of memory"):
        decode(500, {}, b'{"error": "out of memory"}')


def test_a_load_that_is_not_done_is_malformed():
    with pytest.raises(Malformed, match="not marked as `done`"):
        admin.decode_load(*read({"done": False}))


def test_a_pull_is_read_however_it_is_cut():
    for cut in range(len(PULL) + 1):
        stream = PullStream()
        found = stream.feed(PULL[:cut]) + stream.feed(PULL[cut:])
        stream.finish()
        assert found == [
            PullProgress("pulling manifest"),
            PullProgress("pulling aa", "sha256:aa", 100, 0),
            PullProgress("pulling aa", "sha256:aa", 100, 60),
            PullProgress("verifying sha256 digest"),
            PullProgress("success"),
        ]


def test_a_pull_that_is_cut_says_that_it_goes_on():
    stream = PullStream()
    stream.feed(PULL[:-12])

    with pytest.raises(Unavailable, match="goes on where it stopped"):
        stream.finish()


def test_an_error_in_a_pull_is_the_servers_own_word():
    with pytest.raises(Unavailable, match="the pull failed: file does not exist"):
        PullStream().feed(b'{"error":"file does not exist"}\n')


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("llama3.2", "llama3.2:latest"),
        ("llama3.2:1b", "llama3.2:1b"),
        ("box:5000/me/m", "box:5000/me/m:latest"),
        ("hf.co/a/b:Q4", "hf.co/a/b:Q4"),
    ],
)
def test_a_name_without_a_tag_means_the_latest(name: str, full: str):
    assert admin.full_name(name) == full
