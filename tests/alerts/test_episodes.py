import pickle
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otmon import limits
from otmon.alerts import episodes as module
from otmon.alerts.episodes import Episode, EpisodeKey, Episodes, merge
from otmon.model import Counts, Target
from tests.alerts.stub import DENIED, HOUR, T0, episode, operation

KEY = EpisodeKey.of(operation(), DENIED)


def touch(episodes: Episodes, ts_ns: int, key: EpisodeKey = KEY) -> Episode:
    return episodes.touch(key, ts_ns, DENIED, operation())


def test_an_episode_lasts_until_it_was_quiet_for_more_than_an_hour() -> None:
    episodes = Episodes("a")
    first = touch(episodes, T0)
    assert touch(episodes, T0 + HOUR) is first
    assert touch(episodes, T0 + 2 * HOUR) is first
    assert touch(episodes, T0 + 3 * HOUR + 1) is not first
    assert len(episodes.all) == 2
    assert first.last_ts_ns == T0 + 2 * HOUR


def test_what_was_noted_keeps_it_alive() -> None:
    episodes = Episodes("a")
    first = touch(episodes, T0)
    first.note(None, Counts(attempted=9, accepted=9), T0, T0 + HOUR)
    assert touch(episodes, T0 + 2 * HOUR) is first


@given(st.lists(st.integers(0, 5 * HOUR), min_size=1, max_size=40))
def test_episodes_are_the_runs_between_long_gaps(moments: list[int]) -> None:
    moments.sort()
    episodes = Episodes("a")
    for moment in moments:
        touch(episodes, moment).note(None, Counts(attempted=1, rejected=1), moment, moment)
    starts = [moments[0], *(b for a, b in pairwise(moments) if b - a > HOUR)]
    assert [one.first_ts_ns for one in episodes.all] == starts
    assert sum(one.count for one in episodes.all) == len(moments)


def test_ids_differ_where_they_must_and_only_there() -> None:
    def ids(site: str, start: int) -> list[str]:
        episodes = Episodes(site)
        for ts in (start, start + 5, start + 3 * HOUR):
            touch(episodes, ts)
        return [one.id for one in episodes.all]

    once, again, other_site, later = ids("a", T0), ids("a", T0), ids("b", T0), ids("a", T0 + 24 * HOUR)
    assert once == again
    assert len({*once, *other_site, *later}) == 6
    assert all(len(name) == 20 and int(name, 16) >= 0 for name in once)


@pytest.mark.parametrize("field", EpisodeKey._fields)
def test_every_part_of_the_key_counts(field: str) -> None:
    other = KEY._replace(**{field: "value" if field == "kind" else "x"})
    episodes = Episodes("a")
    assert touch(episodes, T0).id != touch(episodes, T0, other).id


def test_parts_of_an_id_cannot_run_into_each_other() -> None:
    left = Episode("a", KEY._replace(client='x","y', server="z"), T0, DENIED, None)
    right = Episode("a", KEY._replace(client="x", server='y","z'), T0, DENIED, None)
    assert left.id != right.id


def brute(targets: list[Target]) -> Counter[tuple[str, int, int, int]]:
    """Maximal runs of consecutive addresses, with the number of targets in each."""
    out: Counter[tuple[str, int, int, int]] = Counter()
    for space in {target.space for target in targets}:
        inside = [(t.start or 0, t.end or 0) for t in targets if t.space == space]
        covered = sorted({n for start, end in inside for n in range(start, end + 1)})
        while covered:
            low = high = covered[0]
            while high + 1 in covered:
                high += 1
            covered = [n for n in covered if n > high]
            out[space, low, high, sum(low <= start <= high for start, _ in inside)] += 1
    return out


spans = st.builds(
    lambda space, start, length: Target(space, start, start + length),
    st.sampled_from(["coil", "holding_register"]),
    st.integers(0, 60),
    st.integers(0, 6),
)


@given(st.lists(spans, max_size=30), st.randoms())
def test_coalescing_equals_brute_force(targets: list[Target], random: object) -> None:
    made = episode(operation(), targets=list(targets))
    runs = [(t.space, t.start or 0, t.end or 0, counts.attempted) for t, counts in made.coalesced() if t]
    assert Counter(runs) == brute(targets)
    assert runs == sorted(runs)
    random.shuffle(targets)  # type: ignore[attr-defined] # a list here
    again = [(t, counts.as_dict()) for t, counts in episode(operation(), targets=list(targets)).coalesced()]
    assert again == [(t, counts.as_dict()) for t, counts in made.coalesced()]


