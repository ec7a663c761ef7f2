"""Root's commands in a folder of nobody: its links are not followed, its files stay its own. As processes.

Where Python lies in a home of root's, nobody cannot read it either: what is loaded too late would be noticed.
"""

import http.server
import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from otmon.delivery.ledger import NAME, Ledger
from otmon.outputs.elastic.connection import Elastic
from otmon.outputs.elastic.sink import ElasticSink
from otmon.outputs.sink import Outgoing
from otmon.store import spool
from tests.cli.test_decide import ALERTS, SITE, decision
from tests.delivery.kit import T0, Spool
from tests.elastic.test_delivery import Fake, serving
from tests.outputs.pki import make

ROOT = Path(__file__).parents[2]
OTMON = (sys.executable, "-m", "otmon")
STREAM = "logs-otmon.audit-default"
BULK = {"items": [{"create": {"_id": "audit-0", "status": 201}}]}
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def folder() -> Iterator[Path]:
    """The data folder of a sensor, in a place where its user gets to."""
    above = Path(tempfile.mkdtemp(prefix="otmon-test-"))
    above.chmod(0o755)
    made = above / "data"
    made.mkdir(mode=0o750)
    yield made
    shutil.rmtree(above)


def handed_over(folder: Path) -> None:
    account = pwd.getpwnam("nobody")
    for path in (folder, *folder.iterdir()):
        os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)


def filled(folder: Path, dead: dict[str, str]) -> None:
    """A spool with two records, and dead letters: id -> sink."""
    made = Spool(folder, spool.FINAL)
    made.append("audit", 2)
    made.close()
    with Ledger(folder / NAME, spool.FINAL) as ledger:
        record: dict[str, Any] = {"action": "policy_loaded", "message": "", "detail": {}, "ts_ns": T0}
        for name, sink in dead.items():
            one = Outgoing("audit", 1, name, T0, SITE.name, "s", record)
            ledger.answered(sink, "audit", 0, 0, [(one, "400 no")])
    handed_over(folder)


