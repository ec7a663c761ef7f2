"""What a verdict says: kind, severity, nearest row and the sentence; zones, names, chatter."""

import pytest

from otmon.model import Op, Target
from otmon.policy.models import _ACCESSES
from otmon.policy.references import reference
from otmon.policy.verdict import SEVERITY
from otmon.policy.wording import target_text
from tests.policy.policy_kit import NOON, connect, op, policy, registers

WATER = """
    otmon: 1
    site: water-works-3
    timezone: Europe/Vienna
    zones:
      control:     {level: 1, hosts: [10.10.1.0/24]}
      supervision: {level: 2, hosts: [10.10.2.0/24], assets: [hmi-1, historian]}
      safety:      {level: 0, hosts: [10.10.1.128/25], allow: [{protocol: modbus, access: read}]}
      office:      {level: 4, hosts: [10.10.3.0/24], monitored: false}
    assets:
      plc-3: {hosts: [10.10.1.13], name: "=B2 dosing"}
      hmi-1: {hosts: [10.10.2.11]}
      historian: {hosts: [10.10.9.9]}
    roles:
      engineering: [10.10.2.30, hmi-1]
    never:
      - {to: control, operations: [{protocol: modbus, units: [7], access: write}], because: "safety relay"}
      - {id: no-office, from: office, to: safety}
    conduits:
      - id: scada-polls-plcs
        from: supervision
        to: control
        allow:
          - {protocol: modbus, functions: [read_coils, read_holding_registers], units: [1], addresses: [0-199]}
          - {protocol: modbus, functions: [write_single_register], addresses: [40-49], values: [0-1000]}
          - {protocol: modbus, functions: [write_multiple_registers], addresses: [40-44], values: [0-1000]}
          - {protocol: modbus, functions: [write_multiple_registers], addresses: [45-49], values: [0-10, 20-30]}
          - {protocol: s7comm, functions: [read_var], items: [DB10.DBB0-255]}
          - {protocol: tcp, ports: [80, 8000-8100]}
      - id: polls-rtu
        from: 10.10.2.40
        to: 10.10.1.21
        allow:
          - {protocol: dnp3, master: 3, outstation: 10-19, functions: [read, select, operate], objects: [g12 0-3]}
      - id: engineering-programs-plcs
        from: {role: engineering}
        to: control
        during: {days: [mon, tue], hours: 08:00-17:00, until: 2026-12-01, ticket: CHG-1042}
        allow:
          - {id: transfer, protocol: s7comm, functions: [download, upload, plc_stop, warm_start]}
    review:
      - from: 10.10.2.50
        to: control
        operations: [{protocol: s7comm, functions: [plc_stop]}]
        reason: "seen once, nobody knows why"
"""
HMI, PLC, RTU, ENG = "10.10.2.11", "10.10.1.13", "10.10.1.21", "10.10.2.30"
WRITE = {"function": "write_single_register", "access": "write", "function_code": 6}
WRITES = {"function": "write_multiple_registers", "access": "write", "function_code": 16}
STOP = {"protocol": "s7comm", "function": "plc_stop", "access": "control", "function_code": 0x29}
NIGHT = NOON + 10 * 3600 * 10**9


@pytest.fixture(scope="module")
def water():
    return policy(WATER)


