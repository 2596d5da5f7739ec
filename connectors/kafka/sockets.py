"""Sockets of connections that failed are closed at once.

kafka-python 3.0.12 leaves them to the garbage collector: while a broker is away, each try costs a file.
"""

from typing import Any, cast

from kafka.net.inet import KafkaNetSocket

PARTS: tuple[tuple[type, str], ...] = ((KafkaNetSocket, "sock_connect"),)
"""What a later version must have, too."""

_MARK = "_weir_closes"


def close_failed() -> None:
    """From now on; calling it again changes nothing."""
    kind = cast(Any, KafkaNetSocket)
    if hasattr(kind, _MARK):
        return
    connect = kind.sock_connect

    async def sock_connect(
        self: Any, net: Any, sock: Any, address: Any, timeout_at: float | None = None
    ) -> Any:
        try:
            return await connect(self, net, sock, address, timeout_at=timeout_at)
        except BaseException:
            sock.close()
            raise

    kind.sock_connect = sock_connect
    setattr(kind, _MARK, True)
