"""Syslog over real sockets, read by a parser of RFC 5424 of its own."""

import queue
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from otmon.outputs import syslog_cef
from otmon.outputs.sink import DONE, Refused, Unreachable
from otmon.outputs.syslog_cef import MAX_DATAGRAM_BYTES, MAX_MESSAGE_BYTES, SyslogCef, message
from otmon.outputs.tls import tls_context
from tests.outputs.outgoing import ALERT, HOSTILE, T0, batch, outgoing, with_text
from tests.outputs.pki import Pki
from tests.outputs.test_cef import parsed

# The grammar of RFC 5424 section 6, by hand.
NAME = rb"[!#-<>-\\^-~]{1,32}"  # PRINTUSASCII without '=', SP, ']', '"'
PARAM = rb'%b="(?:[^"\\\]]|\\["\\\]])*"' % NAME
ELEMENT = rb"\[%b(?: %b)*\]" % (NAME, PARAM)
MESSAGE = re.compile(
    rb"<(?P<pri>0|[1-9]\d?|1[0-8]\d|19[01])>1"
    rb" (?P<time>-|\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-5]\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d))"
    rb" (?P<host>[!-~]{1,255}) (?P<app>[!-~]{1,48}) (?P<proc>[!-~]{1,128}) (?P<id>[!-~]{1,32})"
    rb" (?P<sd>-|(?:%b)+)(?: (?P<text>.*))?" % ELEMENT,
    re.DOTALL,
)


def read(raw: bytes) -> dict[str, str]:
    match = MESSAGE.fullmatch(raw)
    assert match, raw[:300]
    found = match.groupdict()
    text = found["text"]
    assert text.isascii() != text.startswith(b"\xef\xbb\xbf"), "the mark stands before what is more than ASCII"
    assert b"\n" not in raw
    return {name: value.decode("utf-8-sig") for name, value in found.items()}


def frames(raw: bytes) -> list[bytes]:
    """RFC 6587 3.4.1."""
    found = []
    while raw:
        length, _, raw = raw.partition(b" ")
        assert re.fullmatch(rb"[1-9]\d*", length)
        found.append(raw[: int(length)])
        assert len(found[-1]) == int(length)
        raw = raw[int(length) :]
    return found


