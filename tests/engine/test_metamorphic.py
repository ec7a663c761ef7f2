"""What must not matter does not: where batches are cut, which path a frame takes, the seed of the tables."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otmon.policy import load_policy
from tests.effort import examples
from tests.engine.scenes import captures, policies
from tests.engine.world import Frame, same, see, see_files

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("OTMON_SHARED", ROOT.parent / "shared" / "captures"))
OWN = sorted((ROOT / "captures").glob("*.pcap"))
OTHERS = [
    "OISF__suricata-verify/dnp3-eve.pcap",
    "OISF__suricata-verify/dnp3-too-long-reassembly-request.pcap",
    "ITI__ICS-Security-Tools/DNP3-Malformed.pcap",
    "ITI__ICS-Security-Tools/S7-1200-Uploading-OB1-TIAV12.pcap",
    "cisagov__icsnpp-modbus/modbus_example.pcap",
    "cisagov__icsnpp-s7comm/snap7.pcap",
    "cisagov__icsnpp-s7comm/s7comm_plus.pcap",
    "digitalbond__Quickdraw-Snort/modbus_test_data_part1.pcap",
    "gymgit__s7-pcaps/step7_s300_download.pcapng",
    "zeek__zeek/dnp3.pcap",
    "zeek__zeek/fuzz-72.pcap",
    "zeek__zeek/modbus-and-non-modbus-p502.pcap",
]
WAYS: dict[str, dict[str, Any]] = {
    "one frame a batch": {"batch_frames": 1},
    "seven frames a batch": {"batch_frames": 7},
    "a small buffer": {"buffer_bytes": 600},
    "all through the slow path": {"force_slow": True},
    "slowly, frame by frame": {"force_slow": True, "batch_frames": 1},
    "another seed": {"seed": 2**62 + 12345},
}
RELAXED = settings(max_examples=examples(30), deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def plant() -> Any:
    return load_policy(ROOT / "rules" / "plant.yaml")


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.stem)
@pytest.mark.parametrize("judged", [False, True], ids=["unjudged", "judged"])
def test_own_captures(path: Path, judged: bool) -> None:
    policy = plant() if judged else None
    usual = see_files([path], policy, seed=1)
    for title, way in WAYS.items():
        same(usual, see_files([path], policy, **{"seed": 1, **way}), title)


@pytest.mark.parametrize("name", OTHERS)
def test_captures_by_others(name: str) -> None:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    usual = see_files([path], plant(), seed=1)
    assert usual.frames["ot"]
    for title, way in WAYS.items():
        same(usual, see_files([path], plant(), **{"seed": 1, **way}), title)


@RELAXED
@given(captures(), st.sampled_from(["none", "permitted", "refused"]))
def test_spoilt_conversations(capture: list[Frame], rules: str) -> None:
    policy = policies()[rules]
    usual = see(capture, policy, seed=1)
    for title, way in WAYS.items():
        same(usual, see(capture, policy, **{"seed": 1, **way}), title)


@settings(RELAXED, max_examples=examples(25))
@given(captures(), st.sampled_from(["none", "permitted", "refused"]))
def test_writing_messages_changes_nothing_else(capture: list[Frame], rules: str) -> None:
    with_messages = see(capture, policies()[rules]).picture
    without = see(capture, policies()[rules], messages=False).picture
    assert {**with_messages, "messages": None} == {**without, "messages": None}
