"""A flood of new shapes must not hide the write behind it: near the table's end messages are judged one by one."""

import struct
from pathlib import Path

import pytest

from otmon.engine import analyze
from otmon.policy import load_policy
from otmon.wire import shapes
from otmon.wire.loads import INTERPRETED
from tests.hostile.kit import Session, write_pcap

POLICY = """
otmon: 1
site: flood
zones:
  a: {level: 1, hosts: [10.0.0.0/16]}
conduits:
  - {id: reads, from: a, to: a, allow: [{protocol: modbus, access: read}]}
"""


def adu(number: int, pdu: bytes) -> bytes:
    return struct.pack(">HHHB", number & 0xFFFF, 0, len(pdu) + 1, 1) + pdu


@pytest.mark.skipif(not INTERPRETED, reason="the caps are constants of the compiled loop")
def test_a_write_behind_a_flood_of_reads_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "MAX_SHAPES", 300)
    monkeypatch.setattr(shapes, "WIDE_SHAPES", 100)
    (tmp_path / "p.yaml").write_text(POLICY)
    session = Session("10.0.0.1", "10.0.0.2")
    frames = list(session.handshake())
    frames += [session.send(adu(n, struct.pack(">BHH", 3, n, 1))) for n in range(1000)]
    frames.append(session.send(adu(1001, struct.pack(">BHH", 6, 45, 900))))
    write_pcap(tmp_path / "a.pcap", frames)
    result = analyze([str(tmp_path / "a.pcap")], policy=load_policy(tmp_path / "p.yaml"))
    written = [e for e in result.part.episodes if e.key.function == "write_single_register"]
    assert [e.count for e in written] == [1]
    assert not [e for e in result.part.episodes if e.key.function == "read_holding_registers"]
    assert sum(op.counts.attempted for op in result.part.operations) == 1001
    assert result.part.shed == 0