def test_names_and_unordered_targets_stay_apart() -> None:
    targets = [
        None,
        Target("block", name="OB1"),
        Target("block", name="OB2"),
        Target("M"),
        Target("M", 0, 3),
        Target("M", 4),
    ]
    found = [target for target, _ in episode(operation(), targets=list(targets)).coalesced()]
    assert sorted(map(str, found)) == sorted(map(str, targets))


def test_a_scan_of_300_registers_is_one_interval() -> None:
    made = episode(operation(), targets=[Target("holding_register", n, n) for n in range(300)], rejected=1)
    ((target, counts),) = made.coalesced()
    assert (target, counts.rejected, made.count) == (Target("holding_register", 0, 299), 300, 300)


def test_targets_past_the_cap_are_still_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_EPISODE_TARGETS", 10)
    made = episode(operation(), targets=[Target("coil", 2 * n, 2 * n) for n in range(25)])
    assert (len(made.targets), made.other_targets, made.others.accepted, made.count) == (10, 15, 15, 25)


def test_all_episodes_together_keep_a_bounded_number_of_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_EPISODE_TARGETS_HELD", 30)
    episodes = Episodes("a")
    for number in range(20):
        one = touch(episodes, T0, KEY._replace(client=str(number)))
        for n in range(5):
            one.note(Target("coil", n, n), Counts(attempted=1, accepted=1), T0, T0)
    assert sum(len(one.targets) for one in episodes.all) <= 30 + 20
    assert all(one.targets for one in episodes.all)
    assert sum(one.total.accepted for one in episodes.all) == 100


def test_past_the_cap_new_pairs_share_an_episode() -> None:
    episodes = Episodes("a", max_episodes=3)
    for number in range(1000):
        op = operation(client=f"10.9.{number // 250}.{number % 250}")
        one = episodes.touch(EpisodeKey.of(op, DENIED), T0 + number, DENIED, op)
        one.note(op.target, Counts(attempted=1, accepted=1), T0 + number, T0 + number)
    assert len(episodes.all) == 4
    assert episodes.folded == 997
    assert (episodes.all[-1].key.client, episodes.all[-1].count) == (module.MANY, 997)


def test_evidence_is_the_first_frames_whatever_their_order() -> None:
    made = episode(operation())
    made.frames = []
    for number in [50, 3, 3, 40, *range(100, 60, -1), 1]:
        made.evidence([(0, number)])
    assert made.frames == [(0, n) for n in [1, 3, 40, 50, *range(61, 61 + limits.MAX_ALERT_FRAMES - 4)]]


def test_shares_merge_to_the_whole_whatever_their_order() -> None:
    def share(clients: list[int]) -> list[Episode]:
        episodes = Episodes("a")
        for number in clients:
            one = touch(episodes, T0 + number % 3, KEY._replace(client=str(number)))
            one.note(Target("coil", number, number), Counts(attempted=1, accepted=1), T0, T0, [(0, number + 1)])
        return pickle.loads(pickle.dumps(episodes.all))

    def shown(merged: list[Episode]) -> list[tuple[object, ...]]:
        return [(e.id, e.key, e.count, e.frames, [t for t, _ in e.coalesced()]) for e in merged]

    whole = shown(merge([share(list(range(12)))]))
    parts = [share([0, 2, 4, 6, 8, 10]), share([1, 3, 5, 7, 9, 11])]
    assert shown(merge(parts)) == whole
    assert shown(merge(reversed(parts))) == whole
    assert [one[0] for one in whole] == [e.id for e in sorted(merge(parts), key=lambda e: (e.first_ts_ns, e.id))]


def test_the_same_episode_from_two_parts_adds() -> None:
    left = episode(operation(), targets=[Target("coil", 1, 1)], accepted=2)
    right = episode(operation(), targets=[Target("coil", 1, 1), Target("coil", 5, 5)], rejected=1)
    right.frames = [(0, 3)]
    (both,) = merge([[left], [right]])
    assert (both.count, both.outcome, both.frames) == (4, "accepted", [(0, 3), (0, 7)])
    assert [(t, c.attempted) for t, c in both.coalesced()] == [(Target("coil", 1, 1), 3), (Target("coil", 5, 5), 1)]


@pytest.mark.parametrize(
    ("outcomes", "worst"),
    [
        ({"accepted": 1, "rejected": 99}, "accepted"),
        ({"partial": 1, "unseen": 2}, "partial"),
        ({"unseen": 1, "unanswered": 2}, "unseen"),
        ({"unanswered": 1, "rejected": 2}, "unanswered"),
        ({"pending": 1, "rejected": 2}, "pending"),
        ({"rejected": 2}, "rejected"),
    ],
)
def test_the_worst_outcome_speaks_for_all(outcomes: dict[str, int], worst: str) -> None:
    assert episode(operation(), **outcomes).outcome == worst
