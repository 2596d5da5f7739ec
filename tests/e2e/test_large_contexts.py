"""A context of 50 MB by reference, through a real worker: bounded, and the others don't wait for it."""

import time
from collections.abc import Generator
from pathlib import Path
from uuid import uuid4

import pytest

from connectors.kafka.broker import EmbeddedBroker
from schemas.base import JsonObject
from schemas.topics import RESPONSES
from tests.support.installation import Installation, installed
from tests.support.kafka import fresh_topics

pytestmark = [pytest.mark.broker, pytest.mark.full]

WINDOW = 1500
SMALL: JsonObject = {
    "model_name": "small",
    "litellm_params": {"model": "extractive/extractive"},
    "model_info": {"max_input_tokens": WINDOW},
}
LINES = "\n\n".join(
    f"On day {at} nothing happened that anybody wrote down in book {at * 7919 % 10_007} of the mill."
    for at in range(600_000)
)
NEEDLE = "The sluice of Harlow was mended by Marta Quill in 1907."
ASK = "Who mended the sluice of Harlow?"
LARGE_BYTES = 50_000_000
PATIENCE_S = 120.0
OTHERS = 100
"""Requests that are sent while the large one is under way, one every 0.1 s."""
LATE_MS, SELDOM_LATE_MS = 1_000, 3_000
"""What 9 of 10 of them may take, and any."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("contexts")


@pytest.fixture(scope="module")
def weir(
    broker: EmbeddedBroker, root: Path, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Installation]:
    ours: JsonObject = {"references": {"roots": [root.as_uri()]}}
    with installed(fresh_topics(broker), tmp_path_factory.mktemp("large"), [SMALL], ours) as made:
        yield made


def test_fifty_megabytes_by_reference_are_compressed_while_others_are_answered(
    weir: Installation, root: Path
):
    half = LINES[: LARGE_BYTES // 2]
    (root / "large.txt").write_text(f"{half}\n\n{NEEDLE}\n\n{half}")
    weir.ask({"request_id": uuid4().hex, "model": "bench", "prompt": "warm"})
    large, others = uuid4().hex, [uuid4().hex for _ in range(OTHERS)]
    began_s = time.monotonic()
    weir.ask(
        {
            "request_id": large,
            "model": "small",
            "prompt": ASK,
            "fallbacks": [],
            "context_ref": {"url": (root / "large.txt").as_uri()},
        }
    )
    asked: dict[str, int] = {}
    for name in others:
        asked[name] = weir.ask({"request_id": name, "model": "bench", "prompt": "hi"}).timestamp
        time.sleep(0.1)
    found = []
    while not found and time.monotonic() < began_s + PATIENCE_S:
        found = [got for got in weir.read(RESPONSES) if got.value["request_id"] == large]
        time.sleep(0.2)
    taken_ms = sorted(
        got.timestamp_ms - asked[got.value["request_id"]] for got in weir.answers(*others, count=OTHERS)
    )

    assert found, "no answer to the large one"
    assert "Marta Quill" in found[0].value["response"]
    assert found[0].value["compression"]["before_tokens"] > 8_000_000
    assert found[0].value["usage"]["input_tokens"] <= WINDOW
    assert len(taken_ms) == OTHERS
    assert taken_ms[9 * OTHERS // 10] < LATE_MS
    assert taken_ms[-1] < SELDOM_LATE_MS
