"""The webhook against servers and proxies that trickle, and answer what makes http.client and urllib raise."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from otmon.outputs import webhook
from otmon.outputs.secret import Secret
from otmon.outputs.sink import Refused, Unreachable
from otmon.outputs.webhook import Webhook
from tests.outputs.outgoing import batch
from tests.outputs.pki import Pki

SECRET = Secret("correct horse battery staple")
NAMES = ("https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY")


@contextmanager
def listening(behave: Callable[[socket.socket], None]) -> Iterator[int]:
    """The port of a server that does with each connection what it is told."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def one(sock: socket.socket) -> None:
            with suppress(OSError), sock:
                behave(sock)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def trickle(sock: socket.socket, piece: bytes) -> None:
    for _ in range(120):
        sock.sendall(piece)
        time.sleep(0.05)


def answering(said: bytes) -> Callable[[socket.socket], None]:
    def behave(sock: socket.socket) -> None:
        got = b""
        while b"]}" not in got and not got.startswith(b"HEAD"):
            got += sock.recv(65_536)
        sock.sendall(said)

    return behave


def post(sink: Webhook) -> None:
    sink.deliver(batch(1), False)


def reach(sink: Webhook) -> None:
    sink.reach()


def slow_headers(sock: socket.socket) -> None:
    sock.recv(65_536)
    sock.sendall(b"HTTP/1.1 200 Connection established\r\n")
    trickle(sock, b"X: y\r\n")


def slow_status(sock: socket.socket) -> None:
    trickle(sock, b"H")


def slow_tls(sock: socket.socket) -> None:
    """A record of TLS, a byte at a time."""
    sock.recv(65_536)
    sock.sendall(b"\x16\x03\x03\x40\x00")
    trickle(sock, b"\x02")


def slow_tls_behind_a_proxy(sock: socket.socket) -> None:
    sock.recv(65_536)
    time.sleep(0.3)
    sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    slow_tls(sock)


@pytest.fixture
def in_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "CONNECT_S", 0.5)
    monkeypatch.setattr(webhook, "EXCHANGE_S", 0.5)
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("in_a_moment")
@pytest.mark.parametrize("ask", [post, reach])
@pytest.mark.parametrize("behave", [slow_headers, slow_status, slow_tls_behind_a_proxy])
def test_a_proxy_that_trickles_is_not_waited_for_long(
    behave: Callable[[socket.socket], None], ask: Callable[[Webhook], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with listening(behave) as port:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
        sink = Webhook("https://siem.example/", SECRET)
        before_s = time.monotonic()
        with pytest.raises(Unreachable, match="did not answer in time"):
            ask(sink)
        assert time.monotonic() - before_s < 2


@pytest.mark.usefixtures("in_a_moment")
@pytest.mark.parametrize("ask", [post, reach])
def test_a_handshake_that_trickles_is_not_waited_for_long(ask: Callable[[Webhook], None]) -> None:
    with listening(slow_tls) as port:
        sink = Webhook(f"https://127.0.0.1:{port}/", SECRET)
        before_s = time.monotonic()
        with pytest.raises(Unreachable, match="did not answer in time"):
            ask(sink)
        assert time.monotonic() - before_s < 2


@pytest.mark.usefixtures("in_a_moment")
def test_a_head_that_trickles_is_not_waited_for_long() -> None:
    with listening(slow_headers) as port:
        sink = Webhook(f"http://127.0.0.1:{port}/", SECRET)
        before_s = time.monotonic()
        with pytest.raises(Unreachable, match="did not answer in time"):
            sink.reach()
        assert time.monotonic() - before_s < 2


@pytest.mark.usefixtures("in_a_moment")
def test_who_takes_little_at_a_time_is_not_waited_for_long(pki: Pki) -> None:
    context = pki.context()

    def behave(sock: socket.socket) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with suppress(OSError, ssl.SSLError), context.wrap_socket(sock, server_side=True) as secure:
            for _ in range(300):
                secure.recv(16_384)
                time.sleep(0.1)

    with listening(behave) as port:
        sink = Webhook(f"https://127.0.0.1:{port}/", SECRET, ca=pki.ca)
        records = batch(20_000)
        before_s = time.monotonic()
        with pytest.raises(Unreachable, match="did not answer in time"):
            sink.deliver(records, False)
        assert time.monotonic() - before_s < 15


@pytest.mark.parametrize("location", ["http://[x", "http://[::1", "//[", "http://a..b/", ""])
def test_a_redirect_may_lead_nowhere(location: str) -> None:
    said = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
    with listening(answering(said)) as port, pytest.raises(Refused, match="redirects to"):
        Webhook(f"http://127.0.0.1:{port}/", SECRET).deliver(batch(1), False)


@pytest.mark.parametrize("size", [b"-5", b"-1", "²".encode(), b"x", b"1e9"])
def test_a_chunk_of_no_size_is_none(size: bytes) -> None:
    said = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + size + b"\r\n" + b"y" * 10_000_000
    with listening(answering(said)) as port, pytest.raises(Unreachable):
        Webhook(f"http://127.0.0.1:{port}/", SECRET).deliver(batch(1), False)


@pytest.mark.parametrize("host", ["a..b", "..", f"{'a' * 64}.example", ".siem"])
def test_a_name_that_can_be_none_is_refused(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="write https://HOST/PATH"):
        Webhook(f"https://{host}/", SECRET)
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", f"http://{host}:3128")
    with pytest.raises(Refused, match="https_proxy is not"):
        Webhook("https://siem.example/", SECRET).deliver(batch(1), False)
