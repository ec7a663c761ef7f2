"""A proxy that does CONNECT (RFC 9110 9.3.6), whatever host it is asked for: all tunnels lead to one port here."""

import queue
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def tunnelling(port: int) -> Iterator[tuple[int, "queue.Queue[bytes]"]]:
    """Its own port, and what it was asked."""
    asked: queue.Queue[bytes] = queue.Queue()

    def tunnel(sock: socket.socket) -> None:
        with suppress(OSError), sock:
            head = b""
            while b"\r\n\r\n" not in head:
                head += sock.recv(4096)
            asked.put(head)
            with socket.create_connection(("127.0.0.1", port)) as there:
                sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                threading.Thread(target=_pump, args=(there, sock), daemon=True).start()
                _pump(sock, there)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=tunnel, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1], asked
        listener.shutdown(socket.SHUT_RDWR)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
