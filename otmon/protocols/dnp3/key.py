"""The words of a DNP3 shape.

The first word is `function | master << 8 | outstation << 24 | RESPONSE_MARK`. A response or unsolicited response has
no other. In a request each object header adds one word for each run of neighbouring indexes (or one, if it gives a
range or names all):

    group | variation << 8 | form << 16       and with FORM_RANGE   first << 24 | last << 40
                                              with FORM_WIDE        another word: first | last << 32
                                              with FORM_NAMED       octets << 24, and in words behind it a file's name

and FORM_STOP ends the words where the objects could not be read further: unknown object or qualifier, data that runs
over the end, or more than a key holds. Control codes, values, times and counts stay out.

Outcome of a response: echoed controls (g12, g41) and file objects (g70v4, v6) decide by their status, all refused,
some, or none; else the indications no_func_code_support, object_unknown, parameter_error and already_executing mean
rejected. With both, an indication makes accepted ones partial.
"""

from typing import Any, Final

import numpy as np

from otmon.limits import MAX_KEY_WORDS
from otmon.protocols.dnp3.files import (
    COMMAND_BYTES,
    DESCRIPTOR_BYTES,
    FILE,
    FILE_BLOCK_STATUS,
    FILE_COMMAND,
    FILE_DESCRIPTOR,
    FILE_SPECIFICATION,
    FILE_STATUS_OBJECT,
)
from otmon.protocols.dnp3.link import APPLICATION, DIR, LINK_BYTES, PRM
from otmon.protocols.dnp3.objects import SIZE_ATTRIBUTE, SIZE_PACKED2, UNKNOWN
from otmon.protocols.dnp3.tables import (
    AUTHENTICATION,
    CONFIRM,
    FREEZE_AT_TIME,
    IIN1_NEED_TIME,
    IIN2_EXCEPTION,
    IIN2_REFUSED,
    LAST_REQUEST,
    RESPONSE,
    SELF_ADDRESS,
    UNANSWERED,
    UNSOLICITED,
    VALUED,
)
from otmon.protocols.dnp3.walk import (
    MAX_HEADERS,
    PREFIX_WIDTHS,
    SIZE_PREFIX,
    load,
    object_end,
    object_size,
    read_header,
)
from otmon.wire.contract import (
    CONTINUES,
    FLAG_EXCEPTION,
    FLAG_IDENTITY,
    FLAG_INSPECT,
    KIND_REQUEST,
    KIND_RESPONSE,
    KIND_UNSOLICITED,
    MORE,
    OUT_CLASS,
    OUT_EVIDENCE,
    OUT_EXPECT,
    OUT_FLAGS,
    OUT_FROM_CLIENT,
    OUT_FUNC,
    OUT_KIND,
    OUT_STATUS,
    OUT_TOKEN,
    OUT_UNIT,
    OUT_VMAX,
    OUT_VMIN,
    OUT_WORDS,
    STATUS_ACCEPTED,
    STATUS_PARTIAL,
    STATUS_REJECTED,
)
from otmon.wire.loads import jit, join32, le16, le32, u8
from otmon.wire.slots import clear, put_raw, widen

VERSION: Final = 2
RESPONSE_MARK: Final = 1 << 40
FORM_NONE: Final = 0
FORM_RANGE: Final = 1
FORM_WIDE: Final = 2
FORM_STOP: Final = 3
FORM_NAMED: Final = 4
APP_FIR: Final = 0x80
APP_FIN: Final = 0x40
APP_UNS: Final = 0x10
ANALOG_OUTPUT: Final = 41
MAX_FILE_NAME: Final = 255
"""Octets of a file name in a key; a longer one is left out, and its operation is on any file."""
LAST_COMMAND: Final = 6
"""Functions 2 to 6 set what they carry: write, select, operate, direct operate with and without answer."""
_FULL: Final = OUT_WORDS + MAX_KEY_WORDS - 3
"""From here on a header may not fit any more, with FORM_STOP behind it."""


def _carrying() -> Any:
    """1 for each function whose objects carry data (tables.VALUED), 2 if only its group 50 does."""
    table = np.zeros(LAST_REQUEST + 1, np.int64)
    table[list(VALUED)] = 1
    table[list(FREEZE_AT_TIME)] = 2
    table.flags.writeable = False
    return table


_CARRIES: Final = _carrying()
_SILENT: Final = sum(1 << code for code in UNANSWERED)


@jit
def _put(out: Any, n: int, word: int, first: int, last: int) -> int:
    """Add a header or a run of indexes at out[n]; where the next word goes. `n` is at most _FULL."""
    if first >= 0:
        wide = last >= 1 << 16
        if wide:
            out[n + 1] = join32(last, first)
            word |= FORM_WIDE << 16
        else:
            word |= FORM_RANGE << 16 | first << 24 | last << 40
        out[n] = word
        return n + 2 if wide else n + 1
    out[n] = word
    return n + 1


