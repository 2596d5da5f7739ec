"""Texts that are made to hurt: bounded time and memory, and the rules hold all the same."""

import time
import tracemalloc

import pytest

from flows.stages.compression import compress, compress_messages
from flows.stages.compression.matching import folded
from schemas.requests import Message
from tests.flows.stages.compression.making import WordCounter, faults

COUNTER = WordCounter()

HOSTILE = {
    "one endless line": "water flows past gate 7 and " * 40_000,
    "one endless word": "a" * 1_000_000,
    "100,000 empty paragraphs": "The gate.\n\n" + " \n\n" * 100_000 + "The lake.",
    "50,000 tiny paragraphs": "a\n\n" * 50_000,
    "lone surrogates": "The gate \ud800 opens. \udfff Water flows.\n\n" * 2_000,
    "NUL bytes": "The gate\0 opens.\0 Water flows. " * 5_000,
    "headers only": "# a gate\n" * 30_000,
    "a header for each line": "# h\nThe gate opens.\n" * 15_000,
    "a fence that is never closed": "```\n" * 20_001,
    "full stops": ". " * 300_000,
    "quotes": '."' * 200_000 + " " * 200_000,
    "spaces": " " * 1_000_000 + "gate",
    "brackets": "(" * 500_000,
    "table without rows": "|" * 500_000 + "\n|" * 50_000,
    "a term everywhere": "gate " * 500_000,
    "signs that grow": "\u0130stanbul gate. " * 20_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_ends_in_time_with_every_rule_kept(name: str):
    source = HOSTILE[name]
    started = time.process_time()

    result = compress(source, "Which gate, and why did it fail? aaaaaa", 50, COUNTER)

    assert time.process_time() - started < 10
    assert faults(source, result, 50) == set()


def test_fifty_megabytes_take_bounded_time_and_memory():
    paragraph = " ".join(f"Gate {at} of the lake was opened by Marta." for at in range(40))
    source = "\n\n".join(f"{paragraph} {at}" for at in range(50_000_000 // len(paragraph)))
    tracemalloc.start()
    started = time.process_time()

    result = compress(source, "Who opened gate 7?", 1_000, COUNTER, before_tokens=12_000_000)

    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert time.process_time() - started < 60
    assert peak_bytes < 6 * len(source)
    assert 0 < result.after_tokens <= 1_000


def test_hostile_questions_end_in_time():
    source = "The gate opens. Water flows.\n\n" * 2_000
    started = time.process_time()

    for query in ("gate " * 500_000, "\0\ud800", "?" * 100_000, " ".join(f"w{at}x" for at in range(20_000))):
        assert compress(source, query, 50, COUNTER).after_tokens <= 50
    assert time.process_time() - started < 10


def test_a_chat_of_ten_thousand_messages_ends_in_time():
    chat = [
        Message(role="user" if at % 2 else "assistant", content=f"Gate {at} opens.") for at in range(10_000)
    ]
    started = time.process_time()

    shrunk = compress_messages(chat, "Which gate?", 1_000, COUNTER)

    assert shrunk.fits
    assert time.process_time() - started < 20


def test_folding_keeps_every_sign_at_its_place():
    text = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x20000)]))

    assert len(folded(text)) == len(text)
    assert folded("\u0130stanbul")[1:] == "stanbul"
