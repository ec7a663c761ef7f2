"""What `otmon doctor` finds: on interfaces made up, on real ones in a network of their own, and on this machine."""

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from otmon.capture import check_host, check_interface, landlock, trial
from otmon.capture.check import LEVELS, Check
from otmon.capture.check_host import folder_checks, host_checks
from otmon.capture.check_interface import interface_checks, judge
from otmon.capture.nic import IFF_NOARP, IFF_RUNNING, IFF_UP, Feature, Nic, look
from otmon.capture.system_clock import ClockState
from tests.capture import rooted

ON, OFF, FIXED = Feature(True, True), Feature(False, True), Feature(True, False)
GOOD = Nic(
    "eth1",
    7,
    IFF_UP | IFF_RUNNING | IFF_NOARP,
    1,
    1000,
    (),
    False,
    {"rx-gro": OFF, "rx-lro": OFF, "tx-tcp-segmentation": ON, "rx-vlan-hw-parse": ON},
    (4096, 4096),
    {"frames": 10, "errors": 0, "drops": 0, "fifo": 0},
)
GRO = {"rx-gro": ON, "rx-lro": ON}


@pytest.fixture
def sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packet sockets are allowed and work."""
    for name in ("promiscuous", "ring", "packet_socket"):
        monkeypatch.setattr(trial, name, lambda *_: None)


def named(checks: list[Check], name: str) -> Check:
    (found,) = [check for check in checks if check.name == name]
    return found


def test_a_good_monitor_port_is_good(sockets: None) -> None:
    assert {check.level for check in judge(GOOD)} == {"ok"}


@pytest.mark.parametrize(
    ("change", "name", "level", "mend"),
    [
        ({"flags": IFF_NOARP}, "link", "wrong", "ip link set eth1 up"),
        ({"flags": IFF_UP | IFF_NOARP}, "link", "wrong", ""),
        ({"hardware": 772}, "kind", "warning", ""),
        ({"speed_mbit": None}, "speed", "ok", ""),
        ({"addresses": ("10.0.0.1", "fe80::1")}, "address", "warning", "ip addr flush dev eth1"),
        ({"flags": IFF_UP | IFF_RUNNING}, "silence", "warning", "ip link set eth1 arp off"),
        ({"ipv6": True}, "silence", "warning", "sysctl -w net.ipv6.conf.eth1.disable_ipv6=1"),
        ({"features": GRO}, "offloads", "warning", "ethtool -K eth1 gro off lro off"),
        ({"features": GRO | {"rx-gro-hw": FIXED}}, "offloads", "warning", "ethtool -K eth1 gro off lro off"),
        ({"features": {"rx-gro-hw": FIXED}}, "offloads", "warning", ""),
        ({"features": {}}, "offloads", "ok", ""),
        ({"ring": (256, 4096)}, "receive ring", "warning", "ethtool -G eth1 rx 4096"),
        ({"ring": None}, "receive ring", "ok", ""),
        ({"received": {"frames": 9, "drops": 2}}, "losses", "warning", "ip -s -s link show eth1"),
    ],
)
def test_what_is_not_good_is_told_with_what_mends_it(
    sockets: None, change: dict[str, Any], name: str, level: str, mend: str
) -> None:
    checks = list(judge(GOOD._replace(**change)))
    assert [check.name for check in checks if check.level != "ok"] == ([name] if level != "ok" else [])
    check = named(checks, name)
    assert (check.level, check.mend) == (level, mend)
    assert check.meaning or level == "ok"


@pytest.mark.parametrize(("failing", "level"), [("promiscuous", "wrong"), ("refused", "warning")])
def test_capture_is_tried(sockets: None, monkeypatch: pytest.MonkeyPatch, failing: str, level: str) -> None:
    def refuse(*_: object) -> str:
        raise PermissionError(1, "Operation not permitted")

    if failing == "refused":
        monkeypatch.setattr(trial, "promiscuous", refuse)
    else:
        monkeypatch.setattr(trial, failing, lambda *_: "Invalid argument")
    assert named(list(judge(GOOD)), "capture").level == level


@pytest.mark.parametrize("name", ["no-such-if", "", "x" * 40, "a\x1b[31m", "a\0b"])
def test_an_interface_that_is_not_there(name: str) -> None:
    assert look(name) is None
    (check,) = interface_checks(name)
    assert (check.level, check.found) == ("wrong", "no such interface")
    assert "\x1b" not in check.subject


REAL = """
import json
from otmon.capture.check_interface import interface_checks
from otmon.capture.nic import look
nic = look("mon")
print(json.dumps([nic._asdict(), {c.name: [c.level, c.mend] for c in interface_checks("mon")}]))
"""
VETH = "ip link add mon type veth peer name gen; ip link set gen up; ip link set mon up"
REFUSAL = rooted.refusal()
as_root = pytest.mark.skipif(REFUSAL is not None, reason=str(REFUSAL))


@as_root
def test_a_real_interface_as_it_comes() -> None:
    nic, checks = rooted.run(REAL, VETH, "ip addr add 10.9.8.7/24 dev mon")
    assert nic["flags"] & IFF_UP
    assert nic["hardware"] == 1
    assert "10.9.8.7" in nic["addresses"]
    assert checks["address"] == ["warning", "ip addr flush dev mon"]
    assert checks["silence"][0] == "warning"
    assert checks["capture"] == ["ok", ""]


@as_root
def test_the_commands_that_are_told_mend_it() -> None:
    if shutil.which("ethtool") is None or shutil.which("sysctl") is None:
        pytest.skip("needs ethtool and sysctl")
    setup = (VETH, "ip addr add 10.9.8.7/24 dev mon", "ethtool -K mon gro on")
    _, checks = rooted.run(REAL, *setup)
    mends = [mend for level, mend in checks.values() if level != "ok"]
    assert any("gro off" in mend for mend in mends)
    _, after = rooted.run(REAL, *setup, *(f"{mend} >&2" for mend in mends))
    assert {name: level for name, (level, _) in after.items() if level != "ok"} == {}


@as_root
def test_looking_transmits_nothing() -> None:
    quiet = "ip link set gen up; sysctl -qw net.ipv6.conf.mon.disable_ipv6=1; ip link set mon arp off up"
    script = REAL + "\nprint(json.dumps(int(open('/proc/net/dev').read().split('mon:')[1].split()[9])))"
    assert rooted.run(script, "ip link add mon type veth peer name gen", quiet) == 0


def test_this_machine_can_be_looked_at() -> None:
    checks = host_checks(["eth1"])
    assert len({check.name for check in checks}) == len(checks)
    assert all(check.level in LEVELS and (check.level == "ok" or check.meaning) for check in checks)
    assert all(check.as_record()["subject"] == "machine" for check in checks)


class Case(NamedTuple):
    name: str
    level: str
    function: str
    value: Any
    place: Any = check_host


@pytest.mark.parametrize(
    "case",
    [
        Case("privileges", "wrong", "has_net_raw", False),
        Case("capture ring", "wrong", "ring", "Cannot allocate memory", trial),
        Case("confinement", "warning", "abi", 0, landlock),
        Case("confinement", "warning", "abi", 3, landlock),
        Case("confinement", "ok", "abi", 6, landlock),
        Case("clock", "warning", "clock_state", ClockState(None, None, None, "adjtimex: refused")),
        Case("clock", "warning", "clock_state", ClockState(False, 0, 16_000_000_000, "adjtimex")),
        Case("clock", "ok", "clock_state", ClockState(True, 5, 2_000_000, "adjtimex")),
    ],
    ids=lambda case: f"{case.name} {case.value}",
)
def test_what_a_machine_may_lack(sockets: None, monkeypatch: pytest.MonkeyPatch, case: Case) -> None:
    monkeypatch.setattr(check_host, "has_net_raw", lambda: True)
    monkeypatch.setattr(case.place, case.function, lambda *_: case.value)
    assert named(host_checks(["eth1"]), case.name).level == case.level


def test_time_zones_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> None:
        raise KeyError(name)

    monkeypatch.setattr(check_host, "ZoneInfo", nothing)
    assert named(host_checks(), "time zones").mend.endswith("-m pip install tzdata")


def test_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "file").touch()
    found = {name: named(folder_checks(tmp_path / name), "folder").found for name in ("link", "file", "none", "")}
    assert list(found.values())[:2] == ["a symbolic link", "not a folder"]
    assert found["none"].startswith("not there yet: ")
    assert found[""].startswith("writable")
    monkeypatch.setattr("os.access", lambda *_: False)
    assert named(folder_checks(tmp_path), "folder").level == "wrong"


def test_a_folder_to_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checks = folder_checks(tmp_path / "not" / "there")
    assert named(checks, "folder").level == "ok"
    assert named(checks, "space").subject == str(tmp_path)  # where it will be
    (tmp_path / "file").touch()
    assert named(folder_checks(tmp_path / "file" / "below"), "folder").level == "wrong"
    monkeypatch.setattr("os.access", lambda *_: False)
    assert named(folder_checks(tmp_path / "none"), "folder").found == "missing"


@pytest.mark.parametrize(
    ("kind", "level"), [("ext4", "ok"), ("", "ok"), ("nfs4", "wrong"), ("9p", "wrong"), ("tmpfs", "warning")]
)
def test_file_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, level: str) -> None:
    monkeypatch.setattr(check_host, "_file_system", lambda path: kind)
    assert named(folder_checks(tmp_path), "file system").level == level


@pytest.mark.parametrize(("mib", "level"), [(50, "wrong"), (500, "warning"), (5000, "ok")])
def test_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mib: int, level: str) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=mib << 20)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    assert named(folder_checks(tmp_path), "space").level == level


@as_root
def test_the_file_system_of_a_folder_is_found() -> None:
    script = (
        "import json; from pathlib import Path; from otmon.capture.check_host import _file_system as kind\n"
        "print(json.dumps([kind(Path(p)) for p in ('/mnt/a b/c', '/mnt', '/proc/self', '/mnt/a')]))"
    )
    setup = "mkdir -p '/mnt/a b' /mnt/a; mount -t sysfs sysfs '/mnt/a b'"
    assert rooted.run(script, setup) == ["sysfs", "tmpfs", "proc", "tmpfs"]


def test_every_check_of_an_interface_has_a_name_of_its_own(sockets: None) -> None:
    names = [check.name for check in check_interface.judge(GOOD)]
    assert len(set(names)) == len(names)
