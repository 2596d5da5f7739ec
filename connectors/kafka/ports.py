"""Loopback ports for brokers.

Below the range that the kernel hands to outgoing connections: a client that keeps knocking at a closed
port of that range may at last connect to itself, and then the broker can't have its port back.
"""

import random
import socket

from connectors.kafka.errors import BrokerFailed

LOWEST, HIGHEST = 20_000, 32_000
_TRIES = 200
_ANY = random.SystemRandom()
"""Not the shared generator: hypothesis seeds it alike in all processes of a test run."""


def is_free(port: int) -> bool:
    """Whether a server could listen on the loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port(*avoid: int) -> int:
    """A loopback port that nobody listens on now, and that isn't one of `avoid`.

    Raises:
        BrokerFailed: When none was found.
    """
    for port in _ANY.sample(range(LOWEST, HIGHEST), _TRIES):
        if port not in avoid and is_free(port):
            return port
    raise BrokerFailed("no free port on 127.0.0.1", hint=f"free one of {LOWEST} to {HIGHEST}")
