"""Malformed and adversarial request records, by seed; and what each kind must come to. Pure."""

import random
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from connectors.bench.load import MODEL, Item
from connectors.bench.poison import MARK
from connectors.bench.topics_reader import KIND_HEADER
from schemas.codes import Code

POISONS = 3
OVERSIZE = 5
OVERSIZE_BYTES = 9_500_000
"""Length of an answer that is larger than a record may be."""
POISON_MODEL = "poison"
GOOD = "good"

_BAD = frozenset({Code.INVALID_REQUEST.value})
_ANY: frozenset[str | None] = frozenset({None, *(code.value for code in Code)})
EXPECTED: dict[str, frozenset[str | None]] = {
    GOOD: frozenset({None}),
    "malformed": _BAD,
    "not-utf8": _BAD,
    "nested": _BAD,
    "not-an-object": _BAD,
    "wrong-type": _BAD,
    "no-question": _BAD,
    "two-questions": _BAD,
    "empty": _BAD,
    "huge-id": _BAD,
    "bad-header": _BAD,
    "bad-reply-topic": _BAD,
    "bad-content-type": _BAD,
    "unknown-model": frozenset({Code.MODEL_UNAVAILABLE.value}),
    "late": frozenset({Code.DEADLINE_EXCEEDED.value}),
    "strange": _ANY - {Code.CRASH_LOOP.value},
    "oversize-answer": frozenset({Code.INTERNAL.value, Code.MODEL_UNAVAILABLE.value}),
    "poison": frozenset({Code.CRASH_LOOP.value}),
}
"""The codes that a response to each kind may carry; `None` stands for an answer."""
_WEIGHTS = {
    kind: 60 if kind == GOOD else 2.5 for kind in EXPECTED if kind not in ("oversize-answer", "poison")
}


@dataclass(frozen=True, slots=True)
class Draft:
    """A record of some kind before it has its place."""

    value: bytes
    """Its value."""
    headers: tuple[tuple[str, bytes], ...] = ()
    """Its headers."""


def hostile_items(prefix: str, count: int, partitions: int, seed: int) -> list[Item]:
    """`count` records in a seeded mix, poison and oversize ones at seeded places among them."""
    dice = random.Random(seed)
    kinds = dice.choices(list(_WEIGHTS), list(_WEIGHTS.values()), k=count)
    special = ["poison"] * POISONS + ["oversize-answer"] * OVERSIZE
    for place, kind in zip(dice.sample(range(count), min(count, len(special))), special, strict=False):
        kinds[place] = kind
    return [_item(f"{prefix}-{number}", kind, number % partitions, dice) for number, kind in enumerate(kinds)]


def _item(request_id: str, kind: str, partition: int, dice: random.Random) -> Item:
    draft = _MAKERS[kind](request_id, dice)
    headers = (*draft.headers, (KIND_HEADER, kind.encode()))
    return Item(dice.choice([request_id.encode(), None]), draft.value, partition, headers)


def _body(request_id: str, /, **fields: object) -> bytes:
    body = {"request_id": request_id, "model": MODEL, "prompt": "latency=20"} | fields
    return orjson.dumps({name: value for name, value in body.items() if value is not None})


def _good(request_id: str, dice: random.Random) -> Draft:
    turns = [{"role": "user", "content": "latency=20 \U0001f30a 水 \u202e"}]
    return dice.choice(
        [
            Draft(_body(request_id)),
            Draft(_body(request_id, prompt=None, messages=turns)),
            Draft(_body(request_id, metadata={"a": [1, None, "x" * 2000]}, temperature=0.5)),
            Draft(_body(request_id, model=POISON_MODEL)),
            Draft(_body(request_id, prompt="latency=20 " + "long " * 4000)),
        ]
    )


def _malformed(request_id: str, dice: random.Random) -> Draft:
    whole = _body(request_id)
    return Draft(dice.choice([whole[:-1], b"{" + whole, b"NaN", b'{"prompt": NaN}', b"\0", b"{}{}"]))


