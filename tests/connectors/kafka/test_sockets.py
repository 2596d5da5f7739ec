"""A connection that fails leaves no socket behind."""

import socket

import pytest
from kafka import errors as foreign
from kafka.net.inet import KafkaNetSocket
from kafka.net.selector import NetworkSelector

from connectors.kafka.ports import free_port
from connectors.kafka.sockets import close_failed


def test_the_socket_of_a_failed_connection_is_closed(monkeypatch: pytest.MonkeyPatch):
    close_failed()
    factory, port = KafkaNetSocket(), free_port()
    made = [socket.socket()]
    monkeypatch.setattr(factory, "socket", lambda *_: made[0])
    where = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port))
    net = NetworkSelector()
    try:
        with pytest.raises(foreign.KafkaConnectionError):
            net.run(factory.connect, net, where)
    finally:
        net.close()

    assert made[0].fileno() == -1
