"""The unit: what it says, what systemd makes of it, and what it claims about memory that becomes executable."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from otmon.engine import cache
from otmon.outputs.service import Service, ServiceError, shown

ROOT = Path(__file__).parents[2]
PLAIN = Service(("eth1", "eth2.5"), Path("/etc/otmon/plant.yaml"), Path("/var/lib/otmon"), "otmon", Path("/bin/true"))


def settings(text: str) -> dict[str, list[str]]:
    """Values of every setting of a unit."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line and line[0] not in "#[":
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def test_it_watches_what_was_asked_for() -> None:
    unit = settings(PLAIN.unit())
    arguments = "eth1 eth2.5 --policy /etc/otmon/plant.yaml --data /var/lib/otmon"
    assert unit["ExecStart"] == [f"/bin/true watch {arguments}"]
    assert unit["ExecReload"] == ["kill -HUP $MAINPID"]
    assert unit["ReadWritePaths"] == ["/var/lib/otmon"]
    assert (unit["Type"], unit["Restart"], unit["User"]) == (["notify"], ["on-failure"], ["otmon"])
    assert int(unit["WatchdogSec"][0]) >= 30


def test_ports_are_made_silent_before_and_only_that_is_done_as_root() -> None:
    lines = settings(PLAIN.unit())["ExecStartPre"]
    assert all(line.startswith("-+") for line in lines)
    assert len(lines) == 6
    assert "-+ip link set eth1 up arp off" in lines
    assert "-+sysctl -qw net.ipv6.conf.eth2/5.disable_ipv6=1" in lines  # a dot would be one more folder


def test_it_has_the_least_privileges() -> None:
    unit = settings(PLAIN.unit())
    assert unit["CapabilityBoundingSet"] == unit["AmbientCapabilities"] == ["CAP_NET_RAW CAP_SETPCAP"]
    assert unit["NoNewPrivileges"] == ["yes"]
    assert unit["ProtectSystem"] == ["strict"]
    assert not {"MemoryDenyWriteExecute", "ProtectClock"} & unit.keys()  # the unit says why
    assert "MemoryDenyWriteExecute= must stay off: " in PLAIN.unit()


def outputs(*hosts: str, credentials: tuple[tuple[str, Path], ...] = ()) -> Service:
    config = Path("/etc/otmon/sensor.yaml")
    return Service(("eth1",), None, Path("/d"), "otmon", Path("/bin/true"), config, hosts, credentials)


def test_without_outputs_nothing_leaves_the_machine() -> None:
    unit = settings(PLAIN.unit())
    assert (unit["IPAddressDeny"], unit["IPAddressAllow"]) == (["any"], ["localhost"])
    assert "LoadCredential" not in unit


def test_addresses_of_outputs_are_let_through_and_no_others() -> None:
    unit = settings(outputs("10.1.2.3", "localhost", "fd00::1", "10.1.2.3", "fe80::1%eth0").unit())
    assert unit["IPAddressDeny"] == ["any"]
    assert unit["IPAddressAllow"] == ["localhost 10.1.2.3 fd00::1 fe80::1"]


def test_with_a_name_there_is_no_list_and_the_unit_says_why() -> None:
    text = outputs("10.1.2.3", "siem.example").unit()
    assert not {"IPAddressDeny", "IPAddressAllow"} & settings(text).keys()
    assert "# No IPAddressDeny=: siem.example is a name, whose address may" in text


def test_secrets_of_roots_are_handed_over() -> None:
    unit = settings(outputs(credentials=(("elastic", Path("/etc/o/key")), ("webhook", Path("/etc/a b%c")))).unit())
    assert unit["LoadCredential"] == ["elastic:/etc/o/key", "webhook:/etc/a b%%c"]
    with pytest.raises(ServiceError, match="a unit needs an absolute path"):
        outputs(credentials=(("elastic", Path("/etc/a\nUser=root")),)).unit()


def test_a_policy_is_not_needed() -> None:
    assert "--policy" not in PLAIN.unit().replace("--policy /etc/otmon/plant.yaml", "", 1)
    unit = settings(Service(("eth1",), None, Path("/d"), "otmon", Path("/bin/true")).unit())
    assert unit["ExecStart"] == ["/bin/true watch eth1 --data /d"]


def test_odd_paths_are_written_as_systemd_reads_them() -> None:
    unit = settings(Service(("eth1",), None, Path("/srv/a b%c$d"), "otmon", Path("/bin/true")).unit())
    assert unit["ExecStart"] == ['/bin/true watch eth1 --data "/srv/a b%%c$$d"']
    assert unit["ReadWritePaths"] == ['"/srv/a b%%c$d"']


