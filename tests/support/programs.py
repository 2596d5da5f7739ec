"""Programs that some tests want and a machine may lack."""

import os
import shutil

import pytest

from tests.support.kafka import missing


def wants(program: str) -> str:
    """The program's path. Skips the test visibly without it; fails where `CI=true` and apt could bring it."""
    found = shutil.which(program)
    if found is not None:
        return found
    if os.geteuid() == 0 and shutil.which("apt-get"):
        missing(f"{program} is not installed")
    pytest.skip(f"{program} is not installed")