DENIED = {
    "address": (
        op(HMI, PLC, target=registers(300, 309)),
        ("command", "medium", "scada-polls-plcs/1"),
        "Row scada-polls-plcs allows holding registers 40001-40200 (PDU addresses 0-199) there.",
    ),
    "unit": (
        op(HMI, PLC, target=registers(0), unit=2),
        ("command", "medium", "scada-polls-plcs/1"),
        "Row scada-polls-plcs allows it for unit 1.",
    ),
    "function": (
        op(HMI, PLC, function="write_single_coil", access="write", target=registers(3, None, "coil")),
        ("command", "high", "scada-polls-plcs/1"),
        "Row scada-polls-plcs allows read_coils, read_holding_registers there.",
    ),
    "written address": (
        op(HMI, PLC, **WRITE, target=registers(50)),
        ("command", "high", "scada-polls-plcs/2"),
        "Row scada-polls-plcs allows holding registers 40041-40050 (PDU addresses 40-49) there.",
    ),
    "s7 item": (
        op(HMI, PLC, "s7comm", "read_var", target=Target("DB10", 250, 260)),
        ("command", "medium", "scada-polls-plcs/5"),
        "Row scada-polls-plcs allows DB10 bytes 0-255 there.",
    ),
    "dnp3 index": (
        op("10.10.2.40", RTU, "dnp3", "operate", "control", unit=(3, 10), target=Target("g12", 4, 4)),
        ("command", "critical", "polls-rtu"),
        "Row polls-rtu allows g12 indexes 0-3 there.",
    ),
    "dnp3 outstation": (
        op("10.10.2.40", RTU, "dnp3", "operate", "control", unit=(3, 65535), target=Target("g12", 3, 3)),
        ("command", "critical", "polls-rtu"),
        "Row polls-rtu allows it for master 3 and outstation 10-19.",
    ),
    "client": (
        op("10.10.2.41", RTU, "dnp3", "read", unit=(3, 10), target=Target("g12", 3, 3)),
        ("segmentation", "medium", "polls-rtu"),
        "Row polls-rtu allows it from 10.10.2.40.",
    ),
    "server": (
        op("10.10.2.40", PLC, "dnp3", "operate", "control", unit=(3, 10), target=Target("g12", 3, 3)),
        ("segmentation", "critical", "polls-rtu"),
        "Row polls-rtu allows it to 10.10.1.21.",
    ),
    "stranger": (
        op("192.168.7.7", PLC, target=registers(0)),
        ("segmentation", "medium", "scada-polls-plcs/1"),
        "Row scada-polls-plcs allows it from supervision.",
    ),
    "port": (
        connect(HMI, PLC, port=443),
        ("segmentation", "medium", "scada-polls-plcs/6"),
        "Row scada-polls-plcs allows it on ports 80, 8000-8100.",
    ),
    "scan": (connect(HMI, PLC, function="scan"), ("segmentation", "medium", "scada-polls-plcs/6"), None),
    "never": (
        op(HMI, PLC, **WRITE, unit=7, target=registers(45)),
        ("command", "critical", "never/1"),
        "Row never/1 forbids it: safety relay.",
    ),
    "never broadcast": (op(HMI, PLC, **WRITE, unit=0, target=registers(45)), ("command", "critical", "never/1"), None),
    "never at all": (
        connect("10.10.3.1", "10.10.1.129", "icmp"),
        ("segmentation", "critical", "no-office"),
        "Row no-office forbids it.",
    ),
    "between zones inside one": (
        op("10.10.1.13", "10.10.1.14", target=registers(0)),
        ("segmentation", "medium", "scada-polls-plcs/1"),
        "Row scada-polls-plcs allows it from supervision.",
    ),
}


@pytest.mark.parametrize("name", DENIED)
def test_denied(water, name):
    key, (kind, severity, nearest), sentence = DENIED[name]
    verdict = water.judge(key, NOON)
    assert (verdict.permit, verdict.kind, verdict.severity, verdict.nearest) == (False, kind, severity, nearest)
    if sentence is not None:
        assert verdict.separation == sentence
    assert verdict.row == (nearest if name.startswith("never") else None)
    assert verdict.review is None
    assert water.judge_values(key, [], NOON) == verdict


