"""The compiled key: what a canonical PDU asks for, as words.

Word 0 (all kinds): bits 0-7 family (FAMILY_* or COTP TPDU code), 8-15 rosctr or S7comm-plus version, 16-31 counter slot
or S7comm-plus function, 32-39 userdata type, S7comm-plus opcode or (TLS) kind. What follows:

- COTP connect: the variable part (TSAPs, TPDU size) in raw words;
- read and write jobs, cyclic userdata requests: items (see `items.py`);
- download, upload and PI service jobs: a word of lengths (file or service name, PI argument << 16), both in raw words;
- SZL requests and responses: SZL id << 16 | index; block requests: a word of length, then the data in raw words.

Raw words hold 8 bytes each, big-endian, the last one zero-padded. A key longer than MAX_KEY_WORDS is cut and marked
FLAG_INSPECT.
"""

from typing import Any, Final

import numpy as np

from otmon.limits import MAX_KEY_WORDS
from otmon.protocols.s7comm.cotp import DT, DT_HEADER, cotp_known
from otmon.protocols.s7comm.items import put, put_items, put_raw
from otmon.protocols.s7comm.plus import plus_key
from otmon.protocols.s7comm.tables import (
    ACK,
    ACK_DATA,
    DOWNLOAD_BLOCK,
    DOWNLOAD_ENDED,
    FAMILY_PLUS,
    FAMILY_S7,
    FAMILY_TLS,
    FUNCTIONS,
    JOB,
    PI_SERVICE,
    READ_VAR,
    TYPE_PUSH,
    TYPE_REQUEST,
    TYPE_RESPONSE,
    USERDATA,
    USERDATA_SLOT,
    WRITE_VAR,
)
from otmon.wire.contract import (
    FLAG_ENCRYPTED,
    FLAG_EXCEPTION,
    FLAG_IDENTITY,
    FLAG_INSPECT,
    KIND_LINK,
    KIND_REQUEST,
    KIND_RESPONSE,
    KIND_UNSOLICITED,
    OUT_CLASS,
    OUT_EVIDENCE,
    OUT_EXPECT,
    OUT_FLAGS,
    OUT_FROM_CLIENT,
    OUT_FUNC,
    OUT_KIND,
    OUT_REPLY_KEY,
    OUT_STATUS,
    OUT_TOKEN,
    OUT_UNIT,
    OUT_VMAX,
    OUT_VMIN,
    OUT_WORDS,
    STATUS_ACCEPTED,
    STATUS_NONE,
    STATUS_PARTIAL,
    STATUS_REJECTED,
)
from otmon.wire.loads import be16, be32, jit, jit_inline, u8

NO_FUNCTION_BIT: Final = 1 << 40
"""Of word 0: an answer that does not name its function."""
CLIENT_JOB: Final = 1
PLC_JOB: Final = 2
"""Reply keys of jobs: both sides number theirs on their own, and a refusal may not name its function."""
_CR: Final = 0xE0
_CC: Final = 0xD0
_GROUP_BLOCK: Final = 3
_GROUP_PBC: Final = 6


def _table(size: int, default: int, values: dict[int, int]) -> Any:
    """A constant of the kernels: a lookup costs them less than a comparison with several numbers."""
    table = np.full(size, default, np.int64)
    table[list(values)] = list(values.values())
    table.flags.writeable = False
    return table


_SIDE: Final = _table(256, -1, {code: int(code not in (DOWNLOAD_BLOCK, DOWNLOAD_ENDED)) for code in FUNCTIONS if code})
"""1 if a client sends jobs of this function, 0 if a PLC does, -1 if unknown."""
_HEADER: Final = _table(256, 0, {JOB: 10, ACK: 12, ACK_DATA: 12, USERDATA: 10})
"""Bytes of the header by rosctr; 0 if unknown."""


