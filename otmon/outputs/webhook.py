"""A sink that posts batches to a URL as JSON, signed.

    POST /path HTTP/1.1
    Content-Type: application/json
    Idempotency-Key: "FIRST..LAST/DIGEST"
    X-Otmon-Timestamp: 1700000000
    X-Otmon-Signature: sha256=HEX

    {"records": [{"id", "record", "sensor", "sequence", "site", "stream"}, ...]}

The signature is HMAC-SHA256 (RFC 2104) of the timestamp, a full stop and the body, with the secret as key: who checks
it, and that the timestamp is a few minutes old at most, knows that the batch is ours and not a replay. At least once: a
batch whose answer was lost comes again. The Idempotency-Key (draft-ietf-httpapi-idempotency-key-header) is the same for
the same records; each record's `id` is the same whatever batch it comes in.

https only, or http on this machine. Redirects are not followed: they would show records to whom nobody named. A proxy
is taken from the environment ($https_proxy, $no_proxy).
"""

import hashlib
import hmac
import http.client
import io
import re
import socket
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, cast
from urllib.parse import quote, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from otmon import __version__
from otmon.outputs.jsonl import envelope, line
from otmon.outputs.secret import Secret, SecretFile
from otmon.outputs.sink import DONE, Answer, Outgoing, Reached, Refused, TooLarge, Unreachable
from otmon.outputs.tls import expiry, failure, load_network, loopback, tls_context
from otmon.text import safe_text

CONNECT_S: Final = 10.0
"""Until there is a connection, with what a proxy answers and TLS."""
EXCHANGE_S: Final = 30.0
"""From the first byte sent to the last byte of the answer, however slowly it trickles."""
MAX_ANSWER_BYTES: Final = 65_536
_MAX_READ_BYTES: Final = 8 << 20
"""Of a connection: http.client takes 100 headers of 64 KiB."""
MAX_RETRY_AFTER_S: Final = 3600.0
_SENT_BYTES: Final = 16_384
_REASON_CHARS: Final = 300


class _Url(NamedTuple):
    secure: bool
    host: str
    port: int
    target: str
    """Path and query: often a secret of its own, so it is in no message."""


class _Proxy(NamedTuple):
    host: str
    port: int
    headers: dict[str, str]


class _Answer(NamedTuple):
    status: int
    retry_after: str
    location: str
    body: bytes
    """MAX_ANSWER_BYTES at most."""


