"""How a bench run can fail before it has figures.

BenchError
├── HelperError     a helper process (provider, echo) did not come up
├── WorkerError     a worker did not answer or ended
└── SetupError      the options don't fit the scenario, or there is no broker
"""


class BenchError(Exception):
    """A run that has no figures; the text says why, in one line."""


class HelperError(BenchError):
    """A helper process did not come up."""


class WorkerError(BenchError):
    """A worker did not answer, or ended."""


class SetupError(BenchError):
    """The options don't fit the scenario, or there is no broker."""
