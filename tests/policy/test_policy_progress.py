"""The estimators against populations that are known, and the rule by which learning ends."""

import numpy as np
import pytest

from otmon.model import Counts, Target
from otmon.policy.learn import blank, update
from otmon.policy.progress import estimate, is_complete, progress, todo
from otmon.policy.propose import roles
from otmon.policy.reader import parse
from tests.policy.policy_kit import NOON, op, registers
from tests.policy.test_policy_learn import record

DAY = 86400 * 10**9


@pytest.mark.parametrize("shape", ["alike", "zipf", "steps"])
@pytest.mark.parametrize("draws", [100, 400, 1500])
def test_estimates_of_a_known_population(shape, draws):
    kinds, runs = 200, 200
    ranks = np.arange(1, kinds + 1)
    weights = {"alike": np.ones(kinds), "zipf": 1 / ranks, "steps": np.where(ranks < 100, 10.0, 1.0)}[shape]
    weights /= weights.sum()
    counts = np.random.default_rng(5).multinomial(draws, weights, runs)
    found = [estimate(row.tolist()) for row in counts]
    unseen = (counts == 0) @ weights
    masses = np.array([item.unseen_mass for item in found])
    # Good-Turing is unbiased but for a term of at most 1 / draws; and near in each run, not only on average.
    assert abs(masses.mean() - unseen.mean()) < 1 / draws + 0.005
    assert np.abs(masses - unseen).mean() < 2.5 / draws**0.5
    # Chao1 is a lower bound, and nearer to the truth than what was seen; where all are alike it is about right.
    seen = np.array([item.operations for item in found])
    total = seen + np.array([item.unseen for item in found])
    assert total.mean() < 1.05 * kinds
    assert abs(kinds - total.mean()) <= abs(kinds - seen.mean())
    if shape == "alike":
        assert total.mean() == pytest.approx(kinds, rel=0.05)


def test_known_figures():
    # Chao1 by hand: 4 seen, two of them once, one twice: 2 * 1 / (2 * 2).
    assert estimate([1, 1, 2, 5]) == (4, 9, 2 / 9, 0.5)
    assert estimate([]) == (0, 0, 1.0, 0.0)


def whole(records):
    return ((min(r.first_ts_ns for r in records), max(r.last_ts_ns for r in records)),)


def conduit(*records, watched=None):
    draft = update(blank(records), "p", records, source="s")
    return progress(parse(draft.text.encode(), "p").data, draft.rows_of, watched or whole(records))


def test_when_learning_ends():
    def reads(times, last, newest=0):
        return [
            record(op("10.0.2.10", "10.0.1.11", target=registers(0)), times, NOON, NOON + last),
            record(op("10.0.2.10", "10.0.1.11", target=registers(9)), times, NOON + newest, NOON + last),
        ]

    assert is_complete(conduit(*reads(900, DAY)))
    assert is_complete(conduit(*reads(900, 2 * DAY, DAY)))
    assert not is_complete(conduit(*reads(900, DAY - 1))), "not a day yet"
    assert not is_complete(conduit(*reads(900, 2 * DAY, DAY + 2))), "something new in the second half"
    once = record(op("10.0.2.10", "10.0.1.11", target=registers(20)))
    assert not is_complete(conduit(*reads(400, DAY), once)), "one in 801 was seen once"
    assert is_complete(conduit(*reads(600, DAY), once))
    elsewhere = record(op("10.0.2.10", "10.0.1.12", target=registers(20)))
    assert not is_complete(conduit(*reads(600, DAY), elsewhere)), "every conduit"
    assert not is_complete([])


def test_time_in_which_nobody_watched_is_none():
    def reads(last, newest):
        return [
            record(op("10.0.2.10", "10.0.1.11", target=registers(0)), 900, NOON, NOON + last),
            record(op("10.0.2.10", "10.0.1.11", target=registers(9)), 900, NOON + newest, NOON + last),
        ]

    # Two halves of a day, a week between them: together a day, and what came first after half of the first is old.
    halves = (NOON, NOON + DAY // 2), (NOON + 7 * DAY, NOON + 7 * DAY + DAY // 2)
    for newest, quiet in ((0, 1.0), (DAY // 4, 0.75), (DAY // 2, 0.5), (7 * DAY, 0.5), (7 * DAY + DAY // 4, 0.25)):
        seen = reads(7 * DAY + DAY // 2, newest)
        (found,) = conduit(*seen, watched=halves)
        assert (found.observed_s, found.quiet) == (86400, quiet)
        assert found.complete == (quiet >= 0.5)
        assert todo(seen, {}, halves) == ["1.0 days seen, no whole week yet: weekends may differ"]
    shorter = (NOON, NOON + DAY // 2), (NOON + 7 * DAY, NOON + 7 * DAY + DAY // 2 - 1)
    assert not is_complete(conduit(*reads(7 * DAY, 0), watched=shorter)), "not a day yet"
    # Seen before the first record of health: nothing is known of that time.
    (found,) = conduit(*reads(DAY, 0), watched=((NOON + DAY // 2, NOON + DAY),))
    assert (found.observed_s, found.quiet) == (43200, 1.0)
    (found,) = conduit(*reads(DAY, 0), watched=((NOON - DAY, NOON - DAY // 2),))
    assert found.quiet == 0.0


def test_what_to_wait_for():
    stop = op("10.0.2.30", "10.0.1.11", "s7comm", "download_block", "program")
    poll = op("10.0.2.12", "10.0.1.21", "dnp3", "read", target=Target("g60", name="class 1"))
    read = op("10.0.2.10", "10.0.1.11", target=registers(0))
    seen = [record(key, 5, NOON, NOON + 3600 * 10**9) for key in (stop, poll, read)]
    assert todo(seen, roles(seen), whole(seen)) == [
        "1.0 hours seen, no whole day yet: shifts and nightly jobs are not in it",
        "operator panel 10.0.2.10 seen, no write seen yet",
        "control centre 10.0.2.12 seen, no write or control seen yet",
        "DNP3 master 10.0.2.12 seen, no integrity poll (class 0) seen yet",
        "engineering station 10.0.2.30 seen, no upload seen yet",
    ]
    upload = record(op("10.0.2.30", "10.0.1.11", "s7comm", "start_upload", "program"), 1, NOON, NOON + 8 * DAY)
    assert "upload" not in " ".join(todo([*seen, upload], roles([*seen, upload]), whole([*seen, upload])))
    assert todo([], {}, ()) == ["nothing was seen yet"]


def test_nothing_is_awaited_of_a_host_that_was_scanning():
    reads = [record(op("10.0.2.10", "10.0.1.11", target=registers(at)), 5, NOON, NOON + 10**9) for at in range(3)]
    tried = [
        record(op("10.0.2.10", "10.0.1.11", target=registers(at)), 1)._replace(counts=Counts(attempted=1, rejected=1))
        for at in range(100, 120)
    ]
    assert "operator panel" in " ".join(todo(reads, roles(reads), whole(reads)))
    assert "operator panel" not in " ".join(todo([*reads, *tried], roles(reads), whole(reads)))