@jit
def key(buf: Any, start: int, end: int, from_client: int, out: Any) -> int:
    """Words of the canonical PDU `buf[start:end]`; see `otmon.wire.contract`."""
    out[OUT_KIND] = KIND_LINK
    out[OUT_EXPECT] = 0
    out[OUT_TOKEN] = 0
    out[OUT_STATUS] = STATUS_NONE
    out[OUT_FUNC] = -1
    out[OUT_CLASS] = -1
    out[OUT_FLAGS] = 0
    out[OUT_UNIT] = 0
    out[OUT_VMIN] = 1
    out[OUT_VMAX] = 0
    out[OUT_FROM_CLIENT] = -1
    out[OUT_EVIDENCE] = 0
    out[OUT_REPLY_KEY] = 0
    if end - start < DT_HEADER:
        return -1
    code = u8(buf, start + 1)
    header = u8(buf, start) + 1
    if header < DT_HEADER or header > end - start or cotp_known(code) == 0:
        return -1
    n: int = -1
    a = start + DT_HEADER
    if code & 0xF0 != DT:
        n = _link(buf, start, start + header, out)
    elif header != DT_HEADER:
        return -1
    elif a == end:
        n = put(out, 0, DT)
    elif u8(buf, a) == FAMILY_S7:
        n = _s7(buf, a, end, out)
    elif u8(buf, a) == FAMILY_PLUS:
        n = plus_key(buf, a, end, out)
    else:
        n = _tls(buf, a, end, from_client, out)
    if n > MAX_KEY_WORDS:
        out[OUT_FLAGS] |= FLAG_INSPECT
        n = MAX_KEY_WORDS
    return n


@jit_inline
def _tls(buf: Any, a: int, end: int, from_client: int, out: Any) -> int:
    """A TLS record (RFC 8446 5.1) as user data: S7comm-plus since TIA Portal V17."""
    if end - a < 5:
        return -1
    kind = u8(buf, a)
    if kind < 0x14 or kind > 0x17 or u8(buf, a + 1) != 3 or u8(buf, a + 2) > 4 or be16(buf, a + 3) == 0:
        return -1
    if kind == 0x16 and end - a > 5:
        handshake = u8(buf, a + 5)
        if handshake == 1 or handshake == 2:
            out[OUT_FROM_CLIENT] = 1 if handshake == 1 else 0
    # What the server sends back is no operation of its own: nobody asked for it by name.
    server = from_client == 0 or out[OUT_FROM_CLIENT] == 0
    out[OUT_KIND] = KIND_LINK if server else KIND_REQUEST
    out[OUT_FLAGS] = FLAG_ENCRYPTED
    out[OUT_EVIDENCE] = 1
    out[OUT_WORDS] = FAMILY_TLS | out[OUT_KIND] << 32
    return 1


@jit_inline
def _link(buf: Any, a: int, end: int, out: Any) -> int:
    """COTP without user data: the header `buf[a:end]`."""
    code = u8(buf, a + 1) & 0xF0
    if (code >= _CC or code == 0x80) and end - a < 7:
        return -1
    if code == 0xC0 and end - a < 6:
        return -1
    n: int = put(out, 0, code)
    if code in (_CR, _CC):
        out[OUT_FROM_CLIENT] = 1 if code == _CR else 0
        out[OUT_FLAGS] = FLAG_IDENTITY if code == _CC else 0
        out[OUT_EVIDENCE] = _siemens_tsap(buf, a + 7, end)
        n = put_raw(buf, a + 7, end, out, n)
    return n


@jit
def _siemens_tsap(buf: Any, pos: int, end: int) -> int:
    """1 if the called TSAP is one a SIMATIC has; RDP sends none, MMS others."""
    while pos + 2 <= end:
        tag = u8(buf, pos)
        size = u8(buf, pos + 1)
        pos += 2
        if pos + size > end:
            return 0
        if tag == 0xC2 and size == 2 and 1 <= u8(buf, pos) <= 3:
            return 1
        if tag == 0xC2 and size >= 8 and be32(buf, pos) == 0x53494D41 and be32(buf, pos + 4) == 0x5449432D:
            return 1  # "SIMATIC-"
        pos += size
    return 0


