"""What is given up once the capture sockets are open: root, capabilities, files, the network.

Most of it is a matter of one thread and of what it starts later, so `drop` comes before any thread is started.
"""

import os
import pwd
import resource
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from otmon.capture import kernel, landlock
from otmon.capture.handover import PrivilegeError, hand_over
from otmon.text import safe_text

__all__ = ["DEFAULT_USER", "SYSTEM_READS", "Dropped", "Measure", "PrivilegeError", "drop"]

DEFAULT_USER: Final = "nobody"
SYSTEM_READS: Final = ("/usr", "/lib", "/lib64", "/etc", "/proc", "/sys", "/dev", "/run/systemd/resolve")
"""Libraries, time zones, certificates, name resolution, the state of interfaces; file permissions hold beside."""
_DEVICES: Final = (Path("/dev/null"),)
_OPEN_FILES: Final = 4096
_THREAD_FIELDS: Final = ("CapEff", "CapPrm", "CapInh", "CapAmb", "CapBnd")


class Measure(NamedTuple):
    """One restriction: whether it holds, and how or why not."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """Who the process is now, and what holds."""

    uid: int
    gid: int
    measures: tuple[Measure, ...]

    def as_record(self) -> dict[str, Any]:
        """For the health record: uid, gid, and the measures by name."""
        held = {m.name: {"ok": m.ok, "detail": m.detail} for m in self.measures}
        return {"uid": self.uid, "gid": self.gid, "measures": held}


def drop(
    user: str | None = DEFAULT_USER,
    *,
    data: Path | None,
    reads: Sequence[Path] = (),
    tcp_connect: Sequence[int] = (),
    tcp_bind: Sequence[int] = (),
) -> Dropped:
    """Give up all that a running sensor does not need; sockets and files that are open stay as they are.

    Root hands `data` (None: nothing will be written) over and becomes `user` (None: stays root, without its
    capabilities); anybody else stays who they are. Then, for everyone: no capabilities,
    no_new_privs, no core dumps, and Landlock: writes beneath `data` alone, reads there, beneath `reads` (for a file:
    its folder, because an editor puts a new file in its place), Python's own folders and SYSTEM_READS; no program can
    be started, no TCP port used but those listed. Temporary files go to `data`. What a kernel does not have is not an
    error: the result says so. Raises PrivilegeError before anything is given up if the user or the folder is not right,
    and if root could not be left.
    """
    account = _account(user) if user is not None and os.geteuid() == 0 else None
    measures = []
    if account is not None and data is not None:
        _look_for_way(data, account)
        measures.append(Measure("data folder", True, hand_over(data, account.pw_uid, account.pw_gid)))
    measures.append(_attempt("bounding set", kernel.clear_bounding_set, "no program can gain a capability"))
    if account is not None:
        _become(account)
    if data is not None and not os.access(data, os.R_OK | os.W_OK | os.X_OK):
        raise PrivilegeError(
            f"{safe_text(str(data), 1024)}: user {_name()} cannot write there; chown it to that user, "
            "and choose a place whose parent folders others may enter"
        )
    measures += [] if data is None else [_temporary_files(data)]
    measures += [_user(account)]
    measures += [_attempt(*step) for step in _STEPS]
    writable = [] if data is None else [data]
    readable = [*writable, *(f for path in reads for f in _folders(path)), *_python(), *map(Path, SYSTEM_READS)]
    measures += _landlock(landlock.Reach(readable, writable, _DEVICES, tcp_connect, tcp_bind))
    measures += [_code(), _every_thread()]
    return Dropped(os.geteuid(), os.getegid(), tuple(measures))


def _limit_files() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


_STEPS: Final[tuple[tuple[str, Callable[[], Any], str], ...]] = (
    (
        "ambient capabilities",
        lambda: kernel.prctl(kernel.PR_CAP_AMBIENT, kernel.PR_CAP_AMBIENT_CLEAR_ALL),
        "none",
    ),
    ("capabilities", kernel.clear_capabilities, "none"),
    ("no_new_privs", lambda: kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1), "set-user-ID programs gain nothing"),
    ("memory is private", lambda: kernel.prctl(kernel.PR_SET_DUMPABLE, 0), "no other process may look into it"),
    ("no core dumps", lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)), "traffic stays out of dumps"),
    ("open files", _limit_files, f"at most {_OPEN_FILES:,}"),
)
"""No RLIMIT_NPROC: it counts what other services run as the same user. No RLIMIT_AS: address space is not memory, and
compiled code and rings reserve much of it. The unit's TasksMax and MemoryMax mean what they say.
"""


def _attempt(name: str, step: Callable[[], Any], meaning: str) -> Measure:
    try:
        step()
    except (OSError, ValueError) as error:
        return Measure(name, False, str(getattr(error, "strerror", None) or error))
    return Measure(name, True, meaning)


def _account(user: str) -> pwd.struct_passwd:
    shown = safe_text(user)
    try:
        account = pwd.getpwnam(user)
    except (KeyError, ValueError):
        raise PrivilegeError(
            f"there is no user {shown}; make it: useradd --system --no-create-home --shell /usr/sbin/nologin {shown}"
        ) from None
    if account.pw_uid == 0:
        raise PrivilegeError(f"{shown} is root; name a user without privileges, such as {DEFAULT_USER}")
    return account


def _look_for_way(data: Path, account: pwd.struct_passwd) -> None:
    """Whether the user will get to the data folder. Raises PrivilegeError."""
    for folder in data.resolve().parents:
        status = folder.stat()
        own, group = status.st_uid == account.pw_uid, status.st_gid == account.pw_gid
        if not status.st_mode & (0o100 if own else 0o010 if group else 0o001):
            raise PrivilegeError(
                f"{safe_text(str(data), 1024)}: user {account.pw_name} cannot enter {safe_text(str(folder), 1024)}; "
                "choose a place whose parent folders others may enter"
            )


def _become(account: pwd.struct_passwd) -> None:
    uid, gid = account.pw_uid, account.pw_gid
    try:
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    except OSError as error:
        raise PrivilegeError(
            f"cannot become user {account.pw_name}: {error.strerror}; it needs CAP_SETUID and CAP_SETGID, "
            "which this container or unit does not give"
        ) from None
    if (os.getresuid(), os.getresgid(), os.getgroups()) != ((uid,) * 3, (gid,) * 3, []):
        raise PrivilegeError(f"became user {account.pw_name} only in part; this system cannot drop privileges")


def _name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _user(account: pwd.struct_passwd | None) -> Measure:
    was = "was not root" if account is None else "was root"
    return Measure("user", True, f"{_name()} ({os.geteuid()}:{os.getegid()}), {was}")


def _temporary_files(data: Path) -> Measure:
    """Python's and SQLite's go to the data folder; SQLite has read its environment long ago, so it is told."""
    place = str(data.absolute())
    os.environ["TMPDIR"] = os.environ["SQLITE_TMPDIR"] = place
    tempfile.tempdir = None  # what Python found before
    quoted = place.replace("'", "''")
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute(f"PRAGMA temp_store_directory = '{quoted}'")
        told = db.execute("PRAGMA temp_store_directory").fetchone()
    ok = told is not None and told[0] == place
    return Measure("temporary files", ok, "in the data folder" if ok else "large sorts in the database will fail")


def _folders(path: Path) -> list[Path]:
    """Where a file or folder is read from, and where it really lies if it is a symbolic link.

    Nothing for a file of root's that root has read: file permissions keep this user away from it.
    """
    try:
        return [path] if path.is_dir() else [path.parent, path.resolve().parent]
    except PermissionError:
        return []


def _python() -> list[Path]:
    """Python and everything it imports from: modules may be loaded later."""
    package = Path(__file__).resolve().parents[1]
    return [package, *(Path(entry) for entry in (sys.prefix, sys.base_prefix, sys.exec_prefix, *sys.path) if entry)]


def _code() -> Measure:
    """Whether modules that are not loaded yet can be: not where Python lies in somebody's closed home folder."""
    shut = [path for path in _python() if path.is_absolute() and not _enters(path)]
    if shut:
        return Measure("code readable", False, f"user {_name()} cannot read {shut[0]}; install otmon in /opt")
    return Measure("code readable", True, "Python and otmon")