@jit
def _files(buf: Any, at: int, end: int, word: int, width: int, count: int, out: Any, n: int) -> tuple[int, int]:
    """File objects, each with its size in `width` octets before it: (offset behind them or -1, next word's place)."""
    variation = word >> 8
    while count > 0:
        if at + width > end:
            return -1, n
        size = load(buf, at, width)
        at += width
        behind = at + size
        if behind > end:
            return -1, n
        name, until = at, behind
        if variation != FILE_SPECIFICATION:
            until = name
            needed = size + 1
            if variation == FILE_COMMAND:
                needed = COMMAND_BYTES
            elif variation == FILE_DESCRIPTOR:
                needed = DESCRIPTOR_BYTES
            if size >= needed:
                name = min(at + le16(buf, at), behind)
                until = min(name + le16(buf, at + 2), behind)
        octets = until - name if until - name <= MAX_FILE_NAME else 0
        if n + ((octets + 7) >> 3) > _FULL:
            return -1, n
        out[n] = word | (FORM_NAMED << 16 | octets << 24 if octets > 0 else FORM_NONE)
        n += 1
        n = OUT_WORDS + put_raw(buf, name, name + octets, out, n - OUT_WORDS)
        at = behind
        count -= 1
    return at, n


@jit
def _bound(buf: Any, at: int, variation: int, out: Any) -> None:
    """Widen OUT_VMIN and OUT_VMAX by one analog output; a float cannot be bounded here, its message is inspected."""
    if variation == 1:
        value = le32(buf, at)
    elif variation == 2:
        value = le16(buf, at)
    else:
        out[OUT_FLAGS] = FLAG_INSPECT
        return
    sign = 1 << 31 if variation == 1 else 1 << 15
    value = (value ^ sign) - sign
    widen(out, value, value)


@jit
def _indexed(buf: Any, at: int, end: int, word: int, width: int, size: int, bounded: bool, count: int,
             out: Any, n: int) -> tuple[int, int]:  # fmt: skip
    """Objects that each have an index: (offset behind them or -1, where the next word goes).

    `size`: octets of each behind its index (or SIZE_ATTRIBUTE); below 0 they cannot be read.
    """
    first = last = ~count  # below every index
    while True:
        index = ~count
        if count > 0 and at >= 0:
            if at + width <= end:
                index = load(buf, at, width)
            at = at + width if index >= 0 else -1
        if index != last and index != last + 1:
            if first >= 0:
                if n > _FULL:
                    return -1, n
                n = _put(out, n, word, first, last)
            first = index
        if index < 0:
            return at, n
        last = index
        step = size
        if size == SIZE_ATTRIBUTE and at + 2 <= end:
            step = 2 + u8(buf, at + 1)
        if step < 0 or at + step > end:
            at = -1
        else:
            if bounded:
                _bound(buf, at, word >> 8, out)
            at += step
        count -= 1


@jit
def _objects(buf: Any, at: int, end: int, code: int, out: Any) -> int:
    """Words of a request's objects; the number of all words."""
    n, headers = OUT_WORDS + 1, 0
    carries = _CARRIES[code]
    while 0 <= at < end:
        headers += 1
        behind, first, last, count = read_header(buf, at, end)
        if behind < 0 or headers > MAX_HEADERS or n > _FULL:
            at = -1
            break
        word, prefix = le16(buf, at), u8(buf, at + 2) >> 4
        group = word & 255
        # Without data there is nothing behind the index.
        size = 0
        if carries == 1 or (carries == 2 and group == 50) or group == AUTHENTICATION:
            size = object_size(group, word >> 8)
        output = group == ANALOG_OUTPUT and 1 < code <= LAST_COMMAND
        width = PREFIX_WIDTHS[prefix]
        if 0 < prefix < SIZE_PREFIX:
            if UNKNOWN > size >= SIZE_PACKED2:  # packed
                size = UNKNOWN
            at, n = _indexed(buf, behind, end, word, width, size, output, count, out, n)
        elif group == FILE and prefix >= SIZE_PREFIX and count > 0:
            at, n = _files(buf, behind, end, word, width, count, out, n)
        else:
            n = _put(out, n, word, first, last)
            at = object_end(buf, behind, end, size, width, count)
            if output and count > 0:
                out[OUT_FLAGS] = FLAG_INSPECT
    if at < 0:
        n = min(n, OUT_WORDS + MAX_KEY_WORDS - 1)
        out[n] = FORM_STOP << 16
        n += 1
        out[OUT_FLAGS] = FLAG_INSPECT
    if out[OUT_FLAGS] & FLAG_INSPECT:
        out[OUT_VMIN] = 1
        out[OUT_VMAX] = 0
    return n - OUT_WORDS


