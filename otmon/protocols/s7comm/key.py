"""The compiled key: what a canonical PDU asks for, as words.

Word 0 (all kinds): bits 0-7 family (FAMILY_* or COTP TPDU code), 8-15 rosctr or S7comm-plus version, 16-31 counter slot
or S7comm-plus function, 32-39 userdata type, S7comm-plus opcode or (TLS) kind. What follows:

- COTP connect: the variable part (TSAPs, TPDU size) in raw words;
- read and write jobs, cyclic userdata requests: items (see `items.py`, of writes `writes.py`);
- download, upload and PI service jobs: a word of lengths (file or service name, PI argument << 16), both in raw words;
- S7comm-plus requests of a substream: object and attribute in raw words;
- SZL requests and responses: SZL id << 16 | index; block requests: a word of length, then the data in raw words.

Raw words hold 8 bytes each, big-endian, the last one zero-padded. A key longer than MAX_KEY_WORDS is cut and marked
FLAG_INSPECT.
"""

from typing import Any, Final

from otmon.limits import MAX_KEY_WORDS
from otmon.protocols.s7comm.cotp import DT, DT_HEADER, cotp_known
from otmon.protocols.s7comm.items import put_items, table
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
from otmon.protocols.s7comm.writes import put_writes
from otmon.wire.contract import (
    CONTINUES,
    FLAG_DAMAGED,
    FLAG_ENCRYPTED,
    FLAG_EXCEPTION,
    FLAG_IDENTITY,
    FLAG_INSPECT,
    FLAG_TRANSFER,
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
    OUT_WORDS,
    STATUS_ACCEPTED,
    STATUS_PARTIAL,
    STATUS_REJECTED,
)
from otmon.wire.loads import be16, be32, be64, jit, jit_inline, u8
from otmon.wire.slots import clear, put_raw

NO_FUNCTION_BIT: Final = 1 << 40
"""Of word 0: an answer that does not name its function."""
CLIENT_JOB: Final = 1
PLC_JOB: Final = 2
"""Reply keys of jobs: both sides number theirs on their own, and a refusal may not name its function."""
_CR: Final = 0xE0
_CC: Final = 0xD0
_GROUP_BLOCK: Final = 3
_GROUP_PBC: Final = 6
_SZL: Final = USERDATA_SLOT + 0x401
_CYCLIC: Final = USERDATA_SLOT + 0x200


_SIDE: Final = table(256, -1, {code: int(code not in (DOWNLOAD_BLOCK, DOWNLOAD_ENDED)) for code in FUNCTIONS if code})
"""1 if a client sends jobs of this function, 0 if a PLC does, -1 if unknown."""
_TRANSFER: Final = table(256, 0, dict.fromkeys(range(0x1A, 0x20), FLAG_TRANSFER))
"""Flags of uploads and downloads."""
_HEADER: Final = table(256, 0, {JOB: 10, ACK: 12, ACK_DATA: 12, USERDATA: 10})
"""Bytes of the header by rosctr; 0 if unknown."""
_LINK_BYTES: Final = table(16, 0, {0x8: 7, 0xC: 6, 0xD: 7, 0xE: 7, 0xF: 7})
"""Shortest header by TPDU code."""
_ONE: Final = 1
"""Numba compiles a callee anew for each literal argument; a sum of constants is none."""


@jit
def key(buf: Any, start: int, end: int, from_client: int, out: Any) -> int:
    """Words of the canonical PDU `buf[start:end]`; see `otmon.wire.contract`."""
    clear(out)
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
        out[OUT_WORDS] = DT
        n = 1
    else:
        family = u8(buf, a)
        if family == FAMILY_PLUS:
            return plus_key(buf, a, end, out)
        if family != FAMILY_S7:
            return _tls(buf, a, end, from_client, out)
        if end - a < 10:
            return -1
        rosctr = u8(buf, a + 1)
        param = a + _HEADER[rosctr]
        if param == a:
            return -1
        out[OUT_CLASS] = rosctr
        sizes = be32(buf, a + 6)
        data = param + (sizes >> 16)
        stop = data + (sizes & 0xFFFF)
        cut = param > end or stop > end
        if cut:
            if rosctr != JOB or param >= end or u8(buf, param) != WRITE_VAR:
                return -1
            data, stop = min(data, end), end
        out[OUT_TOKEN] = be16(buf, a + 4)
        if rosctr == JOB:
            out[OUT_KIND] = KIND_REQUEST
            n = _job(buf, param, data, stop, out)
            if cut:
                out[OUT_FLAGS] |= FLAG_DAMAGED
        elif rosctr == USERDATA:
            out[OUT_KIND] = KIND_UNSOLICITED
            n = _userdata(buf, param, data, stop, out)
        else:
            out[OUT_KIND] = KIND_RESPONSE
            n = _ack(buf, a, param, data, stop, out)
        out[OUT_EVIDENCE] = 0 if n < 0 or out[OUT_FLAGS] & FLAG_DAMAGED else 2 if stop == end else 1
    if n > MAX_KEY_WORDS:
        out[OUT_FLAGS] |= FLAG_INSPECT
        n = MAX_KEY_WORDS
    return n


