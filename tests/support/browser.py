"""A real browser for tests of the page: Debian's chromium, driven by playwright, with a fresh profile."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.kafka import missing
from tests.support.programs import wants

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--no-proxy-server",
]


@contextmanager
def browsing(folder: Path, *, dark: bool = True) -> Generator[Any]:
    """A browser context; skips visibly without chromium, and fails without it where `CI=true`."""
    program = wants("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("the Python package playwright is not installed")
    with sync_playwright() as play:
        context = play.chromium.launch_persistent_context(
            str(folder),
            executable_path=program,
            headless=True,
            args=FLAGS,
            color_scheme="dark" if dark else "light",
            viewport={"width": 1100, "height": 760},
            timeout=30_000,
        )
        context.set_default_timeout(10_000)
        try:
            yield context
        finally:
            context.close()
