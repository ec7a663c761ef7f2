"""Rows compiled from a policy, and whether an operation fits one."""

from typing import Final, NamedTuple

from otmon.model import OperationKey, Target, Unit
from otmon.policy.fields import Limit
from otmon.policy.functions import IMPLIED, REGISTERED_PORTS, TRANSPORTS, groups
from otmon.policy.intervals import Intervals, covers, merge, overlaps
from otmon.policy.models import PLAIN_PROTOCOLS, RowModel
from otmon.policy.windows import Window

DATA_SPACES: Final = ("coil", "discrete_input", "holding_register", "input_register")
"""The spaces that `addresses` speaks of."""
DNP3_BROADCAST: Final = 0xFFFC
"""From here to 0xFFFF a link address means every outstation, or whoever hears it (IEEE 1815, 9.2.5.2)."""
EVERY_PROTOCOL: Final = "*"
"""Protocol of a never row without `operations`."""
WRITING: Final = ("write", "control")
"""Access classes to which `values` applies."""

Space = tuple[str, str | None]
"""Address space and name of a target; name None: whatever it is called."""
Parts = dict[Space, Intervals | None]
"""What is permitted of each space; None: all of it."""


class Points(NamedTuple):
    """What a row says of named points."""

    names: frozenset[str]
    step: float | None
    """Largest change at once, in the units of the points."""
    rate: float | None
    """Largest change in a second."""
    bits: bool
    """Some of them are bits of a register or byte, whose other bits are not meant."""


class Row(NamedTuple):
    """One line of `allow`, `operations` or `review`. None: no limit."""

    id: str
    title: str
    """What people call it: its own id, or that of its conduit."""
    protocol: str
    functions: frozenset[str] | None
    codes: frozenset[int]
    accesses: frozenset[str] | None
    units: Intervals | None
    masters: Intervals | None
    outstations: Intervals | None
    targets: tuple[Limit, ...] | None
    parts: Parts | None
    """The targets, ready to be searched. See `part`."""
    values: tuple[tuple[float, float], ...] | None
    ports: Intervals | None
    implied: frozenset[str]
    """Functions it permits whatever its targets."""
    window: Window | None
    note: str | None = None
    """`because` of a never row, `reason` of a review row."""
    points: Points | None = None
    """Its values are those of these points, and no others of its targets are meant."""

    @property
    def limited(self) -> bool:
        """Values decide."""
        points = self.points
        return self.values is not None or (points is not None and (points.step, points.rate, points.bits) != _FREE)

    @property
    def needs_permit(self) -> bool:
        """It waits for a permit that nobody opened."""
        return self.window is not None and self.window.needs_permit

    @property
    def plainest(self) -> bool:
        """It names what each row of its protocol brings with it, and nothing else."""
        return self.functions is not None and frozenset() < self.functions <= self.implied


_FREE: Final = (None, None, False)


def compile_row(model: RowModel, row_id: str, title: str, window: Window | None, note: str | None = None) -> Row:
    """The row as matching wants it; names were checked before."""
    plain = model.protocol in PLAIN_PROTOCOLS
    names, codes = _functions(model)
    limits = model.targets is not None or any((model.addresses, model.items, model.objects))
    targets = _limits(model) if limits else None
    ports = (model.numbers or model.ports) if plain else model.port
    return Row(
        row_id,
        title,
        model.protocol,
        names,
        codes,
        frozenset(model.access) if model.access else None,
        merge(model.units) if model.units else None,
        merge(model.master) if model.master else None,
        merge(model.outstation) if model.outstation else None,
        targets,
        None if targets is None else parts_of(targets),
        tuple(sorted(model.values)) if model.values else None,
        merge(ports) if ports else None,
        _implied(model, names, codes),
        window,
        note,
    )


def every_operation(row_id: str, window: Window | None, note: str | None) -> Row:
    """A never row without `operations`."""
    nothing = (None, None, None, None, None, None, None, None)
    return Row(row_id, row_id, EVERY_PROTOCOL, None, frozenset(), *nothing, frozenset(), window, note)


def _functions(model: RowModel) -> tuple[frozenset[str] | None, frozenset[int]]:
    if model.functions is None:
        return None, frozenset()
    known = groups(model.protocol)
    names: set[str] = set()
    for name in model.functions:
        if isinstance(name, str):
            names.update(known.get(name, (name,)))
    return frozenset(names), frozenset(code for code in model.functions if isinstance(code, int))


def _implied(model: RowModel, names: frozenset[str] | None, codes: frozenset[int]) -> frozenset[str]:
    out: set[str] = set()
    for implication in IMPLIED.get(model.protocol, ()):
        named = not implication.named or any(
            (names is None or function.name in names or code in codes)
            and (model.access is None or function.access in model.access)
            for function, code in zip(implication.named, implication.codes, strict=True)
        )
        if named:
            out |= implication.also
    return frozenset(out)


