"""An episode that was kept goes on as if it had never been put away."""

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from otmon.alerts import keep
from otmon.alerts.episodes import Episode, EpisodeKey, Episodes, Ports
from otmon.alerts.record import as_record
from otmon.limits import MAX_EPISODE_TARGETS_HELD
from otmon.model import Counts, Op, Target
from otmon.policy.verdict import Verdict
from tests.alerts.stub import DENIED, HOUR, T0, Site, episode, operation
from tests.store.kit import episode_view

_few = st.integers(0, 3)
_units = st.none() | _few | st.tuples(_few, _few)
_targets = st.none() | st.builds(Target, st.sampled_from(["coil", "M"]), _few, _few) | st.just(Target("b", name=""))
_counts = st.builds(lambda n, m: Counts(attempted=n + m, accepted=n, rejected=m), _few, _few)
_frames = st.lists(st.tuples(_few, st.integers(1, 60)), max_size=20)
_times = st.integers(T0, T0 + HOUR)
_notes = st.tuples(_targets, _counts, _times, _times, _frames, _units, st.none() | st.builds(Ports, _few, _few))
_values = st.floats() | st.integers(0, 2**63 - 1) | st.booleans()
_verdicts = st.builds(
    Verdict,
    *(st.just(False), st.none() | st.just("never-1"), st.sampled_from(["command", "value"]), st.just("high")),
    *(st.none() | st.just("a"), st.none() | st.text(max_size=9), st.none() | st.tuples(_few, _few)),
)


@st.composite
def made(draw: st.DrawFn) -> Episode:
    op, verdict = operation(unit=draw(_units), target=draw(_targets)), draw(_verdicts)
    one = Episode("site-1", EpisodeKey.of(op, verdict), T0, verdict, draw(st.none() | st.just(op)))
    for note in draw(st.lists(_notes, max_size=6)):
        one.note(*note)
    ops = st.builds(Op, st.none() | _few, st.just("write"), st.just("write"), _units, _targets)
    one.written = tuple(draw(st.lists(st.tuples(ops, _values), max_size=2)))
    one.flags = tuple(draw(st.lists(st.sampled_from(["a", "b"]), max_size=2)))
    one.detail = draw(st.fixed_dictionaries({}, optional={"bytes": _few, "layers": st.text(max_size=3)}))
    return one


def shown(one: Episode) -> Any:
    return episode_view(one), as_record(one, Site())


@settings(deadline=None)
@given(made(), st.lists(_notes, max_size=4))
def test_kept_and_restored_is_the_same_and_goes_on_the_same(one: Episode, later: list[Any]) -> None:
    back = keep.restore(keep.as_text(one))
    assert shown(back) == shown(one)
    assert back._room.left == one._room.left
    for note in copy.deepcopy(later):
        one.note(*note)
        back.note(*note)
    assert shown(back) == shown(one)
    assert keep.as_text(back) == keep.as_text(one) or len(one.units) > 1  # a set has no order


def test_what_a_key_may_hold() -> None:
    one = episode(operation("dnp3", target=Target("g12", 3, 3), unit=(3, 10)))
    back = keep.restore(keep.as_text(one))
    assert (back.op, back.key, back.verdict, back.id) == (one.op, one.key, one.verdict, one.id)
    assert isinstance(back.op.target, Target) if back.op else False
    assert hash(back.op) == hash(one.op)


def test_a_run_resumes() -> None:
    def run(first: Episodes, moments: list[int]) -> Episodes:
        for ts in moments:
            for client in ("a", "b"):
                op = operation(client=client)
                one = first.touch(EpisodeKey.of(op, DENIED), ts, DENIED, op)
                one.note(Target("coil", ts % 7, ts % 7), Counts(attempted=1, accepted=1), ts, ts, [(0, ts - T0 + 1)])
        return first

    moments = [T0, T0 + 5, T0 + 2 * HOUR, T0 + 3 * HOUR, T0 + 5 * HOUR]
    whole = run(Episodes("site-1"), moments)
    for cut in range(len(moments)):
        before = run(Episodes("site-1"), moments[:cut])
        resumed = Episodes("site-1")
        resumed.resume(keep.restore(keep.as_text(one)) for one in before.all)
        run(resumed, moments[cut:])
        assert [shown(one) for one in resumed.all] == [shown(one) for one in whole.all]
        assert (
            resumed._room.left
            == whole._room.left
            == MAX_EPISODE_TARGETS_HELD - sum(len(one.targets) for one in whole.all)
        )
