"""What a server in Elasticsearch's place can answer: without end, slowly, or what nobody can read."""

import gzip
import hashlib
import re
import socket
import ssl
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("elasticsearch")

from otmon.outputs.elastic.connection import MAX_RETRY_AFTER_S, Elastic, answers, client, elastic
from otmon.outputs.elastic.node import MAX_ANSWER_BYTES
from otmon.outputs.elastic.sink import ElasticSink
from otmon.outputs.sink import Placed, Refused, SinkError, Unreachable
from tests.outputs.outgoing import batch
from tests.outputs.pki import Pki, certificate, forged, make
from tests.outputs.tunnel import tunnelling

HEAD = b"HTTP/1.1 200 OK\r\nX-Elastic-Product: Elasticsearch\r\nContent-Type: application/json\r\n"
INFO = b'{"version": {"number": "8.19.0"}}'


@contextmanager
def saying(parts: Callable[[], Any], wait_s: float = 0, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port of a server that answers each request with these, and knows nothing else."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve(sock: socket.socket) -> None:
            with suppress(OSError), sock if tls is None else tls.wrap_socket(sock, server_side=True) as sock:
                while sock.recv(65_536):
                    for part in parts():
                        sock.sendall(part)
                        time.sleep(wait_s)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def at(port: int) -> Elastic:
    return Elastic(f"http://127.0.0.1:{port}")


def asked(settings: Elastic, timeout_s: float = 20.0) -> Any:
    with answers(settings):
        one = client(settings, timeout_s)
        try:
            return one.info().body
        finally:
            one.close()


def sized(body: bytes, *headers: bytes) -> bytes:
    return HEAD + b"".join(header + b"\r\n" for header in headers) + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunks(body: bytes, *headers: bytes) -> bytes:
    parts = [body[start : start + 7] for start in range(0, len(body), 7)]
    head = HEAD + b"".join(header + b"\r\n" for header in headers) + b"Transfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@pytest.mark.parametrize("made", [sized, chunks])
@pytest.mark.parametrize("packed", [False, True])
def test_a_proper_answer_is_read_and_its_connection_used_again(made: Callable[..., bytes], packed: bool) -> None:
    whole = made(gzip.compress(INFO), b"Content-Encoding: gzip") if packed else made(INFO)
    connections = []
    with saying(lambda: (connections.append(threading.get_ident()), [whole])[1]) as port, answers(at(port)):
        one = client(at(port))
        for _ in range(3):
            assert one.info()["version"]["number"] == "8.19.0"
        one.close()
    assert len(set(connections)) == 1


def bomb() -> bytes:
    """700 MB of spaces."""
    packing = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    start = packing.compress(INFO) + packing.flush(zlib.Z_FULL_FLUSH)
    return start + (packing.compress(b" " * 10_000_000) + packing.flush(zlib.Z_FULL_FLUSH)) * 70


def test_a_small_answer_that_unpacks_to_a_large_one_is_none() -> None:
    whole = sized(bomb(), b"Content-Encoding: gzip")
    with saying(lambda: [whole]) as port:
        client(at(port)).close()  # loads what is needed
        tracemalloc.start()
        try:
            with pytest.raises(Unreachable, match="longer than 16 MiB"):
                asked(at(port))
            assert tracemalloc.get_traced_memory()[1] < 100_000_000
        finally:
            tracemalloc.stop()


def endless(head: bytes, piece: bytes) -> Callable[[], Iterator[bytes]]:
    def parts() -> Iterator[bytes]:
        yield head
        while True:
            yield piece

    return parts


CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
WITHOUT_END = {
    "chunks": (CHUNKED, b"10000\r\n" + b" " * 65_536 + b"\r\n"),
    "a chunk of -1": (CHUNKED + b"-1\r\n", b" " * 65_536),
    "a chunk's size": (CHUNKED, b"0" * 65_536),
    "no length": (HEAD + b"\r\n", b" " * 65_536),
    "a length": (HEAD + b"Content-Length: 99999999999\r\n\r\n", b" " * 65_536),
    "headers": (HEAD, b"X: %b\r\n" % (b"y" * 60_000)),
    "a header": (HEAD, b"y" * 65_536),
    "gzip of nothing": (HEAD + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"")[:10], b"\0\0\0\xff\xff" * 9_999),
}


@pytest.mark.parametrize("name", WITHOUT_END)
def test_an_answer_without_end_is_none(name: str) -> None:
    with saying(endless(*WITHOUT_END[name])) as port:
        tracemalloc.start()
        try:
            with pytest.raises(Unreachable):
                asked(at(port))
            assert tracemalloc.get_traced_memory()[1] < 100_000_000
        finally:
            tracemalloc.stop()


