"""Secrets in files."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from connectors.providers.keys import Keys
from connectors.providers.openai import OpenAICodec
from connectors.providers.shell import HttpProvider
from schemas.calls import Missing, Route
from tests.support.calls import always, make_call, make_route
from tests.support.fixtures import wire
from tests.support.loopback import Loopback, Received, Reply


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text("sk-first-key\n")
    return path


def secret(keys: Keys, route: Route) -> str | None:
    return keys.keyed(make_call(route=route)).route.api_key


def put(path: Path, text: str) -> None:
    """As Kubernetes does it: another file in its place."""
    other = path.with_suffix(".new")
    other.write_text(text)
    os.replace(other, path)


def test_a_key_comes_from_its_file_without_the_end_of_its_line(file: Path):
    assert secret(Keys(), make_route(api_key_file=str(file))) == "sk-first-key"


def test_a_call_without_a_key_file_is_left_as_it_is():
    call = make_call(route=make_route(api_key="sk-env"))
    keys = Keys()

    assert keys.keyed(call) is call
    keys.doubt(call.route)
    assert keys.secrets(call.route) == ("sk-env",)
    assert keys.secrets(make_route()) == ()


def test_a_rotated_key_is_seen_within_a_second_and_not_looked_for_sooner(file: Path):
    clock = Clock()
    keys, route = Keys(clock), make_route(api_key_file=str(file))
    seen = [secret(keys, route)]
    put(file, "sk-second-key\n")
    for step_s in (0.9, 0.2):
        clock.now_s += step_s
        seen.append(secret(keys, route))

    assert seen == ["sk-first-key", "sk-first-key", "sk-second-key"]
    assert keys.secrets(route) == ("sk-second-key", "sk-first-key")


def test_a_doubt_reads_at_once_even_what_looks_the_same(file: Path):
    clock = Clock()
    keys, route = Keys(clock), make_route(api_key_file=str(file))
    before = (secret(keys, route), os.stat(file))
    file.write_text("sk-other-key\n")
    os.utime(file, ns=(before[1].st_atime_ns, before[1].st_mtime_ns))
    clock.now_s += 2
    assert secret(keys, route) == "sk-first-key"

    keys.doubt(route)

    assert secret(keys, route) == "sk-other-key"


def test_a_file_that_did_not_change_makes_no_new_route(file: Path):
    clock = Clock()
    keys, route = Keys(clock), make_route(api_key_file=str(file))
    first = keys.keyed(make_call(route=route)).route
    clock.now_s += 2

    assert keys.keyed(make_call(route=route)).route is first


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "is empty"), (b" \n", "no text"), (b"\xff\xfe", "no text"), (b"k" * 70_000, "no text")],
)
def test_a_file_without_a_key_is_missing_and_named(file: Path, content: bytes, reason: str):
    file.write_bytes(content)

    with pytest.raises(Missing, match=reason) as caught:
        secret(Keys(), make_route(api_key_file=str(file)))

    assert str(file) in caught.value.reason


def test_a_file_that_is_gone_is_missing_for_as_long_as_it_is_gone(file: Path):
    keys, route = Keys(Clock()), make_route(api_key_file=str(file))
    file.unlink()
    with pytest.raises(Missing, match="No such file") as caught:
        secret(keys, route)
    assert str(file) in caught.value.reason
    put(file, "sk-back-again")

    assert secret(keys, route) == "sk-back-again"


def over_http(
    route: Route, script: Callable[[Received, Reply], Awaitable[None]], rotate: Callable[[], None]
) -> tuple[str, list[str]]:
    """The answer (or the error) of a call whose key was rotated after it was encoded; the keys it sent."""

    async def main() -> tuple[str, list[str]]:
        async with Loopback(script) as server:
            provider = HttpProvider(OpenAICodec())
            call = make_call(route=replace(route, api_base=server.url))
            request = provider.encode(call)
            rotate()
            try:
                said = (await provider.complete(call, request, None, always)).text
            except Missing as error:
                said = error.reason
            await provider.close()
            return said, [received.headers["authorization"] for received in server.received]

    return asyncio.run(main())


async def only_second(received: Received, reply: Reply) -> None:
    if received.headers["authorization"] == "Bearer sk-second-key":
        await reply.whole(200, wire("openai_text.reply.json"))
    else:
        said = b'{"error": {"message": "bad key %b"}}' % received.headers["authorization"].encode()
        await reply.whole(401, said)


def test_a_call_whose_key_was_rotated_on_its_way_goes_again_with_the_new_one(file: Path):
    route = make_route(api_key_file=str(file))

    said, sent = over_http(route, only_second, lambda: put(file, "sk-second-key"))

    assert said == "Grüße, reader."
    assert sent == ["Bearer sk-first-key", "Bearer sk-second-key"]


def test_a_key_that_is_not_good_goes_once_and_is_concealed(file: Path):
    said, sent = over_http(make_route(api_key_file=str(file)), only_second, lambda: None)

    assert said == "401: bad key Bearer [key]"
    assert sent == ["Bearer sk-first-key"]


def test_a_bad_key_of_the_environment_goes_once():
    said, sent = over_http(make_route(api_key="sk-env-key"), only_second, lambda: None)

    assert said == "401: bad key Bearer [key]"
    assert len(sent) == 1


def test_no_key_stands_in_what_a_route_or_a_call_shows(file: Path):
    call = Keys().keyed(make_call(route=make_route(api_key_file=str(file))))

    assert "sk-first-key" not in repr(call)
