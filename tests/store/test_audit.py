"""The audit log: what was added is found again as it was, and whatever else is done to it is noticed."""

import hashlib
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otmon.cli import run
from otmon.store import audit
from otmon.store.database import SiteDatabase
from otmon.store.sensor import SiteStore
from tests.store.make_versions import FOLDER

ENTRIES = 7


def entry(number: int) -> dict[str, Any]:
    detail = {"by": "A. Mayer", "note": f'"ä{number}"'}
    return {"action": "alert_noted", "detail": detail, "message": f"Note {number}.", "ts_ns": number}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with SiteStore(tmp_path / "site.db", "site") as store:
        for number in range(ENTRIES):
            store.audit(entry(number))
    return tmp_path / "site.db"


def looked(path: Path, kept: str | None = None) -> audit.Looked:
    with SiteDatabase(path) as results:
        return results.verify_log(kept)


def tampered(path: Path, *statements: str) -> Path:
    """Somebody who can write the file and knows SQL."""
    with closing(sqlite3.connect(path)) as db:
        db.executescript(
            "DROP TRIGGER audit_never_changes; DROP TRIGGER audit_never_shrinks; DROP INDEX audit_by_action;"
            "DROP INDEX audit_by_file;" + ";".join(statements) + ";"
        )
    return path


def test_the_chain_is_what_the_documentation_says(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Worked out again from the export, with nothing of otmon's."""
    assert run(["audit", "export", str(path)]) == 0
    out, err = capsys.readouterr()
    before = "0" * 64
    for number, line in enumerate(out.splitlines(), 1):
        one = json.loads(line)
        said = {name: one[name] for name in ("action", "detail", "message", "ts_ns")}
        text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert (one["number"], one["before"]) == (number, before)
        before = hashlib.sha256((before + text).encode()).hexdigest()
        assert one["hash"] == before
    assert err == f"otmon: note: {ENTRIES} entries, head {before}\n"
    assert looked(path) == audit.Looked(ENTRIES, before, None)


def test_a_head_that_was_kept_is_found_in_the_longer_log(path: Path) -> None:
    head = looked(path).head
    with SiteStore(path, "site") as store:
        store.audit(entry(99))
    longer = looked(path, head)
    assert (longer.entries, longer.wrong) == (ENTRIES + 1, None)
    assert longer.head != head


@pytest.mark.parametrize("number", range(1, ENTRIES + 1))
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE audit SET entry = replace(entry, 'Mayer', 'Meyer') WHERE n = {}", "entry {} was changed"),
        ("UPDATE audit SET hash = replace(hash, 'a', 'b') || 'a' WHERE n = {}", "entry {} was changed"),
        ("UPDATE audit SET entry = x'fffe00' WHERE n = {}", "entry {} was changed"),
        ("UPDATE audit SET entry = '' WHERE n = {}", "entry {} was changed"),
        ("DELETE FROM audit WHERE n = {}", "entry {} is missing"),
    ],
)
def test_the_first_entry_that_is_wrong_is_said(path: Path, number: int, change: str, said: str) -> None:
    if change.startswith("DELETE") and number == ENTRIES:
        said = "entry {} is gone: the end of the log was cut off"
    found = looked(tampered(path, change.format(number)))
    assert found.wrong is not None
    assert said.format(number, number) in found.wrong
    assert found.entries == number - 1


def test_an_end_that_was_cut_off_is_noticed_as_far_as_can_be(path: Path, tmp_path: Path) -> None:
    head = looked(path).head
    cut = tampered(Path(shutil.copy(path, tmp_path / "cut.db")), f"DELETE FROM audit WHERE n > {ENTRIES - 2}")
    assert looked(cut).wrong == f"entries {ENTRIES - 1} to {ENTRIES} are gone: the end of the log was cut off"
    # Whoever also sets back the counter leaves nothing in the file that shows it; a head that was kept elsewhere does.
    again = tampered(
        Path(shutil.copy(path, tmp_path / "again.db")),
        f"DELETE FROM audit WHERE n > {ENTRIES - 2}",
        f"UPDATE sqlite_sequence SET seq = {ENTRIES - 2} WHERE name = 'audit'",
    )
    assert looked(again).wrong is None
    assert looked(again, head).wrong == f"no entry has the hash {head}: entries were cut off, or this is another log"


