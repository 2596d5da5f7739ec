"""Plain TCP connections of kafka-python 3.0.12 with a third of the turns of its event loop.

Its transport hands each write to a task that first waits until the socket can be written to: two turns of the
loop more, and after each of them the producer looks at all its batches. Each read is registered with the
selector and taken back; the lookup that fails in between costs two system calls for its message alone. And it
reads by 4 KB, until the socket has nothing more. Connections with TLS stay as they are.
"""

import inspect
import selectors
import time
from types import FunctionType, MethodType
from typing import Any, cast

from kafka import errors as foreign
from kafka.net import manager, selector
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import KernelEvent, NetworkSelector, TaskState
from kafka.net.transport import KafkaTCPTransport
from kafka.protocol.consumer import FetchRequest, FetchResponse
from kafka.protocol.producer import ProduceRequest, ProduceResponse

READ_BYTES = 64 * 1024
PARTS: tuple[tuple[type, str], ...] = (
    (KafkaConnectionManager, "_build_transport"),
    (NetworkSelector, "register_event"),
    (NetworkSelector, "unregister_event"),
    (NetworkSelector, "call_soon"),
    (NetworkSelector, "_current"),
    (KafkaTCPTransport, "_net"),
    (KafkaTCPTransport, "_sock"),
    (KafkaTCPTransport, "_read"),
    (KafkaTCPTransport, "_closed"),
    (KafkaTCPTransport, "_protocol"),
    (KafkaTCPTransport, "_sock_recv"),
    (KafkaTCPTransport, "_sock_send"),
    (KafkaTCPTransport, "_read_from_sock"),
    (KafkaTCPTransport, "_write_to_sock"),
    (KafkaTCPTransport, "_write_task"),
    (KafkaTCPTransport, "_write_buffer"),
    (KafkaTCPTransport, "_writing"),
    (KafkaTCPTransport, "_write"),
)
"""What a later version must have, too."""

_PARK = "weir_park"
_SUSPENDS = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ITERABLE_COROUTINE
_initialize: Any = cast(Any, selector)._initialize_coro
_MESSAGES: tuple[Any, ...] = (ProduceRequest, ProduceResponse, FetchRequest, FetchResponse)
_FACTS = ("API_KEY", "type", "min_version", "max_version", "header_class")


class QuickTransport(KafkaTCPTransport):
    """Writes at once, and stays registered for reading."""

    def write(self, data: Any) -> None:
        """Send what the socket takes now; the rest, and what fails, is for a task as ever."""
        own = cast(Any, self)
        if own._writing or own._closed or not own._write or not data:
            super().write(data)
            return
        own._write_buffer.append(data)
        _, error = own._sock_send()
        if error is not None:
            self._later(lambda: self.abort(error=error))
            return
        self.last_write = time.monotonic()
        if own._write_buffer:
            self._later(own._write_to_sock)

    def _later(self, work: Any) -> None:
        own = cast(Any, self)
        own._writing = True
        own._write_task = own._net.call_soon(work)

    async def _read_from_sock(self) -> None:
        own = cast(Any, self)
        net, sock = own._net, own._sock
        net.register_event(sock, selectors.EVENT_READ, net._current)
        try:
            while own._read and not own._closed:
                await KernelEvent(_PARK)
                data, error = own._sock_recv()
                if error is not None:
                    return self.abort(error=error)
                self.last_read = time.monotonic()
                try:
                    own._protocol.data_received(data)
                except foreign.KafkaProtocolError as problem:
                    return self.abort(error=problem)
        finally:
            net.unregister_event(sock, selectors.EVENT_READ)

    def _sock_recv(self) -> tuple[bytes, foreign.KafkaConnectionError | None]:
        """What there is, and what was wrong; a short read is the last one."""
        sock, parts = cast(Any, self)._sock, []
        while True:
            try:
                data = sock.recv(READ_BYTES)
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                return b"".join(parts), foreign.KafkaConnectionError(str(error))
            if not data:
                return b"".join(parts), foreign.KafkaConnectionError("socket disconnected")
            parts.append(data)
            if len(data) < READ_BYTES:
                break
        return parts[0] if len(parts) == 1 else b"".join(parts), None


def _coroutine(work: Any) -> Any:
    """What a task runs: a callback as a generator; all else as kafka-python has it, with many questions."""
    function = work.__func__ if type(work) is MethodType else work
    if type(function) is FunctionType and not function.__code__.co_flags & _SUSPENDS:
        return selector.yield_callback(work)
    return _initialize(work)


def use_quick_transports() -> None:
    """For all connections of this process from now on; calling it again changes nothing."""

    def park(net: Any) -> None:
        net._current.state = TaskState.WAIT_IO

    setattr(NetworkSelector, _PARK, park)
    cast(Any, selector)._initialize_coro = _coroutine
    for kind in _MESSAGES:
        for name in _FACTS:
            setattr(kind, name, getattr(kind, name))  # looked up in the protocol's description each time
    cast(Any, manager).KafkaTCPTransport = QuickTransport