def _enters(path: Path) -> bool:
    """Whether a path can be read, if there is one."""
    try:
        os.stat(path)
    except PermissionError:
        return False
    except OSError:
        return True
    return os.access(path, os.R_OK)


def _landlock(reach: landlock.Reach) -> list[Measure]:
    version = landlock.abi()
    missing = "this kernel has no Landlock; Linux 5.13 has, if `landlock` is in its lsm= list"
    if not version:
        return [Measure("files", False, missing), Measure("network", False, missing)]
    try:
        made = landlock.ruleset(reach, version)
        try:
            landlock.restrict(made)
        finally:
            os.close(made)
    except OSError as error:
        reason = f"Landlock ABI {version}: {error.strerror or error}"
        return [Measure("files", False, reason), Measure("network", False, reason)]
    files = Measure("files", True, f"writes only in the data folder, starts no program (Landlock ABI {version})")
    if not landlock.restricts_network(version):
        return [files, Measure("network", False, f"Landlock ABI {version} knows no ports; Linux 6.7 does")]
    ports = ", ".join(map(str, sorted({*reach.tcp_connect, *reach.tcp_bind}))) or "none"
    return [files, Measure("network", True, f"TCP ports that can be used: {ports}")]


def _every_thread() -> Measure:
    """Whether it holds for every thread: those that ran before are not reached by these calls."""
    try:
        states = kernel.thread_states()
    except OSError as error:
        return Measure("every thread", False, f"cannot look: {error.strerror}")
    free = [s for s in states if s.get("NoNewPrivs", "1") != "1" or any(int(s.get(f, "0"), 16) for f in _THREAD_FIELDS)]
    if free:
        return Measure("every thread", False, f"{len(free)} of {len(states)} keep privileges")
    return Measure("every thread", True, f"{len(states)} looked at")