def test_new_entries_do_not_hide_an_end_that_was_cut_off(path: Path) -> None:
    tampered(path, f"DELETE FROM audit WHERE n > {ENTRIES - 2}")
    with SiteStore(path, "site") as store:
        for number in range(3):
            store.audit(entry(number))
    assert looked(path).wrong == f"entry {ENTRIES - 1} is missing: {ENTRIES + 1} comes in its place"


@pytest.mark.parametrize("change", ["json_remove(entry, '$.detail.from')", "json_set(entry, '$.detail', 7)", "'{}'"])
def test_a_permit_that_somebody_wrote_by_hand_opens_nothing(path: Path, change: str) -> None:
    times = {"from": "2026-01-01T00:00:00.000000Z", "until": "2027-01-01T00:00:00.000000Z"}
    with SiteStore(path, "site") as store:
        for ticket in ("CHG-1", "CHG-2"):
            detail = {"by": "A. Mayer", "conduit": "programming", "ticket": ticket, **times}
            store.audit({"action": "permit_opened", "detail": detail, "message": "Opened.", "ts_ns": 1})
    tampered(path, f"UPDATE audit SET entry = {change} WHERE n = {ENTRIES + 1}")
    with SiteDatabase(path) as results:
        assert [one.ticket for one in results.permits()] == ["CHG-2"]


def test_a_chain_written_anew_is_noticed_by_a_kept_head(path: Path) -> None:
    head = looked(path).head
    with closing(sqlite3.connect(path)) as db:
        found = [text.replace("Mayer", "Meyer") for (text,) in db.execute("SELECT entry FROM audit ORDER BY n")]
    hashes = [audit.BEGIN]
    for text in found:
        hashes.append(audit.chained(hashes[-1], text.encode()))
    quoted = [text.replace("'", "''") for text in found]
    tampered(
        path,
        *(
            f"UPDATE audit SET entry = '{text}', hash = '{digest}' WHERE n = {number}"
            for number, (text, digest) in enumerate(zip(quoted, hashes[1:], strict=True), 1)
        ),
    )
    assert looked(path).wrong is None
    assert looked(path, head).wrong is not None


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_change_of_the_exported_rows_is_noticed(data: st.DataObject) -> None:
    """Swapped, repeated, changed: brute force over what the rows can become."""
    texts = [json.dumps(entry(number), sort_keys=True).encode() for number in range(4)]
    hashes = [audit.BEGIN]
    for text in texts:
        hashes.append(audit.chained(hashes[-1], text))
    rows = list(zip(hashes[1:], texts, strict=True))
    order = data.draw(st.lists(st.integers(0, 3), min_size=4, max_size=4))
    flip = data.draw(st.none() | st.integers(0, 3))
    changed = [rows[n] if n != flip else (rows[n][0], rows[n][1] + b" ") for n in order]
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE audit (n INTEGER PRIMARY KEY AUTOINCREMENT, hash, entry)")
    db.executemany("INSERT INTO audit (hash, entry) VALUES (?, ?)", changed)
    assert (audit.verify(db).wrong is None) == (changed == rows)
    db.close()


