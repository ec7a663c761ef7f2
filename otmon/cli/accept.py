"""`otmon alerts accept`: what an alert is about is permitted until a day, in the policy and in its tests."""

import errno
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from otmon.cli.answer import alert_argument, by_option, decide, find_alert
from otmon.cli.common import CHECK_FAILED, RAN, Stop, emit, folder_argument, note, open_results, policy_of
from otmon.cli.policy_diff import load

if TYPE_CHECKING:
    from otmon.policy.accept import Accepted


@click.command(
    epilog="\b\nExamples:\n"
    '  otmon alerts accept 6d2ea86c --until 2027-03-01 --ticket OT-118 --by "A. Mayer" --dry-run\n'
    '  otmon alerts accept 6d2ea86c /var/lib/otmon --until 2027-03-01 --ticket OT-118 --by "A. Mayer"\n'
)
@alert_argument
@folder_argument
@click.option("--until", metavar="DATE", required=True, help="Last day, or a moment; in the policy's time zone.")
@click.option("--ticket", metavar="TICKET", required=True, help="Where it is written down.")
@by_option
@click.option("--policy", "policy_path", metavar="FILE", type=click.Path(path_type=Path), help="Default: that of DIR.")
@click.option("--dangerous", is_flag=True, help="Also what stops, programs, restarts or forces a controller.")
@click.option("--dry-run", is_flag=True, help="Show what would be written, and write nothing.")
def accept(
    name: str, folder: Path, until: str, ticket: str, by: str, policy_path: Path | None, dangerous: bool, dry_run: bool
) -> int:
    """Permit what an alert is about, until a day.

    Adds a conduit to the policy that permits this alone and ends by itself, and a test beside the policy, so that the
    alert cannot come back by mistake. Both files are written, or none. Not accepted: what a `never` row forbids, what a
    test beside the policy denies, and alerts about which no row decides.
    """
    with open_results(folder) as results:
        record, site = find_alert(results, folder, name), results.name
        path = Path(os.path.realpath(policy_path or policy_of(folder, results)))
    loaded = load(path)
    if loaded.site != site:
        raise Stop(f"{path}: of site {loaded.site}, the alert is of site {site}")
    from otmon.policy.accept import Approval, Refused
    from otmon.policy.accept import accept as work_out
    from otmon.text import safe_text

    ticket, by = safe_text(ticket), safe_text(by)  # as the audit log has them: they come to stand in the policy
    try:
        text = path.read_bytes().decode("utf-8-sig")
        found = work_out(record, path, text, loaded, Approval(until, ticket, by), dangerous=dangerous)
    except Refused as error:
        raise Stop(f"not accepted: {error}") from None
    shown = os.path.relpath(path) if policy_path is None else str(policy_path)
    tests = str(Path(shown).with_name(found.tests_path.name))
    emit(found.policy.shown(text, shown) + found.tests.shown(found.before or "", tests))
    if dry_run:
        return RAN
    files = [(path, text, found.policy.text), (found.tests_path, found.before, found.tests.text)]
    _write(files)
    try:
        taken = decide(folder, record["id"], "accept", by, ticket=ticket, note=_note(found, path))
    except BaseException:
        _write([(where, after, before) for where, before, after in reversed(files)])
        raise
    if not taken:
        return CHECK_FAILED
    note(f"alert {record['id']}: accepted by {by} until {until}, by conduit {found.conduit} of {shown}")
    return RAN


def _note(found: "Accepted", path: Path) -> str:
    return f"{found.policy.what} to {path.name}"


def _write(files: "Sequence[tuple[Path, str | None, str | None]]") -> None:
    """All of them (path, before, after; None: no file), or none. Raises Stop."""
    done: list[tuple[Path, str | None]] = []
    beside: list[Path | None] = []
    try:
        for path, _, after in files:
            beside.append(_beside(path, after))
        for (path, before, _), new in zip(files, beside, strict=True):
            if _text(path) != before:
                raise OSError(errno.ESTALE, "was changed meanwhile", str(path))
            if new is None:
                path.unlink()
            else:
                new.replace(path)
            done.append((path, before))
    except OSError as error:
        for path, before in reversed(done):
            if before is None:
                path.unlink()
            elif (old := _beside(path, before)) is not None:
                old.replace(path)
        for left in filter(None, beside):
            left.unlink(missing_ok=True)
        raise Stop(f"{error.filename}: {error.strerror}; nothing was accepted") from None


def _text(path: Path) -> str | None:
    return path.read_bytes().decode("utf-8-sig", "replace") if path.exists() else None


def _beside(path: Path, text: str | None) -> Path | None:
    """The text in a new file beside, with the rights of the one it replaces."""
    if text is None:
        return None
    # A name of its own, and never through a link that somebody laid there.
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    with new.open("xb") as file:
        try:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
            if path.exists():
                status = path.stat()
                if os.geteuid() == 0:
                    os.fchown(file.fileno(), status.st_uid, status.st_gid)
                os.fchmod(file.fileno(), status.st_mode & 0o7777)
        except OSError:
            new.unlink()
            raise
    return new
