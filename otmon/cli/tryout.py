"""Checks of the outputs that a configuration names: their keys, whether they are there, clocks, certificates."""

import os
import pwd
import shlex
import ssl
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from otmon.capture.check import Check, Level
from otmon.capture.privileges import DEFAULT_USER
from otmon.cli.common import Stop
from otmon.cli.ways import told, way
from otmon.outputs import service
from otmon.outputs.secret import SecretError, private_file
from otmon.outputs.sink import Reached, Refused, SinkError
from otmon.sensor.sinks import SECRETS
from otmon.text import safe_text

if TYPE_CHECKING:
    from otmon.sensor.settings import Settings

SKEW_S: Final = (30.0, 300.0)
"""From when on clocks differ too much: to compare times; for signatures to be taken (docs/sinks.md)."""
EXPIRES_DAYS: Final = 30


def output_checks(settings: "Settings", config: Path) -> list[Check]:
    """Every output: spoken to with its key, but sent no record."""
    found: list[Check] = []
    for name, said in told(settings):
        key = said.get(SECRETS.get(name, ""))
        if key is not None:
            found.append(_key(name, key, settings.user or DEFAULT_USER, config))
        if key is None or found[-1].level == "ok":
            found += _reach(name, said, settings.data)
    return found


def _key(name: str, path: Path, user: str, config: Path) -> Check:
    """Whether the sensor will be able to read it, and nobody else is."""
    shown = shlex.quote(safe_text(str(path), 500))
    owner = path.stat().st_uid if os.access(path.parent, os.X_OK) and path.exists() else None
    if owner == 0 and os.geteuid():
        means = "It is root's, and so is this check of it."
        return Check(
            name, "key", "warning", "cannot be read by this user", means, f"sudo otmon doctor --config {config}"
        )
    try:
        private_file(path)
    except SecretError as error:
        mend = f"chmod 600 {shown}" if owner is not None else f"ls -l {shown}"
        return Check(name, "key", "wrong", str(error), "Without it nothing is delivered there.", mend)
    if owner == _uid(user):
        return Check(name, "key", "ok", f"only {user} reads it")
    if owner:
        means = f"The sensor runs as {user}, who cannot read it."
        return Check(name, "key", "wrong", f"of user {owner}", means, f"chown {user} {shown}")
    if _installed() and f"LoadCredential={name}:" not in service.UNIT.read_text(errors="replace"):
        means = "The service runs without root and is not handed a copy of it."
        mend = f"otmon install-service --config {shlex.quote(str(config))} && systemctl restart otmon"
        return Check(name, "key", "wrong", "only root reads it", means, mend)
    return Check(name, "key", "ok", "only root reads it: read at each start, another one counts after a restart")


def _installed() -> bool:
    return service.UNIT.is_file()


def _uid(user: str) -> int:
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return -1


def _reach(name: str, said: dict[str, Any], data: Path) -> Iterator[Check]:
    try:
        sink = way(name, said, data).sink
    except Stop as error:
        yield Check(name, "settings", "wrong", error.message.removeprefix(f"{name}: "), "The sensor would not start.")
        return
    try:
        reached = sink.reach()
    except SinkError as error:
        means = (
            "Somebody must mend it." if isinstance(error, Refused) else "It is tried again; until then records wait."
        )
        yield Check(name, "reached", "wrong", str(error), means, _mend(error))
        return
    finally:
        sink.close()
    yield Check(name, "reached", "ok", reached.found)
    yield from _clock(name, reached)
    yield from _certificate(name, reached)


def _mend(error: SinkError) -> str:
    """A clock that is wrong makes certificates wrong."""
    return "timedatectl set-ntp true" if "not yet valid" in str(error) or "has expired" in str(error) else ""


def _clock(name: str, reached: Reached) -> Iterator[Check]:
    try:
        skew_s = time.time() - parsedate_to_datetime(reached.date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return  # not told
    found = f"{abs(skew_s):,.0f} s {'ahead of' if skew_s > 0 else 'behind'} it"
    compared, signed = SKEW_S
    if abs(skew_s) < compared:
        yield Check(name, "clock", "ok", "as its own")
        return
    level: Level = "wrong" if abs(skew_s) >= signed else "warning"
    means = "Alerts have other times there than here; beyond some minutes signatures are refused."
    yield Check(name, "clock", level, found, means, "timedatectl set-ntp true")


def _certificate(name: str, reached: Reached) -> Iterator[Check]:
    if not reached.until:
        return
    days = (ssl.cert_time_to_seconds(reached.until) - time.time()) / 86_400
    found = f"good for {days:,.0f} days"
    means = "When it ends nothing is delivered any more: have it renewed."
    yield (
        Check(name, "certificate", "ok", found)
        if days >= EXPIRES_DAYS
        else Check(name, "certificate", "warning", found, means)
    )
