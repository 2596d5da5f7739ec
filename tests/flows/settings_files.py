"""Writes configuration files for tests."""

from pathlib import Path

from flows.settings import Settings, load


def write(folder: Path, text: str, name: str = "weir.yaml") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def loaded(folder: Path, text: str, **env: str) -> Settings:
    return load(write(folder, text), env)


def entry(params: str, rest: str = "") -> str:
    return f"model_list:\n  - model_name: m\n    litellm_params: {{{params}}}\n{rest}"