PERMITTED = {
    "read": (op(HMI, PLC, target=registers(0, 199)), "scada-polls-plcs/1"),
    "union": (op(HMI, PLC, **WRITES, target=registers(40, 49)), "scada-polls-plcs/3"),
    "unknown target": (op(HMI, PLC, target=None), "scada-polls-plcs/1"),
    "modbus connect": (connect(HMI, PLC, port=502), "scada-polls-plcs/1"),
    "http": (connect(HMI, PLC, port=8050), "scada-polls-plcs/6"),
    "s7 setup": (op(HMI, PLC, "s7comm", "setup_communication"), "scada-polls-plcs/5"),
    "plc's own job": (
        op(ENG, PLC, "s7comm", "download_block", "program", initiated_by="server", target=Target("block", name="OB1")),
        "transfer@CHG-1042",
    ),
    "unsolicited": (
        op("10.10.2.40", RTU, "dnp3", "unsolicited_response", unit=(3, 10), initiated_by="server", target=Target("g2")),
        "polls-rtu",
    ),
    "zone's own rows": (op("10.10.1.130", "10.10.1.140", target=registers(0)), "safety"),
    "outside": (connect("192.168.7.7", "8.8.8.8", port=443), None),
    "office": (connect("10.10.3.1", "10.10.3.2", port=445), None),
    "broadcast": (connect(HMI, "10.10.2.255", "udp", 4444), None),
    "multicast": (connect(HMI, "224.0.0.251", "udp", 5353), None),
    "discovery in a zone": (connect(HMI, "10.10.2.12", "udp", 137), None),
    "link-local": (connect("fe80::1", "fe80::2", "icmp"), None),
}


@pytest.mark.parametrize("name", PERMITTED)
def test_permitted(water, name):
    key, row = PERMITTED[name]
    verdict = water.judge(key, NOON)
    assert (verdict.permit, verdict.row, verdict.kind, verdict.nearest) == (True, row, None, None)


def test_windows_and_tickets(water):
    key = op(ENG, PLC, **STOP)
    assert water.judge(key, NOON).row == "transfer@CHG-1042"
    verdict = water.judge(key, NIGHT)
    assert (verdict.permit, verdict.kind, verdict.nearest) == (False, "command", "transfer@CHG-1042")
    assert verdict.separation == (
        "Row transfer allows it in its window: mon, tue 08:00-17:00 until 2026-12-01 (CHG-1042)."
    )
    assert water.judge(key, NOON).permit
    assert NOON < water.horizon(NOON) == NOON + 4 * 3600 * 10**9
    assert water.judge(key, water.horizon(NOON) - 1).permit
    assert not water.judge(key, water.horizon(NOON)).permit


def test_review_names_the_reason_and_still_denies(water):
    verdict = water.judge(op("10.10.2.50", PLC, **STOP), NOON)
    assert (verdict.permit, verdict.kind, verdict.severity) == (False, "command", "critical")
    assert verdict.review == "seen once, nobody knows why"
    assert water.judge(op("10.10.2.50", PLC, "s7comm", "warm_start", "control"), NOON).review is None


def test_bounds_and_values(water):
    one = op(HMI, PLC, **WRITE, target=registers(45))
    assert water.judge(one, NOON).bounds == (0, 1000)
    element = Op(6, "write_single_register", "write", 1, registers(45))
    assert water.judge_values(one, [(element, 1000.0)], NOON).permit
    verdict = water.judge_values(one, [(element, 1001.0)], NOON)
    assert (verdict.permit, verdict.kind, verdict.severity) == (False, "value", "high")
    assert verdict.separation == "Row scada-polls-plcs allows 0-1000 there."
    several = op(HMI, PLC, **WRITES, target=registers(44, 45))
    assert water.judge(several, NOON).inspect
    for values, permit in (((900, 5), True), ((900, 15), False), ((2000, 5), False), ((0, 30), True)):
        written = [
            (Op(16, "write_multiple_registers", "write", 1, registers(44 + i)), float(v)) for i, v in enumerate(values)
        ]
        assert water.judge_values(several, written, NOON).permit == permit
    assert water.judge_values(several, [*written, (element, 9999.0)], NOON).permit, "another operation's element"


def test_who_is_who(water):
    assert water.zone_path("r", "10.10.1.200") == ("control", "safety")
    assert (water.zone_of("r", "10.10.1.200"), water.level_of("r", "10.10.1.200")) == ("safety", 0)
    assert (water.zone_of("r", "10.10.9.9"), water.asset_name("r", "10.10.9.9")) == ("supervision", "historian")
    assert water.asset_name("r", PLC) == "=B2 dosing"
    assert water.roles_of("r", HMI) == ("engineering",)
    for stranger in ("10.9.9.9", "fd00::1", "00:11:22:33:44:55", "", "no address", "1.2.3.4.5", "fe80::1%eth0"):
        assert water.zone_path("r", stranger) == ("outside",)
        assert (water.level_of("r", stranger), water.asset_name("r", stranger), water.roles_of("r", stranger)) == (
            None,
            None,
            (),
        )
        water.judge(op(stranger, PLC, target=registers(0)), NOON)