SLOW = {
    "body": (HEAD + b"Content-Length: 1000\r\n\r\n", b" "),
    "chunks": (CHUNKED, b"1\r\n \r\n"),
    "headers": (HEAD, b"X: y\r\n"),
    "continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@pytest.mark.parametrize("name", SLOW)
def test_an_answer_that_trickles_is_not_waited_for_long(name: str) -> None:
    with saying(endless(*SLOW[name]), 0.05) as port:
        before_s = time.monotonic()
        with pytest.raises(Unreachable, match="in time"):
            asked(at(port), 0.5)
        assert time.monotonic() - before_s < 3


def test_a_proxy_that_trickles_is_not_waited_for_long(tmp_path: Path) -> None:
    with saying(endless(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"), 0.05) as port:
        settings = Elastic("https://localhost:9200", ca=make(tmp_path).ca, proxy=f"http://127.0.0.1:{port}")
        before_s = time.monotonic()
        with pytest.raises(Unreachable):
            asked(settings, 0.5)
        assert time.monotonic() - before_s < 3


BROKEN = {
    "half of gzip": sized(gzip.compress(INFO)[:-6], b"Content-Encoding: gzip"),
    "more than gzip": sized(gzip.compress(INFO) * 2, b"Content-Encoding: gzip"),
    "no gzip": sized(INFO, b"Content-Encoding: gzip"),
    "not asked for": sized(INFO, b"Content-Encoding: br"),
    "deep": sized(b'{"version": ' + b"[" * 200_000),
    "no version": sized(b"{}"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_read_is_none(name: str) -> None:
    with saying(lambda: [BROKEN[name]]) as port:
        sink = ElasticSink(at(port))
        for _ in range(12):  # more than the pool has places for connections
            with pytest.raises(Unreachable):
                sink.reach()
        sink.close()


@pytest.mark.parametrize("status", ["1e999", "-1e999", "[]", '"²"', "[" * 900 + "]" * 900, "9" * 5_000])
def test_an_item_of_no_status_is_none(status: str) -> None:
    (one,) = batch(1)
    said = f'{{"items": [{{"create": {{"_id": "{one.id}", "status": {status}}}}}]}}'.encode()
    with saying(lambda: [sized(said)]) as port:
        sink = ElasticSink(at(port))
        with pytest.raises(Unreachable, match="cannot be read"):
            sink.deliver([one], False)
        sink.close()


@pytest.mark.parametrize("depth", [*range(100, 1_000, 10), 100_000])
def test_a_reason_may_be_deep(depth: int) -> None:
    deep = b"[" * depth + b"]" * depth
    said = sized(b'{"error": {"type": %b, "reason": %b}}' % (deep, deep)).replace(b"200 OK", b"503 Busy", 1)
    with saying(lambda: [said]) as port, pytest.raises(SinkError):
        asked(at(port))


@pytest.mark.parametrize(
    ("said", "waited_s"), [("²", None), ("٣", None), ("7", 7.0), ("9" * 400, MAX_RETRY_AFTER_S), ("-1", None)]
)
def test_when_to_come_again(said: str, waited_s: float | None) -> None:
    # Headers are Latin-1, to which "٣" does not belong: it comes as two other characters.
    header = b"Retry-After: " + (said.encode("latin-1") if said != "٣" else said.encode())
    whole = sized(b"{}", header).replace(b"200 OK", b"429 Slow", 1)
    with saying(lambda: [whole]) as port, pytest.raises(Unreachable) as caught:
        asked(at(port))
    assert caught.value.retry_after_s == waited_s


def test_redirects_are_not_followed() -> None:
    whole = sized(b"{}", b"Location: http://[x").replace(b"200 OK", b"302 Found", 1)
    with saying(lambda: [whole]) as port, pytest.raises(Refused):
        asked(at(port))


def test_the_limit_is_far_above_what_is_needed() -> None:
    body = INFO + b" " * (MAX_ANSWER_BYTES - len(INFO))
    with saying(lambda: [sized(body)]) as port:
        assert asked(at(port))["version"]["number"] == "8.19.0"


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return make(tmp_path_factory.mktemp("pki"))


def test_an_authority_that_only_root_can_read_is_read_while_that_is_possible(pki: Pki, tmp_path: Path) -> None:
    """And one that was replaced counts as long as it can be read."""
    ca = tmp_path / "ca.pem"
    ca.write_bytes("# Zertifizierungsstelle für Prüfungen\n".encode() + pki.ca.read_bytes())
    with saying(lambda: [sized(INFO)], tls=pki.context()) as port:
        settings = Elastic(f"https://localhost:{port}", ca=ca)
        early = settings.early()
        assert asked(early)["version"]["number"] == "8.19.0"
        ca.unlink()
        assert asked(early)["version"]["number"] == "8.19.0"
        with pytest.raises(Refused, match=r"ca\.pem: cannot be read \(No such file or directory\)"):
            asked(settings)
        ca.write_bytes(pki.other_ca.read_bytes())
        with pytest.raises(Refused, match="its certificate is not trusted; name its authority"):
            asked(early)
        ca.write_text("no certificate")
        with pytest.raises(Refused, match=r"ca\.pem holds no certificate of an authority"):
            asked(early)


def _closed() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_what_goes_wrong_is_said_without_objects_of_python(pki: Pki) -> None:
    half = sized(INFO)[:-4]
    plain = {
        "no HTTP": [b"SSH-2.0-OpenSSH_9.2\r\n\r\n"],
        "it hung up without an answer": [],
        "breaks off": [half],
        "cannot be unpacked": [sized(b"x" * 40, b"Content-Encoding: gzip")],
        "packed in a way": [sized(INFO, b"Content-Encoding: br")],
    }

    def once(parts: list[bytes]) -> Iterator[bytes]:
        yield from parts
        raise OSError  # the server hangs up

    for words, parts in plain.items():
        with saying(lambda parts=parts: once(parts)) as port:  # type: ignore[misc]  # bound here
            _check(at(port), words)
    with saying(lambda: [sized(INFO)], tls=pki.context()) as port:
        _check(Elastic(f"https://localhost:{port}"), r"not trusted; name its .* \(certificate verify failed: ")
        _check(Elastic(f"https://localhost:{port}", fingerprint="ab" * 32), "not the one of the fingerprint")
        _check(at(port), "hung up|broke|no HTTP")
    with saying(lambda: [sized(INFO)]) as port:
        _check(Elastic(f"https://localhost:{port}", ca=pki.ca), "speaks no TLS")
        proxied = Elastic("https://elastic.example:9200", ca=pki.ca, proxy=f"http://127.0.0.1:{port}")
        _check(replace(proxied, proxy=f"http://127.0.0.1:{_closed()}"), "through the proxy: the connection was refused")
    with saying(lambda: [b"HTTP/1.1 403 Forbidden\r\n\r\n"]) as port:
        _check(replace(proxied, proxy=f"http://127.0.0.1:{port}"), "through the proxy: .*403 Forbidden")
    _check(at(_closed()), "the connection was refused: nothing listens there")
    _check(Elastic("https://nowhere.invalid:9200"), "its name is not known here")


def mark(path: Path) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate(path))).hexdigest()


@pytest.mark.parametrize("proxied", [False, True])
@pytest.mark.parametrize("name", ["ca", "server"])
def test_a_certificate_that_is_only_sent_along_is_not_the_one_of_the_fingerprint(
    pki: Pki, tmp_path: Path, name: str, proxied: bool
) -> None:
    """Whoever is between has the right certificate, too; what he lacks is its key."""
    shown = getattr(pki, name)
    context = pki.context(forged(tmp_path / "forged", name, shown))
    with saying(lambda: [sized(INFO)], tls=context) as port, tunnelling(port) as (proxy, _):
        settings = Elastic(f"https://localhost:{port}", fingerprint=mark(shown))
        settings = replace(settings, proxy=f"http://127.0.0.1:{proxy}" if proxied else None)
        _check(settings, "not the one of the fingerprint")


def test_through_a_proxy_the_server_is_verified_all_the_same(pki: Pki) -> None:
    """The proxy is asked for the name, and sees no more: TLS ends where the certificate is."""
    with saying(lambda: [sized(INFO)], tls=pki.context()) as port, tunnelling(port) as (proxy, heads):
        through = Elastic("https://localhost:9243", proxy=f"http://127.0.0.1:{proxy}")
        trusted = ({"ca": pki.ca}, {"fingerprint": mark(pki.server)}, {"insecure": True})
        for more in trusted:
            assert asked(replace(through, **more))["version"]["number"] == "8.19.0"
            assert heads.get(timeout=5).startswith(b"CONNECT localhost:9243 ")
        for more, words in (
            ({"ca": pki.other_ca}, "its certificate is not trusted"),
            ({}, "its certificate is not trusted"),
            ({"fingerprint": "ab" * 32}, "not the one of the fingerprint"),
        ):
            _check(replace(through, **more), words)
        _check(replace(through, url="https://elastic.example:9243", ca=pki.ca), "its certificate is not trusted")


def _check(settings: Elastic, words: str) -> None:
    with pytest.raises(SinkError, match=words) as caught:
        asked(settings, 5)
    line = str(caught.value)
    assert not re.search(r"urllib3|object at|0x[0-9a-f]{6}|Errno|Error\(|_ssl\.c|Exception", line), line
    assert "\n" not in line


def test_a_namespace_that_nobody_said_is_that_of_before() -> None:
    for env, goes in (({}, "before"), ({"OTMON_ELASTIC_NAMESPACE": "said"}, "said")):
        sink = ElasticSink(elastic("http://127.0.0.1:9200", env=env))
        assert isinstance(sink, Placed)
        sink.settle("before")
        assert (sink.place, sink.settings.namespace) == (goes, goes)
