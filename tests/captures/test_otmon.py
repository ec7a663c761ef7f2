"""otmon on the project's own captures: the labelled violations and nothing else, and the functions tshark counted."""

import json
from pathlib import Path
from typing import Any

import pytest

from otmon.cli import run

ROOT = Path(__file__).parents[2]
CAPTURES = ROOT / "captures"
NAMES = sorted(path.stem for path in CAPTURES.glob("*.pcap"))
UNKNOWN_TO_TSHARK = {"s7_plus": {"s7comm"}, "s7_plus_tls": {"s7comm"}}
"""S7comm-plus, for which tshark 4.0 has no dissector; values are compared with what the stack said of them."""
ENCRYPTED = ("s7_plus_tls", "secure", "modbus_tls")


def analyze(out: Path, name: str, *options: str) -> dict[str, Any]:
    assert run(["analyze", str(CAPTURES / f"{name}.pcap"), "--out", str(out), *options]) == 0
    summary: dict[str, Any] = json.loads((out / "summary.json").read_text())
    return summary


def records(out: Path, kind: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / f"{kind}.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("plant") / "out"
    analyze(out, "plant", "--policy", str(ROOT / "rules" / "plant.yaml"))
    return out


def as_label(alert: dict[str, Any]) -> tuple[Any, ...]:
    operation = alert["operation"]
    (target,) = alert["targets"]
    port = operation["port"] if operation["protocol"] == "tcp" else None
    return (
        alert["kind"],
        alert["client"]["endpoint"],
        alert["server"]["endpoint"],
        operation["protocol"],
        operation["function"],
        None if operation["protocol"] == "tcp" else target["target"],
        port,
        alert["outcome"],
        alert["count"],
        alert["frames"],
    )


def test_every_violation_is_reported_and_nothing_else(plant: Path) -> None:
    expected = []
    for label in json.loads((CAPTURES / "plant.labels.json").read_text()):
        keys = ("kind", "client", "server", "protocol", "function", "target")
        request = label["frames"][0]
        expected.append((*(label[key] for key in keys), label.get("port"), label["outcome"], 1, [[1, request]]))
    assert sorted(map(as_label, records(plant, "alerts")), key=repr) == sorted(expected, key=repr)


def test_the_sentence_names_the_value_as_an_operator_does(plant: Path) -> None:
    (alert,) = (alert for alert in records(plant, "alerts") if alert["kind"] == "value")
    assert alert["title"] == (
        "HMI-2 (10.0.2.11, supervision) wrote 900 to holding register 40046 (PDU address 45) of PLC-3 "
        "(10.0.1.13, control); accepted. Row scada-polls-plcs allows 0-100 there."
    )


def test_every_row_of_the_policy_is_used(plant: Path) -> None:
    """A permit that nothing in the capture needs would make the demo prove less than it seems to."""
    used = {record["row"] for record in records(plant, "operations")}
    conduits = {row.split("/")[0] for row in used if row}
    policy = (ROOT / "rules" / "plant.yaml").read_text()
    named = {line.split("id:")[1].split(",")[0].strip() for line in policy.splitlines() if "id:" in line}
    assert conduits == named


@pytest.mark.parametrize("name", NAMES)
def test_functions_are_those_that_tshark_counts(name: str, tmp_path: Path) -> None:
    summary = analyze(tmp_path / "out", name)
    expected = json.loads((CAPTURES / f"{name}.expected.json").read_text())
    assert summary["frames"]["captured"] == expected["frames"]
    assert bool(summary["frames"]["ot"]) == (name not in ("secure", "modbus_tls"))
    for bucket in ("malformed", "internal", "copy", "truncated", "unsupported", "shed"):
        assert summary["frames"][bucket] == 0
    ot_bytes = summary["ot_bytes"]
    assert ot_bytes["seen"] == ot_bytes["decoded"] + ot_bytes["encrypted"] > 0
    assert bool(ot_bytes["encrypted"]) == (name in ENCRYPTED)
    assert set(summary["protocols"]) == set(COMPARED) & set(expected) | UNKNOWN_TO_TSHARK.get(name, set())
    if name in UNKNOWN_TO_TSHARK:
        return
    if name == "modbus_rtu":  # tshark takes no RTU frame of 4 bytes
        expected["modbus"]["requests"] |= dict.fromkeys(("7", "11", "12", "17"), 1)
    for protocol, counted in summary["protocols"].items():
        assert COMPARED[protocol](counted) == by_function(expected[protocol])


def by_function(expected: dict[str, Any]) -> dict[str, Any]:
    """otmon counts link functions by PDU, tshark by link frame: only their sum can be compared."""
    return {key: sum(value.values()) if key == "link_functions" else value for key, value in expected.items()}


def nonzero(table: dict[str, dict[str, Any]], key: str) -> dict[str, int]:
    return {code: entry[key] for code, entry in table.items() if entry[key]}


def modbus(counted: dict[str, Any]) -> dict[str, Any]:
    return {key: nonzero(counted["functions"], key) for key in ("requests", "responses", "exceptions")}


def dnp3(counted: dict[str, Any]) -> dict[str, Any]:
    functions = {code: entry["requests"] + entry["responses"] for code, entry in counted["functions"].items()}
    return {"functions": functions, "link_functions": counted["link_frames"]}


def s7comm(counted: dict[str, Any]) -> dict[str, Any]:
    userdata = counted.get("userdata", {})
    return {
        "rosctr": counted["rosctr"],
        "job": nonzero(counted["functions"], "requests"),
        "ack_data": nonzero(counted["functions"], "responses"),
        "userdata": {code: entry["requests"] + entry["responses"] for code, entry in userdata.items()},
    }


COMPARED = {"modbus": modbus, "dnp3": dnp3, "s7comm": s7comm}
