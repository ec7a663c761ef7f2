"""System calls that Python has no function for, by ctypes: prctl(2), capset(2), and others by number."""

import ctypes
import functools
import os
import struct
from pathlib import Path
from typing import Any, Final

PR_SET_PDEATHSIG: Final = 1
PR_SET_DUMPABLE: Final = 4
PR_CAPBSET_READ: Final = 23
PR_CAPBSET_DROP: Final = 24
PR_SET_NO_NEW_PRIVS: Final = 38
PR_CAP_AMBIENT: Final = 47
PR_CAP_AMBIENT_CLEAR_ALL: Final = 4
CAP_NET_RAW: Final = 13
"""Numbers from linux/prctl.h and linux/capability.h."""
_CAPABILITY_VERSION_3: Final = 0x20080522
_MAX_CAPABILITIES: Final = 64


@functools.cache
def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def prctl(option: int, value: int = 0) -> int:
    """prctl(2). Raises OSError."""
    words = map(ctypes.c_ulong, (value, 0, 0, 0))
    return _checked(_libc().prctl(option, *words), "prctl")


def syscall(number: int, *arguments: Any) -> int:
    """syscall(2): any call by its number; integers go as 64-bit words. Raises OSError."""
    words = (ctypes.c_long(a) if isinstance(a, int) else a for a in arguments)
    return _checked(_libc().syscall(ctypes.c_long(number), *words), f"system call {number}")


def adjtimex(buffer: Any) -> int:
    """adjtimex(2) on a ctypes buffer. Raises OSError."""
    return _checked(_libc().adjtimex(buffer), "adjtimex")


def clear_capabilities() -> None:
    """Give up every effective, permitted and inheritable capability of this thread (capset(2)). Raises OSError."""
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    _checked(_libc().capset(header, bytes(24)), "capset")


def clear_bounding_set() -> None:
    """Give up every capability a program run from here could gain (PR_CAPBSET_DROP). Raises OSError."""
    for capability in range(_MAX_CAPABILITIES):
        try:
            present = prctl(PR_CAPBSET_READ, capability)
        except OSError:  # past the last one this kernel knows
            return
        if present:
            prctl(PR_CAPBSET_DROP, capability)


def thread_states() -> list[dict[str, str]]:
    """The fields of /proc/self/task/*/status (proc(5)), one dict a thread. Raises OSError where there is no /proc."""
    states = []
    for path in Path("/proc/self/task").glob("*/status"):
        lines = path.read_text(errors="replace").splitlines()
        states.append({key: value.strip() for key, _, value in (line.partition(":") for line in lines)})
    if not states:
        raise FileNotFoundError(2, "not there", "/proc/self/task")
    return states


def has_net_raw() -> bool:
    """Whether this process may open packet sockets: CAP_NET_RAW is effective."""
    try:
        return bool(int(thread_states()[0]["CapEff"], 16) >> CAP_NET_RAW & 1)
    except (OSError, KeyError, ValueError):
        return os.geteuid() == 0
