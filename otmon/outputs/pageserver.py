"""Serves one page over HTTP from the loop of whoever owns it: no thread, nothing ever waits.

What a scraper needs and no more: GET, one answer, closed. A client that is slow or greedy is dropped.
"""

import selectors
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

MAX_CLIENTS: Final = 8
MAX_REQUEST_BYTES: Final = 8192
PATIENCE_S: Final = 5.0
FRESH_S: Final = 0.5
"""For so long the same page is given: whoever asks without end costs next to nothing."""
_ANSWERS_AT_ONCE: Final = 4


class _Client:
    """One connection."""

    def __init__(self, sock: socket.socket, until_s: float) -> None:
        self.socket, self.until_s = sock, until_s
        self.asked = b""
        self.answer: memoryview | None = None


class PageServer:
    """Bound when it is made; `serve` does what can be done now. Raises OSError if the address is not to be had."""

    def __init__(
        self,
        host: str,
        port: int,
        path: str,
        content_type: str,
        page: Callable[[], bytes],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path, self._type, self._page, self._monotonic = path, content_type, page, monotonic
        self._clients: dict[int, _Client] = {}
        self._made: tuple[float, bytes] | None = None
        self._selector = selectors.DefaultSelector()
        self._listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        try:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listener.setblocking(False)
            self._listener.bind((host, port))
            self._listener.listen(MAX_CLIENTS)
        except OSError:
            self._listener.close()
            raise
        self.port: int = self._listener.getsockname()[1]
        self._selector.register(self._listener, selectors.EVENT_READ, None)

    def serve(self) -> None:
        """Take, read and answer what is ready."""
        now_s = self._monotonic()
        for _ in range(_ANSWERS_AT_ONCE):
            ready = self._selector.select(0)
            if not ready:
                break
            for key, _ in ready:
                if key.data is None:
                    self._accept(now_s)
                else:
                    self._go_on(key.data)
        for client in [client for client in self._clients.values() if now_s > client.until_s]:
            self._drop(client)

    def _accept(self, now_s: float) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return
        sock.setblocking(False)
        if len(self._clients) >= MAX_CLIENTS:
            sock.close()
            return
        client = self._clients[sock.fileno()] = _Client(sock, now_s + PATIENCE_S)
        self._selector.register(sock, selectors.EVENT_READ, client)

    def _go_on(self, client: _Client) -> None:
        try:
            if client.answer is None:
                more = client.socket.recv(MAX_REQUEST_BYTES)
                client.asked += more
                if b"\r\n\r\n" in client.asked:
                    client.answer = memoryview(self._answer(client.asked))
                    self._selector.modify(client.socket, selectors.EVENT_WRITE, client)
                elif not more or len(client.asked) > MAX_REQUEST_BYTES:
                    self._drop(client)
            if client.answer is not None:
                client.answer = client.answer[client.socket.send(client.answer) :]
                if not client.answer:
                    self._drop(client)
        except BlockingIOError:
            pass
        except OSError:
            self._drop(client)

    def _answer(self, asked: bytes) -> bytes:
        words = asked.split(b"\r\n", 1)[0].split(b" ")
        if len(words) != 3 or words[0] not in (b"GET", b"HEAD"):
            status, kind, body = "405 Method Not Allowed", "text/plain", b"GET only\n"
        elif words[1].partition(b"?")[0] != self._path.encode():
            status, kind, body = "404 Not Found", "text/plain", f"see {self._path}\n".encode()
        else:
            status, kind, body = "200 OK", self._type, self._fresh()
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        return head.encode() + (b"" if words[0] == b"HEAD" else body)

    def _fresh(self) -> bytes:
        now_s = self._monotonic()
        if self._made is None or now_s - self._made[0] > FRESH_S:
            self._made = now_s, self._page()
        return self._made[1]

    def _drop(self, client: _Client) -> None:
        self._clients.pop(client.socket.fileno(), None)
        with suppress(KeyError, ValueError):
            self._selector.unregister(client.socket)
        client.socket.close()

    def close(self) -> None:
        """Let go of everything."""
        for client in list(self._clients.values()):
            self._drop(client)
        self._selector.close()
        self._listener.close()
