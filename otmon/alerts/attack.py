"""MITRE ATT&CK for ICS: what technique a denied operation may be part of.

Version 19 (April 2026) gave some techniques new ids; consumers still hold both, so both are given.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

from otmon.policy.verdict import AlertKind

VERSION: Final = "19"


class Technique(NamedTuple):
    """One technique of the matrix."""

    id: str
    """Since version 19."""
    name: str
    older_id: str | None = None
    """Until version 18, where it differs."""


TECHNIQUES: Final[dict[str, Technique]] = {
    technique.id: technique
    for technique in (
        Technique("T0801", "Monitor Process State"),
        Technique("T0806", "Brute Force I/O"),
        Technique("T0809", "Data Destruction"),
        Technique("T0814", "Denial of Service"),
        Technique("T0816", "Device Restart/Shutdown"),
        Technique("T0835", "Manipulate I/O Image"),
        Technique("T0836", "Modify Parameter"),
        Technique("T0843", "Program Download"),
        Technique("T0845", "Program Upload"),
        Technique("T0846", "Remote System Discovery"),
        Technique("T0846.001", "Remote System Discovery: Port Scan", "T0846"),
        Technique("T0848", "Rogue Master"),
        Technique("T0858", "Change Operating Mode"),
        Technique("T0864", "Transient Cyber Asset"),
        Technique("T0868", "Detect Operating Mode"),
        Technique("T0878", "Alarm Suppression"),
        Technique("T0886", "Remote Services"),
        Technique("T0888", "Remote System Information Discovery"),
        Technique("T0889", "Modify Program"),
        Technique("T0892", "Change Credential"),
        Technique("T1691.001", "Block Operational Technology Message: Command Message", "T0803"),
        Technique("T1691.002", "Block Operational Technology Message: Reporting Message", "T0804"),
        Technique("T1692.001", "Unauthorized Message: Command Message", "T0855"),
    )
}

_COMMAND: Final = ("T1692.001",)
BY_ACCESS: Final[dict[str, tuple[str, ...]]] = {
    "read": ("T0801",),
    "write": (*_COMMAND, "T0836"),
    "control": _COMMAND,
    "program": ("T0843", "T0889"),
    "diagnose": ("T0868",),
    "identify": ("T0888",),
    "connect": ("T0886",),
}
_RESTART: Final = (*_COMMAND, "T0816")
_MODE: Final = (*_COMMAND, "T0816", "T0858")
_UPLOAD: Final = ("T0845",)
BY_FUNCTION: Final[dict[str, tuple[str, ...]]] = {
    # Where the function says more than its access class; names are those of the protocols' tables.
    "scan": ("T0846.001",),
    "cold_restart": _RESTART,
    "warm_restart": _RESTART,
    "diagnostics_restart": _RESTART,
    "diagnostics_force_listen_only": ("T0814", "T1691.001"),
    "disable_unsolicited": ("T1691.002",),
    "plc_stop": _MODE,
    "cold_start": _MODE,
    "warm_start": _MODE,
    "stop_application": _MODE,
    "start_application": _MODE,
    "memory_reset": (*_RESTART, "T0809"),
    "delete_block": ("T0809", "T0889"),
    "delete_file": ("T0809",),
    "umas_start_plc": _MODE,
    "umas_stop_plc": _MODE,
    "umas_set_breakpoint": _MODE,
    # Research on UMAS calls what leaves the controller a download.
    "umas_initialize_download": _UPLOAD,
    "umas_download_block": _UPLOAD,
    "umas_end_download": _UPLOAD,
    "umas_read_physical_address": _UPLOAD,
    "start_upload": _UPLOAD,
    "upload": _UPLOAD,
    "end_upload": _UPLOAD,
    "nc_start_upload": _UPLOAD,
    "nc_upload": _UPLOAD,
    "nc_continue_upload": _UPLOAD,
    "force": (*_COMMAND, "T0835"),
    "modify_variable": (*_COMMAND, "T0836"),
    "assign_class": ("T0836", "T0878"),
    "alarm_8_lock": ("T0878",),
    "set_session_password": ("T0892",),
    "clear_session_password": ("T0892",),
}
BY_RULE: Final[dict[str, tuple[str, ...]]] = {
    "logic_changed_unseen": ("T0889",),
    "habit_changed": ("T0848", "T0864"),
}
"""What no row of a policy denies, by the rule that does."""
BY_KIND: Final[dict[AlertKind, tuple[str, ...]]] = {
    "segmentation": ("T0848",),
}
"""Beside the operation's own: who speaks a control protocol across a boundary nobody opened acts as a master."""
SILENT: Final[frozenset[AlertKind]] = frozenset({"visibility", "protocol"})
"""What was not seen or not understood is no technique."""
NOT_MASTERS: Final = frozenset({"read", "identify", "connect"})


def techniques(kind: AlertKind, access: str, function: str) -> list[Technique]:
    """Techniques of one alert, by id."""
    if kind in SILENT:
        return []
    ids: Iterable[str] = BY_RULE.get(function) or BY_FUNCTION.get(function) or BY_ACCESS.get(access, ())
    if kind != "segmentation" or access not in NOT_MASTERS:
        ids = (*ids, *BY_KIND.get(kind, ()))
    return [TECHNIQUES[technique] for technique in sorted(set(ids))]


@lru_cache(maxsize=1024)
def attack_ids(kind: AlertKind, access: str, function: str) -> tuple[str, ...]:
    """Both ids of each technique, ascending: `("T0836", "T0855", "T1692.001")`."""
    found = techniques(kind, access, function)
    return tuple(sorted({name for t in found for name in (t.id, t.older_id) if name is not None}))
