"""`otmon alerts sign`, `import` and what `list` shows of it; with and without a sensor that holds the folder."""

import errno
import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from otmon.alerts import decisions
from otmon.cli import decide, run
from otmon.sensor.inbox import NAME, Inbox, put
from otmon.store.database import write_database
from otmon.store.errors import StoreFull
from otmon.store.sensor import SiteStore
from tests.alerts.stub import episode, operation
from tests.store.make_versions import site

SITE = site()
ALERTS = [episode(operation()).as_record(SITE), episode(operation(client="10.0.9.9")).as_record(SITE)]
FIRST, SECOND = (alert["id"] for alert in ALERTS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "data"
    made.mkdir()
    write_database(made / "site.db", SITE, ALERTS, spooled=("audit",))
    return made


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "soc.key"
    path.write_text("5" * 64)
    path.chmod(0o600)
    return path


def moment(**later: float) -> str:
    return (datetime.now(UTC) + timedelta(**later)).isoformat()


def iso(text: str) -> str:
    return datetime.fromisoformat(text).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def decision(alert: str = FIRST, **more: Any) -> dict[str, Any]:
    return {"decision": "acknowledge", "alert": alert, "by": "A. Mayer", "ts": moment(), "site": SITE.name, **more}


def signed(folder: Path, key: Path, capsys: pytest.CaptureFixture[str], *decisions: dict[str, Any]) -> Path:
    plain, out = folder.parent / "decisions.jsonl", folder.parent / "decisions.signed"
    plain.write_text("".join(json.dumps(one) + "\n" for one in decisions))
    assert run(["alerts", "sign", str(plain), "--key-file", str(key)]) == 0
    out.write_text(capsys.readouterr().out)
    return out


def rows(folder: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / "site.db")) as db:
        return db.execute(query).fetchall()


def taken(folder: Path) -> list[tuple[Any, ...]]:
    return rows(folder, "SELECT alert, decision, person, note, ticket FROM decisions ORDER BY n")


def imported(file: Path, folder: Path, key: Path) -> int:
    return run(["alerts", "import", str(file), str(folder), "--key-file", str(key)])


