"""Privileges, tried: what a sensor that dropped them cannot do any more, and what it still can."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from otmon.capture import handover, landlock
from otmon.capture.privileges import PrivilegeError, drop
from otmon.engine import cache
from tests.capture import rooted

REFUSAL = rooted.refusal()
as_root = pytest.mark.skipif(REFUSAL is not None, reason=str(REFUSAL))
with_landlock = pytest.mark.skipif(landlock.abi() < 1, reason="this kernel has no Landlock")
with_ports = pytest.mark.skipif(landlock.abi() < 4, reason="Landlock on this kernel knows no ports")

AFTER = r"""
import errno, json, os, socket, sqlite3, struct, subprocess, tempfile
from pathlib import Path
from otmon.capture.privileges import drop

def tried(action):
    try:
        return str(action())
    except (OSError, sqlite3.Error) as error:
        return errno.errorcode.get(getattr(error, "errno", None), str(error))

SOL_PACKET, ADD, PROMISC, ALL = 263, 1, 1, socket.htons(3)
ring = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
ring.bind(("mon", 3))
listeners = [socket.create_server(("127.0.0.1", port)) for port in (9200, 9201)]
data = Path("/mnt/data")
dropped = drop(data=data, reads=[Path("/mnt/etc/policy.yaml")], tcp_connect=[9200], tcp_bind=[9300])

def wal():
    db = sqlite3.connect(data / "site.db", isolation_level=None)
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE t (x)")
    db.execute("BEGIN")
    db.executemany("INSERT INTO t VALUES (?)", ((os.urandom(500),) for _ in range(4000)))
    db.execute("COMMIT")
    db.execute("CREATE TABLE s AS SELECT * FROM t ORDER BY x")  # sorts, which may take a temporary file
    mode = db.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    db.execute("INSERT INTO t VALUES (1)")
    return mode, (data / "site.db-wal").exists()

def replaced():
    "As an editor does it: the file is another one now."
    return Path("/mnt/etc/policy.yaml").read_text()

def resume():
    ring.bind(("mon", 3))
    member = struct.pack("iHH8s", socket.if_nametoindex("mon"), PROMISC, 0, bytes(8))
    ring.setsockopt(SOL_PACKET, ADD, member)
    return "resumed"

def write(path):
    Path(path).write_text("x")
    return "written"