@jit
def _tls(buf: Any, a: int, end: int, from_client: int, out: Any) -> int:
    """A TLS record (RFC 8446 5.1) as user data: S7comm-plus since TIA Portal V17."""
    if end - a < 5:
        return -1
    kind, version = u8(buf, a), be16(buf, a + 1)
    if kind < 0x14 or kind > 0x17 or version < 0x300 or version > 0x304 or be16(buf, a + 3) == 0:
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


@jit
def _link(buf: Any, a: int, end: int, out: Any) -> int:
    """COTP without user data: the header `buf[a:end]`."""
    code = u8(buf, a + 1) & 0xF0
    if end - a < _LINK_BYTES[code >> 4]:
        return -1
    out[OUT_WORDS] = code
    if code != _CR and code != _CC:
        return 1
    out[OUT_FROM_CLIENT] = 1 if code == _CR else 0
    if code == _CR:
        out[OUT_TOKEN] = be16(buf, a + 4)
    out[OUT_FLAGS] = FLAG_IDENTITY
    out[OUT_EVIDENCE] = _siemens_tsap(buf, a + 7, end)
    return put_raw(buf, a + 7, end, out, _ONE + 0)


@jit
def _siemens_tsap(buf: Any, pos: int, end: int) -> int:
    """1 if the called TSAP is one a SIMATIC has; RDP sends none, MMS others."""
    while pos + 2 <= end:
        tag = u8(buf, pos)
        size = u8(buf, pos + 1)
        pos += 2
        if pos + size > end:
            return 0
        if tag == 0xC2:
            if size == 2 and 1 <= u8(buf, pos) <= 3:
                return 1
            if size >= 8 and be64(buf, pos) == 0x53494D415449432D:
                return 1  # "SIMATIC-"
        pos += size
    return 0


@jit_inline
def _job(buf: Any, pos: int, end: int, stop: int, out: Any) -> int:
    """A job's parameter `buf[pos:end]`, before data `buf[end:stop]`."""
    if pos >= end:
        return -1
    function = u8(buf, pos)
    out[OUT_EXPECT] = 1
    out[OUT_FUNC] = function
    side = _SIDE[function]
    out[OUT_FROM_CLIENT] = side
    out[OUT_REPLY_KEY] = PLC_JOB if side == 0 else CLIENT_JOB
    out[OUT_WORDS] = FAMILY_S7 | JOB << 8 | function << 16
    n: int = _ONE + 0
    if READ_VAR <= function <= WRITE_VAR:
        if end - pos < 2:
            return -1
        if function == READ_VAR:
            return put_items(buf, pos + 2, end, u8(buf, pos + 1), out, n)
        n = put_writes(buf, pos + 2, end, stop, u8(buf, pos + 1), out, n)
        if n < 0:
            out[OUT_FLAGS] = FLAG_DAMAGED
        return abs(n)
    out[OUT_FLAGS] = _TRANSFER[function]
    # A name, and of a PI service the argument before it.
    name, argument = pos + 8, 0
    if function == PI_SERVICE:
        if end - pos < 11:
            return -1
        argument = be16(buf, name)
        name += 2 + argument
    elif not 0x1A <= function <= 0x1D:
        return n
    if name >= end:
        return -1
    behind = name + 1 + u8(buf, name)
    if behind > end:
        return -1
    out[OUT_WORDS + 1] = u8(buf, name) | argument << 16
    n = put_raw(buf, name + 1, behind, out, n + 1)
    return put_raw(buf, name - argument, name, out, n)


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
    side = _SIDE[function]
    out[OUT_FROM_CLIENT] = 1 - side if side >= 0 else -1
    out[OUT_REPLY_KEY] = PLC_JOB if side == 0 else CLIENT_JOB
    out[OUT_WORDS] = FAMILY_S7 | rosctr << 8 | function << 16
    if refused or not READ_VAR <= function <= WRITE_VAR or data - pos < 2:
        out[OUT_FLAGS] |= _TRANSFER[function]
        return 1
    # How many items are reported as done; missing ones are not.
    count, good = u8(buf, pos + 1), 0
    left = count
    while left > 0 and data < end:
        left -= 1
        code = u8(buf, data)
        if code == 0xFF:
            good += 1
        data += 1
        if function == WRITE_VAR:
            continue
        if end - data < 3:
            break
        size = be16(buf, data + 1)
        if 3 <= u8(buf, data) <= 5:
            size = (size + 7) >> 3
        if 1 < code < 0xFF:
            size = 0  # servers give a length with an error, and no data
        data += 3 + size + (size & 1)
    if good < count:
        out[OUT_STATUS] = STATUS_PARTIAL if good > 0 else STATUS_REJECTED
        out[OUT_FLAGS] = FLAG_EXCEPTION if good == 0 else 0
    return 1


