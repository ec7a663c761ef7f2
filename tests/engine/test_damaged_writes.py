"""Writes of a wrong length beside a policy: what is permitted of sound ones is not of those that may do anything."""

import struct
from pathlib import Path
from typing import Any

import pytest

from otmon.policy import load_policy
from tests.engine.traffic import Exchange, Session, conversation, frames
from tests.engine.world import see
from tests.protocols.modbus_corpus import adu

POLICY = """
otmon: 1
site: s
zones: {{plant: {{hosts: [10.0.0.0/24]}}}}
conduits:
  - id: row
    from: plant
    to: plant
    allow:
      - {{protocol: tcp}}
      - {{protocol: modbus, functions: [write_multiple_registers, write_file_record]{more}}}
"""
SOUND = struct.pack(">HHB", 40, 2, 4) + struct.pack(">HH", 1, 2)
SHORT = struct.pack(">HHB", 40, 2, 20) + struct.pack(">HH", 1, 2)
BEYOND = struct.pack(">HHB", 45, 20, 200) + struct.pack(">HH", 1, 2)
NOTHING = b"\0"
MORE = struct.pack(">HHB", 40, 2, 200) + bytes(200)
MORE_CLAIMED, MORE_SENT = MORE[:9], struct.pack(">HHB", 40, 2, 4) + bytes(200)


def alerts(folder: Path, more: str, *bodies: bytes, code: int = 16) -> list[dict[str, Any]]:
    path = folder / "policy.yaml"
    path.write_text(POLICY.format(more=more))
    sound: list[Exchange] = [(adu(16, SOUND), adu(16, SOUND[:4]))] * 3  # what is known and permitted costs no Python
    talk = [*sound, *((adu(code, body, transaction=n), b"") for n, body in enumerate(bodies, 7))]
    seen = see(frames(conversation(Session("10.0.0.1", "10.0.0.2"), talk)), load_policy(path))
    return seen.policy_alerts()


@pytest.mark.parametrize(
    ("more", "body", "denied"),
    [
        ("", SHORT, False),
        ("", NOTHING, False),  # the whole device is permitted
        (", addresses: [40-49]", SHORT, False),
        (", addresses: [40-49]", BEYOND, True),
        (", addresses: [40-49]", NOTHING, True),
        (", addresses: [0-65535]", NOTHING, True),
        (", addresses: [40-49], values: [0-1000]", SHORT, True),  # nobody knows what a device takes from it
        (", addresses: [40-49], values: [0-65535]", SHORT, False),
        # Two registers, says the quantity; a device may write as many as there are bytes.
        (", addresses: [40-49]", MORE, True),
        (", addresses: [40-49]", MORE_CLAIMED, True),
        (", addresses: [40-49]", MORE_SENT, True),
        (", addresses: [40-139]", MORE, False),
    ],
)
def test_it_is_judged_by_what_it_claims(tmp_path: Path, more: str, body: bytes, denied: bool) -> None:
    assert alerts(tmp_path, more, SOUND) == []
    found = alerts(tmp_path, more, body, body)
    assert bool(found) == denied
    assert [alert["count"] for alert in found] == [2] * denied


def test_records_whose_length_lies(tmp_path: Path) -> None:
    record = b"\x09" + struct.pack(">BHHH", 6, 1, 0, 65_535) + b"\0\1"
    assert alerts(tmp_path, "", record, code=21) == []
    (alert,) = alerts(tmp_path, ", addresses: [40-49]", record, code=21)
    assert alert["operation"]["function"] == "write_file_record"
