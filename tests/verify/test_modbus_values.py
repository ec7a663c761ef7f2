"""What otmon decodes is what a real stack wrote and read: pymodbus's own notes of each request it made."""

import json
from typing import Any

import pytest

from tests.verify.captures import OWN, seen


def lacks(noted: Any, decoded: Any) -> bool:
    """Whether something that the stack noted is decoded otherwise, or not at all."""
    if isinstance(noted, dict):
        return not isinstance(decoded, dict) or any(lacks(value, decoded.get(key)) for key, value in noted.items())
    if isinstance(noted, list):
        return not isinstance(decoded, list) or len(noted) != len(decoded) or any(map(lacks, noted, decoded))
    return bool(noted != decoded)


@pytest.mark.parametrize("transport", ["tcp", "udp", "rtu"])
def test_values_are_those_of_the_stack(transport: str) -> None:
    found = seen(f"modbus_{transport}.pcap")
    notes = json.loads((OWN / f"modbus_{transport}.values.json").read_text())
    records = found.of("modbus")
    requests = [record for record in records if record["kind"] == "request"]
    answers = {record["request_n"]: record for record in records if record["kind"] == "response"}
    assert None not in answers
    assert len(requests) == len(notes) or transport == "rtu"
    for note, request in zip(notes, requests, strict=False):
        assert (request["function_code"], request["unit"]) == (note["function_code"], note["unit"])
        assert not lacks(note["request"], request["modbus"]), (note, request)
        if note["response"] is not None:
            assert not lacks(note["response"], answers[request["n"]]["modbus"]), (note, answers[request["n"]])
    assert found.summary["ot_bytes"]["malformed"] == 0
    assert {record["modbus"].get("framing") for record in records} == {"rtu" if transport == "rtu" else None}


def test_every_function_of_the_stack_is_there() -> None:
    codes = {record["function_code"] for record in seen("modbus_tcp.pcap").of("modbus")}
    assert codes == {1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 15, 16, 17, 20, 21, 22, 23, 24, 43}


def test_modbus_security_is_named_as_encrypted() -> None:
    found = seen("modbus_tls.pcap")
    assert found.messages == []
    assert found.summary["ot_bytes"]["encrypted"] == found.summary["ot_bytes"]["seen"] > 5000
    assert any("are encrypted" in alert["title"] for alert in found.alerts)
