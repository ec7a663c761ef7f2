"""The way to Elasticsearch: what may be said about it, and a client that says in one line what is wrong.

The official client, over HTTPS that is verified; plain HTTP to this machine alone. Secrets come from a file that only
its owner may read or from the environment, and show up in no message.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from otmon.outputs.secret import SecretError, secret_file, secret_variable
from otmon.outputs.sink import Refused, TooLarge, Unreachable
from otmon.outputs.tls import FINGERPRINT, loopback, tls_context
from otmon.text import safe_text

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

TIMEOUT_S: Final = 30.0
"""For a whole answer; a bulk of 4 MiB takes a busy node a few seconds."""
MAX_AUTHORITY_BYTES: Final = 4 << 20
"""Of a file with authorities; all that a system trusts are 250 KiB."""
MAX_RETRY_AFTER_S: Final = 3600.0
_NAMESPACE: Final = re.compile(r"[a-z0-9][a-z0-9_.]{0,99}\Z")
"""Part of a data stream's name: lower case, without `-`, at most 100 bytes (ECS data_stream.namespace)."""


class SettingError(ValueError):
    """A setting that cannot be; str() is one line for people."""


@dataclass(frozen=True, slots=True)
class Elastic:
    """Where Elasticsearch is and how it knows us."""

    url: str
    namespace: str = "default"
    """Last part of the data streams' names."""
    unsaid: bool = False
    """Nobody said the namespace: where there was an earlier delivery, its is meant."""
    key_file: Path | None = None
    """Holds an API key, as Elasticsearch gives it encoded."""
    key: str | None = field(default=None, repr=False)
    user: str | None = field(default=None, repr=False)
    """`name:password`, for setting up."""
    ca: Path | None = None
    authority: bytes | None = field(default=None, repr=False)
    """What `ca` held when it could be read."""
    fingerprint: str | None = None
    """SHA-256 of the server's certificate, in hexadecimal."""
    proxy: str | None = None
    """`http://HOST:PORT`."""
    insecure: bool = False
    """Certificates are not verified."""

    def api_key(self) -> str | None:
        """As it is now: a key that was replaced in its file counts at once. Raises Refused."""
        if self.key_file is None:
            return self.key
        try:
            return secret_file(self.key_file).text
        except SecretError as error:
            if self.key is not None:
                return self.key
            raise Refused(str(error)) from None

    def stamp(self) -> tuple[tuple[int, int, int] | None, ...]:
        """Another one when a file was replaced that a connection is made with."""
        return tuple(_stamp(path) for path in (self.key_file, self.ca) if path is not None)

    def early(self) -> "Elastic":
        """The same with key and authority as they are now, for when rights are given up. Raises Refused."""
        return replace(self, key=self.api_key(), authority=self.trusted())

    def trusted(self) -> bytes | None:
        """What the authority's file holds now, or held if it cannot be read any more. Raises Refused."""
        if self.ca is None:
            return None
        try:
            with open(self.ca, "rb") as file:
                return file.read(MAX_AUTHORITY_BYTES)
        except OSError as error:
            if self.authority is not None:
                return self.authority
            raise Refused(f"{safe_text(str(self.ca), 200)}: cannot be read ({error.strerror or error})") from None

    @property
    def ports(self) -> tuple[int, ...]:
        """TCP ports that are connected to."""
        found = (urlsplit(url).port for url in (self.url, self.proxy) if url is not None)
        return tuple(port for port in found if port is not None)


def elastic(url: str, said: Mapping[str, Any] | None = None, env: Mapping[str, str] = os.environ) -> Elastic:
    """Settings from a configuration file (`said`), else OTMON_ELASTIC_*. Raises ValueError: one line for people."""
    given = dict(said or {})
    names = {"namespace": str, "key_file": Path, "ca": Path, "fingerprint": str, "proxy": str}
    for name, kind in names.items():
        if given.get(name) is None and (value := env.get(f"OTMON_ELASTIC_{name.upper()}")):
            given[name] = kind(value)
    given = {name: value for name, value in given.items() if value is not None}
    try:
        if "key_file" not in given and "OTMON_ELASTIC_API_KEY" in env:
            given["key"] = secret_variable("OTMON_ELASTIC_API_KEY").text
        if "OTMON_ELASTIC_USER" in env:
            given["user"] = secret_variable("OTMON_ELASTIC_USER").text
    except SecretError as error:
        raise SettingError(str(error)) from None
    return checked(Elastic(url, unsaid="namespace" not in given, **given))