print(json.dumps({
    "record": dropped.as_record(),
    "ids": [os.getresuid(), os.getresgid(), os.getgroups()],
    "status": {k: v.strip() for k, _, v in (l.partition(":") for l in open("/proc/self/status"))},
    "root again": tried(lambda: os.setuid(0)),
    "raw socket": tried(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)),
    "raw ip socket": tried(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)),
    "write open folder": tried(lambda: write("/mnt/open/x")),
    "read open folder": tried(lambda: os.listdir("/mnt/open")),
    "write /tmp": tried(lambda: write("/tmp/otmon-test-must-not-be-there")),
    "write inside": tried(lambda: write(data / "x")),
    "replace inside": tried(lambda: os.replace(data / "x", data / "y")),
    "null": tried(lambda: write("/dev/null")),
    "program": tried(lambda: subprocess.run(["/bin/true"]).returncode),
    "temporary": tried(lambda: tempfile.NamedTemporaryFile().name.startswith("/mnt/data/")),
    "policy": tried(replaced),
    "wal": tried(wal),
    "owner": os.stat(data / "site.db").st_uid,
    "core": __import__("resource").getrlimit(4),
    "connect allowed": tried(lambda: socket.create_connection(("127.0.0.1", 9200), 2) and "connected"),
    "connect other": tried(lambda: socket.create_connection(("127.0.0.1", 9201), 2) and "connected"),
    "bind allowed": tried(lambda: socket.create_server(("127.0.0.1", 9300)) and "bound"),
    "bind other": tried(lambda: socket.create_server(("127.0.0.1", 9301)) and "bound"),
    "again": drop(data=data).as_record()["measures"]["files"]["ok"],
    "resume": tried(resume),
    "promiscuous": int(open("/sys/class/net/mon/flags").read(), 16) >> 8 & 1,
}))
"""
SETUP = (
    "mount -t sysfs sysfs /sys; ip link set lo up; ip link add mon type veth peer name gen; ip link set mon up",
    "mkdir -m 700 /mnt/data; mkdir -m 777 /mnt/open; mkdir /mnt/etc; echo old > /mnt/etc/policy.yaml",
    "mkdir /mnt/data/evidence; touch /mnt/data/site.db /mnt/data/evidence/1.pcap; chmod 600 /mnt/data/site.db",
)


@pytest.fixture(scope="module")
def after() -> Any:
    """What a process can do that was root and dropped it."""
    return rooted.run(AFTER, *SETUP)


@as_root
def test_it_is_nobody_for_good(after: Any) -> None:
    uid = after["record"]["uid"]
    assert uid != 0
    assert after["ids"] == [[uid] * 3, [after["record"]["gid"]] * 3, []]
    assert after["root again"] == "EPERM"


@as_root
@pytest.mark.parametrize("name", ["CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"])
def test_no_capability_is_left(after: Any, name: str) -> None:
    assert int(after["status"][name], 16) == 0


@as_root
def test_nothing_can_be_gained(after: Any) -> None:
    assert after["status"]["NoNewPrivs"] == "1"
    assert after["core"] == [0, 0]
    assert (after["raw socket"], after["raw ip socket"]) == ("EPERM", "EPERM")


@as_root
@with_landlock
def test_it_writes_in_the_data_folder_alone(after: Any) -> None:
    assert (after["write open folder"], after["write /tmp"]) == ("EACCES", "EACCES")
    assert after["read open folder"] == "EACCES"
    assert (after["write inside"], after["replace inside"], after["temporary"]) == ("written", "None", "True")
    assert after["null"] == "written"
    assert after["policy"] == "old\n"
    assert not Path("/tmp/otmon-test-must-not-be-there").exists()


@as_root
@with_landlock
def test_it_starts_no_program(after: Any) -> None:
    assert after["program"] == "EACCES"


@as_root
def test_a_database_works_there(after: Any) -> None:
    assert after["wal"] == "('wal', True)"
    assert after["owner"] == after["record"]["uid"]


@as_root
@with_ports
def test_only_listed_ports_are_reached(after: Any) -> None:
    assert (after["connect allowed"], after["connect other"]) == ("connected", "EACCES")
    assert (after["bind allowed"], after["bind other"]) == ("bound", "EACCES")


@as_root
def test_an_open_socket_is_bound_again(after: Any) -> None:
    assert (after["resume"], after["promiscuous"]) == ("resumed", 1)


@as_root
def test_the_result_says_what_holds(after: Any) -> None:
    failed = {name for name, measure in after["record"]["measures"].items() if not measure["ok"]}
    assert failed <= ({"files", "network"} if landlock.abi() < 4 else set())
    assert after["again"] or landlock.abi() < 1


ANALYSE = """
import json, sys
from pathlib import Path
from otmon.capture.privileges import drop
from otmon.engine import analyze, cache
assert cache.is_warm() == {warm}
cache.choose([{capture!r}])
drop(data=Path("/mnt/data"), reads=[Path("/mnt/cache/otmon"), Path({capture!r})])
result = analyze([{capture!r}], messages_path=Path("/mnt/data/messages.jsonl"))
from otmon.wire import loads
messages = sum(1 for _ in open("/mnt/data/messages.jsonl"))
print(json.dumps([result.part.frames["captured"], messages, bool(loads.KERNELS)]))
"""


@as_root
@pytest.mark.parametrize("compiled", [True, False])
def test_the_engine_runs_under_the_restrictions(compiled: bool) -> None:
    capture = str(rooted.ROOT / "captures" / "plant.pcap")
    copy = ["mkdir -p /mnt/cache/otmon /mnt/data"]
    if compiled:
        if not cache.is_warm():
            pytest.skip("no compiled kernels here: otmon warm")
        copy.append(f"cat > /mnt/cache/otmon/{cache.kernels().name}")
    script = ANALYSE.format(capture=capture, warm=compiled)
    environment = {"OTMON_CACHE": "/mnt/cache", "OTMON_INTERPRET": "" if compiled else "1"}
    stdin = cache.kernels() if compiled else None
    frames, messages, used = rooted.run(script, *copy, stdin=stdin, **environment)
    assert frames > 1000
    assert messages > 100
    assert used == compiled


AMBIENT = """
import json, os, socket
from pathlib import Path
from otmon.capture import trial
from otmon.capture.privileges import drop
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
s.bind(("lo", 3))
assert trial.ring(64) is None
assert trial.promiscuous("lo", 1) is None
record = drop("somebody else", data=Path("/mnt/data")).as_record()
status = {k: v.strip() for k, _, v in (l.partition(":") for l in open("/proc/self/status"))}
try:
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
except PermissionError:
    print(json.dumps([record["uid"], {status[f"Cap{n}"] for n in ("Eff", "Prm", "Inh", "Bnd", "Amb")} == {"0" * 16}]))
"""


@as_root
def test_a_unit_that_gives_one_capability_is_enough() -> None:
    """As systemd starts it: the service user already, with CAP_NET_RAW and, to empty the bounding set, CAP_SETPCAP."""
    caps = "+net_raw,+setpcap"
    become = f"setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps {caps} --ambient-caps {caps}"
    setup = "mkdir /mnt/data; chown 65534:65534 /mnt/data"
    assert rooted.run(AMBIENT, setup, under=f"{become} --bounding-set -all,{caps}") == [65534, True]


def refused(script: str, *setup: str) -> str:
    """The one line with which dropping was refused, nothing having been given up."""
    code = f"""
import json, os
from pathlib import Path
from otmon.capture.privileges import PrivilegeError, drop
try:
    drop({script})
except PrivilegeError as error:
    print(json.dumps([os.geteuid(), str(error)]))