@jit
def _userdata(buf: Any, pos: int, data: int, end: int, out: Any) -> int:
    """Userdata: parameter `buf[pos:data]` (0x000112, length, method, type | group, ...), data `buf[data:end]`."""
    if data - pos < 8 or be16(buf, pos) != 1 or u8(buf, pos + 2) != 0x12:
        return -1
    head = be16(buf, pos + 5)
    kind = head >> 12
    group = head >> 8 & 15
    slot = USERDATA_SLOT + (head & 0xFFF)
    out[OUT_FUNC] = slot
    size = 0
    if end - data >= 4:
        size = min(be16(buf, data + 2), end - data - 4)
    out[OUT_WORDS] = FAMILY_S7 | USERDATA << 8 | slot << 16 | kind << 32
    # Either side of a BSEND connection may send.
    out[OUT_FROM_CLIENT] = -1 if group == _GROUP_PBC else 1 if kind == TYPE_REQUEST else 0
    if kind == TYPE_REQUEST:
        out[OUT_KIND] = KIND_REQUEST
        out[OUT_EXPECT] = 1
        out[OUT_REPLY_KEY] = slot
        pos = data + 4
        n: int = _ONE + 0
        if group == _GROUP_BLOCK and size >= 2:
            out[OUT_WORDS + 1] = size
            return put_raw(buf, pos, pos + size, out, n + 1)
        if slot == _SZL and size >= 4:
            out[OUT_WORDS + 1] = be32(buf, pos)
            return 2
        if size >= 4 and (slot == _CYCLIC + 1 or slot == _CYCLIC + 5 or slot == _CYCLIC + 7):
            n = put_items(buf, pos + 4, pos + size, be16(buf, pos), out, n)
            return n if n >= 0 else 1
        return 1
    if kind == TYPE_RESPONSE:
        out[OUT_KIND] = KIND_RESPONSE
        out[OUT_REPLY_KEY] = slot
        refused = data - pos >= 12 and be16(buf, pos + 10) != 0
        if end > data and u8(buf, data) != 0xFF and u8(buf, data) != 0x0A:
            refused = True  # 0x0A with error code 0: done, and there is nothing to hand over
        out[OUT_STATUS] = STATUS_REJECTED if refused else STATUS_ACCEPTED
        if refused:
            out[OUT_FLAGS] = FLAG_EXCEPTION
            return 1
        if data - pos >= 10 and u8(buf, pos + 8) != 0 and slot == _SZL:
            out[OUT_FLAGS] = FLAG_TRANSFER  # who the server is may stand in the later parts
        if data - pos >= 10 and u8(buf, pos + 8) != 0 and u8(buf, pos + 9) == 0:
            # The last of several parts begins in the middle of a record.
            # Each part answers a request of its own; if that was not seen, this is no orphan.
            out[OUT_EXPECT] = CONTINUES
        elif slot == _SZL and size >= 8:
            number = u8(buf, data + 5)
            if number == 0x11 or number == 0x1C:
                out[OUT_FLAGS] |= FLAG_IDENTITY
            out[OUT_WORDS + 1] = be32(buf, data + 4)
            return 2
        return 1
    return 1 if kind == TYPE_PUSH else -1