def otmon(*arguments: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*OTMON, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def owners(folder: Path) -> dict[str, str]:
    return {path.name: pwd.getpwuid(path.lstat().st_uid).pw_name for path in sorted(folder.rglob("*"))}


def lines_to(folder: Path) -> Path:
    config = folder.parent / "sensor.yaml"
    config.write_text("interfaces: [lo]\nlines: {path: events.jsonl}\n")
    config.chmod(0o600)
    return config


@pytest.fixture
def of_root(folder: Path) -> Path:
    """What nobody may neither read nor write."""
    path = folder.parent / "of_root.jsonl"
    path.write_bytes(b"")
    path.chmod(0o600)
    return path


def test_what_is_delivered_leaves_nothing_of_roots(folder: Path) -> None:
    filled(folder, {})
    (folder / NAME).unlink()
    done = otmon("deliver", folder, "--config", lines_to(folder))
    assert done.returncode == 0
    lost, went = done.stderr.splitlines()
    assert lost.startswith("otmon: warning: ")
    assert "delivery.db: removed, or replaced by an older copy" in lost
    assert went == "otmon: note: 2 records delivered to lines"
    assert len((folder / "events.jsonl").read_text().splitlines()) == 2
    found = owners(folder)
    assert {".delivery.db.lock", NAME, "events.jsonl"} <= found.keys()
    assert set(found.values()) == {"nobody"}


@pytest.mark.parametrize("name", [f".{NAME}.lock", NAME, "events.jsonl"])
@pytest.mark.parametrize("there", [True, False])
def test_links_are_not_followed(folder: Path, of_root: Path, name: str, there: bool) -> None:
    filled(folder, {})
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(of_root)
    if not there:
        of_root.unlink()
    done = otmon("deliver", folder, "--config", lines_to(folder))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert of_root.exists() == there
    assert not there or of_root.read_bytes() == b""


def test_a_folder_that_its_owner_cannot_enter_is_said(folder: Path) -> None:
    filled(folder, {})
    folder.parent.chmod(0o700)
    done = otmon("deliver", folder, "--config", lines_to(folder))
    assert done.returncode == 2
    assert "its owner nobody cannot get there" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_status_and_letters(folder: Path, of_root: Path) -> None:
    filled(folder, {"audit-0": "elastic", "other": "webhook"})
    for command in (("status",), ("status", "--json"), ("dead", "list"), ("dead", "list", "--json")):
        done = otmon("elastic", *command, folder)
        assert (done.returncode, done.stderr) == (int(command[0] == "status"), ""), done
        assert "webhook" in done.stdout
    assert otmon("elastic", "dead", "drop", folder, "2").stderr == "otmon: note: 1 forgotten\n"
    assert set(owners(folder).values()) == {"nobody"}
    (folder / NAME).unlink()
    (folder / NAME).symlink_to(of_root)
    for dead in ("list", "drop"):
        done = otmon("elastic", "dead", dead, folder)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert of_root.read_bytes() == b""


class Taking(Fake):
    """Takes one record; knows whoever has the key."""

    header = True
    body: ClassVar[Any] = {}

    def _answer(self) -> None:
        if self.headers.get("authorization") != "ApiKey secret":
            self.status = 401
        if isinstance(self.body, dict):
            self.body = self.body | {"version": {"number": "9.0.0\x1b[2J"}, "tagline": "You Know, for Search"} | BULK
            self.body |= {"data_streams": [{"name": STREAM, "backing_indices": []}]}
        super()._answer()

    do_GET = do_POST = do_PUT = do_HEAD = _answer


@pytest.mark.parametrize("secure", [False, True])
def test_dead_letters_go_to_the_sink_that_is_there(
    folder: Path, of_root: Path, tmp_path_factory: pytest.TempPathFactory, secure: bool
) -> None:
    """Nobody may read neither the key nor the authority: they are read before."""
    filled(folder, {"audit-0": "elastic", "other": "webhook"})
    of_root.write_text("secret\n")
    env, tls = {"OTMON_ELASTIC_KEY_FILE": str(of_root)}, None
    if secure:
        pki = make(tmp_path_factory.mktemp("pki"))
        pki.ca.chmod(0o600)
        env, tls = env | {"OTMON_ELASTIC_CA": str(pki.ca)}, pki.context()
    handler: type[http.server.BaseHTTPRequestHandler] = Taking
    with serving(handler, tls) as url:

        def retry(*more: str) -> subprocess.CompletedProcess[str]:
            return otmon("elastic", "dead", "retry", folder, *more, "--elastic", url, **env)

        none = retry("2")
        assert none.returncode == 1
        assert "1 are of another sink (webhook) and were not sent; `otmon elastic dead retry" in none.stderr
        assert len(none.stderr.splitlines()) == 1
        done = retry()
        assert done.returncode == 0, done.stderr
        assert done.stderr.splitlines()[1] == "otmon: note: 1 delivered, 0 refused again"
    left = json.loads(otmon("elastic", "dead", "list", folder, "--json").stdout)
    assert [one["sink"] for one in left] == ["webhook"]
    assert set(owners(folder).values()) == {"nobody"}


class Counting(Taking):
    """Has three documents in every stream."""

    def _answer(self) -> None:
        self.body = {"count": 3}
        if self.path.startswith("/_cat/"):
            self.body = [{"epoch": f"{time.time():.0f}"}]
        super()._answer()

    do_GET = do_POST = do_PUT = do_HEAD = _answer


def test_what_is_at_the_other_end_is_seen_with_roots_key(folder: Path, of_root: Path) -> None:
    """In the namespace that the folder's delivery went to, unless another one is said."""
    filled(folder, {})
    with Ledger(folder / NAME, spool.FINAL) as ledger:
        ledger.settle(ElasticSink(Elastic("http://127.0.0.1:1", "north")), keep=True)
    handed_over(folder)
    of_root.write_text("secret\n")
    with serving(Counting) as url:
        for said, goes in (({}, "north"), ({"OTMON_ELASTIC_NAMESPACE": "south"}, "south")):
            env = {"OTMON_ELASTIC_KEY_FILE": str(of_root), **said}
            done = otmon("elastic", "status", folder, "--elastic", url, "--json", **env)
            assert done.stderr == ""
            assert json.loads(done.stdout)["elastic"]["documents"][f"logs-otmon.alert-{goes}"] == 3
    assert set(owners(folder).values()) == {"nobody"}


def test_letters_of_every_sink_of_a_file(folder: Path) -> None:
    filled(folder, {"audit-0": "lines", "other": "lines"})
    done = otmon("elastic", "dead", "retry", folder, "--config", lines_to(folder))
    assert (done.returncode, done.stderr) == (0, "otmon: note: 2 delivered, 0 refused again\n")
    assert len((folder / "events.jsonl").read_text().splitlines()) == 2
    assert set(owners(folder).values()) == {"nobody"}


def test_decisions_are_taken_over_as_the_owner(folder: Path) -> None:
    from otmon.store.database import write_database

    write_database(folder / "site.db", SITE, ALERTS, spooled=("audit",))
    handed_over(folder)
    key, plain, signed = (folder.parent / name for name in ("key", "plain", "signed"))
    key.write_text("5" * 64)
    plain.write_text(json.dumps(decision()) + "\n")
    key.chmod(0o600)
    signed.write_text(otmon("alerts", "sign", plain, "--key-file", key).stdout)
    signed.chmod(0o600)
    done = otmon("alerts", "import", signed, folder, "--key-file", key)
    assert (done.returncode, done.stderr) == (0, "otmon: note: 1 decision taken over\n")
    assert set(owners(folder).values()) == {"nobody"}
