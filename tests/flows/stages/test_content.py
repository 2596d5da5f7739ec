"""What kind of text it is."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.tokenizers.probe import PROBE
from flows.stages.content import PIECE_LETTERS, Content, Measured, classify, measure


@dataclass
class Letters:
    """Counts letters; remembers what it was asked."""

    asked: list[list[str]] = field(default_factory=list[list[str]])

    def count_many(self, texts: list[str]) -> list[int]:
        self.asked.append(texts)
        return [len(text) for text in texts]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", Content.PROSE),
        ("The weir holds the water back, and lets it go in due time.", Content.PROSE),
        (PROBE["code"], Content.CODE),
        (PROBE["logs"], Content.DIGITS),
        ('{"name": "a", "price": "b", "tags": ["x", "y"]}', Content.DATA),
        ("Äußerst größere Maße für süße Öfen und Käse", Content.ACCENTED),
        (PROBE["chinese"], Content.CJK),
        (PROBE["japanese"], Content.CJK),
        (PROBE["korean"], Content.CJK),
        (PROBE["russian"], Content.CYRILLIC),
        (PROBE["greek"], Content.CYRILLIC),
        (PROBE["arabic"], Content.ARABIC),
        (PROBE["hindi"], Content.INDIC),
        (PROBE["thai"], Content.SCRIPT),
        (PROBE["emoji"], Content.SIGNS),
        ("\u0531\u0532 \u0780\u0781 \u1200", Content.SCRIPT),
        ("\U00020001\U00020002", Content.CJK),
        ("A long sentence in English about tea, tea and tea, tea, tea, tea with 茶 in it.", Content.PROSE),
        ("print('a'); x = {1: 2}; y = [3] # 茶", Content.CODE),
    ],
)
def test_text_has_its_class(text: str, kind: Content):
    assert classify(text) is kind


def test_long_text_is_judged_by_its_beginning_middle_and_end():
    middle = "x" * 4000 + "水" * 200 + "x" * 4000

    assert classify(middle) is Content.CJK
    assert classify("x" * 1000 + "水" * 200 + "x" * 9000) is Content.PROSE


@given(st.text(max_size=700))
def test_every_text_has_a_class(text: str):
    assert classify(text) in Content


def test_request_is_measured_by_class_with_one_count():
    letters = Letters()
    texts = ["plain words " * 500, PROBE["hindi"], "", "plain words"]

    measured = measure(texts, letters, flat_tokens=9)
    hindi = PROBE["hindi"]
    assert measured.tokens == {Content.PROSE: 6011, Content.INDIC: len(hindi)}
    assert measured.utf8_bytes == {Content.PROSE: 6011, Content.INDIC: len(hindi.encode())}
    assert (measured.flat_tokens, measured.text_tokens) == (9, 6011 + len(hindi))
    assert [len(piece) for piece in letters.asked[0]] == [PIECE_LETTERS, 6000 - PIECE_LETTERS, len(hindi), 11]
    assert len(letters.asked) == 1


def test_lone_surrogates_are_measured():
    assert measure(["\ud800" * 3], Letters()).utf8_bytes == {Content.SCRIPT: 9}


def test_nothing_has_no_tokens():
    assert Measured().text_tokens == 0
