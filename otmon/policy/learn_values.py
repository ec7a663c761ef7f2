"""Bounds that learning wrote, and that it finds too narrow later: they become wider, unless a person changed them."""

import re
from collections.abc import Mapping
from typing import Final

from otmon.model import OperationKey
from otmon.policy.generalise import Values
from otmon.policy.intervals import text as range_text
from otmon.policy.judge import Policy
from otmon.policy.learn_text import quote
from otmon.policy.load import Source, load_source
from otmon.policy.values import limits

_VALUES: Final = re.compile(r"""values:[ ]*("[^"]*"|'[^']*'|[^\s,\]}\[{#"']+)""")


def widened(
    text: str, path: str, memory: str, seen: Mapping[OperationKey, Values | None], at_ns: Mapping[OperationKey, int]
) -> tuple[str, str, int]:
    """Both files with bounds that contain what was written, and how many rows of the first have wider ones.

    `seen`: the least and the greatest that an operation set; `at_ns`: when. Bounds that differ from those in `memory`,
    what learning permitted before, are a person's, and stay.
    """
    source = load_source(text.encode(), path)
    before = load_source(memory.encode(), path)
    wanted = _wanted(source.policy, seen, at_ns)
    known = _wanted(before.policy, seen, at_ns)
    learned = {_bounds(before, row) for row in known}
    mine = {row: pair for row, pair in wanted.items() if _bounds(source, row) in learned}
    text, count = _written(text, source, mine)
    kept = {_bounds(source, row) for row in mine}
    ours = {row: pair for row, pair in known.items() if _bounds(before, row) in kept}
    return text, _written(memory, before, ours)[0], count


def _wanted(
    policy: Policy, seen: Mapping[OperationKey, Values | None], at_ns: Mapping[OperationKey, int]
) -> dict[str, Values]:
    """Row -> bounds that hold what it holds and what was written, where that is more."""
    found: dict[str, Values] = {}
    for key, pair in seen.items():
        if pair is None or key not in at_ns:
            continue
        cover = policy.cover(key, at_ns[key])
        if not policy.decide(cover, key)[0]:
            continue
        for row, allowed in limits(cover.permits, key.target):
            if len(allowed) == 1 and row.values == allowed and not _within(pair, allowed[0]):
                low, high = found.get(row.id, allowed[0])
                found[row.id] = min(low, pair[0]), max(high, pair[1])
    return found


def _within(pair: Values, allowed: Values) -> bool:
    return allowed[0] <= pair[0] and pair[1] <= allowed[1]


def _bounds(source: Source, row: str) -> tuple[object, ...]:
    """What a row says of values, and of what."""
    rules = source.policy.conduits.rules
    rule, own = next((rule, own) for rule in rules for own in rule.rows if own.id == row)
    return rule.from_hosts, rule.to_hosts, own.protocol, own.functions, own.codes, own.units, own.ports, own.values


def _written(text: str, source: Source, wider: Mapping[str, Values]) -> tuple[str, int]:
    """The text with these bounds, each in its place; those that stand there in another form stay."""
    lines, count = text.splitlines(keepends=True), 0
    for row, pair in wider.items():
        place = source.document.places.get((*source.rows[row], "values"))
        if place is None:
            continue
        line, column = place
        now = lines[line - 1]
        match = _VALUES.match(now, column - 1)
        if match is None:
            continue
        said = f"{pair[0]:.0f}" if pair[0] == pair[1] else quote(range_text([pair]))
        lines[line - 1] = now[: match.start(1)] + said + now[match.end(1) :]
        count += 1
    return "".join(lines), count
