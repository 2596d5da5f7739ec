"""Free ports: chosen anew each time, whatever the shared generator was seeded with."""

import random
import socket

from connectors.kafka.ports import HIGHEST, LOWEST, free_port, is_free


def test_processes_with_the_same_seed_choose_different_ports():
    state = random.getstate()
    chosen: set[int] = set()
    for _ in range(20):
        random.seed(0)
        chosen.add(free_port())
    random.setstate(state)

    assert len(chosen) > 10
    assert all(LOWEST <= port < HIGHEST for port in chosen)


def test_a_port_that_somebody_listens_on_is_not_free():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()

        assert not is_free(server.getsockname()[1])
