"""The file of compiled kernels: a check sum, an index, and an object file for each far function."""

import hashlib
import json
import struct
from collections.abc import Mapping
from typing import Final

_SUM_BYTES: Final = 32
_LENGTH: Final = struct.Struct("<I")
"""SHA-256 of all that follows it; length of the index; the index; the object files."""


class CompileError(Exception):
    """The compiler did not do its work; str() is its last line."""


def symbol(name: str) -> str:
    """What the object file of a far function calls it."""
    return f"otmon_{name}"


def pack(kernels: Mapping[str, bytes]) -> bytes:
    """The file for these object files, by far function."""
    index = json.dumps({name: len(code) for name, code in kernels.items()}).encode()
    body = _LENGTH.pack(len(index)) + index + b"".join(kernels.values())
    return hashlib.sha256(body).digest() + body


def unpack(raw: bytes) -> dict[str, bytes]:
    """What `pack` put in. Raises ValueError if the file is not whole."""
    if hashlib.sha256(raw[_SUM_BYTES:]).digest() != raw[:_SUM_BYTES]:
        raise ValueError("damaged")
    start = _SUM_BYTES + _LENGTH.size
    at = start + _LENGTH.unpack_from(raw, _SUM_BYTES)[0]
    found = {}
    for name, size in json.loads(raw[start:at]).items():
        found[name] = raw[at : at + size]
        at += size
    return found
