"""An entry of the audit log that closes a permit and cannot be read: what it closed is not known, so all is closed."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from otmon.cli import run
from otmon.store import audit, permits
from otmon.store.sensor import SiteStore
from tests.store.test_audit import tampered

FROM, UNTIL, CLOSED, LATE = (f"2026-01-0{day}T00:00:00.000000Z" for day in (1, 9, 5, 8))
NS = permits.moment_ns


def opened(ticket: str, since: str = FROM) -> dict[str, Any]:
    detail = {"by": "A", "conduit": "c", "ticket": ticket, "from": since, "until": UNTIL}
    return {"action": "permit_opened", "detail": detail, "message": "", "ts_ns": NS(since)}


def closed(ticket: str) -> dict[str, Any]:
    detail = {"by": "B", "ticket": ticket, "closed": CLOSED}
    return {"action": "permit_closed", "detail": detail, "message": "", "ts_ns": NS(CLOSED)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Two permits, of which one is closed, and then a third."""
    with SiteStore(tmp_path / "site.db", "works", spooled=()) as store, store._writing() as db:
        audit.append(db, "works", [opened("T1"), opened("T2"), closed("T1"), opened("T3", LATE)], spooled=False)
    return tmp_path / "site.db"


def ends(path: Path) -> dict[str, tuple[int, str | None]]:
    with closing(sqlite3.connect(path)) as db:
        return {permit.ticket: (permit.until_ns, permit.closed_by) for permit in permits.every(db)}


def test_what_can_be_read_closes_its_own(path: Path) -> None:
    assert ends(path) == {"T1": (NS(CLOSED), "B"), "T2": (NS(UNTIL), None), "T3": (NS(UNTIL), None)}


@pytest.mark.parametrize(
    ("change", "when"),
    [
        ("json_set(entry, '$.detail.closed', 'yesterday')", NS(CLOSED)),
        ("json_remove(entry, '$.detail')", NS(CLOSED)),
        ("json_set(entry, '$.detail', '\x1b', '$.ts_ns', 'x')", NS(FROM)),
        ('\'{"action": "permit_cl\'', NS(FROM)),
        ("x'fffe00'", NS(FROM)),
        ("''", NS(FROM)),
    ],
)
def test_what_cannot_be_read_closes_all_before_it(
    path: Path, change: str, when: int, capsys: pytest.CaptureFixture[str]
) -> None:
    tampered(path, f"UPDATE audit SET entry = {change} WHERE n = 3")
    by = "entry 3 of the audit log, which cannot be read"
    assert ends(path) == {"T1": (when, by), "T2": (when, by), "T3": (NS(UNTIL), None)}
    assert run(["permit", "list", str(path.parent), "--json"]) == 0
    assert {one["closed_by"] for one in json.loads(capsys.readouterr().out)} == {by, None}


def test_what_cannot_be_read_opens_nothing(path: Path) -> None:
    tampered(path, "UPDATE audit SET entry = json_remove(entry, '$.detail.until') WHERE n = 4")
    assert sorted(ends(path)) == ["T1", "T2"]


@pytest.mark.parametrize(
    "change",
    ["'$.ts_ns', 1e300", "'$.ts_ns', 9223372036854775808", "'$.detail.ticket', 5", "'$.detail.by', json('[1]')"],
)
def test_what_is_no_moment_or_no_text_opens_nothing(path: Path, change: str) -> None:
    tampered(path, f"UPDATE audit SET entry = json_set(entry, {change}) WHERE n = 4")
    assert sorted(ends(path)) == ["T1", "T2"]
