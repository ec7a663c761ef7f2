"""Loads dashboards and rules into Kibana through its import API, which replaces what has the same ids.

`POST /api/saved_objects/_import` and `POST /api/detection_engine/rules/_import`, each with `overwrite=true`, the header
`kbn-xsrf` and the file as multipart/form-data (https://www.elastic.co/docs/api/doc/kibana/). https that is verified,
or http to this machine. Written after the documentation: no Kibana was at hand to try it on.
"""

import hashlib
import http.client
import json
import os
import re
import secrets
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from otmon import __version__
from otmon.outputs.secret import SecretError, secret_file, secret_variable
from otmon.outputs.sink import Refused, Unreachable
from otmon.outputs.tls import FINGERPRINT, failure, loopback, tls_context
from otmon.text import safe_text

TIMEOUT_S: Final = 120.0
"""Kibana writes some hundred objects one by one."""
MAX_ANSWER_BYTES: Final = 8 << 20


class Import(NamedTuple):
    """One file and where it goes."""

    what: str
    file: str
    target: str


IMPORTS: Final = (
    Import("dashboards", "otmon.ndjson", "/api/saved_objects/_import?overwrite=true"),
    Import("rules", "rules.ndjson", "/api/detection_engine/rules/_import?overwrite=true"),
)


class Loaded(NamedTuple):
    """What Kibana said of one file."""

    what: str
    loaded: int
    """Objects."""
    errors: list[str]
    """One line for each that it did not take."""


class KibanaError(ValueError):
    """A setting that cannot be; str() is one line for people."""


@dataclass(frozen=True, slots=True)
class Kibana:
    """Where Kibana is and how it knows us. The path of the URL is Kibana's own, and a space's: /base/s/space."""

    url: str
    key: str | None = field(default=None, repr=False)
    """An API key, encoded; it needs the rights of somebody who imports by hand, which a sensor's key lacks."""
    user: str | None = field(default=None, repr=False)
    """`name:password`"""
    ca: Path | None = None
    fingerprint: str | None = None
    """SHA-256 of the server's certificate, in hexadecimal."""
    insecure: bool = False


def kibana(url: str, env: Mapping[str, str] = os.environ, insecure: bool = False) -> Kibana:
    """Settings by OTMON_KIBANA_*, where there is none by OTMON_ELASTIC_*. Raises KibanaError."""
    _parts(url)

    def name(last: str) -> str | None:
        return next((full for who in ("KIBANA", "ELASTIC") if env.get(full := f"OTMON_{who}_{last}")), None)

    def said(last: str) -> str | None:
        full = name(last)
        return full and env[full]

    try:
        path, key, user = said("KEY_FILE"), name("API_KEY"), name("USER")
        secret = secret_file(Path(path)) if path else secret_variable(key) if key else None
        password = secret_variable(user) if user else None
    except SecretError as error:
        raise KibanaError(str(error)) from None
    fingerprint = (said("FINGERPRINT") or "").replace(":", "")
    if fingerprint and not FINGERPRINT.match(fingerprint):
        raise KibanaError("fingerprint: write the 64 hexadecimal digits of a certificate's SHA-256")
    ca = said("CA")
    return Kibana(
        url,
        key=secret.text if secret and not password else None,
        user=password.text if password else None,
        ca=Path(ca) if ca else None,
        fingerprint=fingerprint or None,
        insecure=insecure,
    )


def _parts(url: str) -> tuple[bool, str, int, str]:
    """Secure, host, port, path. Raises KibanaError."""
    shown = safe_text(url, 200)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise KibanaError(f"{shown}: not a URL ({error}); write https://HOST:5601") from None
    host, secure = parts.hostname, parts.scheme == "https"
    if parts.username or parts.password:
        raise KibanaError("a URL with a user in it would show it to everybody; say OTMON_KIBANA_USER=NAME:PASSWORD")
    plain = re.fullmatch(r"[!-~]*", url)
    if parts.scheme not in ("http", "https") or not host or not plain or parts.query or parts.fragment:
        raise KibanaError(f"{shown}: not the address of a Kibana; write https://HOST:5601")
    if not secure and not loopback(host):
        raise KibanaError(f"{shown}: plain http only reaches this machine; write https://{host}:5601")
    return secure, host, port or (443 if secure else 80), parts.path.rstrip("/")


def load(settings: Kibana, imports: Sequence[Import] = IMPORTS) -> list[Loaded]:
    """Load every file; what Kibana said of each. Raises SinkError, when Kibana took none of a file: one line."""
    return [_load(settings, one) for one in imports]