@pytest.mark.parametrize("path", ["relative", "/a\nExecStart=/bin/sh", '/a"b', "/a\\b", "/a'b", "/a\x7f"])
def test_paths_that_no_unit_can_name_are_refused(path: str) -> None:
    with pytest.raises(ServiceError, match="a unit needs an absolute path"):
        Service(("eth1",), None, Path(path), "otmon", Path("/bin/true")).unit()


@pytest.mark.parametrize("name", ["", "eth1 ; reboot", "-x", "a" * 16, "eth1\n", "%n", "$x"])
def test_interfaces_have_names(name: str) -> None:
    with pytest.raises(ServiceError, match="is no name of an interface"):
        Service((name,), None, Path("/d"), "otmon", Path("/bin/true"))


@pytest.mark.parametrize("user", ["", "root", "Otmon", "o t", "0tmon", "otmon\n"])
def test_users_have_names(user: str) -> None:
    with pytest.raises(ServiceError, match="is no user for a service"):
        Service(("eth1",), None, Path("/d"), user, Path("/bin/true"))


def test_the_commands_before_it() -> None:
    new, old = (list(map(shown, PLAIN.before(exists))) for exists in (False, True))
    assert new[0].startswith("useradd --system ")
    assert new[1:] == old
    assert old == [
        "install -d -o otmon -g otmon -m 0750 /var/lib/otmon",
        "install -d -m 0755 /var/cache/otmon",
        "env OTMON_CACHE=/var/cache /bin/true warm",
        "chmod -R u=rwX,go=rX /var/cache/otmon",
    ]


def test_what_the_service_could_not_see_is_told() -> None:
    assert PLAIN.out_of_sight((Path("/opt/otmon"),)) == []
    assert PLAIN.out_of_sight((Path("/home/me/venv"),)) == [Path("/home/me/venv")]


def test_kernels_made_for_everybody_to_read_are_still_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from otmon.wire.kernelfile import pack

    monkeypatch.setenv("OTMON_CACHE", str(tmp_path))
    cache.kernels.cache_clear()
    try:
        cache.kernels().parent.mkdir(mode=0o700)
        cache.kernels().write_bytes(pack({"a": b"code"}))
        cache.kernels().chmod(0o600)
        subprocess.run([*PLAIN.before(True)[-1][:-1], str(cache.kernels().parent)], check=True)
        assert cache.kernels().stat().st_mode & 0o777 == 0o644
        assert cache.is_warm()
    finally:
        monkeypatch.undo()
        cache.kernels.cache_clear()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_takes_it_and_finds_it_well_confined(tmp_path: Path) -> None:
    file = tmp_path / "otmon.service"
    odd = Service(("eth1", "eth2.5"), Path("/etc/o %n/p$x.yaml"), Path("/srv/a b%c$d"), "nobody", Path("/bin/true"))
    named = outputs("10.1.2.3", "siem.example", credentials=(("webhook", Path("/etc/a b%c")),))
    literal = outputs("10.1.2.3", "fd00::1", credentials=(("elastic", Path("/etc/otmon/key")),))
    for service in (odd, named, literal, PLAIN):
        file.write_text(service.unit())
        done = subprocess.run(["systemd-analyze", "verify", str(file)], capture_output=True, text=True, check=False)
        said = [line for line in done.stderr.splitlines() if "otmon.service" in line and "ethtool" not in line]
        assert [line for line in said if "nobody" not in line] == []
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and "unrecognized option" in done.stderr:
        pytest.skip("this systemd-analyze looks at running services only")
    found = re.search(r"exposure level for otmon.service: ([\d.]+)", done.stdout)
    assert found, done.stderr
    assert float(found[1]) <= 2.5


MDWE = """
import ctypes, sys
if ctypes.CDLL(None).prctl(65, int(sys.argv[1]), 0, 0, 0) and sys.argv[1] == "1":
    sys.exit("no PR_SET_MDWE")
from otmon.engine import analyze
print(analyze([sys.argv[2]]).part.frames["captured"])
"""


def test_memory_deny_write_execute_would_stop_it() -> None:
    """PR_SET_MDWE (Linux 6.3) forbids what MemoryDenyWriteExecute= forbids."""
    if not cache.is_warm():
        pytest.skip("no compiled kernels here: otmon warm")
    capture = str(ROOT / "captures" / "plant.pcap")
    codes, words = [], ""
    environment = {k: v for k, v in os.environ.items() if k != "OTMON_INTERPRET"} | {"PYTHONPATH": str(ROOT)}
    for deny in ("0", "1"):
        command = [sys.executable, "-c", MDWE, deny, capture]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        codes.append(done.returncode)
        words += done.stderr
    if "no PR_SET_MDWE" in words:
        pytest.skip("this kernel has no PR_SET_MDWE")
    assert codes[0] == 0
    assert codes[1] != 0
