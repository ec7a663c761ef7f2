"""What S7comm functions touch, as `Target`: shared by the reading of keys and the full decoding."""

from functools import lru_cache

from otmon.model import Function, Op, Target
from otmon.protocols.s7comm.blocks import NAME_CHARS, block_name, block_type
from otmon.protocols.s7comm.tables import (
    AREAS,
    BIT,
    BLOCK_AREAS,
    COLD_START,
    ELEMENT_AREAS,
    FUNCTIONS,
    PI_SERVICE,
    PI_SERVICES,
    SYNTAX,
    SZL,
    TRANSPORT,
    WARM_START,
)
from otmon.text import safe_text


@lru_cache(maxsize=4_096)
def area_name(area: int, block: int) -> str:
    """Address space of an area: `M`, `DB10`; `area_0x21` if unknown."""
    name = AREAS.get(area, f"area_0x{area:02x}")
    return f"{name}{block}" if area in BLOCK_AREAS else name


def any_target(area: int, block: int, transport: int, count: int, address: int, wider: int = 0) -> Target:
    """Interval of an S7ANY item in bytes (in elements for counters and timers), and `wider` more.

    `address` is the 24-bit field: bits, or the element number. An item of unknown element size may be all of its space.
    """
    space = area_name(area, block)
    count = max(count, 1)
    if area in ELEMENT_AREAS:
        return Target(space, address, address + count - 1 + wider)
    first = address >> 3
    if transport == BIT:
        return Target(space, first, (address + count - 1 >> 3) + wider)
    if transport not in TRANSPORT:
        return Target(space)
    return Target(space, first, first + count * TRANSPORT[transport][1] - 1 + wider)


@lru_cache(maxsize=4_096)
def db_target(block: int, first: int, size: int, wider: int = 0) -> Target:
    """Interval of one DBREAD area, in bytes, and `wider` more."""
    return Target(area_name(BLOCK_AREAS[0], block), first, first + max(size, 1) - 1 + wider)


def raw_target(syntax: int, body: bytes) -> Target:
    """An item whose addresses have no order here (symbolic, NCK, drives): its bytes are its name."""
    return Target(SYNTAX.get(syntax, f"syntax_0x{syntax:02x}"), None, None, safe_text(body.hex()))


def file_target(name: bytes) -> Target | None:
    """`_0A00010P`, the file name of a download or upload -> block DB10."""
    return Target("block", None, None, block_name(name[1:] if name[:1] in (b"_", b"$") else name)) if name else None


def block_request_target(subfunction: int, data: bytes) -> Target | None:
    """What a block function asks about: one block, or all of one type."""
    if subfunction == 3:
        return Target("block", None, None, block_name(data))
    if subfunction == 2:
        return Target("block_type", None, None, block_type(data[:2]) or safe_text(data[:2]))
    return None


def szl_target(szl_id: int) -> Target:
    """System status list by its id; the name is that of the partial list."""
    return Target("szl", szl_id, szl_id, SZL.get(szl_id & 0xFF))


def pi_meaning(name: bytes, argument: bytes) -> tuple[Function, tuple[Target | None, ...]]:
    """Function of a PI service by its name and argument, and what it touches (one target at least)."""
    text = safe_text(name)
    if text == "P_PROGRAM" and not argument:
        return WARM_START, (None,)
    if text == "P_PROGRAM" and argument.rstrip(b" ") == b"C":
        return COLD_START, (None,)
    function = PI_SERVICES.get(text)
    if function is None:
        return FUNCTIONS[PI_SERVICE], (Target("pi_service", None, None, text),)
    if function.name not in ("activate_block", "delete_block"):
        return function, (None,)
    # Number of blocks, a byte of zero, then the blocks.
    blocks = [argument[i : i + NAME_CHARS] for i in range(2, len(argument), NAME_CHARS)]
    return function, tuple(Target("block", None, None, block_name(block)) for block in blocks) or (None,)


def ops_of(code: int | None, function: Function, targets: tuple[Target | None, ...]) -> tuple[Op, ...]:
    """One operation a target; one without a target if there is none."""
    return tuple(Op(code, function.name, function.access, None, target) for target in targets or (None,))