def test_chatter_can_be_denied_and_is_never_ot():
    text = "otmon: 1\nchatter: {}\nzones: {{a: {{hosts: [10.0.0.0/24]}}, b: {{hosts: [10.0.1.0/24]}}}}\n"
    permits, denies = policy(text.format("permit")), policy(text.format("deny"))
    chatter = [
        connect("10.0.0.1", "239.1.2.3", "udp", 9999),
        connect("10.0.0.1", "255.255.255.255", "udp", 67),
        connect("10.0.0.1", "10.0.0.255", "udp", 138),
        connect("10.0.0.1", "10.0.0.2", "udp", 5355),
        connect("0.0.0.0", "10.0.0.2", "udp", 67),
        connect("fd00::1", "ff02::1", "icmp"),
    ]
    for key in chatter:
        assert permits.is_chatter(key)
        assert permits.judge(key, NOON).permit
        monitored = key.client.startswith("10.") or key.server.startswith("10.")
        assert denies.judge(key, NOON).permit != monitored
    for key in (
        op("10.0.0.1", "224.0.0.9", "dnp3", "operate", "control", target=Target("g12", 0, 0)),
        op("10.0.0.1", "10.0.0.255", function="write_single_coil", access="write", transport="udp"),
        connect("10.0.0.1", "10.0.1.1", "udp", 5353),
        connect("10.0.0.1", "10.0.0.254", "udp", 9999),
        connect("10.0.0.1", "10.0.0.2", "tcp", 137),
    ):
        assert not permits.is_chatter(key)
        assert not permits.judge(key, NOON).permit


def test_realms_keep_equal_addresses_apart():
    both = policy(
        """
        otmon: 1
        realms: {cell-1: {vlans: [101]}, cell-2: {vlans: [102-103], interfaces: [eth1], inputs: [cell2.pcap]}}
        zones:
          one: {realm: cell-1, hosts: [10.0.0.0/24]}
          two: {realm: cell-2, hosts: [10.0.0.0/25]}
        assets: {plc: {hosts: [10.0.0.1], realm: cell-2}}
        conduits:
          - {id: x, realm: cell-1, from: any, to: 10.0.0.1, allow: [{protocol: modbus}]}
        """
    )
    assert both.realms.vlans == {101: "cell-1", 102: "cell-2", 103: "cell-2"}
    assert (both.realms.interfaces, both.realms.inputs) == ({"eth1": "cell-2"}, {"cell2.pcap": "cell-2"})
    assert [both.zone_of(realm, "10.0.0.1") for realm in ("cell-1", "cell-2", "default")] == ["one", "two", "outside"]
    assert [both.asset_name(realm, "10.0.0.1") for realm in ("cell-1", "cell-2")] == [None, "plc"]
    for realm, permit in (("cell-1", True), ("cell-2", False)):
        assert both.judge(op("10.0.0.2", "10.0.0.1", realm=realm), NOON).permit == permit


def test_macs_and_ipv6_have_zones():
    mixed = policy("{otmon: 1, zones: {a: {hosts: ['00:11:22:33:44:55', 'fd00::/64']}, b: {hosts: ['fd00::1']}}}")
    assert mixed.zone_of("r", "00:11:22:33:44:55") == "a"
    assert mixed.zone_path("r", "fd00::1") == ("a", "b")
    assert mixed.zone_of("r", "fd00:0:0:1::1") == "outside"


def test_severity_of_everything():
    assert {access for kind, access in SEVERITY if kind == "segmentation"} == set(_ACCESSES)
    assert {access for kind, access in SEVERITY if kind == "command"} == set(_ACCESSES)


