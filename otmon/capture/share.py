"""Sharing an interface among jobs: a classic BPF program for each job's ring, of which exactly one takes each frame.

All frames between two IP addresses, either way, go to one job; so do fragments, which have the addresses of the whole.
Everything else goes to job 0: what has no IP, layers that are not looked into here, frames too short to tell, and what
comes through GRE or VXLAN, so that conversations inside of tunnels stay whole. No PACKET_FANOUT: see
docs/decisions/0009-jobs.md.

bpf(4); Linux, Documentation/networking/filter.rst. The kernel takes the outer VLAN tag off before filters run.
"""

from collections.abc import Iterable, Iterator
from typing import Final

Instruction = tuple[int, int, int, int]
"""Code, jump if true, jump if false, value."""

_CODES: Final = {
    "ldx": 0x01, "ld word": 0x40, "ld half": 0x48, "ld byte": 0x50, "ld length": 0x80, "ld memory": 0x60,
    "store": 0x02, "store x": 0x03, "ldx memory": 0x61, "x = a": 0x07, "a = x": 0x87,
    "add": 0x04, "add x": 0x0C, "sub x": 0x1C, "mul": 0x24, "and": 0x54, "lsh": 0x64, "rsh": 0x74, "mod": 0x94,
    "xor x": 0xAC, "jump": 0x05, "equal": 0x15, "at least": 0x35, "any bit": 0x45, "return": 0x06,
}  # fmt: skip
_UNLESS: Final = "unless "
"""Before a comparison: go to the label if it does not hold."""
_TAGS: Final = {0x8100: 4, 0x88A8: 4, 0x9100: 4, 0x892F: 6}
"""Ethertype of a VLAN or HSR tag -> its bytes up to the next ethertype."""
_MOST_TAGS: Final = 3
"""Besides the one that the kernel took off."""
_TAKE: Final = 0x40000
_X, _SUM = 0, 1
"""Words of scratch memory."""
_MIX: Final = 0x9E3779B1
"""2**32 / golden ratio: neighbouring addresses spread over the jobs."""

Line = tuple[str, int | str] | tuple[str, int, str]
"""Operation and value; or label; or comparison, value, and the label to go to if it holds."""


def share(job: int, jobs: int) -> list[Instruction]:
    """The program of one of `jobs` jobs, for Ethernet."""
    return _assembled([*_address_pair(), *_verdict(job, jobs)])


def behind(expression: Iterable[Instruction], sharing: list[Instruction]) -> list[Instruction]:
    """What a filter (otmon.capture.bpf) takes is shared; what it refuses stays refused."""
    lines = list(expression)
    takes = {n for n, (code, _, _, value) in enumerate(lines) if code == _CODES["return"] and value}
    jump = _CODES["jump"]
    return [(jump, 0, 0, len(lines) - n - 1) if n in takes else line for n, line in enumerate(lines)] + sharing


def _address_pair() -> Iterator[Line]:
    """Goes on at `hash` with both addresses as one number in A, or at `other`."""
    yield "ldx", 12
    for depth in range(_MOST_TAGS + 1):
        # X is where the ethertype is. A load behind the frame's end would refuse the frame.
        yield from _long_enough(2 + 20, "other")
        yield "ld half", 0
        yield "equal", 0x0800, "v4"
        yield "equal", 0x86DD, "v6"
        if depth < _MOST_TAGS:
            for ethertype, size in _TAGS.items():
                yield "equal", ethertype, f"tag {depth} {size}"
        yield "jump", "other"
        if depth < _MOST_TAGS:
            for size in sorted(set(_TAGS.values())):
                yield "label", f"tag {depth} {size}"
                yield "a = x", 0
                yield "add", size
                yield "x = a", 0
                yield "jump", f"depth {depth + 1}"
            yield "label", f"depth {depth + 1}"
    yield "label", "v4"
    yield "store x", _X
    yield "ld byte", 2 + 9
    yield "equal", 47, "other"
    yield "unless equal", 17, "pair of v4"
    yield "ld half", 2 + 6
    yield "any bit", 0x3FFF, "pair of v4"
    yield "ld byte", 2
    yield "and", 15
    yield "lsh", 2
    yield "add x", 0
    yield "x = a", 0
    yield from _vxlan("pair of v4")
    yield "label", "pair of v4"
    yield from _folded(range(2 + 12, 2 + 20, 4))
    yield "jump", "hash"
    yield "label", "v6"
    yield from _long_enough(2 + 40, "other")
    yield "store x", _X
    yield "ld byte", 2 + 6
    yield "equal", 47, "other"
    yield "unless equal", 17, "pair of v6"
    yield "a = x", 0
    yield "add", 40
    yield "x = a", 0
    yield from _vxlan("pair of v6")
    yield "label", "pair of v6"
    yield from _folded(range(2 + 8, 2 + 40, 4))


def _long_enough(size: int, otherwise: str) -> Iterator[Line]:
    """Whether the frame has `size` bytes from X on."""
    yield "ld length", 0
    yield "sub x", 0
    yield "any bit", 1 << 31, otherwise  # X is behind the end
    yield "unless at least", size, otherwise


def _vxlan(otherwise: str) -> Iterator[Line]:
    """As otmon.wire.link has it: by destination port and the I bit. X: two bytes before the UDP header."""
    yield from _long_enough(2 + 16, otherwise)
    yield "ld half", 2 + 2
    yield "unless equal", 4789, otherwise
    yield "ld byte", 2 + 8
    yield "any bit", 0x08, "other"


def _folded(offsets: range) -> Iterator[Line]:
    """The words at these offsets, each added to the others by exclusive or: the same for both directions."""
    for n, offset in enumerate(offsets):
        yield "ldx memory", _X
        yield "ld word", offset
        if n:
            yield "ldx memory", _SUM
            yield "xor x", 0
        yield "store", _SUM


def _verdict(job: int, jobs: int) -> Iterator[Line]:
    yield "label", "hash"
    yield "mul", _MIX
    yield "rsh", 16
    yield "mod", jobs
    yield "equal", job, "take"
    yield "return", 0
    yield "label", "other"
    yield "return", 0 if job else _TAKE
    yield "label", "take"
    yield "return", _TAKE


def _assembled(lines: Iterable[Line]) -> list[Instruction]:
    """Labels become distances, of at most 255 instructions for comparisons."""
    places: dict[str, int] = {}
    program: list[Line] = []
    for line in lines:
        if line[0] == "label":
            places[str(line[1])] = len(program)
        else:
            program.append(line)
    out: list[Instruction] = []
    for at, (name, value, *target) in enumerate(program):
        if name == "jump":
            out.append((_CODES[name], 0, 0, places[str(value)] - at - 1))
            continue
        ahead = places[target[0]] - at - 1 if target else 0
        yes, no = (0, ahead) if name.startswith(_UNLESS) else (ahead, 0)
        out.append((_CODES[name.removeprefix(_UNLESS)], yes, no, int(value)))
    return out
