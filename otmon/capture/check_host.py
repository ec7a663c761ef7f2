"""Checks of the machine: privileges, kernel, memory, clock, time zones, and the folder that will hold the data."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from otmon import __version__
from otmon.capture import landlock, trial
from otmon.capture.check import Check, Level
from otmon.capture.kernel import has_net_raw
from otmon.capture.system_clock import clock_state
from otmon.text import safe_text

RING_MIB: Final = 64
"""The ring of one interface, as measured to hold half a million frames a second (64 blocks of 1 MiB)."""
_MEMORY_MIB: Final = 1024
_DISK_WARNING_MIB: Final = 1024
_DISK_WRONG_MIB: Final = 100
_NETWORK_FS: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "afs", "ceph", "glusterfs"})
_READ_ONLY_FS: Final = frozenset({"squashfs", "iso9660"})
_FLEETING_FS: Final = frozenset({"tmpfs", "ramfs"})
_MIB: Final = 1 << 20
_PATH_CHARS: Final = 1024
MACHINE: Final = "machine"


def _shown(path: Path) -> str:
    return safe_text(str(path), _PATH_CHARS)


def _versions() -> Check:
    found = f"otmon {__version__}, Python {platform.python_version()}, Linux {platform.release()}"
    return Check(MACHINE, "versions", "ok", found)


def _privileges(needed: bool) -> Check:
    if has_net_raw():
        return Check(MACHINE, "privileges", "ok", "packet sockets are allowed (and given up once open)")
    means = "Watching an interface needs CAP_NET_RAW. The service has it."
    mend = f"sudo {Path(sys.prefix, 'bin', 'otmon')} doctor" if needed else ""
    return Check(MACHINE, "privileges", "wrong" if needed else "warning", "no CAP_NET_RAW", means, mend)


def _packets() -> Check:
    refused = trial.packet_socket()
    if refused is not None:
        means = "Not tried: see `privileges`." if not has_net_raw() else "The kernel or a container refuses them."
        return Check(MACHINE, "capture ring", "warning" if not has_net_raw() else "wrong", refused, means)
    failed = trial.ring(RING_MIB)
    if failed is not None:
        means = f"The kernel has no {RING_MIB} MiB in whole pieces for a TPACKET_V3 ring. Free memory, or restart."
        return Check(MACHINE, "capture ring", "wrong", failed, means, "echo 1 > /proc/sys/vm/compact_memory")
    return Check(MACHINE, "capture ring", "ok", f"TPACKET_V3, {RING_MIB} MiB")


def _memory() -> Check:
    try:
        rows = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
        available = next(int(row[1]) // 1024 for row in rows if row[0] == "MemAvailable:")
    except (OSError, StopIteration, ValueError, IndexError):
        return Check(MACHINE, "memory", "ok", "not told by this system")
    found = f"{available:,} MiB available"
    if available < _MEMORY_MIB:
        means = f"otmon is built to stay under {_MEMORY_MIB:,} MiB on a large plant; a small one needs a fifth of that."
        return Check(MACHINE, "memory", "warning", found, means)
    return Check(MACHINE, "memory", "ok", found)


def _confinement() -> Check:
    version = landlock.abi()
    if not version:
        means = "After start-up the sensor is held back by its user alone. Linux 5.13 has Landlock; it must be in lsm=."
        return Check(MACHINE, "confinement", "warning", "no Landlock", means, "cat /sys/kernel/security/lsm")
    if not landlock.restricts_network(version):
        means = "Files are confined; TCP ports need ABI 4 (Linux 6.7). The unit's IPAddressDeny does that meanwhile."
        return Check(MACHINE, "confinement", "warning", f"Landlock ABI {version}", means)
    return Check(MACHINE, "confinement", "ok", f"Landlock ABI {version}: files and TCP ports")


def _clock() -> Check:
    state = clock_state()
    if state.synchronised is None:
        return Check(MACHINE, "clock", "warning", state.source, "Whether it is synchronised cannot be told.")
    if not state.synchronised:
        means = "Alerts carry this clock's time. (chrony tells the kernel only with `rtcsync` in its configuration.)"
        return Check(MACHINE, "clock", "warning", "not synchronised", means, "timedatectl set-ntp true")
    error_ms = (state.max_error_ns or 0) / 1e6
    return Check(MACHINE, "clock", "ok", f"synchronised, off by {error_ms:,.0f} ms at most")


def _zones() -> Check:
    try:
        ZoneInfo("Europe/Vienna")
    except (OSError, ValueError, ImportError, KeyError):
        means = "Policies with a time zone cannot be read."
        return Check(MACHINE, "time zones", "wrong", "no data", means, f"{sys.executable} -m pip install tzdata")
    return Check(MACHINE, "time zones", "ok", "there")


def host_checks(interfaces: Sequence[str] = ()) -> list[Check]:
    """Look at the machine; with interfaces to watch, what watching needs must be there."""
    return [
        *(_versions(), _privileges(bool(interfaces)), _packets(), _memory(), _confinement(), _clock(), _zones()),
    ]


def _file_system(path: Path) -> str:
    """The type of the file system a path lies on (/proc/self/mountinfo, proc(5)); empty if unknown."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(errors="replace").splitlines()
    except OSError:
        return ""
    best, kind = -1, ""
    for line in lines:
        mount, _, rest = line.partition(" - ")
        # Spaces and the like are written in octal.
        point = Path(mount.split()[4].encode().decode("unicode_escape"))
        if path.is_relative_to(point) and len(point.parts) >= best:  # of several at one place the last is on top
            best, kind = len(point.parts), rest.split()[0]
    return kind


