"""File objects (IEEE 1815-2012, A.27: group 70)."""

import struct
from typing import Any, Final

from otmon.protocols.dnp3.readers import Reader, fixed, labelled
from otmon.text import safe_text

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
FILE: Final = 70
FILE_AUTHENTICATION: Final = 2
FILE_COMMAND: Final = 3
FILE_STATUS_OBJECT: Final = 4
FILE_BLOCK_STATUS: Final = 6
FILE_DESCRIPTOR: Final = 7
FILE_SPECIFICATION: Final = 8
COMMAND_BYTES: Final = 26
DESCRIPTOR_BYTES: Final = 20
"""Octets of a file command and a descriptor before the name."""


def permissions_text(bits: int) -> str:
    """`rwxr-xr--`: owner, group, world."""
    return "".join(letter if bits >> 8 - place & 1 else "-" for place, letter in enumerate("rwx" * 3))


def _named(reader: Reader) -> Reader:
    """A file name stands where the object's own offset says, counted from its first octet."""

    def read(raw: bytes) -> dict[str, Any] | None:
        fields = reader(raw)
        if fields is not None:
            offset, size = fields.pop("offset"), fields.pop("name_bytes")
            fields["file"] = safe_text(raw[offset : offset + size])
            fields["permissions_text"] = permissions_text(fields["permissions"])
        return fields

    return read


def _block(reader: Reader) -> Reader:
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


_COMMAND: Final = fixed(
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
)
_DESCRIPTOR: Final = fixed(
    "HHHI6sHH", "offset", "name_bytes", "type", "size", "created_ms", "permissions", "request_id"
)
_STATUS: Final = fixed("IIHHB", "handle", "size", "max_block", "request_id", "status", rest="text", text=True)

FILES: Final[dict[tuple[int, int], Reader]] = {
    (70, 2): _credentials,
    (70, 3): labelled(_named(_COMMAND), mode=FILE_MODES),
    (70, 4): labelled(_STATUS, status=FILE_STATUS),
    (70, 5): _block(fixed("II", "handle", "block", rest="data")),
    (70, 6): labelled(_block(fixed("IIB", "handle", "block", "status", rest="text", text=True)), status=FILE_STATUS),
    (70, 7): labelled(_named(_DESCRIPTOR), type=FILE_TYPES),
    (70, 8): fixed("", rest="file", text=True),
}
