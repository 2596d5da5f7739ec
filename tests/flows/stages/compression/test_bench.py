"""The adapter of the bench."""

from tests.bench.compression import compress
from tests.flows.stages.compression.making import WordCounter


def test_the_adapter_takes_a_counting_function_and_gives_the_text():
    counter = WordCounter()
    source = "The dam was built in 1912.\n\n" + "It rained all day.\n\n" * 40

    text = compress(source, "When was the dam built?", 20, counter.count)

    assert text.startswith("The dam was built in 1912.")
    assert 0 < counter.count(text) <= 20