@jit_inline
def _s7(buf: Any, a: int, end: int, out: Any) -> int:
    """An S7comm PDU at `a`."""
    if end - a < 10:
        return -1
    rosctr = u8(buf, a + 1)
    header = int(_HEADER[rosctr])
    if header == 0:
        return -1
    out[OUT_CLASS] = rosctr
    param = a + header
    data = param + be16(buf, a + 6)
    stop = data + be16(buf, a + 8)
    if param > end or stop > end:
        return -1
    out[OUT_TOKEN] = be16(buf, a + 4)
    if rosctr == USERDATA:
        out[OUT_KIND] = KIND_UNSOLICITED
        n: int = _userdata(buf, param, data, stop, out)
    elif rosctr == JOB:
        out[OUT_KIND] = KIND_REQUEST
        n = _job(buf, param, data, out)
    else:
        out[OUT_KIND] = KIND_RESPONSE
        n = _ack(buf, a, param, data, stop, out)
    out[OUT_EVIDENCE] = 0 if n < 0 else 2 if stop == end else 1
    return n


@jit_inline
def _job(buf: Any, pos: int, end: int, out: Any) -> int:
    """A job's parameter `buf[pos:end]`."""
    if pos >= end:
        return -1
    function = u8(buf, pos)
    out[OUT_EXPECT] = 1
    out[OUT_FUNC] = function
    side = int(_SIDE[function])
    out[OUT_FROM_CLIENT] = side
    out[OUT_REPLY_KEY] = PLC_JOB if side == 0 else CLIENT_JOB
    n: int = put(out, 0, FAMILY_S7 | JOB << 8 | function << 16)
    if READ_VAR <= function <= WRITE_VAR:
        if end - pos < 2:
            return -1
        n = put_items(buf, pos + 2, end, u8(buf, pos + 1), out, n)
    elif 0x1A <= function <= 0x1D:
        if end - pos < 9 or pos + 9 + u8(buf, pos + 8) > end:
            return -1
        n = put(out, n, u8(buf, pos + 8))
        n = put_raw(buf, pos + 9, pos + 9 + u8(buf, pos + 8), out, n)
    elif function == PI_SERVICE:
        if end - pos < 11:
            return -1
        argument = be16(buf, pos + 8)
        name = pos + 10 + argument
        if name >= end or name + 1 + u8(buf, name) > end:
            return -1
        n = put(out, n, u8(buf, name) | argument << 16)
        n = put_raw(buf, name + 1, name + 1 + u8(buf, name), out, n)
        n = put_raw(buf, pos + 10, name, out, n)
    return n


@jit_inline
def _ack(buf: Any, a: int, pos: int, data: int, end: int, out: Any) -> int:
    """The answer to a job: header at `a`, parameter `buf[pos:data]`, data `buf[data:end]`."""
    rosctr = u8(buf, a + 1)
    refused = be16(buf, a + 10) != 0
    out[OUT_STATUS] = STATUS_REJECTED if refused else STATUS_ACCEPTED
    if refused:
        out[OUT_FLAGS] = FLAG_EXCEPTION
    if pos >= data:
        # An acknowledgement of an error has no parameter: only the reference tells what it answers.
        out[OUT_REPLY_KEY] = CLIENT_JOB
        out[OUT_WORDS] = FAMILY_S7 | rosctr << 8 | NO_FUNCTION_BIT
        return 1
    function = u8(buf, pos)
    out[OUT_FUNC] = function
    side = int(_SIDE[function])
    out[OUT_FROM_CLIENT] = 1 - side if side >= 0 else -1
    out[OUT_REPLY_KEY] = PLC_JOB if side == 0 else CLIENT_JOB
    if not refused and READ_VAR <= function <= WRITE_VAR and data - pos >= 2:
        good = _good_items(buf, data, end, u8(buf, pos + 1), function)
        if good < u8(buf, pos + 1):
            out[OUT_STATUS] = STATUS_PARTIAL if good > 0 else STATUS_REJECTED
            if good == 0:
                out[OUT_FLAGS] = FLAG_EXCEPTION
    out[OUT_WORDS] = FAMILY_S7 | rosctr << 8 | function << 16
    return 1


