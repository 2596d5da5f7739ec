"""Copies of the packages with a rule broken: a patch of one changed line each, applied with `git apply`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATCHES = Path(__file__).resolve().parent / "patches"
PACKAGES = ("schemas", "flows", "connectors", "contracts", "deploy")


class StalePatchError(Exception):
    """A patch that does not fit the code any more."""


def patch_file(name: str) -> Path:
    """Where a patch lies."""
    return PATCHES / f"{name}.patch"


def copy_packages(target: Path) -> Path:
    """The packages as they are, compiled, so that the processes that run there start as fast as ours."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, target / package, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(target)], check=True)
    return target


def copy_broken(whole: Path, target: Path, patches: tuple[str, ...]) -> Path:
    """A copy of the copy `whole` with the patches applied.

    Raises:
        StalePatchError: When one does not apply, or changes nothing.
    """
    shutil.copytree(whole, target)
    for name in patches:
        apply(target, name)
    return target


def apply(tree: Path, name: str) -> None:
    """Apply one patch to a tree.

    Raises:
        StalePatchError: When it does not apply, or changes nothing.
    """
    changed = tree / changed_file(patch_file(name).read_text())
    before = changed.read_text() if changed.exists() else None
    # A repository around the tree would make git leave out what lies outside of it.
    env = os.environ | {"GIT_CEILING_DIRECTORIES": str(tree.parent)}
    command = ["git", "apply", str(patch_file(name))]
    done = subprocess.run(command, cwd=tree, env=env, capture_output=True, text=True, check=False)
    if done.returncode or before == changed.read_text():
        raise StalePatchError(
            f"tests/breaks/patches/{name}.patch does not apply to the code as it is now: make it again "
            f"(see tests/breaks/README.md). git says: {done.stderr.strip() or 'nothing, and nothing changed'}"
        )
    for compiled in (changed.parent / "__pycache__").glob(f"{changed.stem}.*.pyc"):
        compiled.unlink()


def changed_file(patch: str) -> str:
    """The one file that a patch changes, relative to the tree.

    Raises:
        ValueError: When it names no file, or several.
    """
    (name,) = [line.removeprefix("+++ b/") for line in patch.splitlines() if line.startswith("+++ b/")]
    return name


def changed_lines(patch: str) -> tuple[list[str], list[str]]:
    """Lines that a patch takes away, and lines that it puts in."""
    lines = [line for line in patch.splitlines() if not line.startswith(("--- ", "+++ "))]
    taken = [line[1:] for line in lines if line.startswith("-")]
    return taken, [line[1:] for line in lines if line.startswith("+")]


def environment(tree: Path) -> dict[str, str]:
    """What makes a Python process import the packages of the tree and not the ones that are installed."""
    return {"PYTHONPATH": str(tree), "PYTHONSAFEPATH": "1"}


def imported_from(tree: Path, file: str) -> Path:
    """The file that a process of the tree imports as the module that lies at `file`."""
    module = file.removesuffix(".py").replace("/", ".")
    code = f"import importlib.util; print(importlib.util.find_spec({module!r}).origin)"
    env = os.environ | environment(tree)
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    return Path(done.stdout.strip())
