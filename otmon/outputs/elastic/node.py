"""A connection of the official client's that takes no more than is good for us, in bytes and in time.

Elasticsearch, a proxy or who took its place may answer without end: gzip that grows a thousandfold, chunk after chunk,
or a byte a second, which no time-out of a single read ever ends.
"""

import gzip
import http.client
import io
import socket
import ssl
import time
import zlib
from collections.abc import Iterator
from typing import Any, Final

from elastic_transport import (
    ApiResponseMeta,
    ConnectionError,
    ConnectionTimeout,
    HttpHeaders,
    TlsError,
    TransportError,
    Urllib3HttpNode,
)
from elastic_transport._node import NodeApiResponse
from elastic_transport.client_utils import DEFAULT, DefaultType
from urllib3 import BaseHTTPResponse, PoolManager, ProxyManager
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    InvalidChunkLength,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
)
from urllib3.exceptions import SSLError as WrappedSSLError
from urllib3.util.retry import Retry

MAX_ANSWER_BYTES: Final = 16 << 20
"""Of an answer, unpacked: a mapping or what Kibana's templates come to is under 2 MiB, a bulk's answer is smaller."""
_PIECE: Final = 65_536
_HEAD_BYTES: Final = 1 << 20
"""Headers and the sizes of chunks, on top of the answer."""
_LEVEL: Final = 1
"""Of gzip: nine times smaller already, and the client's own 9 costs more time than the whole delivery."""


class _Timed(io.RawIOBase):
    """What http.client needs of a socket to read one answer: all of it in the time that one read would have."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket, self._raw = sock, sock.makefile("rb", buffering=0)
        timeout_s = sock.gettimeout()
        self._until_s = None if timeout_s is None else time.monotonic() + timeout_s
        self._left = MAX_ANSWER_BYTES + _HEAD_BYTES

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._until_s is not None:
            left_s = self._until_s - time.monotonic()
            if left_s <= 0:
                raise TimeoutError("the answer takes too long")
            self._socket.settimeout(left_s)
        count = self._raw.readinto(buffer)
        self._left -= count or 0
        if self._left < 0:  # http.client reads all there is for a chunk of -1 bytes
            raise OSError(_TOO_LONG)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    """Of Elasticsearch, and of a proxy to CONNECT."""

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(_Timed(sock), *args, **kwargs)  # type: ignore[arg-type]  # of a socket it asks for makefile alone


_TOO_LONG: Final = f"its answer is longer than {MAX_ANSWER_BYTES >> 20} MiB"


def node(proxy: str | None) -> type[Urllib3HttpNode]:
    """A class of connections that go through a proxy if there is one (CONNECT, RFC 9110 9.3.6)."""

    class Node(Urllib3HttpNode):
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            if config.scheme == "https":
                # Not the transport's own pool: it takes the pinned certificate anywhere in what is sent along, and a
                # chain that nobody verifies can be made up. urllib3 compares that of the server, which has its key.
                said: dict[str, Any] = {
                    name: getattr(self.pool, name) for name in ("assert_hostname", "cert_reqs", "ca_certs", "timeout")
                }
                said |= {"assert_fingerprint": config.ssl_assert_fingerprint, "block": True}
                said["ssl_context"] = self.pool.conn_kw.get("ssl_context")
                manager = PoolManager(**said) if proxy is None else ProxyManager(proxy, **said)
                self.pool = manager.connection_from_host(config.host, config.port, "https")
            made: Any = self.pool.ConnectionCls
            self.pool.ConnectionCls = type("Connection", (made,), {"response_class": _Answer})

        def perform_request(
            self,
            method: str,
            target: str,
            body: bytes | None = None,
            headers: HttpHeaders | None = None,
            request_timeout: DefaultType | float | None = DEFAULT,
        ) -> NodeApiResponse:
            sent = self._headers.copy()
            sent.update(headers or {})
            # Both ways and always: links are narrow, and gzip's checksum shows what was garbled where there is no TLS.
            sent["accept-encoding"] = "gzip"
            if body is not None:
                body = gzip.compress(body, _LEVEL, mtime=0)
                sent["content-encoding"] = "gzip"
            timeout: dict[str, Any] = {} if isinstance(request_timeout, DefaultType) else {"timeout": request_timeout}
            start_s = time.monotonic()
            try:
                answer = self.pool.urlopen(
                    method,
                    f"{self.path_prefix}{target}",
                    body=body,
                    headers=sent,
                    retries=Retry(False),
                    redirect=False,
                    preload_content=False,
                    decode_content=False,
                    **timeout,
                )
                data = _whole(answer)
            except (HTTPError, http.client.HTTPException, OSError, zlib.error) as error:
                raise _failure(error) from error
            meta = ApiResponseMeta(
                node=self.config,
                duration=time.monotonic() - start_s,
                http_version="1.1",
                status=answer.status,
                headers=HttpHeaders(answer.headers),
            )
            return NodeApiResponse(meta, data)

    return Node


def _failure(error: Exception) -> TransportError:
    """The transport's word for what became of a request, in words of ours: theirs name objects of Python."""
    if isinstance(error, ConnectTimeoutError | ReadTimeoutError | TimeoutError) and not isinstance(
        error, NewConnectionError
    ):
        return ConnectionTimeout("no whole answer in time", errors=(error,))
    kind = TlsError if isinstance(error, ssl.SSLError | WrappedSSLError) else ConnectionError
    return kind(_said(error), errors=(error,))