@jit_inline
def _good_items(buf: Any, pos: int, end: int, count: int, function: int) -> int:
    """How many of `count` items a read or write response reports as done; missing ones are not."""
    good = 0
    for _ in range(count):
        if pos >= end:
            break
        code = u8(buf, pos)
        good += code == 0xFF
        if function == WRITE_VAR:
            pos += 1
            continue
        if end - pos < 4:
            break
        size = be16(buf, pos + 2)
        if 3 <= u8(buf, pos + 1) <= 5:
            size = (size + 7) >> 3
        if 1 < code < 0xFF:
            size = 0  # servers give a length with an error, and no data
        pos += 4 + size + (size & 1)
    return good


@jit_inline
def _userdata(buf: Any, pos: int, data: int, end: int, out: Any) -> int:
    """Userdata: parameter `buf[pos:data]` (0x000112, length, method, type | group, ...), data `buf[data:end]`."""
    if data - pos < 8 or be16(buf, pos) != 1 or u8(buf, pos + 2) != 0x12:
        return -1
    kind = u8(buf, pos + 5) >> 4
    group = u8(buf, pos + 5) & 15
    slot = USERDATA_SLOT + (group << 8 | u8(buf, pos + 6))
    out[OUT_FUNC] = slot
    size = 0
    if end - data >= 4:
        size = min(be16(buf, data + 2), end - data - 4)
    n: int = put(out, 0, FAMILY_S7 | USERDATA << 8 | slot << 16 | kind << 32)
    # Either side of a BSEND connection may send.
    out[OUT_FROM_CLIENT] = -1 if group == _GROUP_PBC else 1 if kind == TYPE_REQUEST else 0
    if kind == TYPE_REQUEST:
        out[OUT_KIND] = KIND_REQUEST
        out[OUT_EXPECT] = 1
        out[OUT_REPLY_KEY] = slot
        n = _userdata_target(buf, data + 4, data + 4 + size, slot - USERDATA_SLOT, out, n)
    elif kind == TYPE_RESPONSE:
        out[OUT_KIND] = KIND_RESPONSE
        out[OUT_REPLY_KEY] = slot
        refused = data - pos >= 12 and be16(buf, pos + 10) != 0
        if end > data and u8(buf, data) != 0xFF and u8(buf, data) != 0x0A:
            refused = True  # 0x0A with error code 0: done, and there is nothing to hand over
        out[OUT_STATUS] = STATUS_REJECTED if refused else STATUS_ACCEPTED
        if refused:
            out[OUT_FLAGS] = FLAG_EXCEPTION
        elif data - pos >= 10 and _last_part(buf, pos):
            out[OUT_EXPECT] = 2  # each part answers a request of its own; if that was not seen, this is no orphan
        elif slot == USERDATA_SLOT + 0x401 and size >= 8:
            number = u8(buf, data + 5)
            if number == 0x11 or number == 0x1C:
                out[OUT_FLAGS] = FLAG_IDENTITY
            n = put(out, n, be32(buf, data + 4))
    elif kind != TYPE_PUSH:
        return -1
    return n


@jit
def _last_part(buf: Any, pos: int) -> bool:
    """The last of several parts of a response: it begins in the middle of a record."""
    return u8(buf, pos + 8) != 0 and u8(buf, pos + 9) == 0


@jit
def _userdata_target(buf: Any, pos: int, end: int, function: int, out: Any, n: int) -> int:
    """What a userdata request asks for: `buf[pos:end]` is its data behind the 4-byte header."""
    group = function >> 8
    if function == 0x401 and end - pos >= 4:
        n = put(out, n, be32(buf, pos))
    elif group == _GROUP_BLOCK and end - pos >= 2:
        n = put(out, n, end - pos)
        n = put_raw(buf, pos, end, out, n)
    elif (function == 0x201 or function == 0x205 or function == 0x207) and end - pos >= 4:
        with_items = put_items(buf, pos + 4, end, be16(buf, pos), out, n)
        n = with_items if with_items >= 0 else n
    return n