def test_entries_are_only_added(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        for statement in ("UPDATE audit SET hash = 'x'", "DELETE FROM audit"):
            with pytest.raises(sqlite3.IntegrityError, match="only added"):
                db.execute(statement)


def test_retention_leaves_the_log(path: Path) -> None:
    with SiteStore(path, "site") as store:
        store.forget(1 << 62)
    assert looked(path).entries == ENTRIES


def test_a_full_log_takes_no_more(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "MAX_AUDIT_ENTRIES", ENTRIES)
    with SiteStore(path, "site") as store, pytest.raises(audit.AuditFull, match="export it"):
        store.audit(entry(1))
    assert looked(path).entries == ENTRIES


def test_decisions_of_an_older_file_are_entries(tmp_path: Path) -> None:
    copy = Path(shutil.copy(FOLDER / "schema-4.db", tmp_path / "site.db"))
    with closing(sqlite3.connect(copy)) as db, db:
        (alert,) = db.execute("SELECT id FROM alerts LIMIT 1").fetchone()
        (site,) = db.execute("SELECT value FROM meta WHERE key = 'site'").fetchone()
        rows = [
            (2, "f" * 64, alert, "close", "B. Huber", 2_000, 3_000, None, "", None),
            (1, "e" * 64, alert, "accept", "A. Mayer", 1_000, 2_000, 1 << 62, "as agreed", "OT-1"),
        ]
        db.executemany("INSERT INTO decisions VALUES (?,?,?,?,?,?,?,?,?,?)", rows)

    def same(back: SiteDatabase) -> None:
        assert back.verify_log().wrong is None
        first, second = (one.record() for one in back.audit_log())
        assert first["detail"] == {
            "alert": alert,
            "by": "A. Mayer",
            "decided": "1970-01-01T00:00:00.000001Z",
            "decision": "accept",
            "file": "e" * 64,
            "note": "as agreed",
            "ticket": "OT-1",
            "until": "2116-02-20T23:53:38.427387Z",
        }
        assert (first["action"], first["ts_ns"]) == ("alert_accepted", 2_000)
        assert second["action"] == "alert_closed"
        assert back.took("e" * 64)
        held = back.decisions(5_000)[alert]
        assert (held["state"], held["ts_ns"], held["by"]) == ("closed", 2_000, "B. Huber")

    before = copy.read_bytes()
    with SiteDatabase(copy) as back:
        same(back)
    assert copy.read_bytes() == before
    with SiteStore(copy, site):
        pass
    with SiteDatabase(copy) as back:
        same(back)


# --- the commands ----------------------------------------------------------------------------------------------------


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Any:
    def ask(*arguments: object) -> tuple[int, str, str]:
        code = run(["audit", *map(str, arguments)])
        return code, *capsys.readouterr()

    return ask


def test_verify_speaks_by_its_exit_code(path: Path, said: Any) -> None:
    head = looked(path).head
    assert said("verify", path) == (0, f"{ENTRIES} entries, each as it was written; head {head}\n", "")
    assert said("verify", path, "--head", head)[0] == 0
    assert said("verify", path, "--head", "0" * 64)[0] == 0, "the head of the empty log"
    assert said("verify", path, "--head", "1" * 64)[0] == 1
    code, _, err = said("verify", path, "--head", "oops\x1b")
    assert code == 2
    assert "64 hexadecimal digits" in err
    assert "\x1b" not in err
    tampered(path, "UPDATE audit SET entry = '\x1b[31m' WHERE n = 3")
    code, out, err = said("verify", path)
    assert (code, out) == (1, "")
    assert "entry 3 was changed" in err
    assert f"right up to entry 2, whose hash is {hash_of(path, 2)}" in err
    assert said("export", path)[0] == 1
    code, out, _ = said("list", path)
    assert code == 0
    assert "unreadable" in out
    assert "\x1b" not in out
    code, out, _ = said("list", path, "--json")
    assert [one["action"] for one in json.loads(out)][2] == "unreadable"


def hash_of(path: Path, number: int) -> str:
    with closing(sqlite3.connect(path)) as db:
        (found,) = db.execute("SELECT hash FROM audit WHERE n = ?", (number,)).fetchone()
    return str(found)
