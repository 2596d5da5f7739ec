"""Reads configuration files: YAML with unique keys, and the files they include."""

from collections.abc import Hashable
from pathlib import Path
from typing import cast

import yaml
from yaml.constructor import ConstructorError

from flows.settings_keys import SettingsError
from flows.settings_values import items, mapping, parsed, text

MAX_FILES = 100
"""Most files that one configuration may be made of."""


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a mapping that holds a key twice, which YAML forbids and PyYAML lets pass."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen and name != "<<":
                raise ConstructorError(None, None, f"key `{name}` stands twice", key.start_mark)
            seen.add(name)
        return cast(dict[Hashable, object], super().construct_mapping(node, deep=deep))


def read(path: str) -> dict[str, object]:
    """The mapping that a file holds, its includes merged in: lists are joined, else the includer wins.

    Raises:
        SettingsError: When a file can't be read, isn't YAML, or includes itself.
    """
    return _merged(Path(path), ())


def _merged(path: Path, above: tuple[Path, ...]) -> dict[str, object]:
    here = path.resolve()
    if here in above or len(above) >= MAX_FILES:
        raise SettingsError(f"{path}: includes itself")
    values = mapping("", _parsed(path))
    merged: dict[str, object] = {}
    for index, name in enumerate(items("include", values.pop("include", None))):
        included = parsed(f"include[{index}]", name, text)
        merged = _joined(merged, _merged(path.parent / included, (*above, here)))
    return _joined(merged, values)


def _parsed(path: Path) -> object:
    try:
        return yaml.load(path.read_bytes(), Loader=_UniqueKeys)
    except OSError as error:
        raise SettingsError(f"{path}: can't be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        line = " ".join(str(error).split())
        raise SettingsError(f"{path}: is not valid YAML: {line}") from error


def _joined(under: dict[str, object], over: dict[str, object]) -> dict[str, object]:
    joined = dict(under)
    for key, value in over.items():
        below = joined.get(key)
        if isinstance(below, list) and isinstance(value, list):
            joined[key] = [*cast(list[object], below), *cast(list[object], value)]
        elif isinstance(below, dict) and isinstance(value, dict):
            joined[key] = _joined(cast(dict[str, object], below), cast(dict[str, object], value))
        else:
            joined[key] = value
    return joined
