"""Fixtures that every test may take."""

import warnings

with warnings.catch_warnings():
    # kafka-python reads its protocol tables with a deprecated call when it is imported (Python 3.11, 3.12).
    warnings.simplefilter("ignore", DeprecationWarning)
    import kafka.admin
    import kafka.consumer
    import kafka.producer  # noqa: F401 - imported for the side effect above

from hypothesis import settings

from tests.support.kafka import broker, topics

settings.register_profile("weir", deadline=None)  # an example may wait for a processor, and prove nothing
settings.load_profile("weir")

__all__ = ["broker", "topics"]
