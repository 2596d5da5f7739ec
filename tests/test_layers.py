"""The layout's rules, read from the source by AST: who may import whom, what is pure, how long things are.

schemas <- flows.stages <- flows.operators, orchestrate <- flows.app, cli -> connectors -> schemas
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("schemas", "flows", "connectors", "contracts")
OURS = frozenset({*PACKAGES, "deploy", "tests"})
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 40
MAX_PARAMETERS = 6
IMPURE_NAMES = (
    "time random socket asyncio threading os kafka bytewax aiohttp logging subprocess secrets selectors "
    "multiprocessing concurrent uvloop psutil"
)
IMPURE = frozenset(IMPURE_NAMES.split())

FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def within(module: str, *prefixes: str) -> bool:
    return any(module == prefix or module.startswith(f"{prefix}.") for prefix in prefixes)


def allowed(module: str) -> tuple[str, ...]:
    """The packages of ours that a module may import."""
    if within(module, "flows.stages"):
        return "schemas", "flows.stages"
    if module == "flows.app" or module.startswith(("flows.app_", "flows.cli")):
        return PACKAGES
    top = module.partition(".")[0]
    return ("schemas",) if top == "schemas" else ("schemas", top)


def pure(module: str) -> bool:
    """Whether clock, chance, network, environment and threads are out of bounds for a module."""
    return within(
        module, "schemas", "flows.stages", "connectors.kafka.rules", "connectors.gateway.exchange.rules"
    )


def imports(module: str, source: str, is_package: bool = False) -> Iterator[str]:
    """Every module that a source imports, wherever the statement stands; relative ones made absolute."""
    package = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            full = ".".join([*base, *([node.module] if node.module else [])])
            if full in OURS | {"connectors.kafka"} or not node.module:
                yield from (f"{full}.{alias.name}" for alias in node.names)
            else:
                yield full


def broken_imports(module: str, source: str, is_package: bool = False) -> list[str]:
    """Imports that the layout forbids."""
    return [
        name
        for name in imports(module, source, is_package)
        if (name.partition(".")[0] in OURS and not within(name, *allowed(module)))
        or (pure(module) and name.partition(".")[0] in IMPURE)
    ]


def too_long(source: str, commands: bool = False) -> list[str]:
    """Functions over 40 lines or with more than six parameters, and files over 300 lines.

    With `commands` the public functions are commands, whose parameters are options and may be more.
    """
    found = [f"file of {count} lines" for count in [len(source.splitlines())] if count > MAX_FILE_LINES]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            parameters = [each.arg for each in arguments if each.arg not in ("self", "cls")]
            free = commands and not node.name.startswith("_")
            if lines > MAX_FUNCTION_LINES:
                found.append(f"{node.name} has {lines} lines")
            if len(parameters) > MAX_PARAMETERS and not free:
                found.append(f"{node.name} has {len(parameters)} parameters")
    return found


def test_the_tree_is_found():
    modules = {module_of(path) for path in FILES}

    assert {"schemas.requests", "flows.ports", "connectors", "contracts.check"} <= modules


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_a_module_imports_only_what_its_layer_may(path: Path):
    module = module_of(path)

    assert broken_imports(module, path.read_text(encoding="utf-8"), path.name == "__init__.py") == []


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_files_functions_and_parameter_lists_stay_short(path: Path):
    assert too_long(path.read_text(encoding="utf-8"), commands=path.stem.startswith("cli")) == []


@pytest.mark.parametrize(
    ("module", "source", "broken"),
    [
        ("schemas.requests", "import flows.ports", ["flows.ports"]),
        ("schemas.requests", "from contracts import model", ["contracts.model"]),
        ("schemas.requests", "import time", ["time"]),
        ("flows.stages.decode", "from flows.ports import Provider", ["flows.ports"]),
        ("flows.stages.decode", "from flows import ports", ["flows.ports"]),
        ("flows.stages.decode", "from ..ports import Provider", ["flows.ports"]),
        ("flows.stages.decode", "from .. import ports", ["flows.ports"]),
        ("flows.stages.decode", "def f():\n    import asyncio", ["asyncio"]),
        ("flows.stages.decode", "from concurrent.futures import Executor", ["concurrent.futures"]),
        ("connectors.kafka.rules.notes", "from kafka import KafkaConsumer", ["kafka"]),
        ("connectors.kafka.feeder", "from flows.stages import jobs", ["flows.stages"]),
        ("flows.operators", "from connectors.kafka import feeder", ["connectors.kafka.feeder"]),
        ("flows.orchestrate", "import connectors", ["connectors"]),
        ("flows.settings", "if True:\n    from connectors import kafka", ["connectors.kafka"]),
        ("flows.application", "import connectors", ["connectors"]),
        ("contracts.check", "import flows.app", ["flows.app"]),
        ("connectors.kafka", "import tests.support", ["tests.support"]),
    ],
)
def test_a_planted_import_across_layers_is_caught(module: str, source: str, broken: list[str]):
    assert broken_imports(module, source) == broken


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("schemas.usage", "from schemas.responses import Attempt"),
        (
            "flows.stages.decode",
            "from flows.stages.jobs import Job\nfrom . import jobs\nimport schemas.guard",
        ),
        (
            "connectors.kafka.feeder",
            "from kafka import KafkaConsumer\nfrom schemas.records import Record\nimport time",
        ),
        ("flows.app", "from connectors.kafka import feeder"),
        ("flows.app_recall", "from connectors.kafka import feeder"),
        ("flows.cli_ops", "import connectors.process.supervisor, contracts.cli, flows.app"),
        ("flows.operators", "import time\nfrom flows.stages import decode\nimport bytewax.operators"),
    ],
)
def test_imports_along_the_layers_pass(module: str, source: str):
    assert broken_imports(module, source) == []


def test_relative_imports_of_a_package_file_count_from_the_package_itself():
    assert list(imports("flows.stages", "from .jobs import Job", is_package=True)) == ["flows.stages.jobs"]


def test_planted_length_is_caught():
    function = "def f(self, a, b, c, d, *, e, f):\n" + "    pass\n" * 39
    longer = "async def g(a, b, c, d, e, f, g):\n" + "    pass\n" * 40

    assert too_long(function) == []
    assert too_long(longer) == ["g has 41 lines", "g has 7 parameters"]
    assert too_long(longer, commands=True) == ["g has 41 lines"]
    assert too_long(longer.replace("g", "_g", 1), commands=True) == ["_g has 41 lines", "_g has 7 parameters"]
    assert too_long("x = 1\n" * 300) == []
    assert too_long("x = 1\n" * 301) == ["file of 301 lines"]
