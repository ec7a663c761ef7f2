"""A sink that speaks syslog (RFC 5424) with records in CEF: over UDP, TCP or TLS.

Syslog acknowledges nothing, so what DONE means depends on the way:

- UDP (RFC 5426): the datagrams were sent. They may be lost, and mostly nobody learns of it.
- TCP (RFC 6587, octets counted): the other machine's kernel has acknowledged every byte (where this kernel can say so;
  else they are in ours). A collector that dies before it reads them loses them.
- TLS (RFC 5425): as TCP, and nobody else reads or changes them.

At least once as far as that. A connection that the collector closed is noticed before the next batch, and said: what
was sent just before may be lost. Each message carries `cn1`, the record's number in its stream (a gap is a loss), and
`meta sequenceId`, which counts all messages since the start. One that comes twice has the same `externalId` and `cn1`.
"""

import contextlib
import fcntl
import os
import re
import select
import socket
import ssl
import struct
import termios
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from otmon import __version__
from otmon.outputs.cef import cef, severity
from otmon.outputs.sink import DONE, Answer, Outgoing, Reached, Unreachable
from otmon.outputs.tls import expiry, failure, load_network, tls_context
from otmon.policy.verdict import Severity
from otmon.text import safe_text

PORTS: Final = {"udp": 514, "tcp": 601, "tls": 6514}
"""RFC 5426 3.3, RFC 6587 6, RFC 5425 4.1."""
MAX_MESSAGE_BYTES: Final = 8192
"""What a receiver of TLS should take (RFC 5425 4.3.1)."""
MAX_DATAGRAM_BYTES: Final = 1400
"""One Ethernet frame with room for tunnels: a datagram in fragments is lost with any of them (RFC 5426 3.2)."""
CONNECT_S: Final = 10.0
SETTLE_S: Final = 1.0
SEND_S: Final = 30.0
FACILITIES: Final = (
    *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp"),
    *("audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"),
)
"""By number, as syslog(3) and RFC 5424 6.2.1 call them."""
LOCAL0: Final = FACILITIES.index("local0")
SEVERITIES: Final[dict[Severity, int]] = {"critical": 2, "high": 3, "medium": 4, "low": 5, "info": 6}
"""RFC 5424 6.2.1: critical, error, warning, notice, informational."""
_BOM: Final = b"\xef\xbb\xbf"
_NOT_PRINTED: Final = re.compile(r"[^!-~]+")
_QUOTED: Final = str.maketrans({'"': '\\"', "\\": "\\\\", "]": "\\]"})
_LAST_NUMBER: Final = 2**31 - 1


def message(one: Outgoing, number: int, max_bytes: int, facility: int = LOCAL0) -> bytes:
    """One syslog message (RFC 5424 6); `number` is its sequenceId (7.3.1).

    Text that is more than ASCII begins with a byte order mark, as 6.4 wants it.
    """
    head = " ".join(
        (
            f"<{facility * 8 + SEVERITIES[severity(one)]}>1",
            _timestamp(one.ts_ns),
            _word(one.sensor, 255),
            "otmon",
            "-",
            _word(one.stream, 32),
            _element("origin", software="otmon", swVersion=__version__) + _element("meta", sequenceId=str(number)),
        )
    ).encode()
    text = cef(one, max_bytes - len(head) - len(_BOM) - 1).encode()
    return head + b" " + (text if text.isascii() else _BOM + text)


