"""TLS as sinks use it (verified unless somebody says otherwise), and what errors of a connection mean to the spool."""

import ipaddress
import re
import socket
import ssl
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Final

from otmon.outputs.secret import SecretError, private_file
from otmon.outputs.sink import Refused, SinkError, Unreachable
from otmon.text import safe_text

_UNWELCOME: Final = ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED")
"""In OpenSSL's names of errors: the other end will not have our certificate, or wants one."""
_NO_MATCH: Final = (
    "WRONG_VERSION_NUMBER",
    "UNSUPPORTED_PROTOCOL",
    "PROTOCOL_VERSION",
    "HANDSHAKE_FAILURE",
    "NO_SHARED_CIPHER",
    "INSUFFICIENT_SECURITY",
    "UNRECOGNIZED_NAME",
)
"""The same while a connection is made: the other end speaks no TLS, or none that we do. Later it is a garbled byte."""


FINGERPRINT: Final = re.compile(r"[0-9a-fA-F]{64}\Z")
"""SHA-256 of a certificate."""


def loopback(host: str) -> bool:
    """Whether this is a name or an address of this machine alone, which plain http may reach."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"  # RFC 6761 6.3


def tls_context(
    ca: Path | None = None, certificate: Path | None = None, insecure: bool = False, held: bytes | None = None
) -> ssl.SSLContext:
    """TLS 1.2 or later; the other end proves its name to the system's authorities, or to those in `ca` (PEM).

    `held`: what `ca` held when it could be read.
    `certificate`: our own with its key, PEM in one file that nobody else can read. `insecure`: any certificate will do;
    whoever asks for that has to say so again and again. Raises Refused.
    """
    try:
        if held is not None:
            # Python takes ASCII alone, and comments beside certificates may be more.
            context = ssl.create_default_context(cadata=held.decode("ascii", "ignore"))
        else:
            context = ssl.create_default_context(cafile=None if ca is None else str(ca))
    except (OSError, ValueError) as error:
        raise Refused(f"{safe_text(str(ca), 200)} holds no certificate of an authority: {_reason(error)}") from None
    if certificate is not None:
        try:
            private_file(certificate)
            # OpenSSL would ask the terminal for the password of a key that has one.
            context.load_cert_chain(str(certificate), password=lambda: b"")
        except SecretError as error:
            raise Refused(str(error)) from None
        except (OSError, ValueError) as error:
            whence = safe_text(str(certificate), 200)
            raise Refused(f"{whence} holds no certificate with its key: {_reason(error)}") from None
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def expiry(sock: socket.socket | None) -> str:
    """Until when the certificate at the other end is good; empty where that was not looked at."""
    shown = sock.getpeercert() if isinstance(sock, ssl.SSLSocket) else None
    return str((shown or {}).get("notAfter", ""))


def load_network() -> None:
    """Load what Python loads with the first connection: later its files may be out of reach."""
    import encodings.idna  # host names

    with suppress(OSError):
        socket.create_connection(("127.0.0.1", 1), 0.1).close()  # tcpmux, which refuses at once
    with suppress(OSError):
        socket.getaddrinfo("localhost", 1, type=socket.SOCK_DGRAM)
    ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=encodings.idna.__name__)


def failure(error: OSError | HTTPException, whom: str, connected: bool) -> SinkError:
    """What an error of a connection with `whom` means; `connected`: it came when all had been agreed on."""
    if isinstance(error, TimeoutError):
        return Unreachable(f"{whom} did not answer in time")
    if isinstance(error, ssl.SSLCertVerificationError):
        why = safe_text(error.verify_message or str(error), 200).rstrip(".")
        return Refused(f"the certificate of {whom} is not to be trusted: {why}")
    if isinstance(error, ssl.SSLError):
        said = error.reason or ""
        if any(word in said for word in (_UNWELCOME if connected else _UNWELCOME + _NO_MATCH)):
            return Refused(f"no TLS with {whom}: {_reason(error)}")
    return Unreachable(f"{whom} cannot be reached: {_reason(error)}")


def _reason(error: OSError | HTTPException | ValueError) -> str:
    """In words of whoever raised it; of OpenSSL's, its name for it: `tlsv1 alert unknown ca`."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return safe_text(error.reason.replace("_", " ").lower(), 200)
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return safe_text(text or type(error).__name__, 200)