class Webhook:
    """The sink. Raises ValueError for an address that is none or not safe, Refused for a file that cannot be used."""

    def __init__(
        self,
        url: str,
        secret: Secret | SecretFile,
        ca: Path | None = None,
        certificate: Path | None = None,
        insecure: bool = False,
        streams: Iterable[str] = ("alert", "audit"),
        name: str = "webhook",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name, self.streams = name, frozenset(streams)
        self._url, self._secret, self._clock = address(url), secret, clock
        self._whom = f"the webhook at {self._url.host}:{self._url.port}"
        self._context = tls_context(ca, certificate, insecure) if self._url.secure else None

    @property
    def ports(self) -> tuple[int, ...]:
        """TCP ports that are connected to. Raises Refused."""
        proxy = _proxy(self._url.host) if self._url.secure else None
        return (self._url.port if proxy is None else proxy.port,)

    def rehearse(self) -> None:
        """Load all that delivering needs, while every file can still be read."""
        load_network()
        http.client.parse_headers(io.BytesIO(b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n"))
        parsedate_to_datetime("Sun, 06 Nov 1994 08:49:37 GMT")

    def deliver(self, batch: Sequence[Outgoing], repeated: bool) -> Sequence[Answer]:
        """Post the batch: all of it is taken, or none."""
        if not batch:
            return []
        body = line({"records": [envelope(one) for one in batch]})
        connected = False
        connection = self._connection()
        try:
            _connect(connection)
            connected = True
            answer = _exchange(connection, self._url.target, body, self._headers(batch, body))
        except (OSError, http.client.HTTPException) as error:
            raise failure(error, self._whom, connected) from None
        finally:
            connection.close()
        return self._meaning(answer, batch)

    def reach(self) -> Reached:
        """Ask for the head of `/`: the path may stand for something that is done."""
        connection = self._connection()
        try:
            _connect(connection)
            until = expiry(connection.sock)
            with _in_time(connection):
                connection.request("HEAD", "/", headers={"User-Agent": f"otmon/{__version__}", "Connection": "close"})
                answer = connection.getresponse()
            return Reached("it answers", answer.getheader("Date", ""), until)
        except (OSError, http.client.HTTPException) as error:
            raise failure(error, self._whom, False) from None
        finally:
            connection.close()

    def close(self) -> None:
        """Nothing is kept between batches."""

    def _headers(self, batch: Sequence[Outgoing], body: bytes) -> dict[str, str]:
        stamp = str(int(self._clock()))
        signature = hmac.new(self._secret.text.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        return {
            "Content-Type": "application/json",
            "User-Agent": f"otmon/{__version__}",
            "Idempotency-Key": f'"{_key(batch)}"',
            "X-Otmon-Timestamp": stamp,
            "X-Otmon-Signature": f"sha256={signature}",
            "Connection": "close",
        }

    def _connection(self) -> http.client.HTTPConnection:
        url = self._url
        if self._context is None:
            return http.client.HTTPConnection(url.host, url.port, timeout=CONNECT_S)
        proxy = _proxy(url.host)
        if proxy is None:
            return http.client.HTTPSConnection(url.host, url.port, timeout=CONNECT_S, context=self._context)
        connection = http.client.HTTPSConnection(proxy.host, proxy.port, timeout=CONNECT_S, context=self._context)
        connection.set_tunnel(url.host, url.port, proxy.headers)
        return connection

    def _meaning(self, answer: _Answer, batch: Sequence[Outgoing]) -> Sequence[Answer]:
        status = answer.status
        said = f"{self._whom} answered {status}"
        if 200 <= status < 300 or status == 409:  # 409: it has them already
            return [DONE] * len(batch)
        if status in (408, 425, 429) or status >= 500:
            raise Unreachable(said, _retry_after_s(answer.retry_after, self._clock()))
        if status in (400, 413, 422):
            if len(batch) > 1:
                raise TooLarge(f"{said} to {len(batch):,} records")
            body = safe_text(answer.body.strip(), _REASON_CHARS)
            return [Answer("dead", f"{said}: {body}" if body else said)]
        if 300 <= status < 400:
            host = safe_text(_host(answer.location) or "another address", 100)
            raise Refused(f"{said}: it redirects to {host}, and redirects are not followed; name the right address")
        words = {401: "the secret is not the one it knows", 403: "it will not have us", 404: "nothing is there"}
        raise Refused(f"{said}: {words.get(status, 'that is no address to post to')}")


class _Timed(io.RawIOBase):
    """What http.client needs of a socket, with one end of time for a whole exchange."""

    def __init__(self, sock: socket.socket, until_s: float) -> None:
        self._socket, self._until_s, self._left = sock, until_s, _MAX_READ_BYTES
        self.ended = False
        """The other end has nothing more to say."""

    def _in_time(self) -> socket.socket:
        left_s = self._until_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        self._socket.settimeout(left_s)
        return self._socket

    def sendall(self, data: bytes) -> None:
        for start in range(0, len(data), _SENT_BYTES):  # TLS would have the time again for every record
            self._in_time().sendall(data[start : start + _SENT_BYTES])

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._in_time().recv_into(buffer)
        self.ended = not count
        self._left -= count
        if self._left < 0:
            raise OSError("its answer does not end")
        return count

    def close(self) -> None:
        """http.client closes when it has the headers, and reads on."""


def _connect(connection: http.client.HTTPConnection) -> None:
    """Have it connect, through a proxy and with TLS where it should, in CONNECT_S. Raises OSError and HTTPException."""
    until_s = time.monotonic() + CONNECT_S

    def connected(*args: Any) -> socket.socket:
        sock = socket.create_connection(*args)
        sock.settimeout(max(0.001, until_s - time.monotonic()))  # which a TLS handshake may take as a whole
        return sock

    def answered(sock: Any, *args: Any, **kwargs: Any) -> http.client.HTTPResponse:
        return http.client.HTTPResponse(cast(socket.socket, _Timed(sock, until_s)), *args, **kwargs)

    one = cast(Any, connection)
    one._create_connection, one.response_class = connected, answered  # the only answer here is a proxy's
    connection.connect()
    one.response_class = http.client.HTTPResponse


@contextmanager
def _in_time(connection: http.client.HTTPConnection) -> Iterator[_Timed]:
    """All that is said inside is said in EXCHANGE_S."""
    with connection.sock as sock:
        timed = _Timed(sock, time.monotonic() + EXCHANGE_S)
        connection.sock = cast(socket.socket, timed)
        try:
            yield timed
        except ValueError:  # http.client reads chunks of -5 bytes
            raise http.client.HTTPException("its answer cannot be read") from None


def _exchange(connection: http.client.HTTPConnection, target: str, body: bytes, headers: dict[str, str]) -> _Answer:
    """Post and read the answer. Raises OSError and HTTPException."""
    with _in_time(connection) as timed:
        with suppress(BrokenPipeError, ConnectionResetError):  # it may have answered (413) before it had all
            connection.request("POST", target, body, headers)
        answer = connection.getresponse()
        if timed.ended:  # which http.client takes for the end of the headers
            raise http.client.RemoteDisconnected("hung up in its answer")
        said = answer.read(MAX_ANSWER_BYTES)
    if answer.length and len(said) < MAX_ANSWER_BYTES:
        raise http.client.IncompleteRead(said, answer.length)
    return _Answer(answer.status, answer.getheader("Retry-After", ""), answer.getheader("Location", ""), said)


def address(url: str) -> _Url:
    """The parts of an address. Raises ValueError, without the address: it may be a secret."""
    wrong = ValueError("that is not an address of a webhook; write https://HOST/PATH")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise wrong from None
    named = "@" in parts.netloc or parts.fragment or not parts.hostname
    if parts.scheme not in ("http", "https") or named or not re.fullmatch(r"[!-~]+", url):
        raise wrong
    host, secure = str(parts.hostname), parts.scheme == "https"
    if not _nameable(host):
        raise wrong
    if not secure and not loopback(host):
        raise ValueError(f"http would show every record to whoever is on the way to {host}; write https://")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return _Url(secure, host, port or (443 if secure else 80), target)


def _host(url: str) -> str | None:
    """Of an address that somebody else wrote."""
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _nameable(host: str) -> bool:
    """Whether it can be looked up: no part of the name is empty or too long."""
    try:
        return bool(host.encode("idna"))
    except UnicodeError:
        return False


def _proxy(host: str) -> _Proxy | None:
    """Through whom `host` is reached, by the environment. Raises Refused."""
    written = getproxies().get("https")
    if not written or proxy_bypass(host):
        return None
    try:
        parts = urlsplit(written if "://" in written else f"http://{written}")
        port = parts.port or 80
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme != "http" or not parts.hostname or not _nameable(parts.hostname):
        raise Refused("$https_proxy is not an address of a proxy; write http://HOST:PORT")
    if parts.username is None:
        return _Proxy(parts.hostname, port, {})
    words = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return _Proxy(parts.hostname, port, {"Proxy-Authorization": f"Basic {b64encode(words.encode()).decode()}"})


def _key(batch: Sequence[Outgoing]) -> str:
    """The same for the same records: first and last id, and a digest of all."""
    digest = hashlib.sha256("\n".join(one.id for one in batch).encode()).hexdigest()
    return f"{quote(batch[0].id)}..{quote(batch[-1].id)}/{digest[:16]}"


def _retry_after_s(text: str, now_s: float) -> float | None:
    """Of a Retry-After header (RFC 9110 10.2.3): seconds or a date. None: it says nothing that makes sense."""
    if re.fullmatch(r"[0-9]+", text):
        return min(float(text[:12]), MAX_RETRY_AFTER_S)
    try:
        return min(max(0.0, parsedate_to_datetime(text).timestamp() - now_s), MAX_RETRY_AFTER_S)
    except (ValueError, TypeError, OverflowError):
        return None