def _nested(request_id: str, dice: random.Random) -> Draft:
    depth = dice.choice([2_000, 50_000])
    return Draft(b'{"prompt":"x","metadata":{"a":' + b"[" * depth + b"]" * depth + b"}}")


def _not_an_object(request_id: str, dice: random.Random) -> Draft:
    return Draft(dice.choice([b"[]", b"1", b"null", b'"prompt"', b"true", b"[" + _body(request_id) + b"]"]))


def _wrong_type(request_id: str, dice: random.Random) -> Draft:
    wrong: dict[str, object] = dice.choice(
        [
            {"prompt": 7},
            {"prompt": ""},
            {"max_tokens": -1},
            {"context_id": "not a uuid"},
            {"temperature": 99},
            {"timeout_ms": 0},
            {"priority": "now"},
            {"prompt": None, "messages": [{"role": "king", "content": "x"}]},
            {"prompt": None, "messages": []},
            {"request_id": {"a": 1}},
        ]
    )
    return Draft(_body(request_id, **wrong))


def _bad_header(request_id: str, dice: random.Random) -> Draft:
    header = dice.choice(
        [("deadline_ms", b"soon"), ("tenant", b"\xff\xfe"), ("context_id", b"-"), ("priority", b"x")]
    )
    return Draft(_body(request_id), (header,))


def _bad_reply_topic(request_id: str, dice: random.Random) -> Draft:
    topic = dice.choice(["llm.requests", "__consumer_offsets", "a/b", "reply.of-nobody"])
    return Draft(_body(request_id, reply_topic=topic))


def _strange(request_id: str, dice: random.Random) -> Draft:
    """Legal or nearly so: it must have one response, whichever."""
    deep = b'{"prompt":"latency=20","metadata":{"a":' + b"[" * 300 + b"]" * 300 + b"}}"
    return Draft(
        dice.choice(
            [
                deep,
                b'{"prompt":"\\ud800 latency=20"}',
                b'{"prompt":"latency=20","prompt":"latency=20"}',
                b'{"prompt":"latency=20","seed":123456789012345678901234567890}',
                b'\xef\xbb\xbf{"prompt":"latency=20"}',
                _body(f"{request_id}\x00\r\nx-evil: 1"),
                _body(request_id, n=10**9, user="\r\n\r\n", extra={"stream": "yes"}),
            ]
        )
    )


_MAKERS: dict[str, Callable[[str, random.Random], Draft]] = {
    GOOD: _good,
    "malformed": _malformed,
    "not-utf8": lambda name, dice: Draft(b'{"prompt": "\xff\xfe' + dice.randbytes(20) + b'"}'),
    "nested": _nested,
    "not-an-object": _not_an_object,
    "wrong-type": _wrong_type,
    "no-question": lambda name, dice: Draft(_body(name, prompt=None)),
    "two-questions": lambda name, dice: Draft(_body(name, messages=[{"role": "user", "content": "x"}])),
    "empty": lambda name, dice: Draft(b""),
    "huge-id": lambda name, dice: Draft(_body(dice.choice("xy") * dice.choice([201, 100_000]))),
    "bad-header": _bad_header,
    "bad-reply-topic": _bad_reply_topic,
    "bad-content-type": lambda name, dice: Draft(_body(name), (("content-type", b"text/plain"),)),
    "unknown-model": lambda name, dice: Draft(_body(name, model="no-such-model")),
    "late": lambda name, dice: Draft(_body(name, deadline_ms=1)),
    "strange": _strange,
    "oversize-answer": lambda name, dice: Draft(_body(name, prompt=f"answer_bytes={OVERSIZE_BYTES}")),
    "poison": lambda name, dice: Draft(_body(name, model=POISON_MODEL, prompt=f"{MARK} {name}")),
}
