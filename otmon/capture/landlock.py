"""Landlock (landlock(7)): what this process, and all it starts, may still touch of files and TCP ports.

Each ABI added rights; those that a kernel does not know are left out. Nothing here needs root.
"""

import os
import stat
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from otmon.capture.kernel import syscall

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
"""The same numbers on every architecture (asm-generic/unistd.h)."""
_CREATE_RULESET_VERSION: Final = 1
_RULE_PATH_BENEATH, _RULE_NET_PORT = 1, 2

_WRITE_FILE: Final = 1 << 1
_READ_FILE: Final = 1 << 2
_READ_DIR: Final = 1 << 3
_TRUNCATE: Final = 1 << 14
_REMOVE_MAKE: Final = 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8
"""Remove directories and files, make directories and regular files: no devices, sockets, pipes or links."""
_REFER: Final = 1 << 13
READ: Final = _READ_FILE | _READ_DIR
WRITE: Final = READ | _WRITE_FILE | _REMOVE_MAKE | _REFER | _TRUNCATE
DEVICE: Final = _READ_FILE | _WRITE_FILE
_OF_FILES: Final = 1 << 0 | _WRITE_FILE | _READ_FILE | _TRUNCATE | 1 << 15
"""Rights that a rule for a file (no directory) may carry."""
_FILE_RIGHTS: Final = ((1, 13), (2, 14), (3, 15), (5, 16))
"""(ABI, how many file rights it knows)."""
_BIND_TCP, _CONNECT_TCP = 1, 2
_NET_ABI: Final = 4
_SCOPE_ABI: Final = 6
_SCOPE_SIGNAL: Final = 2


class Reach(NamedTuple):
    """What stays permitted: folders and files by kind of access, and TCP ports."""

    read: Sequence[Path]
    write: Sequence[Path]
    devices: Sequence[Path] = ()
    tcp_connect: Sequence[int] = ()
    tcp_bind: Sequence[int] = ()


def abi() -> int:
    """The newest ABI of this kernel; 0 where it has no Landlock, or was started without it."""
    try:
        return syscall(_CREATE_RULESET, None, 0, _CREATE_RULESET_VERSION)
    except OSError:
        return 0


def _file_rights(version: int) -> int:
    return (1 << max(count for since, count in _FILE_RIGHTS if since <= version)) - 1


def _attributes(version: int) -> bytes:
    """struct landlock_ruleset_attr, as long as the ABI knows it: files, network, scopes."""
    words = [_file_rights(version)]
    if version >= _NET_ABI:
        words.append(_BIND_TCP | _CONNECT_TCP)
    if version >= _SCOPE_ABI:
        words.append(_SCOPE_SIGNAL)
    return struct.pack(f"{len(words)}Q", *words)


def _allow_path(ruleset: int, path: Path, rights: int) -> None:
    """A rule for a path; one that does not exist, or that this user cannot reach, needs none. Raises OSError."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _OF_FILES
        syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, struct.pack("=Qi", rights, descriptor), 0)
    finally:
        os.close(descriptor)


def _allow_ports(ruleset: int, ports: Iterable[int], right: int) -> None:
    for port in ports:
        syscall(_ADD_RULE, ruleset, _RULE_NET_PORT, struct.pack("=QQ", right, port), 0)


def ruleset(reach: Reach, version: int) -> int:
    """A descriptor of the rules, for `restrict` and to be closed. Paths are opened now, with the rights of now.

    `version` is what `abi` gave, at least 1. Raises OSError.
    """
    attributes = _attributes(version)
    known = _file_rights(version)
    made = syscall(_CREATE_RULESET, attributes, len(attributes), 0)
    try:
        for paths, rights in ((reach.read, READ), (reach.write, WRITE), (reach.devices, DEVICE)):
            for path in paths:
                _allow_path(made, path, rights & known)
        if version >= _NET_ABI:
            _allow_ports(made, reach.tcp_connect, _CONNECT_TCP)
            _allow_ports(made, reach.tcp_bind, _BIND_TCP)
    except OSError:
        os.close(made)
        raise
    return made


def restrict(made: int) -> None:
    """Hold this thread, and what it starts from now on, to the rules: cannot be undone. Needs no_new_privs.

    Raises OSError.
    """
    syscall(_RESTRICT_SELF, made, 0)


def restricts_network(version: int) -> bool:
    """Whether this ABI can refuse TCP ports."""
    return version >= _NET_ABI
