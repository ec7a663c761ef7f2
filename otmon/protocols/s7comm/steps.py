"""What a PDU of an upload or download does to it: which block, which bytes, whether more come.

In an upload the client asks for the parts (0x1E) by the number that the controller gave it (0x1D). In a download the
roles turn once it was asked for (0x1A): the controller fetches the parts (0x1B) by the name of the file, and ends it
(0x1C). Layouts are those of Wireshark's fields `s7comm.param.*` and `s7comm.blockcontrol.*`.
"""

import struct
from typing import Final, Literal, NamedTuple

from otmon.model import Block, Step
from otmon.protocols.s7comm.blocks import block_name, block_parts
from otmon.protocols.s7comm.tables import (
    ACK,
    ACK_DATA,
    DOWNLOAD_BLOCK,
    DOWNLOAD_ENDED,
    FAMILY_S7,
    JOB,
)
from otmon.text import safe_text

_REQUEST_DOWNLOAD: Final = 0x1A
_START_UPLOAD: Final = 0x1D
_UPLOAD: Final = 0x1E
_END_UPLOAD: Final = 0x1F
_NAMED: Final = frozenset({_REQUEST_DOWNLOAD, DOWNLOAD_BLOCK, DOWNLOAD_ENDED, _START_UPLOAD})
"""Jobs that name a file; the others have the number of an upload."""
_UPLOADS: Final = frozenset({_START_UPLOAD, _UPLOAD, _END_UPLOAD})
_PARTS: Final = frozenset({DOWNLOAD_BLOCK, _UPLOAD})
_MORE, _FAILED = 1, 2
"""Bits of the status."""


class _Pdu(NamedTuple):
    job: bool
    error: int
    param: bytes
    data: bytes


def _parts(pdu: bytes | None) -> _Pdu | None:
    """Parameter and data of a canonical PDU that is a job or its answer; None if it is cut."""
    if pdu is None or len(pdu) < 13 or pdu[3] != FAMILY_S7 or pdu[4] not in (JOB, ACK, ACK_DATA):
        return None
    answer = pdu[4] != JOB
    param_bytes, data_bytes = struct.unpack(">HH", pdu[9:13])
    at = 15 if answer else 13
    param = pdu[at : at + param_bytes]
    if len(param) < 1 or len(param) < param_bytes:
        return None
    at += param_bytes
    return _Pdu(answer is False, int.from_bytes(pdu[13:15], "big") if answer else 0, param, pdu[at : at + data_bytes])


def _file(param: bytes) -> bytes:
    return param[9 : 9 + param[8]] if len(param) > 8 else b""


def _handle(param: bytes) -> str | None:
    """Of a job: the file's name, or the number of the upload."""
    if param[0] in _NAMED:
        return safe_text(_file(param)) or None
    return param[4:8].hex() if len(param) >= 8 else None


def block_of(name: bytes) -> Block:
    """`_0A00010P` -> DB10, passive; what does not look like a block is a file."""
    bare = name[1:] if name[:1] in (b"_", b"$") else name
    parts = block_parts(bare)
    if not parts:
        return Block("file", None, safe_text(name), None)
    return Block(parts["block_type"], parts["block_number"], block_name(bare), parts["file_system"])


def _digits(text: bytes) -> int | None:
    return int(text) if len(text) < 10 and text.isdigit() else None


def step(pdu: bytes, request: bytes | None) -> Step | None:
    """What `pdu` does; `request`: the job it answers. None: nothing that a transfer depends on."""
    here, asked = _parts(pdu), _parts(request)
    if here is None:
        return None
    code = here.param[0]
    direction: Literal["upload", "download"] = "upload" if code in _UPLOADS else "download"
    if here.job:
        block = block_of(_file(here.param)) if code in _NAMED else None
        failed = any(here.param[2:4]) or bool(here.param[1:2] and here.param[1] & _FAILED)
        if code in _PARTS:
            return Step("ask", direction, _handle(here.param), block)
        if code in (DOWNLOAD_ENDED, _END_UPLOAD):
            return Step("end", direction, _handle(here.param), block, failed=failed)
        return None
    same = asked is not None and asked.job and asked.param[0] == code
    job = asked.param if asked is not None and same else b""
    if code in _PARTS:
        return _part(direction, _handle(job) if job else None, here)
    if not job or here.error:
        return None
    if code == _START_UPLOAD and len(here.param) >= 8:
        length = _digits(here.param[9 : 9 + here.param[8]]) if len(here.param) > 8 else None
        return Step("begin", direction, here.param[4:8].hex(), block_of(_file(job)), length=length)
    if code == _REQUEST_DOWNLOAD:
        announced = job[9 + len(_file(job)) :]
        return Step("begin", direction, _handle(job), block_of(_file(job)), length=_digits(announced[2:8]))
    return None


def _part(direction: Literal["upload", "download"], handle: str | None, answer: _Pdu) -> Step:
    """The answer that brings a part: its length and 0x00FB, then the bytes."""
    status = answer.param[1] if len(answer.param) > 1 else 0
    size = int.from_bytes(answer.data[:2], "big")
    data = answer.data[4 : 4 + size]
    failed = bool(answer.error or status & _FAILED)
    more, lost = bool(status & _MORE), len(data) < size
    return Step("part", direction, handle, data=data, more=more, lost=lost, failed=failed)
