"""Merging: the same whole however the traffic was shared."""

import copy
import random
from dataclasses import asdict
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from otmon.model import Counts, OperationRecord
from otmon.site.part import Part, in_order, merge, operation_order
from tests.effort import examples
from tests.site.plant import T0, op, operations, parts, plant

LISTS = ("connections", "operations", "hosts", "bindings", "facts", "blocks", "habits")


def plain(part: Part) -> dict[str, Any]:
    fields = asdict(part)
    fields["operations"] = [(o.key, o.counts.as_dict(), *o[2:]) for o in part.operations]
    return fields


def share(part: Part, jobs: int, seed: int) -> list[Part]:
    """Every record to one of `jobs` parts; counters split at random."""
    rng = random.Random(seed)
    shares = [Part(partial=part.partial) for _ in range(jobs)]
    for name in LISTS:
        for record in getattr(part, name):
            getattr(rng.choice(shares), name).append(record)
    for name in ("frames", "ot_bytes", "visibility", "unsupported"):
        for key, value in getattr(part, name).items():
            left = rng.randint(0, value)
            for one, amount in ((shares[0], left), (shares[-1], value - left)):
                counter = getattr(one, name)
                counter[key] = counter.get(key, 0) + amount
    rng.choice(shares).protocols = copy.deepcopy(part.protocols)
    return shares


@settings(max_examples=examples(60), deadline=None)
@given(parts(), st.integers(1, 4), st.integers())
def test_sharing_changes_nothing(part: Part, jobs: int, seed: int) -> None:
    whole = merge([part])
    assert plain(merge(share(part, jobs, seed))) == plain(whole)
    assert plain(merge([whole])) == plain(whole)


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(operations(), max_size=12))
def test_the_order_of_operations_is_that_of_their_whole_keys(some: list[OperationRecord]) -> None:
    assert in_order(some) == sorted(some, key=lambda operation: operation_order(operation.key))


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(parts(), min_size=3, max_size=3))
def test_order_and_grouping_do_not_matter(three: list[Part]) -> None:
    a, b, c = three
    before = [plain(part) for part in three]
    whole = plain(merge(three))
    assert plain(merge([c, a, b])) == whole
    assert plain(merge([merge([a, b]), c])) == whole
    assert [plain(part) for part in three] == before, "a part was changed"


@settings(max_examples=examples(60), deadline=None)
@given(parts())
def test_nothing_is_lost(part: Part) -> None:
    twice = merge([part, part])
    for name in ("frames", "ot_bytes", "visibility", "unsupported"):
        assert getattr(twice, name) == {key: 2 * value for key, value in getattr(part, name).items()}
    total = Counts()
    for operation in part.operations * 2:
        total.add(operation.counts)
    merged = Counts()
    for operation in twice.operations:
        merged.add(operation.counts)
    assert merged.as_dict() == total.as_dict()
    assert {o.key for o in twice.operations} == {o.key for o in part.operations}
    assert len({o.key for o in twice.operations}) == len(twice.operations)
    assert sum(sum(o.intervals.values()) for o in twice.operations) == 2 * sum(
        sum(o.intervals.values()) for o in part.operations
    )
    assert len(twice.connections) == 2 * len(part.connections)


def test_times_and_the_strictest_verdict() -> None:
    early = op(verdict="permit", row="a", first=T0)._replace(first_frame=(0, 9))
    late = op(verdict="deny", row="never-1", first=T0 + 500)._replace(first_frame=(0, 3))
    for pair in ([early, late], [late, early]):
        (one,) = merge([Part(operations=pair)]).operations
        assert (one.verdict, one.row, one.first_ts_ns, one.first_frame) == ("deny", "never-1", T0, (0, 9))
        assert one.last_ts_ns == late.last_ts_ns
        assert one.counts.attempted == 20


class Run:
    """An episode as merging sees it."""

    def __init__(self, name: str, first_ts_ns: int, count: int) -> None:
        self.id, self.first_ts_ns, self.count = name, first_ts_ns, count

    def absorb(self, other: "Run") -> None:
        self.count += other.count


def test_episodes_of_one_id_become_one() -> None:
    a, b, c = Run("b", 5, 1), Run("a", 5, 2), Run("b", 5, 3)
    found = merge([Part(episodes=[a]), Part(episodes=[b, c])]).episodes
    assert [(e.id, e.count) for e in found] == [("a", 2), ("b", 4)]  # type: ignore[attr-defined] # EpisodeLike has what merging needs


def test_whole_plant_keeps_its_names() -> None:
    functions = merge([plant(), plant()]).protocols["modbus"]["functions"]
    assert functions["6"] == {"name": "write_single_register", "requests": 20, "responses": 20, "exceptions": 2}
