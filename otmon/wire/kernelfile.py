"""The file of compiled kernels: a check sum, an index, and an object file for each far function."""

import hashlib
import json
import struct
from collections.abc import Mapping
from typing import Final, NamedTuple

_SUM_BYTES: Final = 32
_LENGTH: Final = struct.Struct("<I")
"""SHA-256 of all that follows it; length of the index; the index; the object files."""


class CompileError(Exception):
    """The compiler did not do its work; str() is its last line."""


class Kernel(NamedTuple):
    """One compiled far function."""

    symbol: str
    code: bytes
    """An object file that defines the symbol."""


def pack(kernels: Mapping[str, Kernel]) -> bytes:
    """The file for these functions, by name."""
    index = json.dumps({name: [kernel.symbol, len(kernel.code)] for name, kernel in kernels.items()}).encode()
    body = _LENGTH.pack(len(index)) + index + b"".join(kernel.code for kernel in kernels.values())
    return hashlib.sha256(body).digest() + body


def unpack(raw: bytes) -> dict[str, Kernel]:
    """What `pack` put in. Raises ValueError if the file is not whole."""
    if hashlib.sha256(raw[_SUM_BYTES:]).digest() != raw[:_SUM_BYTES]:
        raise ValueError("damaged")
    start = _SUM_BYTES + _LENGTH.size
    at = start + _LENGTH.unpack_from(raw, _SUM_BYTES)[0]
    found = {}
    for name, (symbol, size) in json.loads(raw[start:at]).items():
        found[name] = Kernel(symbol, raw[at : at + size])
        at += size
    return found
