"""Values seen on the wire: what is handed up, what it changes (nothing), and who is asked when."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from otmon.capture.inputs import open_inputs
from otmon.engine import points as sampling
from otmon.engine.run import Run
from otmon.limits import POINT_SAMPLE_NS
from otmon.model import Message, PointRecord, Target
from otmon.policy import load_policy
from otmon.protocols import PROTOCOLS
from otmon.site.part import Part, bounded, merge
from otmon.site.records import point_record
from otmon.wire import columns as c
from tests.engine.test_metamorphic import OTHERS, OWN, ROOT, SHARED
from tests.engine.world import check_sums, difference, picture_of, plain, scratch

FAST = 1e9
"""Values a second: no bound."""
THERE = [*OWN, *(path for name in OTHERS if (path := SHARED / name).exists())]
WAYS: dict[str, dict[str, Any]] = {
    "all through the slow path": {"force_slow": True},
    "without the express lane": {"express": False},
    "another seed": {"seed": 77},
}
Line = tuple[Any, ...]


def plant() -> Any:
    return load_policy(ROOT / "rules" / "plant.yaml")


def lines_of(points: Sequence[PointRecord]) -> Counter[Line]:
    return Counter((p.ts_ns, p.client, p.server, p.protocol, p.access, p.target, p.value) for p in points)


def told(path: Path, messages: Path) -> Iterator[Line]:
    """The values in messages.jsonl."""
    for line in messages.read_bytes().splitlines():
        record = orjson.loads(line[line.index(b"{") :])
        protocol = next(p for p in PROTOCOLS if p.name == record["protocol"])
        names = ("kind", "unit", "function_code", "function", "access", "flags", protocol.name)
        message = Message(*(record.get(name) for name in names), (), {})
        ends = record["src"][0], record["dst"][0]
        ends = ends if record["from_client"] else ends[::-1]
        for value in protocol.points(message):
            yield record["ts_ns"], *ends, protocol.name, value.access, value.target, value.value


@pytest.mark.parametrize("path", THERE, ids=lambda path: path.stem)
def test_always_asked_it_has_every_value_that_the_messages_show(path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(sampling, "POINT_VALUES", 10**6)
    target = scratch() / "points.jsonl"
    for options in ({}, {"force_slow": True}, {"batch_frames": 1}):
        run, samples = Run(plant(), target, points_per_s=FAST, seed=1, **options), []
        run.state.ctl[c.CTL_SAMPLE] = c.SAMPLE_ALWAYS
        monkeypatch.setattr(run.points, "_keep", samples.append)
        run.read([str(path)])
        shown = Counter(told(path, target))
        assert lines_of(samples) == shown
        assert {sample.messages for sample in samples} <= {1}


@pytest.mark.parametrize("path", THERE, ids=lambda path: path.stem)
@pytest.mark.parametrize("judged", [False, True], ids=["unjudged", "judged"])
def test_it_changes_nothing(path: Path, judged: bool) -> None:
    pictures = []
    for per_s, asked in ((None, c.SAMPLE_OFF), (FAST, c.SAMPLE_IDLE), (FAST, c.SAMPLE_ONCE), (FAST, c.SAMPLE_ALWAYS)):
        policy = plant() if judged else None
        run = Run(policy, points_per_s=per_s, seed=1)
        run.state.ctl[c.CTL_SAMPLE] = asked
        run.read([str(path)])
        part = run.harvest()
        check_sums({**part.frames, "captured": sum(part.frames.values())}, part.ot_bytes)
        pictures.append(picture_of(part, policy))
    for picture in pictures[1:]:
        assert difference(pictures[0], picture) is None


def gathered(path: Path, every: int, **options: Any) -> list[Any]:
    """The points of a capture, asked for after every so many frames."""
    run = Run(plant(), **{"points_per_s": FAST, "seed": 1, **options})
    assert run.points is not None
    run.points.ask(1)
    for batch in open_inputs([str(path)], batch_frames=every):
        run.feed(batch)
        run.points.ask(run.last_ts_ns)
    run.finish()
    return plain(run.harvest().points)


@pytest.mark.parametrize("path", THERE, ids=lambda path: path.stem)
def test_asked_at_the_same_times_every_way_gives_the_same(path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(sampling, "POINT_SAMPLE_NS", 10**9)
    usual = gathered(path, 50)
    for title, way in WAYS.items():
        assert difference(usual, gathered(path, 50, **way)) is None, title


def test_plant_gives_points_of_all_protocols(monkeypatch: Any) -> None:
    monkeypatch.setattr(sampling, "POINT_SAMPLE_NS", 10**9)
    points = [PointRecord(*point) for point in gathered(ROOT / "captures" / "plant.pcap", 50)]
    assert {(p.protocol, p.access) for p in points} >= {
        *(("modbus", access) for access in ("read", "write")),
        *(("s7comm", access) for access in ("read", "write")),
        ("dnp3", "read"),
    }
    assert min(p.messages for p in points) >= 1
    assert max(p.messages for p in points) > 10
    assert [p.ts_ns for p in points] == sorted(p.ts_ns for p in points)


def points_over(shapes: int, per_s: float) -> tuple[Any, Any]:
    """A table of shapes that nobody sends, and who asks for them."""
    run = Run(None, points_per_s=per_s)
    run.state.replace(shapes=np.zeros((shapes, c.S_WORDS), np.int64))
    run.state.shapes[:, c.S_SAMPLE] = c.SAMPLE_IDLE
    run.state.ctl[c.CTL_SHAPES] = shapes
    assert run.points is not None
    return run.points, run.state.shapes


@pytest.mark.parametrize("shapes", [1, 3, 60, 100, 7777])
def test_each_shape_is_asked_once_a_minute(shapes: int) -> None:
    points, table = points_over(shapes, FAST)
    points.ask(10**18)
    asked = np.zeros(shapes, int)
    for second in range(1, 600):
        table[:, c.S_SAMPLE] = c.SAMPLE_IDLE
        points.ask(10**18 + second * 10**9)
        asked += table[:, c.S_SAMPLE] == c.SAMPLE_ONCE
        assert asked.max() - asked.min() <= 1
    assert asked.sum() == pytest.approx(shapes * 599e9 / POINT_SAMPLE_NS, abs=1)


def test_many_shapes_are_asked_slowly_and_in_turn() -> None:
    points, table = points_over(100_000, 20)
    asked = np.zeros(100_000, int)
    for second in range(1200):
        table[:, c.S_SAMPLE] = c.SAMPLE_IDLE
        points.ask(10**18 + second * 10**9)
        now = np.flatnonzero(table[:, c.S_SAMPLE] == c.SAMPLE_ONCE)
        points._credit -= 10 * len(now)  # each has ten values
        asked[now] += 1
    assert asked.max() == 1
    assert asked.sum() == pytest.approx(20 * 1200 / 10, rel=0.1)
    assert np.flatnonzero(asked).tolist() == list(range(asked.sum()))


def test_a_clock_that_is_set_asks_for_no_more() -> None:
    points, table = points_over(600, FAST)
    for now_ns in (10**18, 10**18 + 10**9, 0, 10**9, 10**18, 10**18 - 1):
        points.ask(now_ns)
    assert np.count_nonzero(table[:, c.S_SAMPLE] == c.SAMPLE_ONCE) <= 600


def sample(value: float | str, ts_ns: int, access: Any = "read", start: int = 7) -> PointRecord:
    target = Target("holding_register", start, start)
    return PointRecord("default", "10.0.0.1", "10.0.0.2", "modbus", 1, access, target, value, ts_ns, 3)


def test_the_last_value_read_and_every_other_value_written(monkeypatch: Any) -> None:
    points, _ = points_over(1, FAST)
    for number, value in enumerate([5, 5, 6, 6, 5]):
        points._keep(sample(value, number, "read"))
        points._keep(sample(value, number, "write"))
    found = [(p.access, p.value, p.messages, p.ts_ns) for p in points.take_all()[0]]
    assert found == [("write", 5, 6, 1), ("write", 6, 6, 3), ("read", 5, 15, 4), ("write", 5, 3, 4)]
    assert points.take_all() == ([], 0)
    monkeypatch.setattr(sampling, "MAX_POINTS", 2)
    for start in range(5):
        points._keep(sample(start, start, start=start))
    found, shed = points.take_all()
    assert (len(found), shed) == (2, 3)
    assert points.take_all() == ([], 0)


def test_processes_share_the_rate() -> None:
    for share in (1, 4):
        run = Run(None, points_per_s=100, share=share)
        assert run.points is not None
        assert run.points._per_s == 100 / share


def test_parts_are_joined_by_time() -> None:
    parts = [Part(points=[sample(1, 5), sample(1, 9)], points_shed=2), Part(points=[sample("nan", 7)], points_shed=1)]
    whole = merge(parts)
    assert ([p.ts_ns for p in whole.points], whole.points_shed) == ([5, 7, 9], 3)
    assert [p.ts_ns for p in bounded(whole, 2).points] == [7, 9]


def test_text_is_text() -> None:
    record = point_record(sample("nan", 1))
    assert (record["value"], record["text"]) == (None, "nan")
    assert record["target"] == {"space": "holding_register", "start": 7, "end": 7}
