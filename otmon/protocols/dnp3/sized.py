"""Objects whose length their header gives: files (group 70) and secure authentication (group 120).

A reader takes the octets of one object and gives its fields, or None if it is too short for them.
"""

import struct
from collections.abc import Callable
from typing import Any, Final

from otmon.text import safe_text

_Reader = Callable[[bytes], dict[str, Any] | None]

FILE_STATUS: Final[dict[int, str]] = {
    0: "success",
    1: "permission_denied",
    2: "invalid_mode",
    3: "not_found",
    4: "locked",
    5: "too_many_open",
    6: "invalid_handle",
    7: "write_block_size",
    8: "lost",
    9: "cannot_abort",
    16: "not_opened",
    17: "handle_expired",
    18: "buffer_overrun",
    19: "fatal",
    20: "out_of_sequence",
    255: "undefined",
}
FILE_MODES: Final = {0: "none", 1: "read", 2: "write", 3: "append"}
FILE_TYPES: Final = {0: "directory", 1: "file"}
LAST_BLOCK: Final = 1 << 31


def _fixed(form: str, *names: str, rest: str | None = None, text: bool = False) -> _Reader:
    """Little-endian fields, and what follows them as `rest` (text, or its first octets in hex)."""
    packed = struct.Struct("<" + form)

    def read(raw: bytes) -> dict[str, Any] | None:
        if len(raw) < packed.size:
            return None
        fields: dict[str, Any] = {
            name: int.from_bytes(value, "little") if isinstance(value, bytes) else value
            for name, value in zip(names, packed.unpack_from(raw), strict=True)
        }
        behind = raw[packed.size :]
        if rest and behind:
            fields[rest] = safe_text(behind) if text else behind[:64].hex()
        return fields

    return read


def _named(reader: _Reader, size_of_string: str, string: str) -> _Reader:
    """A file name stands where the object's own offset says, counted from its first octet."""

    def read(raw: bytes) -> dict[str, Any] | None:
        fields = reader(raw)
        if fields is not None:
            offset, size = fields.pop("offset"), fields.pop(size_of_string)
            fields[string] = safe_text(raw[offset : offset + size])
        return fields

    return read


def _labelled(reader: _Reader, field: str, names: dict[int, str]) -> _Reader:
    def read(raw: bytes) -> dict[str, Any] | None:
        fields = reader(raw)
        if fields is not None:
            fields[f"{field}_name"] = names.get(fields[field], "reserved")
        return fields

    return read


def _block(reader: _Reader) -> _Reader:
    def read(raw: bytes) -> dict[str, Any] | None:
        fields = reader(raw)
        if fields is not None:
            fields["last"] = bool(fields["block"] & LAST_BLOCK)
            fields["block"] &= LAST_BLOCK - 1
            if "data" in fields:
                fields["data_bytes"] = len(raw) - 8
        return fields

    return read


def _credentials(raw: bytes) -> dict[str, Any] | None:
    """The user's name; that there is a password, but not the password."""
    if len(raw) < 12:
        return None
    user_at, user_size, _, password_size, key = struct.unpack_from("<HHHHI", raw)
    user = safe_text(raw[user_at : user_at + user_size])
    return {"user": user, "password_bytes": password_size, "authentication_key": key}


SIZED_READERS: Final[dict[tuple[int, int], _Reader]] = {
    (70, 2): _credentials,
    (70, 3): _labelled(
        _named(
            _fixed(
                "HH6sHIIHHH",
                "offset",
                "name_bytes",
                "created_ms",
                "permissions",
                "authentication_key",
                "size",
                "mode",
                "max_block",
                "request_id",
            ),
            "name_bytes",
            "file",
        ),
        "mode",
        FILE_MODES,
    ),
    (70, 4): _labelled(
        _fixed("IIHHB", "handle", "size", "max_block", "request_id", "status", rest="text", text=True),
        "status",
        FILE_STATUS,
    ),
    (70, 5): _block(_fixed("II", "handle", "block", rest="data")),
    (70, 6): _labelled(
        _block(_fixed("IIB", "handle", "block", "status", rest="text", text=True)), "status", FILE_STATUS
    ),
    (70, 7): _labelled(
        _named(
            _fixed("HHHI6sHH", "offset", "name_bytes", "type", "size", "created_ms", "permissions", "request_id"),
            "name_bytes",
            "file",
        ),
        "type",
        FILE_TYPES,
    ),
    (70, 8): _fixed("", rest="file", text=True),
    (120, 1): _fixed("IHBB", "sequence", "user", "mac_algorithm", "reason", rest="challenge"),
    (120, 2): _fixed("IH", "sequence", "user", rest="mac"),
    (120, 3): _fixed("IH", "sequence", "user"),
    (120, 4): _fixed("H", "user"),
    (120, 5): _fixed(
        "IHBBBH", "sequence", "user", "wrap_algorithm", "key_status", "mac_algorithm", "challenge_bytes", rest="data"
    ),
    (120, 6): _fixed("IH", "sequence", "user", rest="wrapped_keys"),
    (120, 7): _fixed(
        "IHHB6s", "sequence", "user", "association", "error_code", "time_ms", rest="error_text", text=True
    ),
    (120, 9): _fixed("", rest="mac"),
}