@jit
def _file_status(buf: Any, at: int, end: int, width: int, count: int, place: int) -> tuple[int, int, int]:
    """(offset behind file objects with a status at `place`, how many, how many of them say no); offset -1: short."""
    seen, bad = 0, 0
    while count > 0:
        if at + width > end:
            return -1, seen, bad
        size = load(buf, at, width)
        at += width
        if size > end - at:
            return -1, seen, bad
        if size > place:
            seen += 1
            if u8(buf, at + place):
                bad += 1
        at += size
        count -= 1
    return at, seen, bad


@jit
def _outcome(buf: Any, at: int, end: int, iin2: int) -> int:
    """STATUS_* of a response whose objects begin at `at`: what it echoes of controls tells how many were refused."""
    total, refused, headers = 0, 0, 0
    while 0 <= at < end and headers < MAX_HEADERS:
        headers += 1
        behind, _first, _last, count = read_header(buf, at, end)
        if behind < 0:
            break
        group, variation, prefix = u8(buf, at), u8(buf, at + 1), u8(buf, at + 2) >> 4
        place = 0
        if group == FILE and prefix >= SIZE_PREFIX:
            place = 12 if variation == FILE_STATUS_OBJECT else 8 if variation == FILE_BLOCK_STATUS else 0
        if place > 0:
            at, seen, bad = _file_status(buf, behind, end, PREFIX_WIDTHS[prefix], count, place)
            total += seen
            refused += bad
            continue
        if (
            prefix >= SIZE_PREFIX
            or variation == 0
            or not ((group == 12 and variation <= 2) or (group == 41 and variation <= 4))
        ):
            break
        step = PREFIX_WIDTHS[prefix] + object_size(group, variation)
        at = behind
        while count > 0 and at >= 0:
            at += step
            if at > end:
                at = -1
            else:
                total += 1
                if u8(buf, at - 1) & 0x7F:
                    refused += 1
            count -= 1
    if total > 0 and refused == total:
        return STATUS_REJECTED
    if refused == 0 and not iin2 & IIN2_REFUSED:
        return STATUS_ACCEPTED
    return STATUS_PARTIAL if total > 0 else STATUS_REJECTED


@jit
def key(buf: Any, start: int, end: int, from_client: int, out: Any) -> int:
    """Header slots and words of the canonical PDU buf[start:end]; -1 exactly when `decode` raises Malformed.

    Direction and addresses come from the DIR bit. A function that contradicts it leaves OUT_FROM_CLIENT at -1.
    """
    clear(out)
    size = end - start
    if size < LINK_BYTES or le16(buf, start) != 0x6405:
        return -1
    control = u8(buf, start + 3)
    to_outstation = 1 if control & DIR else 0
    destination, source = le16(buf, start + 4), le16(buf, start + 6)
    master, outstation = (source, destination) if to_outstation else (destination, source)
    out[OUT_CLASS] = control & 15 | (16 if control & PRM else 0)
    out[OUT_UNIT] = master | outstation << 16
    out[OUT_FROM_CLIENT] = to_outstation
    out[OUT_EVIDENCE] = 2
    if size == LINK_BYTES:
        return 0
    out[OUT_KIND] = KIND_REQUEST if to_outstation else KIND_RESPONSE
    if size < APPLICATION + 2:
        return -1
    application, code = u8(buf, start + APPLICATION), u8(buf, start + APPLICATION + 1)
    out[OUT_FUNC] = code
    out[OUT_TOKEN] = application & 15 | (application & APP_UNS) | master << 8 | outstation << 24
    out[OUT_WORDS] = code | master << 8 | outstation << 24
    if (code < RESPONSE) != bool(to_outstation):
        out[OUT_FROM_CLIENT] = -1
    at = start + APPLICATION + 2
    if code < RESPONSE:
        out[OUT_KIND] = KIND_REQUEST
        if code == CONFIRM:
            out[OUT_STATUS] = STATUS_ACCEPTED
        elif code > LAST_REQUEST or not _SILENT >> code & 1:
            out[OUT_EXPECT] = 1 if destination < SELF_ADDRESS else 0
        if code > LAST_REQUEST:
            return 1
        return _objects(buf, at, end, code, out)
    out[OUT_KIND] = KIND_UNSOLICITED if code == UNSOLICITED else KIND_RESPONSE
    out[OUT_WORDS] |= RESPONSE_MARK
    if at + 2 > end:
        return -1
    if u8(buf, at) & IIN1_NEED_TIME:
        out[OUT_FLAGS] |= FLAG_IDENTITY
    if code == UNSOLICITED:
        return 1
    iin2 = u8(buf, at + 1)
    if iin2 & IIN2_EXCEPTION:
        out[OUT_FLAGS] |= FLAG_EXCEPTION
    if at + 2 < end and u8(buf, at + 2) == 0:
        out[OUT_FLAGS] |= FLAG_IDENTITY
    if application & APP_FIR:
        out[OUT_STATUS] = _outcome(buf, at + 2, end, iin2)
    else:
        out[OUT_EXPECT] = CONTINUES
    if not application & APP_FIN:
        out[OUT_EXPECT] |= MORE
    return 1
