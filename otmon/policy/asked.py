"""An operation that somebody asks about: whether a policy permits it, and what its value is in the terms of rows."""

from typing import NamedTuple

from otmon.model import Op, OperationKey
from otmon.policy.effects import NOTHING, Effect, Effects, Image
from otmon.policy.judge import Policy
from otmon.policy.tags import cell_bits
from otmon.policy.writes import WHOLE, Write


class Asked(NamedTuple):
    """An operation at a moment, with a value or without."""

    key: OperationKey
    ts_ns: int
    value: float | Effect | None
    """An Effect: what it makes of a named point."""


def permits(policy: Policy, asked: Asked) -> bool:
    """The policy permits the operation, with its value."""
    key, ts_ns, value = asked
    if value is None:
        return policy.judge(key, ts_ns).permit
    element = Op(key.function_code, key.function, key.access, key.unit, key.target)
    written = [] if isinstance(value, Effect) else [(element, value)]
    return policy.judge_values(key, written, ts_ns, effects_of(policy, asked)).permit


def effects_of(policy: Policy, asked: Asked) -> Effects:
    """What it makes of named points, as far as its value tells."""
    key, _, value = asked
    if isinstance(value, Effect):
        return Effects((value,))
    target = key.target
    if value is None or target is None or target.start is None or target.end not in (None, target.start):
        return NOTHING
    bits = cell_bits(target.space)
    mask = WHOLE if bits == 0 else (1 << bits) - 1
    write = Write(target.space, target.start, value if bits == 0 else int(value) & mask, mask)
    return Image().effects(policy.tags, (key.realm, key.server, key.protocol, key.unit), [write])


def measured(policy: Policy, asked: Asked) -> tuple[float | None, float | None]:
    """(value, change) as rows limit them: in the units of the point where the value is that of one."""
    points = effects_of(policy, asked).points
    if len(points) != 1 or len(points[0].after) != 1:
        return (None if isinstance(asked.value, Effect) else asked.value), None
    before, (after,) = points[0].before, points[0].after
    return after, None if before is None else abs(after - before.value)
