"""What can be wrong with the processes of an installation.

ProcessProblem
├── AlreadyUp   another `weir up` has this folder
├── NotReady    what was started did not come up
└── PoolFailed  a piece of work could not be done
"""


class ProcessProblem(Exception):  # noqa: N818 - the base is named for the seam, as its leaves are
    """Something is wrong with our processes. The text says what, `hint` what to do; each is one line."""

    code = "process"
    retriable = False

    def __init__(self, reason: str, *, hint: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        """What is wrong."""
        self.hint = hint
        """What to do about it; may be empty."""

    def __str__(self) -> str:
        """Reason and hint in one line."""
        return f"{self.reason}; {self.hint}" if self.hint else self.reason


class AlreadyUp(ProcessProblem):
    """Another `weir up` has this folder."""

    code = "already_up"


class NotReady(ProcessProblem):
    """What was started did not come up."""

    code = "not_ready"


class PoolFailed(ProcessProblem):
    """A piece of work could not be done."""

    code = "pool"