_CAUSES: Final[tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...]] = (
    (socket.gaierror, "its name is not known here"),
    (ConnectionRefusedError, "the connection was refused: nothing listens there"),
    (http.client.RemoteDisconnected, "it hung up without an answer"),
    ((BrokenPipeError, ConnectionResetError), "it broke the connection off"),
    ((http.client.IncompleteRead, InvalidChunkLength), "its answer breaks off"),
    (zlib.error, "its answer cannot be unpacked"),
)
"""What is found among the causes of an error -> how it is said; the first that fits."""


def _said(error: Exception) -> str:
    """One line for people, without classes and addresses of objects."""
    causes = list(_causes(error))
    through = "through the proxy: " if any(isinstance(one, ProxyError) for one in causes) else ""
    for kind, words in _CAUSES:
        if any(isinstance(one, kind) for one in causes):
            return through + words
    for one in reversed(causes):
        if isinstance(one, ssl.SSLCertVerificationError):
            return f"certificate verify failed: {one.verify_message}"
        if isinstance(one, ssl.SSLError) and one.reason:
            return one.reason.replace("_", " ").lower()
        if isinstance(one, OSError):
            return through + (one.strerror or str(one)).partition("<")[0].strip()
    if any("ingerprint" in str(one) for one in causes):
        return "its fingerprint is another one"
    return through + "its answer is no HTTP"


def _causes(error: object) -> Iterator[Exception]:
    """The error and what it was made of, the outermost first."""
    todo, seen = [error], set[int]()
    while todo:
        one = todo.pop(0)
        if isinstance(one, Exception) and id(one) not in seen:
            seen.add(id(one))
            yield one
            todo += [getattr(one, "reason", None), getattr(one, "original_error", None), *one.args, one.__cause__]


def _whole(answer: BaseHTTPResponse) -> bytes:
    """The body, unpacked. The connection is closed unless it is there as it should be."""
    whole = False
    try:
        data = bytearray()
        for piece in _unpacked(answer):
            data += piece
            if len(data) > MAX_ANSWER_BYTES:
                raise OSError(_TOO_LONG)
        whole = True
        return bytes(data)
    finally:
        if not whole:
            answer.close()
        answer.release_conn()  # the pool has a place for it, closed or not


def _unpacked(answer: BaseHTTPResponse) -> Iterator[bytes]:
    """Pieces of at most _PIECE bytes, however many one byte of gzip stands for."""
    packing = answer.headers.get("content-encoding", "identity").strip().lower()
    if packing not in ("gzip", "x-gzip", "identity"):
        raise OSError("its answer is packed in a way that was not asked for")
    packed = None if packing == "identity" else zlib.decompressobj(16 + zlib.MAX_WBITS)
    begun = False
    while piece := answer.read(_PIECE, decode_content=False):
        begun = True
        if packed is None:
            yield piece
            continue
        while piece:
            if packed.eof:
                raise OSError("its answer goes on after its end")
            yield packed.decompress(piece, _PIECE)
            piece = packed.unconsumed_tail or packed.unused_data
    if packed is not None and begun:
        while data := packed.decompress(b"", _PIECE):
            yield data
        if not packed.eof:
            raise OSError("its answer breaks off")
