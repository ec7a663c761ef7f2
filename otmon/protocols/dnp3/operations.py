"""What a DNP3 request means: one operation for each run of indexes."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import islice
from typing import Final, NamedTuple

from otmon.model import UNPARSED, Op, Target
from otmon.protocols.dnp3.attributes import attribute_name
from otmon.protocols.dnp3.files import (
    COMMAND_BYTES,
    DESCRIPTOR_BYTES,
    FILE,
    FILE_COMMAND,
    FILE_DESCRIPTOR,
    FILE_SPECIFICATION,
)
from otmon.protocols.dnp3.key import FORM_NAMED, FORM_NONE, FORM_STOP, FORM_WIDE, MAX_FILE_NAME, RESPONSE_MARK
from otmon.protocols.dnp3.tables import function_of
from otmon.text import safe_text
from otmon.wire.slots import raw_bytes

CLASS_DATA: Final = 60
NAMED_AT: Final = {FILE_COMMAND: COMMAND_BYTES, FILE_DESCRIPTOR: DESCRIPTOR_BYTES}
"""Variations of file objects that say where their name stands -> octets they must have."""


class Run(NamedTuple):
    """Objects of one kind: those from `first` to `last`, or (None, None) all of them, or those an event list holds."""

    group: int
    variation: int
    first: int | None = None
    last: int | None = None
    name: bytes = b""
    """Of a file."""


def file_name(variation: int, raw: bytes) -> bytes:
    """The name in a file object; empty if it has none, or one longer than a key holds."""
    name = raw if variation == FILE_SPECIFICATION else b""
    if len(raw) >= NAMED_AT.get(variation, len(raw) + 1):
        offset, size = int.from_bytes(raw[:2], "little"), int.from_bytes(raw[2:4], "little")
        name = raw[offset : offset + size]
    return name if len(name) <= MAX_FILE_NAME else b""


@lru_cache(maxsize=4_096)
def target_of(run: Run) -> Target:
    """`g12` with its indexes; of class data (g60) the class, of an attribute (g0) and a file (g70) it by name."""
    name = None
    if run.group == FILE and run.name:
        name = safe_text(run.name)
    elif run.group == 0:
        name = attribute_name(run.variation, run.first)
    elif run.group == CLASS_DATA:
        name = f"class {run.variation - 1}" if 1 <= run.variation <= 4 else f"variation {run.variation}"
    return Target(f"g{run.group}", run.first, run.last, name)


def ops_of(code: int, master: int, outstation: int, runs: Sequence[Run] = (), stopped: bool = False) -> tuple[Op, ...]:
    """The operations, each once; with no objects the function alone."""
    name, access = function_of(code)
    unit = master, outstation
    if not runs and not stopped:
        return (Op(code, name, access, unit, None),)
    targets: list[Target] = [target_of(run) for run in runs]
    if stopped:
        targets.append(UNPARSED)
    return tuple(Op(code, name, access, unit, target) for target in dict.fromkeys(targets))


def operations(words: Sequence[int]) -> tuple[Op, ...]:
    """Words of a key -> what the shape means."""
    head, *rest = map(int, words)
    code, master, outstation = head & 255, head >> 8 & 0xFFFF, head >> 24 & 0xFFFF
    if head & RESPONSE_MARK:
        return ops_of(code, master, outstation)
    runs, stopped = [], False
    following = iter(rest)
    for word in following:
        group, variation, form = word & 255, word >> 8 & 255, word >> 16 & 255
        if form == FORM_STOP:
            stopped = True
        elif form == FORM_NONE:
            runs.append(Run(group, variation))
        elif form == FORM_NAMED:
            size = word >> 24
            runs.append(Run(group, variation, name=raw_bytes(list(islice(following, (size + 7) // 8)), size)))
        elif form == FORM_WIDE:
            wide = next(following, 0)
            runs.append(Run(group, variation, wide & 0xFFFFFFFF, wide >> 32 & 0xFFFFFFFF))
        else:
            runs.append(Run(group, variation, word >> 24 & 0xFFFF, word >> 40 & 0xFFFF))
    return ops_of(code, master, outstation, runs, stopped)
