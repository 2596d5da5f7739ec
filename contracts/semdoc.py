"""Documentation as the source has it: the docstring under each public field of a class, found by AST."""

import ast
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import schemas

_NUMERIC = re.compile(r"\b(int|float|Tokens|Usd|Millis)\b")
_NOT_FIELDS = frozenset({"model_config"})


@dataclass(frozen=True, slots=True)
class Member:
    """A public field of a class, or a value of an enumeration."""

    module: str
    """Module it stands in, dotted."""
    owner: str
    """Its class."""
    name: str
    """Its own name."""
    doc: str | None
    """The docstring under it, on one line; `None` where there is none."""
    numeric: bool
    """Whether its annotation speaks of numbers."""

    @property
    def path(self) -> str:
        """`module.Class.name`."""
        return f"{self.module}.{self.owner}.{self.name}"


def one_line(doc: str | None) -> str:
    """A docstring with its line breaks and indents turned into single blanks."""
    return " ".join((doc or "").split())


def members(module: str, source: str) -> Iterator[Member]:
    """The public members of the public classes of a module, in order.

    A class that only gives an inherited and documented name another value documents nothing anew.
    """
    documented: dict[str, set[str]] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            inherited = {name for base in node.bases for name in documented.get(ast.unparse(base), ())}
            own = [each for each in _of_class(module, node) if each.doc or each.name not in inherited]
            documented[node.name] = inherited | {each.name for each in own if each.doc}
            yield from own


def of_schemas() -> tuple[Member, ...]:
    """The members of every class that `schemas` defines."""
    found: list[Member] = []
    for folder in schemas.__path__:
        for module in pkgutil.iter_modules([folder]):
            source = Path(folder, f"{module.name}.py").read_text(encoding="utf-8")
            found += members(f"schemas.{module.name}", source)
    return tuple(found)


def _of_class(module: str, node: ast.ClassDef) -> Iterator[Member]:
    for at, statement in enumerate(node.body):
        name, annotation = _declared(statement)
        if name and not name.startswith("_") and name not in _NOT_FIELDS:
            after = node.body[at + 1] if at + 1 < len(node.body) else None
            yield Member(module, node.name, name, _doc(after), bool(_NUMERIC.search(annotation)))


def _declared(statement: ast.stmt) -> tuple[str | None, str]:
    """Name and annotation that a statement of a class body declares."""
    match statement:
        case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
            return name, ast.unparse(annotation)
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name, ""
        case _:
            return None, ""


def _doc(statement: ast.stmt | None) -> str | None:
    match statement:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return one_line(text)
        case _:
            return None