def test_decisions_are_taken_over_shown_and_told(folder: Path, key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    accept = decision(SECOND, decision="accept", note="agreed", ticket="OT-1", until=moment(days=9))
    file = signed(folder, key, capsys, decision(), accept)
    assert imported(file, folder, key) == 0
    assert capsys.readouterr().err == "otmon: note: 2 decisions taken over\n"
    assert taken(folder) == [
        (FIRST, "acknowledge", "A. Mayer", "", None),
        (SECOND, "accept", "A. Mayer", "agreed", "OT-1"),
    ]
    told = [json.loads(record) for (record,) in rows(folder, "SELECT record FROM spool WHERE stream = 'audit'")]
    assert [one["action"] for one in told] == ["decisions_imported", "alert_acknowledged", "alert_accepted"]
    log = rows(folder, "SELECT n, hash, entry FROM audit ORDER BY n")
    for one, (number, digest, entry) in zip(told, log, strict=True):
        place = {"log_entry": str(number), "log_hash": digest}
        assert one == {**json.loads(entry), "detail": json.loads(entry)["detail"] | place}
    signature = json.loads(file.read_text().splitlines()[-1])["hmac_sha256"]
    assert json.loads(log[2][2])["detail"] == {
        "alert": SECOND,
        "by": "A. Mayer",
        "decision": "accept",
        "file": signature,
        "note": "agreed",
        "decided": iso(accept["ts"]),
        "ticket": "OT-1",
        "until": iso(accept["until"]),
    }
    assert run(["alerts", "list", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "acknowledged by" in out
    assert "accepted until" in out
    assert run(["alerts", "list", str(folder), "--json"]) == 0
    states = {one["id"]: one["decision"]["state"] for one in json.loads(capsys.readouterr().out)}
    assert states == {FIRST: "acknowledged", SECOND: "accepted"}
    assert run(["alerts", "list", str(folder), "--csv"]) == 0
    assert "acknowledged,A. Mayer," in capsys.readouterr().out


def test_the_latest_decision_that_holds_is_shown(
    folder: Path, key: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    soon = decision(decision="accept", until=moment(seconds=60))
    assert (
        imported(signed(folder, key, capsys, decision(ts=moment(hours=-1), decision="close"), soon), folder, key) == 0
    )

    def state() -> str:
        capsys.readouterr()
        assert run(["alerts", "list", str(folder), "--json"]) == 0
        found = {one["id"]: one for one in json.loads(capsys.readouterr().out)}
        assert "decision" not in found[SECOND]
        return str(found[FIRST]["decision"]["state"])

    assert state() == "accepted"
    now_ns = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now_ns + 61 * 10**9)
    assert state() == "closed"


def nothing(folder: Path, capsys: pytest.CaptureFixture[str], said: str, *arguments: str | Path) -> None:
    before = taken(folder)
    assert run(["alerts", *map(str, arguments)]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert taken(folder) == before
    assert not (folder / NAME).exists()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"alert": "0" * 20}, "line 3: no alert 00000000000000000000 here; nothing was taken over"),
        ({"site": "elsewhere"}, "line 3: of site elsewhere, this is site "),
    ],
)
def test_one_that_does_not_belong_here_stops_all(
    folder: Path, key: Path, wrong: dict[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = signed(folder, key, capsys, decision(), decision(**wrong))
    nothing(folder, capsys, said, "import", file, folder, "--key-file", key)


def test_a_file_counts_once(folder: Path, key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = signed(folder, key, capsys, decision())
    assert imported(file, folder, key) == 0
    capsys.readouterr()
    nothing(folder, capsys, "it was taken already: a file counts once", "import", file, folder, "--key-file", key)


def test_signatures_and_times(
    folder: Path, key: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = signed(folder, key, capsys, decision(until=moment(hours=1)))
    other = key.with_name("other.key")
    other.write_text("6" * 64)
    other.chmod(0o600)
    nothing(folder, capsys, "the signature is wrong", "import", file, folder, "--key-file", other)
    changed = file.with_name("changed")
    changed.write_text(file.read_text().replace("A. Mayer", "B. Mayer"))
    nothing(folder, capsys, "the signature is wrong", "import", changed, folder, "--key-file", key)
    nothing(folder, capsys, "not signed", "import", folder.parent / "decisions.jsonl", folder, "--key-file", key)
    now_ns = time.time_ns()
    for later_s, said in ((-400, "signed in the future"), (7200, "until has passed"), (86_400 * 31, "30 days ago")):
        monkeypatch.setattr(time, "time_ns", lambda later_s=later_s: now_ns + later_s * 10**9)
        nothing(folder, capsys, said, "import", file, folder, "--key-file", key)


def test_keys(folder: Path, key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = signed(folder, key, capsys, decision())
    key.write_text("short")
    nothing(folder, capsys, "openssl rand -hex 32", "import", file, folder, "--key-file", key)
    key.chmod(0o644)
    nothing(folder, capsys, "is open to others", "sign", file, "--key-file", key)
    nothing(folder, capsys, "none: No such file", "import", folder / "none", folder, "--key-file", _key(key))
    nothing(folder, capsys, "no results of otmon there", "import", file, folder.parent, "--key-file", key)


def _key(key: Path) -> Path:
    key.write_text("5" * 64)
    key.chmod(0o600)
    return key


# --- a sensor runs ---------------------------------------------------------------------------------------------------


@pytest.fixture
def sensor(folder: Path) -> Iterator[SiteStore]:
    with SiteStore(folder / "site.db", SITE.name, spooled=("audit",)) as store:
        yield store


def test_a_sensor_takes_them_from_its_inbox(
    folder: Path, key: Path, sensor: SiteStore, capsys: pytest.CaptureFixture[str]
) -> None:
    file, inbox, ended = signed(folder, key, capsys, decision()), Inbox(sensor), threading.Event()
    codes: list[int] = []
    thread = threading.Thread(target=lambda: (codes.append(imported(file, folder, key)), ended.set()))
    thread.start()
    while not ended.wait(0.05):
        inbox.look()
    assert codes == [0]
    assert [row[0] for row in taken(folder)] == [FIRST]
    assert list((folder / NAME).iterdir()) == []
    assert (folder / NAME).stat().st_mode & 0o777 == 0o700


def test_a_sensor_that_does_not_look_is_said(
    folder: Path, key: Path, sensor: SiteStore, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decide, "WAIT_S", 0.3)
    file = signed(folder, key, capsys, decision())
    assert imported(file, folder, key) == 1
    assert "has not taken it over yet" in capsys.readouterr().err
    Inbox(sensor).look()
    assert len(taken(folder)) == 1


def test_the_sensor_looks_itself_at_what_lies_there(
    folder: Path, key: Path, sensor: SiteStore, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "otmon")
    whole = signed(folder, key, capsys, decision()).read_bytes()
    put(folder, whole, "1")
    put(folder, whole, "2")  # again
    put(folder, b"rubbish", "3")
    put(folder, whole.replace(FIRST.encode(), b"0" * 20), "4")
    os.mkfifo(folder / NAME / "5.decisions")
    (folder / NAME / "6.decisions").symlink_to("/etc/passwd")
    (folder / NAME / "7.decisions").mkdir()
    (folder / NAME / "half.new").write_bytes(whole)
    inbox = Inbox(sensor)
    inbox.look()
    assert len(taken(folder)) == 1
    assert sorted(path.name for path in (folder / NAME).iterdir()) == [
        "6.decisions.aside",
        "7.decisions.aside",
        "half.new",
    ]
    events = [record.event for record in caplog.records]
    assert events == ["decisions", *["decisions_refused"] * 6]
    inbox.look()
    assert len(caplog.records) == 7  # what cannot be removed is said once


def far(folder: Path, key: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A file with a time that no database takes, as an otmon signed it that did not look."""
    monkeypatch.setattr(decisions, "_LAST_NS", 2**80)
    return signed(folder, key, capsys, decision(decision="accept", until="9999-12-31T00:00:00Z")).read_bytes()


def test_a_file_that_no_database_takes_does_not_end_a_sensor(
    folder: Path,
    key: Path,
    sensor: SiteStore,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put(folder, far(folder, key, capsys, monkeypatch), "1")
    for _ in range(2):
        Inbox(sensor).look()  # a sensor that was started again meets it no more
    (said,) = caplog.records
    assert "OverflowError" in said.getMessage()
    assert [path.name for path in (folder / NAME).iterdir()] == ["1.decisions.aside"]
    monkeypatch.undo()
    (folder / NAME / "1.decisions.aside").rename(folder / NAME / "1.decisions")
    Inbox(sensor).look()
    assert "line 2: until: not a time between 1678 and 2262" in caplog.records[-1].getMessage()
    assert taken(folder) == list((folder / NAME).iterdir()) == []


def test_a_full_disk_leaves_them_there(
    folder: Path, key: Path, sensor: SiteStore, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder, signed(folder, key, capsys, decision()).read_bytes(), "1")

    def full(*_: object) -> None:
        raise StoreFull("no room")

    with monkeypatch.context() as patch:
        patch.setattr(sensor, "decide", full)
        with pytest.raises(StoreFull):
            Inbox(sensor).look()
    Inbox(sensor).look()
    assert len(taken(folder)) == 1


def test_a_link_named_inbox_is_not_followed(
    folder: Path, key: Path, sensor: SiteStore, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    whole, elsewhere = signed(folder, key, capsys, decision()).read_bytes(), folder.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "1.decisions").write_bytes(whole)
    (folder / NAME).symlink_to(elsewhere)
    with pytest.raises(OSError, match="Not a directory"):
        put(folder, whole, "2")
    inbox = Inbox(sensor)
    inbox.look()
    inbox.look()
    assert len(caplog.records) == 1
    assert [path.name for path in elsewhere.iterdir()] == ["1.decisions"]


def test_an_inbox_that_cannot_be_read_is_said_once(
    folder: Path, sensor: SiteStore, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / NAME).mkdir()

    def closed(_: object) -> list[str]:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "listdir", closed)
    inbox = Inbox(sensor)
    inbox.look()
    inbox.look()
    assert [record.event for record in caplog.records] == ["decisions_refused"]


def test_decisions_go_with_their_alerts(folder: Path, key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert imported(signed(folder, key, capsys, decision(), decision(SECOND)), folder, key) == 0
    with SiteStore(folder / "site.db", SITE.name) as store:
        store._db.execute("DELETE FROM alerts WHERE id = ?", (FIRST,))
        store.forget(0)
    assert [row[0] for row in taken(folder)] == [SECOND]


def test_a_folder_of_analyze_that_nothing_is_delivered_from(
    tmp_path: Path, key: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    write_database(folder / "site.db", SITE, ALERTS)
    assert imported(signed(folder, key, capsys, decision()), folder, key) == 0
    assert rows(folder, "SELECT count(*) FROM spool") == [(0,)]
    assert sorted(path.name for path in folder.iterdir()) == ["site.db"]