def checked(settings: Elastic) -> Elastic:
    """The same, put right where that is plain. Raises ValueError."""
    shown = safe_text(settings.url, 200)
    try:
        parts = urlsplit(settings.url)
        port = parts.port
    except ValueError as error:
        raise SettingError(f"{shown}: not a URL ({error}); write https://HOST:9200") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise SettingError(f"{shown}: not the address of an Elasticsearch; write https://HOST:9200")
    if parts.username or parts.password:
        raise SettingError("a URL with a user in it would show it to everybody; put an API key into a file instead")
    if parts.scheme == "http" and not loopback(parts.hostname):
        raise SettingError(f"{shown}: plain http only reaches this machine; write https://{parts.hostname}:9200")
    if not _NAMESPACE.match(settings.namespace):
        raise SettingError(
            f"namespace {safe_text(settings.namespace, 60)!r}: write lower-case letters, digits, _ and ."
        )
    if settings.ca is not None and not settings.ca.is_file():
        raise SettingError(f"{settings.ca}: no such file (the certificate authority of Elasticsearch)")
    plain = (settings.fingerprint or "").replace(":", "")
    if settings.fingerprint is not None and not FINGERPRINT.match(plain):
        raise SettingError("fingerprint: write the 64 hexadecimal digits of a certificate's SHA-256")
    if settings.proxy is not None and (urlsplit(settings.proxy).scheme != "http" or not urlsplit(settings.proxy).port):
        raise SettingError(f"{safe_text(settings.proxy, 200)}: not the address of a proxy; write http://HOST:PORT")
    port = port or (443 if parts.scheme == "https" else 80)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    url = f"{parts.scheme}://{host}:{port}{parts.path.rstrip('/')}"
    return replace(settings, url=url, fingerprint=plain or None)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def client(settings: Elastic, timeout_s: float = TIMEOUT_S) -> "Elasticsearch":
    """A client that tries once and never elsewhere. Raises Refused."""
    from elasticsearch import Elasticsearch

    from otmon.outputs.elastic.node import node

    kwargs: dict[str, Any] = {}
    if settings.url.startswith("https"):
        if settings.fingerprint is not None:
            kwargs["ssl_assert_fingerprint"] = settings.fingerprint
        elif settings.insecure:
            kwargs |= {"verify_certs": False, "ssl_show_warn": False}
        else:
            kwargs["ssl_context"] = tls_context(settings.ca, held=settings.trusted())
    if settings.user is not None:
        kwargs["basic_auth"] = tuple(settings.user.split(":", 1))
    elif (key := settings.api_key()) is not None:
        kwargs["api_key"] = key
    try:
        return Elasticsearch(
            settings.url,
            node_class=node(settings.proxy),
            request_timeout=timeout_s,
            max_retries=0,
            retry_on_timeout=False,
            **kwargs,
        )
    except (OSError, ValueError) as error:
        raise Refused(f"Elasticsearch at {settings.url}: {_words(error)}") from None


def _words(error: object) -> str:
    return safe_text(" ".join(str(error).split()), 300)


@contextmanager
def answers(settings: Elastic) -> Iterator[None]:
    """Whatever the client raises inside becomes a SinkError that says what to do."""
    from elastic_transport import SerializationError, TlsError, TransportError
    from elasticsearch import ApiError, UnsupportedProductError

    where = f"Elasticsearch at {settings.url}"
    try:
        yield
    except UnsupportedProductError:
        raise Refused(f"{settings.url}: {_OTHER}") from None
    except ApiError as error:
        raise _refusal(where, error) from None
    except TlsError as error:
        said = _words(error.message)
        for sign, advice in _TLS.items():
            if sign in said:
                raise Refused(f"{where}: {advice} ({said})") from None
        raise Unreachable(f"{where}: the encrypted connection broke ({said})") from None
    except (SerializationError, *_UNREADABLE) as error:
        raise Unreachable(f"{where}: answered what cannot be read: {type(error).__name__} {_words(error)}") from None
    except (TransportError, OSError) as error:
        raise Unreachable(f"{where}: not reached ({_words(getattr(error, 'message', error))})") from None


_UNREADABLE: Final = (LookupError, AttributeError, TypeError, ValueError, OverflowError, RecursionError)
"""What is raised where an answer is not of the shape it should have: 1e999 is no status, and JSON may be deep."""
_OTHER: Final = "not Elasticsearch 8 or later (OpenSearch, a web page?)"
_TLS: Final = {
    "certificate verify failed": "its certificate is not trusted; name its authority or fingerprint",
    "ingerprint": "its certificate is not the one of the fingerprint",
    "wrong version number": "it speaks no TLS; a proxy or another server?",
}
"""What an error of TLS says if it is not for the moment only."""
_OURS: Final = frozenset({401, 403, 407, 413, 429})
"""Statuses that mean what they say, whoever between us and Elasticsearch gives them."""
_REFUSED: Final = {
    401: "does not know us: is the API key right and still valid?",
    403: "the key lacks rights, see `otmon elastic setup --dry-run`",
    404: "there is no such data stream: run `otmon elastic setup`",
    407: "the proxy wants a password",
}


def _refusal(where: str, error: Any) -> Exception:
    """What a status other than success means for a batch."""
    said, status = _words(reason(error)), int(error.meta.status)
    if status == 413:
        return TooLarge(f"{where}: more than it takes at once")
    if status in (400, 406) and "media_type" in said:
        return Refused(f"{where} is too old: otmon needs 8.13 or later ({said})")
    if "x-elastic-product" not in error.meta.headers and status not in _OURS and (status < 500 or status == 501):
        return Refused(f"{where}: {_OTHER}: {status} {said}")
    if status == 429 or status >= 500:
        after = str(error.meta.headers.get("retry-after", ""))
        number = after.isascii() and after.isdigit()  # "²" is a digit, too
        return Unreachable(f"{where}: {status} {said}", min(float(after[:12]), MAX_RETRY_AFTER_S) if number else None)
    return Refused(f"{where}: {_REFUSED.get(status, status)} ({said})")


def reason(error: Any) -> str:
    """What an ApiError says is wrong: type and reason of its root cause."""
    body = error.body if isinstance(error.body, dict) else {}
    found = body.get("error")
    with suppress(RecursionError):  # it may hold lists in lists, as deep as can be read
        return _cause(found) or str(found or error.message)
    return str(error.message)


def _cause(found: object) -> str | None:
    if isinstance(found, dict):
        causes = found.get("root_cause")
        cause = causes[0] if isinstance(causes, list) and causes and isinstance(causes[0], dict) else found
        return f"{cause.get('type')}: {cause.get('reason')}"
    return None
