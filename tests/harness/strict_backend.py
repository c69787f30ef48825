"""A backend that takes requests only in the strictest reading of HTTP/1.1, and remembers them byte for byte."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import h11


@dataclass(slots=True)
class StrictBackend:
    """What came."""

    port: int
    requests: list[h11.Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    """Of those that were whole."""
    mistakes: list[str] = field(default_factory=list)
    """What was not HTTP."""

    def serve(self, connection: socket.socket) -> None:
        """Answer every request of one connection."""
        state = h11.Connection(h11.SERVER)
        with connection, suppress(OSError):
            try:
                while self._one(connection, state):
                    state.start_next_cycle()
            except h11.RemoteProtocolError as error:
                self.mistakes.append(str(error))
            except h11.LocalProtocolError:
                return  # no further request may come here

    def _one(self, connection: socket.socket, state: h11.Connection) -> bool:
        body = b""
        while True:
            event = state.next_event()
            if event is h11.NEED_DATA:
                data = connection.recv(65_536)
                if not data:  # given up in the middle, or at the end
                    return False
                state.receive_data(data)
            elif isinstance(event, h11.Request):
                self.requests.append(event)
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                self.bodies.append(body)
                answer = h11.Response(status_code=200, headers=[("content-length", "0")])
                connection.sendall((state.send(answer) or b"") + (state.send(h11.EndOfMessage()) or b""))
                return True
            else:
                return False


@contextmanager
def running_strict_backend() -> Iterator[StrictBackend]:
    """Listening on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        backend = StrictBackend(server.getsockname()[1])

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    threading.Thread(target=backend.serve, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield backend
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(5)