class Collector:
    """Listens on loopback; gives what each connection brought when it ended."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.context = context
        self.connections: queue.Queue[socket.socket] = queue.Queue()
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.settimeout(10)
            try:
                self.connections.put(self.context.wrap_socket(sock, server_side=True) if self.context else sock)
            except OSError:
                sock.close()

    def one(self) -> socket.socket:
        return self.connections.get(timeout=10)


@contextmanager
def collecting(context: ssl.SSLContext | None = None) -> Iterator[Collector]:
    collector = Collector(context)
    with collector.listener:
        yield collector
        collector.listener.shutdown(socket.SHUT_RDWR)
        collector.thread.join(10)
        while not collector.connections.empty():
            collector.connections.get().close()


def rest(sock: socket.socket) -> bytes:
    with sock:
        return b"".join(iter(lambda: sock.recv(65536), b""))


def exactly(sock: socket.socket, count: int) -> list[bytes]:
    raw = b""
    while True:
        raw += sock.recv(65536)
        try:
            found = frames(raw)
        except AssertionError:
            continue
        if len(found) == count:
            return found


OPEN: list[SyslogCef] = []


def opened(url: str, **options: Any) -> SyslogCef:
    """A sink that is closed when its test is over."""
    OPEN.append(SyslogCef(url, **options))
    return OPEN[-1]


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    while OPEN:
        OPEN.pop().close()


def again_and_again(sink: SyslogCef, count: int) -> None:
    for _ in range(10_000):
        sink.deliver(batch(count), False)


def test_the_example() -> None:
    found = read(message(outgoing(7), 12, MAX_MESSAGE_BYTES))
    assert found["pri"] == str(16 * 8 + 3)
    assert (found["time"], found["host"], found["app"], found["proc"], found["id"]) == (
        "2023-11-14T22:13:20.000000Z",
        "sensor-1",
        "otmon",
        "-",
        "alert",
    )
    assert found["sd"].endswith('[meta sequenceId="12"]')
    assert parsed(found["text"])[1]["msg"] == ALERT["title"]


@pytest.mark.parametrize(
    ("severity", "pri"), [("critical", 106), ("high", 107), ("medium", 108), ("low", 109), ("info", 110)]
)
def test_the_priority_is_the_severity(severity: str, pri: int) -> None:
    raw = message(outgoing(record=ALERT | {"severity": severity}), 1, MAX_MESSAGE_BYTES, facility=13)
    assert read(raw)["pri"] == str(pri)


@pytest.mark.parametrize("max_bytes", [MAX_DATAGRAM_BYTES, MAX_MESSAGE_BYTES])
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_message_is_one_message_whatever_it_holds(text: str, max_bytes: int) -> None:
    raw = message(outgoing(record=with_text(text), site=text, sensor=text), 1, max_bytes)
    assert len(raw) <= max_bytes
    assert parsed(read(raw)["text"])[1]["act"] == "detected"


def test_structured_data_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syslog_cef, "__version__", 'a"b]c\\d')
    assert r'swVersion="a\"b\]c\\d"' in read(message(outgoing(), 1, MAX_MESSAGE_BYTES))["sd"]


def test_nanoseconds_are_cut_not_rounded() -> None:
    assert read(message(outgoing(ts_ns=T0 + 999_999_999), 1, 8192))["time"] == "2023-11-14T22:13:20.999999Z"
    assert read(message(outgoing(ts_ns=0), 1, 8192))["time"] == "1970-01-01T00:00:00.000000Z"


def test_by_udp_each_record_is_a_datagram() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as collector:
        collector.bind(("127.0.0.1", 0))
        collector.settimeout(10)
        sink = opened(f"udp://127.0.0.1:{collector.getsockname()[1]}")
        records = [outgoing(n, record=ALERT | {"title": "🛢" * 800}) for n in (1, 2, 3)]
        assert sink.deliver(records, False) == [DONE] * 3
        raw = [collector.recv(65536) for _ in range(3)]
        sink.close()
    assert all(1390 < len(one) <= MAX_DATAGRAM_BYTES for one in raw)
    assert [parsed(read(one)["text"])[1]["cn1"] for one in raw] == ["1", "2", "3"]
    assert [read(one)["sd"][-4:] for one in raw] == ['"1"]', '"2"]', '"3"]']


def test_by_udp_nobody_there_is_noticed_where_the_machine_says_so() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    sink = opened(f"udp://127.0.0.1:{port}")
    with pytest.raises(Unreachable, match="Connection refused"):
        sink.deliver(batch(2), False)


def test_by_tcp_batches_share_a_connection() -> None:
    with collecting() as collector:
        sink = opened(f"tcp://localhost:{collector.port}")
        assert sink.deliver(batch(2), False) == [DONE] * 2
        assert sink.deliver([outgoing(3, record=ALERT | {"title": "🛢" * 800})], False) == [DONE]
        sink.close()
        found = [read(one) for one in frames(rest(collector.one()))]
        assert collector.connections.empty()
    assert [parsed(one["text"])[1]["cn1"] for one in found] == ["1", "2", "3"]
    assert parsed(found[2]["text"])[1]["msg"] == "🛢" * 800


def test_a_record_that_makes_no_message_holds_up_no_other() -> None:
    """As one of an older otmon may be."""
    with collecting() as collector:
        sink = opened(f"tcp://localhost:{collector.port}")
        odd = [outgoing(2, record={"title": "\x1b"}), outgoing(4, "audit", record={})]
        answers = sink.deliver([outgoing(1), odd[0], outgoing(3)], False) + sink.deliver(odd[1:], False)
        sink.close()
        found = [read(one) for one in frames(rest(collector.one()))]
    assert [answer.kind for answer in answers] == ["done", "dead", "done", "dead"]
    assert answers[1].reason == "no message can be made of it: KeyError: 'severity'"
    assert [one["sd"][-4:] for one in found] == ['"1"]', '"2"]'], "no number is left out"


def test_a_closed_connection_is_noticed_before_the_next_batch() -> None:
    with collecting() as collector:
        sink = opened(f"tcp://127.0.0.1:{collector.port}")
        sink.deliver(batch(1), False)
        with collector.one() as sock:
            exactly(sock, 1)
        with pytest.raises(Unreachable, match="closed the connection") as caught:
            again_and_again(sink, 0)
        assert caught.value.retry_after_s == 0.0
        assert sink.deliver([outgoing(2)], True) == [DONE]
        with collector.one() as sock:
            assert len(exactly(sock, 1)) == 1


def test_a_collector_that_died_without_reading_did_not_get_it() -> None:
    with collecting() as collector:
        sink = opened(f"tcp://127.0.0.1:{collector.port}")
        sink.deliver(batch(1), False)
        sock = collector.one()
        sock.shutdown(socket.SHUT_RD)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        sock.close()  # by a reset
        with pytest.raises(Unreachable, match=r"reset|closed"):
            sink.deliver(batch(1), False)
    with pytest.raises(Unreachable, match="Connection refused"):
        sink.deliver(batch(1), False)


def test_a_collector_that_does_not_read_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syslog_cef, "SEND_S", 0.3)
    with collecting() as collector:
        collector.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sink = opened(f"tcp://127.0.0.1:{collector.port}")
        before = time.monotonic()
        with pytest.raises(Unreachable, match="did not answer in time"):
            sink.deliver([outgoing(n) for n in range(4_000)], False)
        assert time.monotonic() - before < 30


def test_what_the_other_kernel_did_not_acknowledge_is_not_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch fits into our buffer, so the send itself succeeds."""
    monkeypatch.setattr(syslog_cef, "SEND_S", 0.3)
    with collecting() as collector:
        collector.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sink = opened(f"tcp://127.0.0.1:{collector.port}")
        with pytest.raises(Unreachable, match="did not answer in time"):
            again_and_again(sink, 1)


