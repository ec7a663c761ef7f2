"""A programming tool reads a Quantum's program: what its UMAS says, and what that tells of the controller.

No other decoder here reads UMAS. What the session says of itself twice is compared: the size it announces with the
blocks that come, lengths with data, the blocks it closes with the blocks it asked for.
"""

import hashlib
from collections import Counter
from typing import Any

from otmon.engine import analyze
from tests.verify.captures import find, seen

CAPTURE = "modicon_test.pcap"


def records(function: str, kind: str) -> list[dict[str, Any]]:
    return [r for r in seen(CAPTURE).of("modbus") if (r["function"], r["kind"]) == (function, kind)]


def test_every_message_has_its_function_and_nothing_is_odd() -> None:
    found = seen(CAPTURE).of("modbus")
    assert len(found) == 180
    assert {flag for record in found for flag in record["flags"]} == set()
    assert Counter(record["access"] for record in found if record["kind"] == "request") == {
        "program": 58, "read": 14, "identify": 13, "diagnose": 5,
    }  # fmt: skip
    pairs = Counter(record["function"] for record in found)
    assert all(number % 2 == 0 for number in pairs.values())
    assert pairs["umas_download_block"] == 106


def test_the_program_is_as_long_as_announced() -> None:
    (opened,) = records("umas_initialize_download", "response")
    (closed,) = records("umas_end_download", "request")
    asked = [r["modbus"]["block"] for r in records("umas_download_block", "request")]
    blocks = [r["modbus"] for r in records("umas_download_block", "response")]
    assert asked == list(range(1, closed["modbus"]["blocks"] + 1))
    assert sum(block["length"] for block in blocks) == opened["modbus"]["size"] == 12343
    assert [block["last"] for block in blocks] == [False] * 52 + [True]
    assert {block["direction"] for block in blocks} == {"from_plc"}


def test_memory_is_as_long_as_asked_for() -> None:
    asked = [r["modbus"] for r in records("umas_read_memory_block", "request")]
    told = [r["modbus"] for r in records("umas_read_memory_block", "response")]
    assert [body["length"] for body in asked] == [len(body["memory"]) // 2 for body in told]
    assert [(body["block"], body["offset"]) for body in asked[:4]] == [(19, 0), (19, 100), (20, 0), (20, 100)]


def test_the_reservation_given_is_the_one_used() -> None:
    (asked,), (given,) = (records("umas_take_plc_reservation", kind) for kind in ("request", "response"))
    assert asked["modbus"]["owner"] == "USER-714E74F21B"
    later = [r["modbus"]["reservation"] for r in seen(CAPTURE).of("modbus") if r["n"] > given["n"]]
    assert set(later) == {0, given["modbus"]["new_reservation"]}


def test_the_controller_is_known() -> None:
    """Its name and version stand in the capture as text and as the decimal digits of 0x0270."""
    facts = Counter(
        (name, fact["value"])
        for asset in seen(CAPTURE).assets
        for name, found in asset["attributes"].items()
        for fact in found
        if fact["protocol"] == "modbus" and not name.startswith("habit_")
    )
    assert set(facts) == {
        ("vendor", "Schneider Electric"), ("model", "140 CPU 311 10"), ("firmware", "2.70"), ("hardware", "0.09"),
        ("project", "Project"), ("project_revision", "0.0.8"),
    }  # fmt: skip


def test_the_ledger_has_the_project() -> None:
    """Joined here from the records: the bytes behind the four octets of each block."""
    (row,) = analyze([str(find(CAPTURE))]).part.blocks
    parts = [r["modbus"]["data"][8:] for r in records("umas_download_block", "response")]
    assert (row.direction, row.state, row.block.kind, row.length) == ("upload", "complete", "project", 12343)
    assert row.sha256 == hashlib.sha256(bytes.fromhex("".join(parts))).hexdigest()
