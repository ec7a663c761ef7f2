"""The words of a DNP3 shape.

The first word is `function | master << 8 | outstation << 24 | RESPONSE_MARK`. A response or unsolicited response has
no other. In a request each object header adds one word for each run of neighbouring indexes (or one, if it gives a
range or names all):

    group | variation << 8 | form << 16       and with FORM_RANGE   first << 24 | last << 40
                                              with FORM_WIDE        another word: first | last << 32

and FORM_STOP ends the words where the objects could not be read further: unknown object or qualifier, data that runs
over the end, or more than a key holds. Control codes, values, times and counts stay out.

Outcome of a response: echoed controls (g12, g41) decide by their status, all refused, some, or none; else the
indications no_func_code_support, object_unknown, parameter_error and already_executing mean rejected. With both, an
indication makes accepted controls partial.
"""

from typing import Any, Final

from otmon.limits import MAX_KEY_WORDS
from otmon.protocols.dnp3.link import APPLICATION, DIR, LINK_BYTES, PRM
from otmon.protocols.dnp3.tables import (
    CONFIRM,
    IIN2_EXCEPTION,
    IIN2_REFUSED,
    LAST_REQUEST,
    RESPONSE,
    SELF_ADDRESS,
    UNSOLICITED,
    VALUED,
)
from otmon.protocols.dnp3.walk import (
    MAX_HEADERS,
    PREFIX_WIDTHS,
    SIZE_PREFIX,
    load,
    object_end,
    one_end,
    read_header,
)
from otmon.wire.contract import (
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

VERSION: Final = 1
RESPONSE_MARK: Final = 1 << 40
FORM_NONE: Final = 0
FORM_RANGE: Final = 1
FORM_WIDE: Final = 2
FORM_STOP: Final = 3
APP_FIR: Final = 0x80
APP_UNS: Final = 0x10
ANALOG_OUTPUT: Final = 41
LAST_COMMAND: Final = 6
"""Functions 2 to 6 set what they carry: write, select, operate, direct operate with and without answer."""
CONTINUES: Final = 2
"""OUT_EXPECT of a further fragment of a response."""
_VALUED_BITS: Final = sum(1 << code for code in VALUED)


@jit
def carries(code: int, group: int) -> bool:
    """Whether objects of this request carry data (tables.VALUED; in a freeze at a time its group 50)."""
    if code == 11 or code == 12:
        return bool(group == 50)
    return bool(code <= LAST_REQUEST and (_VALUED_BITS >> code) & 1)


@jit
def _put(out: Any, words: int, group: int, variation: int, first: int, last: int) -> int:
    """Add a header or a run of indexes; the number of words. `words` is at most MAX_KEY_WORDS - 3."""
    word = group | variation << 8
    if first < 0:
        out[OUT_WORDS + words] = word | FORM_NONE << 16
        return words + 1
    if last < 1 << 16:
        out[OUT_WORDS + words] = word | FORM_RANGE << 16 | first << 24 | last << 40
        return words + 1
    out[OUT_WORDS + words] = word | FORM_WIDE << 16
    out[OUT_WORDS + words + 1] = join32(last, first)
    return words + 2


@jit
def _bound(buf: Any, at: int, end: int, variation: int, out: Any) -> None:
    """Widen OUT_VMIN and OUT_VMAX by one analog output; a float cannot be bounded here, its message is inspected."""
    if variation == 1 and at + 4 <= end:
        value = le32(buf, at)
        if value >= 1 << 31:
            value -= 1 << 32
    elif variation == 2 and at + 2 <= end:
        value = le16(buf, at)
        if value >= 1 << 15:
            value -= 1 << 16
    else:
        out[OUT_FLAGS] |= FLAG_INSPECT
        return
    if out[OUT_VMIN] > out[OUT_VMAX]:
        out[OUT_VMIN] = value
        out[OUT_VMAX] = value
    else:
        out[OUT_VMIN] = min(out[OUT_VMIN], value)
        out[OUT_VMAX] = max(out[OUT_VMAX], value)


@jit
def _indexed(buf: Any, at: int, end: int, code: int, group: int, variation: int, prefix: int, count: int,
             out: Any, words: int) -> tuple[int, int]:  # fmt: skip
    """Objects that each have an index: (offset behind them or -1, words)."""
    width = int(PREFIX_WIDTHS[prefix])
    valued = carries(code, group)
    first, last = -1, -1
    while count > 0:
        if at + width > end or words + 3 > MAX_KEY_WORDS:
            at = -1
            break
        index = load(buf, at, width)
        at += width
        if first >= 0 and index == last + 1:
            last = index
        elif index != last:
            if first >= 0:
                words = _put(out, words, group, variation, first, last)
            first, last = index, index
        if valued:
            behind = one_end(buf, at, end, group, variation, prefix)
            if group == ANALOG_OUTPUT and code <= LAST_COMMAND and behind >= 0:
                _bound(buf, at, end, variation, out)
            at = behind
            if at < 0:
                break
        count -= 1
    if first >= 0:
        if words + 3 > MAX_KEY_WORDS:
            return -1, words
        words = _put(out, words, group, variation, first, last)
    return at, words


@jit
def _data_end(buf: Any, at: int, end: int, code: int, group: int, variation: int, prefix: int, count: int) -> int:
    """Offset behind the data of a header without indexes, -1 if that cannot be said."""
    if prefix >= SIZE_PREFIX:
        width = int(PREFIX_WIDTHS[prefix])
        while count > 0:
            if at + width > end:
                return -1
            at += width + load(buf, at, width)
            if at > end:
                return -1
            count -= 1
        return at
    if carries(code, group):
        return int(object_end(buf, at, end, group, variation, count))
    return at


@jit
def _objects(buf: Any, at: int, end: int, code: int, out: Any) -> int:
    """Words of a request's objects; the number of all words."""
    words, headers = 1, 0
    while at < end:
        headers += 1
        behind, first, last, count = read_header(buf, at, end)
        if behind < 0 or headers > MAX_HEADERS or words + 3 > MAX_KEY_WORDS:
            at = -1
            break
        group, variation, prefix = u8(buf, at), u8(buf, at + 1), u8(buf, at + 2) >> 4
        at = behind
        if 0 < prefix < SIZE_PREFIX:
            at, words = _indexed(buf, at, end, code, group, variation, prefix, count, out, words)
        else:
            words = _put(out, words, group, variation, first, last)
            behind = _data_end(buf, at, end, code, group, variation, prefix, count)
            if group == ANALOG_OUTPUT and 1 < code <= LAST_COMMAND and count > 0:
                out[OUT_FLAGS] |= FLAG_INSPECT
            at = behind
        if at < 0:
            break
    if at < 0:
        out[OUT_WORDS + min(words, MAX_KEY_WORDS - 1)] = FORM_STOP << 16
        words = min(words, MAX_KEY_WORDS - 1) + 1
        out[OUT_FLAGS] |= FLAG_INSPECT
    if out[OUT_FLAGS] & FLAG_INSPECT:
        out[OUT_VMIN] = 1
        out[OUT_VMAX] = 0
    return words


@jit
def _control_status(buf: Any, at: int, end: int) -> tuple[int, int]:
    """(controls echoed in a response, how many of them were refused)."""
    total, refused, headers = 0, 0, 0
    while at < end and headers < MAX_HEADERS:
        headers += 1
        behind, _first, _last, count = read_header(buf, at, end)
        if behind < 0:
            break
        group, variation, prefix = u8(buf, at), u8(buf, at + 1), u8(buf, at + 2) >> 4
        if prefix >= SIZE_PREFIX or not (
            (group == 12 and 1 <= variation <= 2) or (group == 41 and 1 <= variation <= 4)
        ):
            break
        at = behind
        while count > 0:
            behind = object_end(buf, at + int(PREFIX_WIDTHS[prefix]), end, group, variation, 1)
            if behind < 0:
                return total, refused
            at = behind
            total += 1
            if u8(buf, at - 1) & 0x7F:
                refused += 1
            count -= 1
    return total, refused


@jit
def _outcome(buf: Any, at: int, end: int, iin2: int) -> int:
    """STATUS_* of a response whose objects begin at `at`."""
    total, refused = _control_status(buf, at, end)
    if total == 0:
        return STATUS_REJECTED if iin2 & IIN2_REFUSED else STATUS_ACCEPTED
    if refused == total:
        return STATUS_REJECTED
    return STATUS_PARTIAL if refused or iin2 & IIN2_REFUSED else STATUS_ACCEPTED


@jit
def key(buf: Any, start: int, end: int, from_client: int, out: Any) -> int:
    """Header slots and words of the canonical PDU buf[start:end]; -1 exactly when `decode` raises Malformed.

    Direction and addresses come from the DIR bit. A function that contradicts it leaves OUT_FROM_CLIENT at -1.
    """
    for slot in range(OUT_WORDS):
        out[slot] = 0
    out[OUT_FUNC] = -1
    out[OUT_CLASS] = -1
    out[OUT_VMIN] = 1
    out[OUT_FROM_CLIENT] = -1
    out[OUT_KIND] = KIND_LINK
    size = end - start
    if size < LINK_BYTES or u8(buf, start) != 0x05 or u8(buf, start + 1) != 0x64:
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
        elif not (code == 6 or code == 8 or code == 10 or code == 12 or code == 33):
            out[OUT_EXPECT] = 1 if destination < SELF_ADDRESS else 0
        if code > LAST_REQUEST:
            return 1
        return int(_objects(buf, at, end, code, out))
    out[OUT_KIND] = KIND_UNSOLICITED if code == UNSOLICITED else KIND_RESPONSE
    out[OUT_WORDS] |= RESPONSE_MARK
    if at + 2 > end:
        return -1
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
    return 1
