"""What arrives at an interface is understood as what stands in a file."""

from pathlib import Path

import pytest

from otmon.capture.inputs import open_inputs
from otmon.capture.ring import Ring
from otmon.engine.run import Run
from tests.live.lab import MONITOR, skip_reason

pytestmark = pytest.mark.skipif(bool(skip_reason()), reason=str(skip_reason()))

CAPTURES = Path(__file__).parents[2] / "captures"


@pytest.mark.parametrize("name", ["plant", "modbus_pymodbus", "dnp3_opendnp3", "s7_snap7"])
def test_a_capture_replayed(plant, name):
    path = str(CAPTURES / f"{name}.pcap")
    frames = []
    for batch in open_inputs([path]):
        frames += [batch.data[at : at + (n >> 32)].tobytes() for at, n in batch.records[:, :2].tolist()]
    with plant.inside("monitor"):
        ring = Ring(MONITOR, 0, blocks=4)
    run = Run(seed=1)
    with ring:
        plant.inject(frames)
        while ring.info.frames < ring.statistics().received or not ring.info.frames:
            for batch in ring.batches():
                run.feed(batch)
    run.finish()
    live, usual = run.harvest(), Run(seed=1)
    usual.read([path])
    filed = usual.harvest()
    assert ring.info.frames == len(frames)
    assert live.frames == filed.frames
    assert live.ot_bytes == filed.ot_bytes
    assert [record.key for record in live.operations] == [record.key for record in filed.operations]
    assert len(live.operations) > 5