def _load(settings: Kibana, one: Import) -> Loaded:
    text = resources.files("otmon.outputs.kibana").joinpath(one.file).read_bytes()
    kind, body = multipart(one.file, text)
    headers = {"kbn-xsrf": "otmon", "Content-Type": kind, "User-Agent": f"otmon/{__version__}", "Connection": "close"}
    if settings.user is not None:
        headers["Authorization"] = f"Basic {b64encode(settings.user.encode()).decode()}"
    elif settings.key is not None:
        headers["Authorization"] = f"ApiKey {settings.key}"
    return _meaning(one, settings, *_post(settings, one.target, body, headers))


def multipart(name: str, content: bytes) -> tuple[str, bytes]:
    """Content type and body of a form with one file (RFC 7578)."""
    mark = secrets.token_hex(16)
    head = f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
    head += "Content-Type: application/ndjson\r\n\r\n"
    return f"multipart/form-data; boundary={mark}", head.encode() + content + f"\r\n--{mark}--\r\n".encode()


def _post(
    settings: Kibana, target: str, body: bytes, headers: dict[str, str]
) -> tuple[http.client.HTTPResponse, bytes]:
    secure, host, port, path = _parts(settings.url)
    connection: http.client.HTTPConnection
    if secure:
        context = tls_context(settings.ca, insecure=settings.insecure or settings.fingerprint is not None)
        connection = http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=context)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    connected = False
    try:
        connection.connect()
        connected = True
        _check_fingerprint(settings, connection)
        connection.request("POST", path + target, body, headers)
        answer = connection.getresponse()
        return answer, answer.read(MAX_ANSWER_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise failure(error, f"Kibana at {settings.url}", connected) from None
    finally:
        connection.close()


def _check_fingerprint(settings: Kibana, connection: http.client.HTTPConnection) -> None:
    """Before anything secret is sent. Raises Refused."""
    if settings.fingerprint is None or not isinstance(connection, http.client.HTTPSConnection):
        return
    found = connection.sock.getpeercert(binary_form=True) or b""
    if not secrets.compare_digest(hashlib.sha256(found).hexdigest(), settings.fingerprint.lower()):
        raise Refused(f"the certificate of Kibana at {settings.url} does not have the fingerprint that was named")


_REFUSED: Final = {
    401: "does not know us: say OTMON_KIBANA_API_KEY, OTMON_KIBANA_KEY_FILE or OTMON_KIBANA_USER",
    403: "lets this key import nothing here: it needs the rights of somebody who manages saved objects and rules",
    404: "has no such API here: is Elastic Security switched on in this space, and is the URL's path Kibana's own?",
    413: "takes no file of this size",
}


def _meaning(one: Import, settings: Kibana, answer: http.client.HTTPResponse, body: bytes) -> Loaded:
    where, status = f"Kibana at {settings.url}", answer.status
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    if 300 <= status < 400:
        place = safe_text(answer.getheader("Location", ""), 200)
        raise Refused(f"{where} redirects to {place}: if that is its own path, add it to the URL")
    if answer.getheader("X-elastic-product") and not answer.getheader("kbn-name"):
        raise Refused(f"{settings.url} is Elasticsearch, not Kibana, which mostly answers at port 5601")
    if not isinstance(said, dict):
        if status >= 500:
            raise Unreachable(f"{where} answered {status}: it is not ready")
        raise Refused(f"{settings.url} answered {status} and nothing that Kibana would say")
    reason = _plain(said.get("message"))
    if status >= 500 or status == 429:
        raise Unreachable(f"{where} answered {status}: {reason or 'it is not ready'}")
    if status != 200:
        raise Refused(
            f"{where} {_REFUSED.get(status, f'answered {status} to the {one.what}')}" + f" ({reason})" * bool(reason)
        )
    loaded = said.get("successCount", said.get("success_count"))
    if not isinstance(loaded, int):
        raise Refused(f"{settings.url} answered nothing that Kibana would say")
    errors = said.get("errors")
    return Loaded(one.what, loaded, [_error(error) for error in errors] if isinstance(errors, list) else [])


def _error(error: Any) -> str:
    """`dashboard otmon-overview: missing_references`, `rule 6f74…: message`."""
    told = error if isinstance(error, dict) else {}
    found = told.get("error")
    inner = found if isinstance(found, dict) else {}
    rule, kind, name = (_plain(told.get(key)) for key in ("rule_id", "type", "id"))
    thing = f"rule {rule}" if rule else f"{kind or 'object'} {name or '?'}"
    why = next((text for key in ("message", "reason", "type") if (text := _plain(inner.get(key)))), "no reason given")
    listed = inner.get("references")
    references = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    missing = [f"{_plain(one.get('type'))} {_plain(one.get('id'))}" for one in references]
    more = f" ({', '.join(missing)})" if missing else ""
    return _plain(f"{thing}: {why}{more}")


def _plain(value: Any) -> str:
    """Text or a number on one line, safe to show; of anything else nothing, however deep it is."""
    return safe_text(" ".join(str(value).split()), 300) if isinstance(value, str | int) else ""