def _limits(model: RowModel) -> tuple[Limit, ...]:
    out = [target.limit() for target in model.targets or ()]
    out += [*(model.items or ()), *(model.objects or ())]
    if model.addresses:
        out += [Limit(space, merge(model.addresses)) for space in DATA_SPACES]
    return tuple(out)


def parts_of(limits: tuple[Limit, ...]) -> Parts:
    """Targets, ready to be searched."""
    ranges: dict[Space, list[tuple[int, int]] | None] = {}
    for limit in limits:
        for name in (None,) if limit.names is None else limit.names:
            known = ranges.setdefault((limit.space, name), [])
            if limit.ranges is None:
                ranges[limit.space, name] = None
            elif known is not None:
                known += limit.ranges
    return {space: None if found is None else merge(found) for space, found in ranges.items()}


def opened(row: Row) -> Row:
    """The row as if it had every permit that it needs."""
    return row if row.window is None else row._replace(window=row.window._replace(needs_permit=False))


# --- matching --------------------------------------------------------------------------------------------------------
def joins(row: Row, op: OperationKey) -> bool:
    """The row speaks of this protocol, or its connections are made by this `connect`."""
    if row.protocol == op.protocol:
        return True
    return op.function == "connect" and _carries(row, op)


def _carries(row: Row, op: OperationKey) -> bool:
    if op.protocol not in TRANSPORTS.get(row.protocol, ()) or op.port is None:
        return False
    return covers(row.ports or ((REGISTERED_PORTS[row.protocol],) * 2,), op.port, op.port)


def fits(row: Row, op: OperationKey) -> bool:
    """The row permits the operation on some target with some value, at some time, between some hosts."""
    if row.protocol != op.protocol:
        return op.function == "connect" and _carries(row, op)
    return fits_function(row, op) and fits_unit(row, op.unit) and fits_port(row, op)


def fits_function(row: Row, op: OperationKey) -> bool:
    """Function and access class."""
    return op.function in row.implied or names_function(row, op)


def names_function(row: Row, op: OperationKey) -> bool:
    """As fits_function, without what the row only implies."""
    if row.accesses is not None and op.access not in row.accesses:
        return False
    return row.functions is None or op.function in row.functions or op.function_code in row.codes


def fits_port(row: Row, op: OperationKey) -> bool:
    """Server port; a scan needs all of them."""
    if row.ports is None:
        return True
    if op.function == "scan":
        return covers(row.ports, 1, 65535)
    return op.port is not None and covers(row.ports, op.port, op.port)


def fits_unit(row: Row, unit: Unit) -> bool:
    """Unit identifier or link addresses; a broadcast is one more address, which must be permitted as such."""
    if isinstance(unit, tuple):
        master, outstation = unit
        return (row.masters is None or covers(row.masters, master, master)) and (
            row.outstations is None or covers(row.outstations, outstation, outstation)
        )
    if unit is None:
        return row.units is None and row.masters is None and row.outstations is None
    return row.units is None or covers(row.units, unit, unit)


def forbids(row: Row, op: OperationKey) -> bool:
    """The never row speaks of the operation, as far as its target does not matter."""
    if row.protocol == EVERY_PROTOCOL:
        return True
    if row.protocol != op.protocol or not (fits_port(row, op) and names_function(row, op)):
        return False
    return fits_unit(row, op.unit) or _is_broadcast(row, op)


def _is_broadcast(row: Row, op: OperationKey) -> bool:
    """A broadcast reaches the units that the row names: Modbus unit 0 (writes alone), DNP3 0xFFFC-0xFFFF."""
    if isinstance(op.unit, tuple):
        return op.unit[1] >= DNP3_BROADCAST and fits_unit(row._replace(outstations=None), op.unit)
    return op.unit == 0 and op.access != "read"


def touches(row: Row, target: Target | None) -> bool:
    """For rows that forbid: some part of the target is named."""
    if row.parts is None:
        return True
    return target is not None and any(
        space == target.space
        and (name is None or target.name is None or target.name == name)
        and (ranges is None or target.start is None or overlaps(ranges, *span(target)))
        for (space, name), ranges in row.parts.items()
    )


def permitted(row: Row, op: OperationKey) -> Parts | None:
    """Parts of the address space that the row permits for this function; None: everything. See `part`."""
    return None if row.protocol != op.protocol or op.function in row.implied else row.parts


def part(parts: Parts, target: Target) -> Intervals | None:
    """The ranges in which this target must lie; None: its whole space is permitted; (): nothing of it."""
    anonymous = parts.get((target.space, None), ())
    if target.name is None or anonymous is None:
        return anonymous
    named = parts.get((target.space, target.name), ())
    if named is None or not anonymous:
        return named
    return merge((*anonymous, *named))


def span(target: Target) -> tuple[int, int]:
    """First and last address of a target that has a start."""
    start = target.start or 0
    return start, start if target.end is None else target.end
