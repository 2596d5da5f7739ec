"""Finding routes by name."""

import pytest

from flows.stages.catalogue import Catalogue, distinct
from tests.flows.stages.making import route

A1 = route("openai:gpt", "smart")
A2 = route("vllm:gpt", "smart")
B = route("ollama:llama3:8b", "local")
QUOTES = route("extractive:extractive")
CATALOGUE = Catalogue(
    (QUOTES, A1, B, A2),
    aliases={"best": "smart", "top": "best", "loop": "pool", "pool": "loop", "local": "smart"},
    fallbacks={"smart": ("local",), "*": ("smart",)},
)


@pytest.mark.parametrize(
    ("name", "routes"),
    [
        ("smart", (A1, A2)),
        ("openai/gpt", (A1,)),
        ("openai:gpt", (A1,)),
        ("openai::gpt", (A1,)),
        ("ollama/llama3:8b", (B,)),
        ("best", (A1, A2)),
        ("top", (A1, A2)),
        ("local", (B,)),
        ("loop", ()),
        ("gpt", ()),
        ("auto", (A1, B, A2, QUOTES)),
    ],
)
def test_name_stands_for_its_routes_in_configured_order(name: str, routes: tuple[object, ...]):
    assert CATALOGUE.find(name) == routes


def test_auto_leaves_out_routes_that_go_by_name_only():
    catalogue = Catalogue((A1, QUOTES), by_name_only=frozenset({QUOTES.name}))

    assert catalogue.find("auto") == (A1,)
    assert catalogue.find("extractive") == (QUOTES,)


@pytest.mark.parametrize(
    ("name", "others"), [("smart", ("local",)), ("top", ("local",)), ("local", ("smart",)), ("x", ("smart",))]
)
def test_fallbacks_are_those_of_the_name_then_of_what_it_stands_for_then_of_all(
    name: str, others: tuple[str, ...]
):
    assert CATALOGUE.configured_fallbacks(name) == others


def test_without_configured_fallbacks_there_are_none():
    assert Catalogue((A1,)).configured_fallbacks("smart") == ()


def test_few_known_names_are_all_shown_and_many_are_bounded():
    many = Catalogue(tuple(route(f"p:m{number}", "n" * 200 + str(number)) for number in range(50)))

    assert CATALOGUE.known_names() == "auto, extractive, smart, local, best, top, loop, pool"
    assert many.known_names().endswith("and 41 more")
    assert len(many.known_names()) < 1000


def test_each_route_is_kept_once_at_its_first_place():
    assert distinct([A1, B, A1, A2, B]) == [A1, B, A2]
