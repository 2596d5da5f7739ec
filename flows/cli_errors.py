"""The one place where an expected error of a command becomes a line on stderr and an exit code."""

import os
import sys
from collections.abc import Callable

from connectors.kafka.errors import KafkaProblem
from connectors.process.errors import ProcessProblem
from flows.settings_keys import SettingsError

EXPECTED = (KafkaProblem, ProcessProblem, SettingsError)
"""Errors that a person can do something about: their text is the whole message."""
BROKEN_PIPE = 1
"""Exit code when whoever read our output is gone; typer has the same."""
INTERRUPTED = 130


def guarded(work: Callable[[], int]) -> int:
    """Do the work of a command; return its exit code, or that of the expected error that ended it."""
    try:
        code = work()
        sys.stdout.flush()
    except EXPECTED as error:
        return fail(str(error), 1)
    except BrokenPipeError:
        # Python would flush stdout once more at its end, and complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def fail(message: str, code: int) -> int:
    """Say in one line on stderr why the command ends; returns the code."""
    line = " ".join(message.split())
    print(f"weir: {line}", file=sys.stderr, flush=True)
    return code
