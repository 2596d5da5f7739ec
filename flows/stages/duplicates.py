"""Finds a key that stands twice in one JSON object: parsers disagree on which of the two holds.

Source: RFC 8259, section 4. Counting members is far cheaper than parsing with a hook, so the name is
looked for only when the numbers differ.
"""

import json
import re
from typing import cast

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"')
UNNAMED = "value"
"""Stands for a key in objects nested too deep to name it."""


def duplicate_key(value: bytes, parsed: object) -> str | None:
    """A key that one object of the valid JSON `value` holds twice, or `None`; `parsed` is its reading."""
    if _STRING.sub(b"", value).count(b":") == _members(parsed):
        return None
    found: list[str] = []

    def see(pairs: list[tuple[str, object]]) -> None:
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                found.append(name)
            seen.add(name)

    try:
        json.loads(value, object_pairs_hook=see)
    except RecursionError:
        return UNNAMED
    return found[0] if found else UNNAMED


def _members(parsed: object) -> int:
    """Members of all objects in a parsed JSON value."""
    count = 0
    rest = [parsed]
    while rest:
        value = rest.pop()
        if isinstance(value, dict):
            members = cast(dict[str, object], value)
            count += len(members)
            rest.extend(members.values())
        elif isinstance(value, list):
            rest.extend(cast(list[object], value))
    return count
