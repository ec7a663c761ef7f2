"""What learning leaves to a person, and why."""

import pytest

from otmon.model import Counts, Target
from otmon.policy.functions import REASONS
from otmon.policy.refuse import SCAN_TARGETS, cleanly, refusals, scanners
from tests.policy.policy_kit import NOON, connect, op, registers
from tests.policy.test_policy_learn import record

HMI, PLC = "10.0.2.10", "10.0.1.11"


def said(key, times=1, **more):
    item = record(key, times)
    return refusals([item], more.get("min_count", 1), more.get("asked", {}))(item)


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (op(HMI, PLC, "s7comm", "plc_stop", "control"), "control"),
        (op(HMI, PLC, "s7comm", "warm_start", "control"), "control"),
        (op(HMI, PLC, "s7comm", "download_block", "program"), "program"),
        (op(HMI, PLC, "s7comm", "force", "control"), "control"),
        (op(HMI, PLC, "s7comm", "set_clock", "control"), "time"),
        (op(HMI, PLC, "modbus", "umas_write_memory_block", "program"), "program"),
        (op(HMI, PLC, "modbus", "diagnostics_restart", "control"), "control"),
        (op(HMI, PLC, "modbus", "write_file_record", "write"), "configuration"),
        (op(HMI, PLC, "dnp3", "cold_restart", "control"), "control"),
        (op(HMI, PLC, "dnp3", "assign_class", "write"), "configuration"),
        (op(HMI, PLC, "dnp3", "write", "write", target=Target("g34", 0, 1)), "configuration"),
        (op(HMI, PLC, "dnp3", "write", "write", target=Target("g50")), "time"),
        (op(HMI, PLC, "dnp3", "open_file", "program"), "program"),
        (connect(HMI, PLC, function="scan"), "scan"),
        (op(HMI, PLC, "dnp3", "write", "write", target=Target("g80", 7, 7)), None),
        (op(HMI, PLC, "dnp3", "operate", "control", target=Target("g12", 0, 0)), None),
        (op(HMI, PLC, "modbus", "write_single_register", "write", target=registers(1)), None),
        (op(HMI, PLC, target=registers(1)), None),
    ],
)
def test_reasons_of_functions(key, reason):
    assert said(key) == (reason and REASONS[reason])


def test_time_that_was_asked_for():
    key = op(HMI, PLC, "dnp3", "write", "write", target=Target("g50"))
    assert said(key, asked={("default", PLC): NOON}) is None
    assert said(key, asked={("default", PLC): NOON + 1}) == REASONS["time"], "the device asked after it"
    assert said(key, asked={("default", HMI): 0}) == REASONS["time"]


def test_seldom_or_badly():
    key = op(HMI, PLC, target=registers(1))
    assert said(key, 2, min_count=3) == REASONS["few"]
    assert said(key, 3, min_count=3) is None
    item = record(key)._replace(counts=Counts(attempted=5, rejected=2, unanswered=2, unseen=1))
    assert cleanly(item) == 1
    assert refusals([item], 2, {})(item) == REASONS["few"]
    log = record(connect(HMI, PLC, "udp", 514))._replace(counts=Counts(attempted=4, unanswered=4))
    assert cleanly(log) == 4, "nobody answers a log message"


def test_scanning_hosts():
    def tried(n, bad, key):
        counts = Counts(attempted=1, rejected=1) if n < bad else Counts(attempted=1, accepted=1)
        return record(key)._replace(counts=counts)

    sweep = [tried(n, SCAN_TARGETS, connect(HMI, f"10.0.1.{n}", port=502)) for n in range(SCAN_TARGETS + 3)]
    units = [tried(n, SCAN_TARGETS, op("10.0.2.11", PLC, unit=n)) for n in range(SCAN_TARGETS + 3)]
    busy = [tried(n, 10, op("10.0.2.12", PLC, target=registers(n))) for n in range(40)]
    found = [*sweep, *units, *busy, record(connect("10.0.2.13", PLC, function="scan"))]
    assert {address for _, address in scanners(found)} == {HMI, "10.0.2.11", "10.0.2.13"}
    reason = refusals(found, 1, {})
    assert reason(sweep[-1]) == reason(units[-1]) == REASONS["scanner"]
    assert reason(busy[-1]) is None
    assert len(set(REASONS.values())) == len(REASONS)
