"""Named points in traffic of real stacks, against the values that their scripts wrote."""

import json
from pathlib import Path

import pytest

from captures.make.endpoints.dnp3_values import SETPOINTS
from otmon.policy.load import load_policy
from tests.engine.world import see_files

CAPTURES = Path(__file__).parents[2] / "captures"
S7_TYPES = {
    "byte": ("B", "uint8", 1), "word": ("W", "uint16", 2), "int": ("W", "int16", 2), "dword": ("D", "uint32", 4),
    "dint": ("D", "int32", 4), "real": ("D", "float32", 4),
}  # fmt: skip


Points = list[tuple[str, str, list[float]]]
"""(address, type, the values that it was given) of points that are written together."""


def s7_written() -> list[Points]:
    """Every number that the script wrote."""
    out = []
    for entry in json.loads((CAPTURES / "s7_values.values.json").read_text())["written"]:
        if entry["kind"] in S7_TYPES and entry["space"] not in ("C", "T"):
            letter, kind, size = S7_TYPES[entry["kind"]]
            area = f"{entry['space']}.DB" if entry["space"].startswith("DB") else entry["space"]
            places = [f"{area}{letter}{entry['start'] + n * size}" for n in range(len(entry["values"]))]
            out.append([(place, kind, [value]) for place, value in zip(places, entry["values"], strict=True)])
        elif entry["kind"] == "bit":
            area = f"{entry['space']}.DBX" if entry["space"].startswith("DB") else entry["space"]
            out.append([(f"{area}{entry['start'] >> 3}.{entry['start'] & 7}", "bool", entry["values"])])
    return out


MODBUS: list[Points] = [
    [("40", "uint16", [0, 1234, 65535])],
    [("coil 3", "bool", [1, 0])],
    [("20", "uint32", [9 * 65536 + 513])],
    [("10", "uint16", [1]), ("11", "uint16", [2]), ("12", "uint16", [3])],
]
DNP3: list[Points] = [[(f"g41 {index}", "float64", [value])] for index, (_, value) in enumerate(SETPOINTS)]
CASES = [
    *(("s7_values", "s7comm", "", points) for points in s7_written()),
    *(("modbus_tcp", "modbus", "17", points) for points in MODBUS),
    *(("dnp3_points", "dnp3", "", points) for points in DNP3),
]


def value_alerts(folder: Path, capture: str, protocol: str, unit: str, points: Points, limits: str) -> list[str]:
    rows = [f"P{n},0.0.0.0/0,{protocol},{unit},{place},{kind},X" for n, (place, kind, _) in enumerate(points)]
    (folder / "t.csv").write_text("\n".join(["point,asset,protocol,unit,address,type,units", *rows]))
    names = ", ".join(f"P{n}" for n in range(len(points)))
    text = f"""otmon: 1
tags: t.csv
zones: {{z: {{hosts: [0.0.0.0/0]}}}}
conduits:
  - {{id: c, from: any, to: any, allow: [{{protocol: {protocol}, points: [{names}], {limits}}}]}}
"""
    (folder / "p.yaml").write_text(text)
    seen = see_files([CAPTURES / f"{capture}.pcap"], load_policy(folder / "p.yaml"), messages=False)
    return [alert["title"] for alert in seen.alerts("value")]


@pytest.mark.parametrize(("capture", "protocol", "unit", "points"), CASES)
def test_what_a_script_wrote_is_what_a_point_became(
    capture: str, protocol: str, unit: str, points: Points, tmp_path: Path
) -> None:
    values = [value for _, _, given in points for value in given]
    assert not value_alerts(tmp_path, capture, protocol, unit, points, f"values: {values!r}")
    titles = value_alerts(tmp_path, capture, protocol, unit, points, "values: 123456")
    assert titles
    kind, first = points[0][1], points[0][2][0]
    whole = kind.startswith("float") and float(first).is_integer() and abs(first) < 1e15
    number = f"{first:.1f}" if whole else f"{first:.9g}"
    assert all(f" P0 {number} X (last value unknown)" in title for title in titles), titles
