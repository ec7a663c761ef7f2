"""The webhook against servers on loopback: what each answer means, and what a server can do wrong."""

import base64
import hashlib
import http.server
import json
import os
import queue
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from typing import Any, NamedTuple

import pytest

from otmon.outputs import webhook
from otmon.outputs.secret import Secret
from otmon.outputs.sink import DONE, Refused, TooLarge, Unreachable
from otmon.outputs.webhook import MAX_ANSWER_BYTES, Webhook
from tests.outputs.outgoing import ALERT, HOSTILE, batch, outgoing, with_text
from tests.outputs.pki import Pki
from tests.outputs.tunnel import tunnelling

SECRET = Secret("correct horse battery staple")
NOW_S = 1_700_000_123.9


class Posted(NamedTuple):
    path: str
    headers: dict[str, str]
    body: bytes


class Server(http.server.ThreadingHTTPServer):
    """Answers as it is told; keeps what was posted."""

    daemon_threads = True
    answer: tuple[int, dict[str, str], bytes] = (204, {}, b"")

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.posted: queue.Queue[Posted] = queue.Queue()
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True)

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posted.put(Posted(self.path, dict(self.headers.items()), body))
        status, headers, said = self.server.answer
        self.send_response(status)
        for name, value in {"Content-Length": str(len(said)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[Server]:
    with Server(context) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


def hook(server: Server, path: str = "/hook?a=b", **options: Any) -> Webhook:
    return Webhook(f"http://127.0.0.1:{server.server_port}{path}", SECRET, clock=lambda: NOW_S, **options)


@contextmanager
def raw(behave: Callable[[socket.socket], None]) -> Iterator[Webhook]:
    """A server that does with each connection what it is told, and a sink that posts to it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    sock, _ = listener.accept()
                except OSError:
                    return
                with sock:
                    try:
                        behave(sock)
                    except OSError:
                        continue

        threading.Thread(target=accept, daemon=True).start()
        yield Webhook(f"http://127.0.0.1:{listener.getsockname()[1]}/", SECRET)
        listener.shutdown(socket.SHUT_RDWR)


def read_all(sock: socket.socket) -> None:
    got = b""
    while b"\r\n\r\n" not in got:
        got += sock.recv(65536)
    head, _, body = got.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += sock.recv(65536)


def answering(said: bytes) -> Callable[[socket.socket], None]:
    def behave(sock: socket.socket) -> None:
        read_all(sock)
        sock.sendall(said)

    return behave


def test_what_is_posted(server: Server) -> None:
    assert hook(server).deliver(batch(3), False) == [DONE] * 3
    posted = server.posted.get(timeout=5)
    assert posted.path == "/hook?a=b"
    assert posted.headers["Host"] == f"127.0.0.1:{server.server_port}"
    assert posted.headers["Content-Type"] == "application/json"
    assert posted.headers["X-Otmon-Timestamp"] == "1700000123"
    records = json.loads(posted.body)["records"]
    assert [(one["id"], one["sequence"]) for one in records] == [(f"{n:020x}", n) for n in (1, 2, 3)]
    assert records[0] == {"stream": "alert", "site": "site-1", "sensor": "sensor-1", "record": ALERT,
                          "sequence": 1, "id": f"{1:020x}"}  # fmt: skip


def test_the_signature_is_what_hmac_says(server: Server) -> None:
    hook(server).deliver(batch(1), False)
    posted = server.posted.get(timeout=5)
    # HMAC by its definition (RFC 2104 2): the key is shorter than a block of 64 bytes.
    key = SECRET.text.encode().ljust(64, b"\0")
    inner, outer = (bytes(byte ^ pad for byte in key) for pad in (0x36, 0x5C))
    signed = posted.headers["X-Otmon-Timestamp"].encode() + b"." + posted.body
    expected = hashlib.sha256(outer + hashlib.sha256(inner + signed).digest()).hexdigest()
    assert posted.headers["X-Otmon-Signature"] == f"sha256={expected}"
    assert SECRET.text not in str(posted)


def test_openssl_agrees_on_the_signature(server: Server, pki: Pki) -> None:
    hook(server).deliver(batch(2), False)
    posted = server.posted.get(timeout=5)
    signed = posted.headers["X-Otmon-Timestamp"].encode() + b"." + posted.body
    made = subprocess.run(
        ["openssl", "dgst", "-sha256", "-hmac", SECRET.text], input=signed, capture_output=True, check=True
    )
    assert made.stdout.decode().split()[-1] == posted.headers["X-Otmon-Signature"].removeprefix("sha256=")


def test_the_same_records_have_the_same_key(server: Server) -> None:
    for records in (batch(3), batch(3), batch(2), [outgoing(1), outgoing(3)]):
        hook(server).deliver(records, True)
    keys = [server.posted.get(timeout=5).headers["Idempotency-Key"] for _ in range(4)]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3
    assert keys[0].startswith(f'"{1:020x}..{3:020x}/')


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_text_gets_out_of_the_body(server: Server, text: str) -> None:
    one = outgoing(record=with_text(text), site=text, sensor=text, id=text[:120])
    assert hook(server).deliver([one], False) == [DONE]
    posted = server.posted.get(timeout=5)
    assert set(posted.headers) == {"Host", "Accept-Encoding", "Content-Length", "Content-Type", "User-Agent",
                                   "Idempotency-Key", "X-Otmon-Timestamp", "X-Otmon-Signature",
                                   "Connection"}  # fmt: skip
    assert all(value.isascii() and value.isprintable() for value in posted.headers.values())
    assert json.loads(posted.body)["records"][0]["record"] == one.record


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299, 409])
def test_taken(server: Server, status: int) -> None:
    server.answer = (status, {}, b"")
    assert hook(server).deliver(batch(2), False) == [DONE] * 2


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
@pytest.mark.parametrize(
    ("said", "waited_s"),
    [
        (None, None),
        ("0", 0.0),
        ("17", 17.0),
        ("99999999999999999999999", webhook.MAX_RETRY_AFTER_S),
        ("-5", None),
        ("soon", None),
        (formatdate(NOW_S + 60, usegmt=True), 59.1),
        (formatdate(NOW_S - 60, usegmt=True), 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", webhook.MAX_RETRY_AFTER_S),
        ("Fri, 99 Foo 2023 99:99:99 GMT", None),
    ],
)
def test_later(server: Server, status: int, said: str | None, waited_s: float | None) -> None:
    server.answer = (status, {} if said is None else {"Retry-After": said}, b"busy")
    with pytest.raises(Unreachable, match=f"answered {status}") as caught:
        hook(server).deliver(batch(1), False)
    assert caught.value.retry_after_s == (None if waited_s is None else pytest.approx(waited_s, abs=0.01))


@pytest.mark.parametrize("status", [401, 403, 404, 405, 410, 415, 451])
def test_refused(server: Server, status: int) -> None:
    server.answer = (status, {}, b"go away")
    with pytest.raises(Refused, match=f"answered {status}"):
        hook(server).deliver(batch(1), False)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(server: Server, status: int) -> None:
    server.answer = (status, {"Location": f"http://127.0.0.1:{server.server_port}/elsewhere"}, b"")
    with pytest.raises(Refused, match=r"redirects to 127\.0\.0\.1"):
        hook(server).deliver(batch(1), False)
    assert server.posted.qsize() == 1


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_batch_is_split_until_the_bad_record_is_alone(server: Server, status: int) -> None:
    server.answer = (status, {}, b"\x1b[31mno\r\nX: y " + "ünd ".encode() + b"\xff" * 1000)
    with pytest.raises(TooLarge, match=f"answered {status} to 2 records"):
        hook(server).deliver(batch(2), False)
    (answer,) = hook(server).deliver(batch(1), False)
    assert answer.kind == "dead"
    assert answer.reason.startswith(f"the webhook at 127.0.0.1:{server.server_port} answered {status}: \\x1b[31mno")
    assert answer.reason.isprintable()
    assert len(answer.reason) < 400


def test_nothing_is_posted_of_nothing(server: Server) -> None:
    assert hook(server).deliver([], False) == []
    assert server.posted.empty()


def test_the_address_is_in_no_message(server: Server) -> None:
    server.answer = (500, {}, b"")
    with pytest.raises(Unreachable) as caught:
        hook(server, "/services/T00/token").deliver(batch(1), False)
    assert "token" not in str(caught.value)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 2",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\nhalf",
        b"HTTP/1.1 two OK\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    ],
    ids=range(9),
)
def test_half_an_answer_is_none(said: bytes) -> None:
    with raw(answering(said)) as sink, pytest.raises(Unreachable) as caught:
        sink.deliver(batch(1), False)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_an_answer_without_end_is_read_so_far() -> None:
    sent, ended = 0, threading.Event()

    def behave(sock: socket.socket) -> None:
        nonlocal sent
        read_all(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while sent < 1 << 30:
                sent += sock.send(b"x" * 65536)
        finally:
            ended.set()

    with raw(behave) as sink:
        assert sink.deliver(batch(1), False) == [DONE]
        assert ended.wait(30)
    assert MAX_ANSWER_BYTES <= sent < 1 << 26


def test_who_answers_before_it_has_all_is_heard() -> None:
    def behave(sock: socket.socket) -> None:
        sock.recv(1024)
        sock.sendall(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        sock.shutdown(socket.SHUT_RDWR)

    with raw(behave) as sink, pytest.raises((TooLarge, Unreachable), match=r"answered 413|reset"):
        sink.deliver(batch(8_000), False)  # the answer may be lost with the rest


def silent(sock: socket.socket) -> None:
    time.sleep(5)


def trickling(sock: socket.socket) -> None:
    read_all(sock)
    sock.sendall(b"HTTP/1.1 200 OK\r\n")
    for _ in range(100):
        sock.sendall(b"X: y\r\n")
        time.sleep(0.05)


def continuing(sock: socket.socket) -> None:
    read_all(sock)
    for _ in range(100):
        sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        time.sleep(0.05)


@pytest.mark.parametrize("behave", [silent, trickling, continuing])
@pytest.mark.parametrize("count", [1, 8_000])
def test_a_slow_server_is_not_waited_for_long(
    behave: Callable[[socket.socket], None], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "EXCHANGE_S", 0.3)
    records = batch(count)
    with raw(behave) as sink:
        before = time.monotonic()
        with pytest.raises(Unreachable, match="did not answer in time"):
            sink.deliver(records, False)
        assert time.monotonic() - before < 3


def test_by_tls_the_server_is_verified(pki: Pki) -> None:
    with serving(pki.context()) as server:
        url = f"https://localhost:{server.server_port}/"
        assert Webhook(url, SECRET, ca=pki.ca).deliver(batch(2), False) == [DONE] * 2
        assert server.posted.get(timeout=5).headers["Host"] == f"localhost:{server.server_port}"
        for ca in (pki.other_ca, None):
            with pytest.raises(Refused, match="is not to be trusted") as caught:
                Webhook(url, SECRET, ca=ca).deliver(batch(1), False)
            assert "\n" not in str(caught.value)
        assert Webhook(url, SECRET, insecure=True).deliver(batch(1), False) == [DONE]


def test_by_tls_to_who_speaks_none(server: Server) -> None:
    with pytest.raises(Refused, match="no TLS with the webhook"):
        Webhook(f"https://localhost:{server.server_port}/", SECRET).deliver(batch(1), False)


@pytest.mark.parametrize("user", ["", "us%40er:p%3Ass@"])
def test_a_proxy_is_taken_from_the_environment(pki: Pki, user: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving(pki.context()) as server, tunnelling(server.server_port) as (port, asked):
        monkeypatch.setenv("https_proxy", f"http://{user}127.0.0.1:{port}")
        sink = Webhook("https://localhost:4443/", SECRET, ca=pki.ca)
        assert sink.deliver(batch(1), False) == [DONE]
        head = asked.get(timeout=5)
        assert head.startswith(b"CONNECT localhost:4443 ")
        assert (b"Basic " + base64.b64encode(b"us@er:p:ss") in head) == bool(user)
        monkeypatch.setenv("no_proxy", "localhost")
        with pytest.raises(Unreachable, match="Connection refused"):
            sink.deliver(batch(1), False)
        monkeypatch.delenv("no_proxy")
        monkeypatch.setenv("https_proxy", "socks5://127.0.0.1:1")
        with pytest.raises(Refused, match=r"https_proxy is not"):
            sink.deliver(batch(1), False)


def test_the_secret_is_shown_nowhere(server: Server) -> None:
    assert SECRET.text not in repr(vars(hook(server)) | {"_secret": None})
    assert SECRET.text not in repr(os.environ)