def _timestamp(ts_ns: int) -> str:
    """RFC 5424 6.2.3: microseconds at most."""
    whole = datetime.fromtimestamp(ts_ns // 1_000_000_000, UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{ts_ns % 1_000_000_000 // 1000:06d}Z"


def _word(text: str, limit: int) -> str:
    """PRINTUSASCII: what is not becomes an underscore; `-` stands for nothing."""
    return _NOT_PRINTED.sub("_", text[:limit]) or "-"


def _element(name: str, **values: str) -> str:
    """An element of structured data. In values, quotes, backslashes and closing brackets are escaped (6.3.3)."""
    written = "".join(f' {key}="{value.translate(_QUOTED)}"' for key, value in values.items())
    return f"[{name}{written}]"


class SyslogCef:
    """The sink. `url` is `udp://`, `tcp://` or `tls://` with host and, if it is another than the usual one, port.

    With TLS the collector must prove its name to the system's authorities or to those in the file `ca`; `certificate`
    is our own with its key. Raises ValueError for what is no such address, Refused for files that cannot be used.
    """

    def __init__(
        self,
        url: str,
        ca: Path | None = None,
        certificate: Path | None = None,
        insecure: bool = False,
        facility: int = LOCAL0,
        streams: Iterable[str] = ("alert", "audit"),
        name: str = "syslog",
    ) -> None:
        self.name, self.streams = name, frozenset(streams)
        self._way, self._host, self._port = address(url)
        self._whom = f"the syslog collector {self._host}:{self._port} ({self._way})"
        self._context = tls_context(ca, certificate, insecure) if self._way == "tls" else None
        self._facility = facility
        self._socket: socket.socket | None = None
        self._number = 0

    @property
    def ports(self) -> tuple[int, ...]:
        """TCP ports that are connected to."""
        return () if self._way == "udp" else (self._port,)

    def rehearse(self) -> None:
        """Load all that delivering needs, while every file can still be read."""
        load_network()

    def deliver(self, batch: Sequence[Outgoing], repeated: bool) -> Sequence[Answer]:
        """Send the batch; all of it is done, or none, but for records of which no message can be made."""
        answers, messages = list[Answer](), list[bytes]()
        for one in batch:
            try:
                messages.append(self._message(one))
                answers.append(DONE)
            except Exception as error:
                said = f"{type(error).__name__}: {safe_text(str(error), 200)}"
                answers.append(Answer("dead", f"no message can be made of it: {said}"))
        connected = False
        try:
            sock = self._connection()
            connected = True
            sock.settimeout(SEND_S)
            if self._way == "udp":
                self._send_datagrams(sock, messages)
            else:
                # RFC 6587 3.4.1: the length in octets, a space, the message.
                sock.sendall(b"".join(b"%d %b" % (len(message), message) for message in messages))
                _wait_for_acknowledgement(sock)
        except OSError as error:
            self.close()
            raise failure(error, self._whom, connected) from None
        except Unreachable:
            self.close()
            raise
        return answers

    def reach(self) -> Reached:
        """Connect; a datagram is not answered, so of UDP only the name is looked up."""
        try:
            sock = self._connection()
        except OSError as error:
            raise failure(error, self._whom, False) from None
        finally:
            until = expiry(self._socket)
            self.close()
        found = "nobody can tell whether datagrams arrive" if sock.type == socket.SOCK_DGRAM else "it takes connections"
        return Reached(found, until=until)

    def _message(self, one: Outgoing) -> bytes:
        number = self._number % _LAST_NUMBER + 1
        most = MAX_DATAGRAM_BYTES if self._way == "udp" else MAX_MESSAGE_BYTES
        made = message(one, number, most, self._facility)
        self._number = number
        return made

    def _send_datagrams(self, sock: socket.socket, messages: Sequence[bytes]) -> None:
        for message in messages:
            sock.send(message)
        _raise_error_of(sock)  # where nobody listens the other machine may have said so by now (ICMP)

    def _connection(self) -> socket.socket:
        if self._socket is not None:
            if self._way != "udp":
                self._look(self._socket, 0.0)
            return self._socket
        if self._way == "udp":
            family, *_, address = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_DGRAM)[0]
            self._socket = socket.socket(family, socket.SOCK_DGRAM)
            self._socket.connect(address)
            return self._socket
        sock = socket.create_connection((self._host, self._port), CONNECT_S)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if self._context:
                sock = self._context.wrap_socket(sock, server_hostname=self._host)
                # Whether it takes our certificate is said after the handshake (RFC 8446 2), else come session tickets.
                poll = select.poll()
                poll.register(sock, select.POLLIN)
                poll.poll(SETTLE_S * 1000)
                self._look(sock, None)
        except BaseException:
            sock.close()
            raise
        self._socket = sock
        return sock

    def _look(self, sock: socket.socket, retry_after_s: float | None) -> None:
        """Raises Unreachable if the collector has closed the connection. What it says is not for us."""
        sock.setblocking(False)
        with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError):
            while sock.recv(4096):
                pass
            raise Unreachable(f"{self._whom} closed the connection", retry_after_s)

    def close(self) -> None:
        """Let go of the connection."""
        if isinstance(self._socket, ssl.SSLSocket):
            with contextlib.suppress(OSError):
                self._socket.setblocking(False)
                self._socket.unwrap()  # says close_notify (RFC 5425 4.4) and waits for nothing
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def address(url: str) -> tuple[str, str, int]:
    """Way, host and port of a collector. Raises ValueError."""
    right = "write udp://HOST, tcp://HOST or tls://HOST, with :PORT if need be"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(f"that is not an address of a syslog collector; {right}") from None
    rest = (parts.username, parts.password, parts.path.strip("/"), parts.query, parts.fragment)
    if parts.scheme not in PORTS or not parts.hostname or any(rest) or not re.fullmatch(r"[!-~]+", url):
        raise ValueError(f"that is not an address of a syslog collector; {right}")
    return parts.scheme, parts.hostname, port or PORTS[parts.scheme]


def _raise_error_of(sock: socket.socket) -> None:
    """What came back since the last call."""
    if number := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        raise OSError(number, os.strerror(number))


def _wait_for_acknowledgement(sock: socket.socket) -> None:
    """Until the other end's kernel has acknowledged all bytes (SIOCOUTQ of tcp(7)); TimeoutError after SEND_S.

    Bytes for a process that is gone are answered by a reset instead.
    """
    until_s, pause_s = time.monotonic() + SEND_S, 0.0005
    while True:
        _raise_error_of(sock)
        try:
            (left,) = struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)))
        except OSError:
            return  # not Linux
        if not left:
            return
        if time.monotonic() > until_s:
            raise TimeoutError
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, 0.05)