def test_words_for_people():
    assert target_text(registers(45)) == "holding register 40046 (PDU address 45)"
    assert target_text(registers(0, 15, "coil")) == "coils 00001-00016 (PDU addresses 0-15)"
    assert target_text(registers(10_000)) == "holding register 410001 (PDU address 10000)"
    assert [reference("input_register", n) for n in (0, 9998, 9999, 65535)] == ["30001", "39999", "310000", "365536"]
    assert target_text(Target("g12", 3, 3)) == "g12 index 3"
    assert target_text(Target("block", name="OB1\x1b")) == "block OB1\\x1b"
    assert target_text(Target("DB10", 0, 255)) == "DB10 bytes 0-255"
    assert target_text(None) == ""


def test_many_addresses_leave_memory_bounded_and_verdicts_as_they_are(water, monkeypatch):
    hosts = [f"10.10.{net}.{i}" for net in (1, 2, 3, 9) for i in (9, 11, 13, 21, 30, 40, 50, 130)]
    keys = [op(client, server, target=registers(i)) for client in hosts for server in hosts for i in (0, 300)]
    expected = [water.judge(key, NOON) for key in keys]
    for cap in (2, 7):
        monkeypatch.setattr("otmon.policy.judge.MAX_POLICY_CACHE", cap)
        monkeypatch.setattr("otmon.policy.zones.MAX_POLICY_CACHE", cap)
        small = policy(WATER)
        for key, verdict in zip(keys, expected, strict=True):
            assert small.judge(key, NOON) == verdict
        assert max(map(len, (small._parties, small._kinds, small._covers, small.sites._places))) <= cap


def test_other_ip_protocols_by_number():
    routers = policy("""
        otmon: 1
        zones: {control: {level: 1, hosts: [10.1.0.0/16]}, supervision: {level: 2, hosts: [10.2.0.0/16]}}
        conduits:
          - {id: vpn, from: supervision, to: control, allow: [{protocol: ip, numbers: [50-51]}]}
    """)
    assert routers.judge(connect("10.2.0.1", "10.1.0.1", "ip", 50), NOON).permit
    refused = routers.judge(connect("10.2.0.1", "10.1.0.1", "ip", 4), NOON)
    assert (refused.kind, refused.separation) == ("segmentation", "Row vpn allows it on IP protocols 50-51.")
    assert not routers.judge(connect("10.2.0.1", "10.1.0.1", "tcp", 50), NOON).permit
    assert not routers.judge(connect("10.1.0.2", "10.1.0.1", "ip", 137), NOON).permit, "a number is no discovery port"
    assert routers.judge(connect("10.2.0.1", "224.0.0.5", "ip", 89), NOON).permit, "OSPF speaks to all routers"


@pytest.mark.parametrize(
    ("row", "permitted"),
    [
        ("access: read", {"umas_read_variables"}),
        ("functions: [umas_stop_plc]", {"umas_stop_plc"}),
        ("functions: [umas_0x99]", {"umas_0x99"}),
        ("functions: [umas]", {"umas_read_variables", "umas_write_variables", "umas_stop_plc", "umas_upload_block"}),
        (
            "functions: [90]",
            {"umas_read_variables", "umas_write_variables", "umas_stop_plc", "umas_upload_block", "umas_0x99"},
        ),
        ("access: [read, write, control]", {"umas_read_variables", "umas_write_variables", "umas_stop_plc"}),
    ],
)
def test_umas_is_permitted_function_by_function(row: str, permitted: set[str]) -> None:
    rules = policy(f"""
        otmon: 1
        zones:
          a: {{monitored: true, hosts: [10.1.0.0/24]}}
          b: {{monitored: true, hosts: [10.2.0.0/24]}}
        conduits: [{{id: c, from: a, to: b, allow: [{{protocol: modbus, {row}}}]}}]
    """)
    asked = {
        "umas_read_variables": "read", "umas_write_variables": "write", "umas_stop_plc": "control",
        "umas_upload_block": "program", "umas_0x99": "program",
    }  # fmt: skip
    judged = {
        name: rules.judge(op("10.1.0.1", "10.2.0.1", "modbus", name, access, function_code=90), NOON).permit
        for name, access in asked.items()
    }
    assert {name for name, permit in judged.items() if permit} == permitted
