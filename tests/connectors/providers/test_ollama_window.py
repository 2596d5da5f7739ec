"""The window that a call asks Ollama for: nothing is truncated in silence."""

from typing import Any

import orjson
import pytest

from connectors.providers.ollama import OllamaCodec
from connectors.providers.ollama_window import MARGIN_RATIO, MARGIN_TOKENS, margin_tokens
from schemas.calls import Missing, Refused
from tests.support.calls import make_call, make_route


def sent(
    request: dict[str, Any] | None = None,
    *,
    length: int | None = None,
    params: dict[str, Any] | None = None,
    **counts: Any,
) -> dict[str, Any]:
    route = make_route("ollama", model="tiny", max_input_tokens=length, params=params or {})
    call = make_call({"prompt": "hi", **(request or {})}, route=route, **counts)
    return orjson.loads(OllamaCodec().encode(call).body)


def num_ctx(*args: Any, **settings: Any) -> int:
    return sent(*args, **settings)["options"]["num_ctx"]


@pytest.mark.parametrize(
    ("input_tokens", "max_tokens", "num_ctx_asked"),
    [
        (10, 10, 2048),
        (1000, 100, 2048),
        (1507, 100, 2048),
        (1508, 100, 4096),
        (5000, None, 8192),
        (5000, 4000, 16384),
        (100_000, 100, 131_072),
    ],
)
def test_the_window_is_the_smallest_step_that_holds_input_margin_and_answer(
    input_tokens: int, max_tokens: int | None, num_ctx_asked: int
):
    assert num_ctx(input_tokens=input_tokens, max_tokens=max_tokens) == num_ctx_asked


@pytest.mark.parametrize("input_tokens", [0, 1, 7, 100, 2047, 2048, 10_000, 99_999])
@pytest.mark.parametrize("max_tokens", [1, 500, 5000])
def test_a_window_is_never_less_than_what_is_needed_nor_twice_as_much(input_tokens: int, max_tokens: int):
    window = num_ctx(input_tokens=input_tokens, max_tokens=max_tokens)
    needed = input_tokens + max_tokens + MARGIN_TOKENS + int(input_tokens * MARGIN_RATIO)

    assert window & (window - 1) == 0
    assert window >= needed
    assert window == 2048 or window < 2 * needed


def test_the_margin_grows_with_the_count():
    assert [margin_tokens(count) for count in (0, 100, 1000)] == [64, 89, 314]


@pytest.mark.parametrize(
    ("input_tokens", "max_tokens", "length", "num_ctx_asked"),
    [(5000, 100, 6000, 6000), (10, 10, 1024, 1024), (40_000, 100, 131_072, 65_536), (900, 100, 1000, 1000)],
)
def test_a_window_is_at_most_the_models_length(
    input_tokens: int, max_tokens: int, length: int, num_ctx_asked: int
):
    assert num_ctx(input_tokens=input_tokens, max_tokens=max_tokens, length=length) == num_ctx_asked


def test_a_call_over_the_models_length_is_an_error_with_the_numbers():
    reason = r"needs 1001 tokens \(900 in, 101 out\), and `tiny` holds 1000$"
    with pytest.raises(Missing, match=reason):
        sent(input_tokens=900, max_tokens=101, length=1000)
    with pytest.raises(Missing, match=r"1001 in, 0 out"):
        sent(input_tokens=1001, length=1000)


@pytest.mark.parametrize(
    ("request_fields", "params"),
    [({"num_ctx": 512}, {"num_ctx": 4096}), ({"options": {"num_ctx": 512}}, {}), ({}, {"num_ctx": 512})],
)
def test_an_own_window_holds_where_it_is_large_enough(request_fields: dict[str, Any], params: dict[str, Any]):
    assert num_ctx(request_fields, params=params, input_tokens=412, max_tokens=100) == 512


@pytest.mark.parametrize("fields", [{"num_ctx": 512}, {"options": {"num_ctx": 512}}])
def test_a_requests_own_window_that_is_too_small_is_the_requests_fault(fields: dict[str, Any]):
    with pytest.raises(Refused, match=r"needs 513 tokens \(413 in, 100 out\), and `num_ctx` is 512"):
        sent(fields, input_tokens=413, max_tokens=100)


def test_a_routes_own_window_that_is_too_small_lets_another_route_try():
    with pytest.raises(Missing, match=r"`num_ctx` is 512: .* of route `ollama:tiny`"):
        sent({"options": {"seed": 1}}, params={"num_ctx": 512}, input_tokens=413, max_tokens=100)


@pytest.mark.parametrize("found", ["many", 0, -1, True, 2.5])
def test_a_window_that_is_no_number_of_tokens_is_refused(found: object):
    with pytest.raises(Refused, match="`num_ctx` must be a whole number"):
        sent({"num_ctx": found})


@pytest.mark.parametrize(("limit", "window"), [(6000, 8192), (-1, 2048), (-2, 2048)])
def test_the_answers_limit_in_ollamas_own_words_counts(limit: int, window: int):
    assert num_ctx({"options": {"num_predict": limit}}) == window


def test_a_server_is_told_to_fail_rather_than_to_forget_unless_the_request_wants_it():
    body = sent()
    wanted = sent({"truncate": True, "shift": True})

    assert (body["truncate"], body["shift"]) == (False, False)
    assert (wanted["truncate"], wanted["shift"]) == (True, True)


@pytest.mark.parametrize(
    "message",
    [
        '{"error":{"code":400,"message":"request (8889 tokens) exceeds the available context size (4096)"}}',
        "the prompt is longer than the context length currently available",
        "the input length exceeds the context length",
    ],
)
def test_a_server_that_finds_the_prompt_too_long_lets_another_route_try(message: str):
    with pytest.raises(Missing, match="the call doesn't fit the model"):
        OllamaCodec().decode(400, {}, orjson.dumps({"error": message}))
