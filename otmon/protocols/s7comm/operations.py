"""Words of a key -> operations. Never raises; a key that was cut at MAX_KEY_WORDS gives what is whole in it."""

from collections.abc import Iterator, Sequence

from otmon.model import UNPARSED, Op, Target
from otmon.protocols.s7comm.items import ANYTHING, DBREAD, S7ANY
from otmon.protocols.s7comm.tables import (
    ACK,
    ACK_DATA,
    ENCRYPTED,
    FAMILY_PLUS,
    FAMILY_S7,
    FAMILY_TLS,
    JOB,
    NO_FUNCTION,
    PI_SERVICE,
    PLUS_NOTIFICATION,
    PLUS_NOTIFY,
    READ_VAR,
    TYPE_REQUEST,
    USERDATA,
    USERDATA_SLOT,
    WRITE_VAR,
    job_function,
    plus_function,
    userdata_function,
)
from otmon.protocols.s7comm.targets import (
    any_target,
    block_request_target,
    db_target,
    file_target,
    ops_of,
    pi_meaning,
    raw_target,
    szl_target,
)
from otmon.wire.contract import KIND_REQUEST
from otmon.wire.slots import raw_bytes


def item_targets(words: Sequence[int]) -> Iterator[Target]:
    """What the items in `words` touch, in their order."""
    i = 0
    while i < len(words):
        word = int(words[i])
        tag, i = word & 0xFF, i + 1
        if tag == DBREAD:
            yield db_target(word >> 16 & 0xFFFF, word >> 32 & 0xFFFF, word >> 8 & 0xFF, word >> 48)
        elif tag == ANYTHING:
            yield UNPARSED
        elif tag == S7ANY and i < len(words):
            address = int(words[i])
            where = word >> 8 & 0xFF, word >> 16 & 0xFFFF, word >> 48 & 0xFF, word >> 32 & 0xFFFF
            yield any_target(*where, address & 0xFFFFFF, address >> 24)
            i += 1
        elif tag != S7ANY:
            size = word >> 16 & 0xFF
            used = (size + 7) // 8
            if i + used <= len(words):
                yield raw_target(word >> 8 & 0xFF, raw_bytes(words[i:], size))
            i += used


def operations(words: Sequence[int]) -> tuple[Op, ...]:
    """What the shape with these words means; see `key.py` for the words."""
    if not words:
        return ()
    first = int(words[0])
    family, rosctr, code, kind = first & 0xFF, first >> 8 & 0xFF, first >> 16 & 0xFFFF, first >> 32 & 0xFF
    if family == FAMILY_TLS:
        return ops_of(None, ENCRYPTED, ()) if kind == KIND_REQUEST else ()
    if family == FAMILY_PLUS and kind:
        return ops_of(None, PLUS_NOTIFY if kind == PLUS_NOTIFICATION else plus_function(code), ())
    if family != FAMILY_S7:
        return ()
    if rosctr == USERDATA:
        return _userdata(code - USERDATA_SLOT, kind, words[1:])
    if rosctr in (ACK, ACK_DATA):
        known = not first >> 40 & 1
        return ops_of(code if known else None, job_function(code) if known else NO_FUNCTION, ())
    return _job(code, words[1:]) if rosctr == JOB else ()


def _job(code: int, words: Sequence[int]) -> tuple[Op, ...]:
    function = job_function(code)
    if code in (READ_VAR, WRITE_VAR):
        return ops_of(code, function, tuple(item_targets(words)))
    if code == PI_SERVICE and words:
        name, argument = int(words[0]) & 0xFFFF, int(words[0]) >> 16 & 0xFFFF
        used = 1 + (name + 7) // 8
        function, targets = pi_meaning(raw_bytes(words[1:], name), raw_bytes(words[used:], argument))
        return ops_of(code, function, targets)
    if words:
        return ops_of(code, function, (file_target(raw_bytes(words[1:], int(words[0]) & 0xFF)),))
    return ops_of(code, function, ())


def _userdata(code: int, kind: int, words: Sequence[int]) -> tuple[Op, ...]:
    group, subfunction = divmod(code, 256)
    targets: tuple[Target | None, ...] = ()
    if kind == TYPE_REQUEST and words:
        if group == 2:
            targets = tuple(item_targets(words))
        elif group == 3:
            targets = (block_request_target(subfunction, raw_bytes(words[1:], int(words[0]) & 0xFFFF)),)
        elif code == 0x401:
            targets = (szl_target(int(words[0]) >> 16 & 0xFFFF),)
    return ops_of(None, userdata_function(group, subfunction), targets)
