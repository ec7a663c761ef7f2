"""TLS as user data of COTP (S7comm-plus since TIA Portal V17): what stands in clear, and that the rest does not.

Records and handshake messages: RFC 8446 4 and 5.1; the version that was agreed on is in an extension (4.2.1).
"""

from typing import Any, Final

from otmon.model import Malformed, Message
from otmon.protocols.s7comm.tables import ENCRYPTED
from otmon.protocols.s7comm.targets import ops_of

_CONTENT: Final = {0x14: "change_cipher_spec", 0x15: "alert", 0x16: "handshake", 0x17: "application_data"}
_HANDSHAKES: Final = {1: "client_hello", 2: "server_hello", 11: "certificate", 20: "finished"}
_VERSIONS: Final = {0x0300: "SSL 3.0", 0x0301: "TLS 1.0", 0x0302: "TLS 1.1", 0x0303: "TLS 1.2", 0x0304: "TLS 1.3"}
_SUPPORTED_VERSIONS: Final = 43
_MAX_RECORDS: Final = 64
_CLIENT_HELLO, _SERVER_HELLO = 1, 2


def decode_tls(data: bytes, from_client: bool) -> Message:
    """User data that begins with a TLS record. Raises Malformed."""
    if len(data) < 5 or not 0x14 <= data[0] <= 0x17 or data[1] != 3 or data[2] > 4 or not data[3:5].strip(b"\0"):
        raise Malformed("neither S7comm nor TLS")
    body: dict[str, Any] = {
        "tls_record": data[0],
        "tls_version": f"{data[1]}.{data[2]}",
        "bytes": len(data),
        "records": _records(data),
    }
    handshake = data[5] if data[0] == 0x16 and len(data) > 5 else 0
    if handshake in _HANDSHAKES:
        body["handshake"] = _HANDSHAKES[handshake]
    if handshake == _SERVER_HELLO:
        body["agreed_version"] = _agreed(data[9:])
    if handshake == _SERVER_HELLO or not from_client:
        return Message("link", None, None, ENCRYPTED.name, ENCRYPTED.access, ("encrypted",), body, (), {})
    ops = ops_of(None, ENCRYPTED, ())
    return Message("request", None, None, ENCRYPTED.name, ENCRYPTED.access, ("encrypted",), body, ops, {})


def _records(data: bytes) -> list[dict[str, Any]]:
    """Kind and length of each record; the last one may go on in the next TPDU."""
    found: list[dict[str, Any]] = []
    pos = 0
    while pos + 5 <= len(data) and data[pos] in _CONTENT and len(found) < _MAX_RECORDS:
        size = int.from_bytes(data[pos + 3 : pos + 5], "big")
        found.append({"content": _CONTENT[data[pos]], "bytes": size})
        pos += 5 + size
    return found


def _agreed(hello: bytes) -> str | None:
    """The version of a ServerHello: version, random (32), session id, cipher suite (2), compression (1), extensions."""
    if len(hello) < 35:
        return None
    version, pos = int.from_bytes(hello[:2], "big"), 35 + hello[34] + 3
    end = pos + 2 + int.from_bytes(hello[pos : pos + 2], "big")
    pos += 2
    while pos + 4 <= min(end, len(hello)):
        kind, size = int.from_bytes(hello[pos : pos + 2], "big"), int.from_bytes(hello[pos + 2 : pos + 4], "big")
        if kind == _SUPPORTED_VERSIONS and size == 2:
            version = int.from_bytes(hello[pos + 4 : pos + 6], "big")
        pos += 4 + size
    return _VERSIONS.get(version, f"0x{version:04x}")
