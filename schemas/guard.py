"""The contract at run time: a breach becomes a field and one clear line. Pure; used at both edges.

Two kinds of breach: what a model refuses (`violation`), and, where a model lets foreign names through
(`Request`: an OpenAI chat body is valid as it stands), a name that is nearly one of ours (`misspelt`).
"""

from collections.abc import Iterable, Mapping
from itertools import islice
from types import MappingProxyType
from typing import TypeAlias, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from schemas.base import Event
from schemas.names import PASSED_ON, nearest
from schemas.requests import Request

Model: TypeAlias = type[BaseModel] | None

WHOLE = "value"
"""Stands for the field where the record's value as a whole is at fault."""
MAX_NAMES = 64
"""Foreign names of one request that are looked at; a hostile body has hundreds of thousands."""
_SHOWN_CHARS = 40
_MAX_FIELD_CHARS = 200

_KINDS: Mapping[str, str] = MappingProxyType(
    {
        "string_type": "text",
        "int_type": "a whole number",
        "int_parsing": "a whole number",
        "int_parsing_size": "a whole number",
        "int_from_float": "a whole number",
        "float_type": "a number",
        "float_parsing": "a number",
        "finite_number": "a finite number",
        "bool_type": "true or false",
        "bool_parsing": "true or false",
        "list_type": "a list",
        "dict_type": "a JSON object",
        "model_type": "a JSON object",
        "model_attributes_type": "a JSON object",
        "literal_error": "{expected}",
        "enum": "{expected}",
        "uuid_type": "a UUID",
        "uuid_parsing": "a UUID",
        "greater_than": "over {gt:g}",
        "greater_than_equal": "{ge:g} or more",
        "less_than": "under {lt:g}",
        "less_than_equal": "{le:g} or less",
    }
)
"""What must stand there, by pydantic's type of error; what stands there instead is added."""

_RULES: Mapping[str, str] = MappingProxyType(
    {
        "missing": "is missing",
        "string_unicode": "must be valid Unicode text",
        "string_too_short": "must have {min_length} or more characters",
        "string_too_long": "must have at most {max_length} characters",
        "too_short": "must have {min_length} or more entries",
        "too_long": "must have at most {max_length} entries",
    }
)
"""The whole rule, by pydantic's type of error."""


def violation(error: ValidationError) -> tuple[str, str]:
    """The field at fault, as a dotted path, and one line that says what is wrong there.

    Of several faults the first one counts; of the branches of a choice the one that fits best. The
    field is `value` where the record as a whole is at fault.
    """
    details = error.errors(include_url=False)
    root = _model_named(error.title)
    places = [_place(root, each["loc"]) for each in details]
    first = places[0][0]
    path, owner, at = max(
        ((path, owner, at) for at, (path, owner) in enumerate(places) if path[: len(first)] == first),
        key=lambda found: (len(found[0]), -found[2]),
    )
    same = [details[i] for i, place in enumerate(places) if place[0] == path]
    field = ".".join(map(str, path))[:_MAX_FIELD_CHARS] or _named_in(details[at], owner)
    return field, f"`{field}` {_rule(details[at], same, path, owner)}"


def misspelt(request_extra: Iterable[str]) -> tuple[str, str] | None:
    """A name that is nearly a field of `Request`: the name, and one line with the field that was meant.

    `request_extra` are the names that `Request` has no field for (`request.model_extra`). Parameters of
    the providers' APIs and names that resemble none of ours are let through: `None`.
    """
    foreign = (name for name in request_extra if name not in PASSED_ON)
    for name in islice(foreign, MAX_NAMES):
        meant = nearest(name, Request.model_fields)
        if meant is not None:
            return name, f"`{name}` is not a field of a request; did you mean `{meant}`?"
    return None


def _rule(detail: ErrorDetails, same: list[ErrorDetails], path: tuple[str | int, ...], owner: Model) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        meant = nearest(str(path[-1]), owner.model_fields) if owner is not None else None
        return "is not a known field" + (f"; did you mean `{meant}`?" if meant else "")
    if kind in _KINDS:
        kinds = dict.fromkeys(_kind(each) for each in same if each["type"] in _KINDS)
        return f"must be {' or '.join(kinds)}, not {_shown(detail['input'])}"
    if kind in _RULES:
        return _RULES[kind].format_map(context)
    return f"is not valid: {detail['msg'].removeprefix('Value error, ')}"


def _kind(detail: ErrorDetails) -> str:
    return _KINDS[detail["type"]].format_map(detail.get("ctx", {}))


def _shown(value: object) -> str:
    """A short value as JSON has it, a long one by its kind: a message is no place for a prompt."""
    if isinstance(value, str):
        return repr(value) if len(value) <= _SHOWN_CHARS else f"text of {len(value)} characters"
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "a JSON object"
    if isinstance(value, int) and abs(value) >= 10**_SHOWN_CHARS:
        return "a number of that size"
    if value is None or isinstance(value, int | float):
        return "null" if value is None else str(value).lower()
    return f"a {type(value).__name__}"


def _place(root: Model, loc: tuple[str | int, ...]) -> tuple[tuple[str | int, ...], Model]:
    """The path, without pydantic's names for the branches of a choice, and the model of its last name."""
    if root is None:
        return loc, None
    path: list[str | int] = []
    model: Model = root
    owner: Model = root
    for part in loc:
        if isinstance(part, int):
            path.append(part)
        elif model is not None and part != model.__name__:
            path.append(part)
            info = model.model_fields.get(part)
            owner, model = model, _model_in(info.annotation if info else None)
    return tuple(path), owner


def _model_in(annotation: object) -> Model:
    """The event that an annotation holds, however deep; `None` where it holds none."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for each in get_args(annotation) if (found := _model_in(each))), None)


def _model_named(title: str) -> Model:
    waiting: list[type[Event]] = [Event]
    while waiting:
        model = waiting.pop()
        if model.__name__ == title:
            return model
        waiting += model.__subclasses__()
    return None


def _named_in(detail: ErrorDetails, owner: Model) -> str:
    """A fault of the whole names its fields in backticks; the first one stands for it."""
    quoted = detail["msg"].split("`")[1::2]
    return next((name for name in quoted if owner is not None and name in owner.model_fields), WHOLE)