"""
    uid, line = rooted.run(code, *setup)
    assert uid == 0
    assert "\n" not in line
    return str(line)


@as_root
@pytest.mark.parametrize(
    ("arguments", "setup", "said"),
    [
        ("'no\\x1bsuch', data=Path('/mnt')", "", r"there is no user no\x1bsuch; make it: useradd --system"),
        ("'root', data=Path('/mnt')", "", "root is root; name a user without privileges"),
        ("data=Path('/mnt/none')", "", "/mnt/none: No such file or directory; make it: mkdir -p /mnt/none"),
        ("data=Path('/mnt/f')", "touch /mnt/f", "/mnt/f: is no folder"),
        ("data=Path('/mnt/l')", "mkdir /mnt/d; ln -s d /mnt/l", "/mnt/l: is a symbolic link"),
        ("data=Path('/mnt/d')", "mkdir /mnt/d; chown 1234 /mnt/d", "/mnt/d: belongs to user 1234, neither to root nor"),
    ],
)
def test_what_is_not_right_is_refused_before_anything_is_given_up(arguments: str, setup: str, said: str) -> None:
    assert refused(arguments, setup).startswith(said)


OWNERS = """
import json, os
from pathlib import Path
from otmon.capture.handover import hand_over
said = hand_over(Path("/mnt/data"), 65534, 65534)
names = ["", "site.db", "alerts.jsonl", "notes.txt", "evidence", "evidence/1.pcap", "evidence/keep.bin", "theirs.db"]
owners = {n: os.stat(f"/mnt/data/{n}").st_uid for n in names}
others = [os.stat(f"/mnt/{n}").st_uid for n in ("shadow.db", "outside", "hard.db")]
print(json.dumps([said, owners, *others]))
"""


@as_root
def test_only_what_otmon_writes_is_handed_over_and_nothing_is_followed() -> None:
    setup = (
        "mkdir -p /mnt/data/evidence /mnt/outside; cd /mnt/data; touch site.db alerts.jsonl notes.txt theirs.db",
        "touch evidence/1.pcap evidence/keep.bin ../shadow.db ../hard.db; ln -s ../shadow.db run.json",
        "ln -s ../outside summary.json; ln ../hard.db hard.db; mkfifo messages.jsonl; chown 1234 theirs.db",
    )
    said, owners, *others = rooted.run(OWNERS, *setup)
    nobody = ("", "site.db", "alerts.jsonl", "evidence", "evidence/1.pcap")
    assert owners == {"notes.txt": 0, "evidence/keep.bin": 0, "theirs.db": 1234} | dict.fromkeys(nobody, 65534)
    assert others == [0, 0, 0]
    assert said == "the data folder was handed to user 65534"


def test_without_root_the_rest_still_holds(tmp_path: Path) -> None:
    script = (
        "import json, sys, os; from pathlib import Path; from otmon.capture.privileges import drop\n"
        "print(json.dumps(drop('nobody', data=Path(sys.argv[1])).as_record()))"
    )
    if os.geteuid() == 0:
        if REFUSAL is not None:
            pytest.skip(REFUSAL)
        under = "setpriv --reuid 1234 --regid 1234 --clear-groups"
        script = script.replace("sys.argv[1]", "'/mnt/data'")
        record = rooted.run(script, "mkdir /mnt/data; chown 1234 /mnt/data", under=under)
        assert record["uid"] == 1234
    else:
        command = [sys.executable, "-c", script, str(tmp_path)]
        record = json.loads(subprocess.run(command, capture_output=True, check=True, cwd=rooted.ROOT).stdout)
        assert record["uid"] == os.geteuid()
    measures = record["measures"]
    assert measures["no_new_privs"]["ok"]
    assert measures["files"]["ok"] == (landlock.abi() > 0)
    assert "was not root" in measures["user"]["detail"]


def test_a_kernel_without_landlock_is_said_not_fatal(monkeypatch: pytest.MonkeyPatch) -> None:
    from otmon.capture import privileges

    monkeypatch.setattr(landlock, "abi", lambda: 0)
    measures = privileges._landlock(landlock.Reach([], []))
    assert [(m.name, m.ok) for m in measures] == [("files", False), ("network", False)]
    assert "no Landlock" in measures[0].detail


@pytest.mark.parametrize(("version", "words"), [(1, 1), (3, 1), (4, 2), (5, 2), (6, 3), (99, 3)])
def test_rules_are_as_long_as_the_kernel_knows_them(version: int, words: int) -> None:
    assert len(landlock._attributes(version)) == 8 * words
    assert landlock._file_rights(version) == {1: 2**13 - 1, 3: 2**15 - 1, 4: 2**15 - 1}.get(version, 2**16 - 1)


@pytest.mark.parametrize("version", range(1, landlock.abi() + 1))
def test_rules_of_every_older_abi_are_taken_by_this_kernel(version: int, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    reach = landlock.Reach([tmp_path / "file", tmp_path / "none"], [tmp_path], [Path("/dev/null")], [9200], [9300])
    os.close(landlock.ruleset(reach, version))


def test_errors_are_of_one_kind() -> None:
    assert handover.PrivilegeError is PrivilegeError
    assert callable(drop)