def test_by_tls_the_collector_is_verified(pki: Pki) -> None:
    with collecting(pki.context()) as collector:
        for host in ("localhost", "127.0.0.1"):
            sink = opened(f"tls://{host}:{collector.port}", ca=pki.ca)
            assert sink.deliver(batch(2), False) == [DONE] * 2
            assert sink.deliver([outgoing(3)], False) == [DONE]
            sink.close()
            assert len(frames(rest(collector.one()))) == 3  # ended as TLS wants it: recv raises nothing


@pytest.mark.parametrize(
    ("ca", "certificate", "why"),
    [
        ("other_ca", "server", "certificate .* is not to be trusted: .*(self.signed|unable to get local issuer)"),
        (None, "server", "is not to be trusted"),
        ("ca", "elsewhere", "is not to be trusted: .*(Hostname mismatch|IP address mismatch)"),
        ("ca", "expired", "is not to be trusted: certificate has expired"),
    ],
)
def test_a_certificate_that_proves_nothing_is_refused(pki: Pki, ca: str | None, certificate: str, why: str) -> None:
    with collecting(pki.context(getattr(pki, certificate))) as collector:
        url = f"tls://127.0.0.1:{collector.port}"
        with pytest.raises(Refused, match=why) as caught:
            opened(url, ca=ca and getattr(pki, ca)).deliver(batch(1), False)
        assert "\n" not in str(caught.value)
        assert opened(url, insecure=True).deliver(batch(1), False) == [DONE]


def test_a_collector_that_wants_to_know_us_does(pki: Pki) -> None:
    with collecting(pki.context(ask_client=True)) as collector:
        url = f"tls://127.0.0.1:{collector.port}"
        assert opened(url, ca=pki.ca, certificate=pki.client).deliver(batch(1), False) == [DONE]
        with pytest.raises(Refused, match=r"no TLS with .*certificate required"):
            opened(url, ca=pki.ca).deliver(batch(1), False)


def test_who_speaks_no_tls_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            with listener.accept()[0] as sock:
                sock.sendall(b"220 mail ready\r\n" * 10)
                sock.recv(65536)

        threading.Thread(target=greet, daemon=True).start()
        sink = opened(f"tls://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(Refused, match=r"no TLS with the syslog collector .*wrong version number"):
            sink.deliver(batch(1), False)


def test_who_is_silent_in_the_handshake_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syslog_cef, "CONNECT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sink = opened(f"tls://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(Unreachable, match="did not answer in time"):
            sink.deliver(batch(1), False)


def test_a_name_that_is_not_known_may_be_later() -> None:
    for way in ("udp", "tcp", "tls"):
        with pytest.raises(Unreachable, match="cannot be reached"):
            opened(f"{way}://collector.invalid").deliver(batch(1), False)


@pytest.mark.parametrize(
    "url",
    ["", "siem.example:514", "http://siem", "tcp://", "tcp://h:0x5", "tcp://h:99999", "udp://u:p@h", "udp://h/x?y",
     "udp://h\n", "udp://h ost", "tls://h#f", "tcp://[::1"],
)  # fmt: skip
def test_what_is_no_address_is_said(url: str) -> None:
    with pytest.raises(ValueError, match="write udp://HOST"):
        SyslogCef(url)


def test_files_that_cannot_be_used_are_said(tmp_path: Path, pki: Pki) -> None:
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nothing")
    nonsense.chmod(0o600)
    with pytest.raises(Refused, match="holds no certificate of an authority"):
        tls_context(ca=nonsense)
    with pytest.raises(Refused, match="No such file"):
        tls_context(ca=tmp_path / "none")
    with pytest.raises(Refused, match="holds no certificate with its key"):
        tls_context(ca=pki.ca, certificate=nonsense)
    nonsense.chmod(0o644)
    with pytest.raises(Refused, match="open to others"):
        tls_context(ca=pki.ca, certificate=nonsense)


def test_an_ipv6_address_stands_in_brackets() -> None:
    sink = opened("udp://[::1]:5514")
    assert (sink._host, sink._port) == ("::1", 5514)
    assert SyslogCef("tls://siem.example")._port == 6514