def _suits(path: Path, kind: str) -> Iterator[Check]:
    place = _shown(path)
    if kind in _NETWORK_FS:
        means = "SQLite's WAL needs shared memory and locks, which network file systems lack: databases break there."
        yield Check(place, "file system", "wrong", kind, means)
    elif kind in _READ_ONLY_FS:
        yield Check(place, "file system", "wrong", kind, "It cannot be written to.")
    elif kind in _FLEETING_FS:
        means = "Baseline, alerts and everything learnt are gone when the machine restarts."
        yield Check(place, "file system", "warning", kind, means)
    else:
        yield Check(place, "file system", "ok", kind or "unknown")


def _space(path: Path) -> Check:
    free = shutil.disk_usage(path).free // _MIB
    if free >= _DISK_WARNING_MIB:
        return Check(_shown(path), "space", "ok", f"{free:,} MiB free")
    means = "A full disk stops what is remembered, not what is watched."
    level: Level = "wrong" if free < _DISK_WRONG_MIB else "warning"
    return Check(_shown(path), "space", level, f"{free:,} MiB free", means, f"du -xh -d1 {_shown(path)}")


def folder_checks(data: Path) -> list[Check]:
    """Look at a data folder, or at where it would be made. Nothing is written."""
    place = _shown(data)
    if data.is_symlink():
        means = "A sensor started as root does not follow it: name the folder itself."
        return [Check(place, "folder", "wrong", "a symbolic link", means)]
    if data.exists() and not data.is_dir():
        return [Check(place, "folder", "wrong", "not a folder", "Name another one with --data.")]
    if not data.exists():
        parent = next(folder for folder in data.absolute().parents if folder.exists())
        if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
            means = f"It is not there yet, and this user cannot make it in {_shown(parent)}."
            return [Check(place, "folder", "wrong", "missing", means, f"install -d -m 750 {place}")]
        found = "not there yet: otmon watch or otmon install-service makes it"
        return [Check(place, "folder", "ok", found), *_suits(parent, _file_system(parent.resolve())), _space(parent)]
    writable = os.access(data, os.R_OK | os.W_OK | os.X_OK)
    checks = [
        Check(place, "folder", "ok", f"writable, of user {data.stat().st_uid}")
        if writable
        else Check(place, "folder", "wrong", "not writable", "Records and alerts go there.", f"ls -ld {place}")
    ]
    return [*checks, *_suits(data, _file_system(data.resolve())), _space(data)]
