"""A probe of many scripts: words, code, logs, JSON and what breaks tokenizers."""

from collections.abc import Mapping

PROBE: Mapping[str, str] = {
    "english": "It's the weir's job to hold back what they'd've sent; I'LL wait, you'LL see. Naïve café.\n",
    "code": "def f(x: int) -> list[int]:\n    return [y**2 for y in range(x)]  # no\n\n\tif (a&&b){c+=1;}\n",
    "logs": "2026-11-22T10:15:30.123Z ERROR [worker] id=7f3a9c0d took=1234567ms 10.0.0.1:92 /a/b?c=d%20\r\n",
    "json": '{"a": [1, 2.5e-10, null, true], "b": {"c\\n": "\\u00e9", "d": ""}, "e": 123456789012345}',
    "chinese": "水坝调节河流的水量，保证下游的安全。测试：人工智能！",
    "japanese": "堰は川の流れを測り、調整する。カタカナとひらがな、漢字。",
    "korean": "보는 강의 흐름을 조절한다.",
    "arabic": "السدّ المنخفض يقيس جريان النهر وينظّمه، ١٢٣.",
    "hindi": "बाँध नदी के प्रवाह को मापता और नियंत्रित करता है। क्षत्रिय १२३",
    "thai": "ฝายกั้นน้ำวัดและควบคุมการไหลของแม่น้ำ",
    "russian": "Плотина регулирует течение реки; ЁЛКА, ёлка.",
    "greek": "Ο υδατοφράκτης ρυθμίζει τη ροή. ΆΛΦΑ",
    "emoji": "👩‍👩‍👧‍👦 🇩🇪 👍🏽 ❤️‍🔥 ☃︎",
    "spaces": "  a   b\t\tc \n \n\n  d\u00a0e\u3000f \r\n\r\n   ",
    "numbers": "1 12 123 1234 12345 1,234.5 0x1F ½ ² Ⅷ",
    "marks": "a\u0301\u0301\u0301 e\u0323\u0302 \u200b\u200d \ufeff \x00\x01\x7f",
    "special": "<|endoftext|> <|im_start|>user<|im_end|> [INST] </s>",
    "title": "ǅungla ǈubav ﬁne Ǆ İstanbul ŞEKER straße",
    "empty": "",
}
"""Text by its kind."""


def probe_texts() -> list[str]:
    """What counters are compared on: each text of the probe, and all of them as one, forth and back."""
    texts = list(PROBE.values())
    return [
        *texts,
        "".join(texts),
        " ".join(reversed(texts)),
        *(text[at:] for text in texts for at in (1, 2, 3, 5)),
    ]
