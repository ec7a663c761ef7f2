"""Ticks: what each counter grew by, once a second of capture time; the sum is the counter."""

from collections import Counter
from pathlib import Path
from typing import Any

from otmon.engine.run import Run
from otmon.wire import columns as c

PLANT = Path(__file__).parents[2] / "captures" / "plant.pcap"


def test_increments_add_up() -> None:
    seen: Counter[int] = Counter()
    seconds: list[int] = []

    def on_tick(ts_ns: int, shapes: Any, grown: Any) -> None:
        seconds.append(ts_ns)
        assert (grown > 0).all()
        seen.update(dict(zip(shapes.tolist(), grown.tolist(), strict=True)))

    run = Run(None, on_tick=on_tick)
    run.read([str(PLANT)])
    shapes = run.state.shapes[: int(run.state.ctl[c.CTL_SHAPES])].tolist()
    for row, shape in enumerate(shapes):
        told = shape[c.S_TICK] if shape[c.S_TICK] >= 0 else -1 - shape[c.S_TICK]
        assert seen[row] == told <= shape[c.S_COUNT]
    assert sum(seen.values()) > 0.8 * sum(shape[c.S_COUNT] for shape in shapes)
    assert seconds == sorted(set(seconds))
    assert all(ts % 1_000_000_000 == 0 for ts in seconds)
