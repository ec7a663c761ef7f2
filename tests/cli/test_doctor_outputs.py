"""`otmon doctor --config`: every output is spoken to, and what is wrong with it has what mends it."""

import json
import os
import socket
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from otmon.capture import check_host, check_interface
from otmon.cli import run
from otmon.outputs import service
from tests.outputs import pki as authority
from tests.outputs.pki import Pki
from tests.outputs.test_webhook import Handler, Server, serving


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return authority.make(tmp_path_factory.mktemp("pki"))


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OTMON_CACHE", str(tmp_path))
    monkeypatch.setattr(check_host, "host_checks", lambda interfaces: [])
    monkeypatch.setattr(check_interface, "interface_checks", lambda name: [])
    monkeypatch.setattr(service, "UNIT", tmp_path / "otmon.service")


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text("correct horse")
    path.chmod(0o600)
    return path


def checks(tmp_path: Path, capsys: pytest.CaptureFixture[str], outputs: str) -> dict[tuple[str, str], dict[str, Any]]:
    (tmp_path / "c.yaml").write_text(f"data: {tmp_path}\n{outputs}\n")
    run(["doctor", "--config", str(tmp_path / "c.yaml"), "--json"])
    found = json.loads(capsys.readouterr().out)
    return {
        (one["subject"], one["name"]): one
        for one in found
        if one["subject"] in ("elastic", "syslog", "webhook", "lines")
    }


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A webhook that may be asked for the head of `/`; `date` is its clock."""
    told: dict[str, Any] = {"asked": []}

    def do_HEAD(self: Handler) -> None:
        told["asked"].append(self.path)
        self.send_response_only(405)
        self.send_header("Date", formatdate(time.time() + told.get("ahead_s", 0), usegmt=True))
        self.end_headers()

    monkeypatch.setattr(Handler, "do_HEAD", do_HEAD, raising=False)
    return told


def hook(server: Server, key: Path, ca: Path | None = None, port: int | None = None) -> str:
    way = "http" if ca is None else "https"
    more = "" if ca is None else f", ca: {ca}"
    return f"webhook: {{url: '{way}://localhost:{port or server.server_port}/secret/path', secret-file: {key}{more}}}"


def test_a_webhook_that_is_well(
    tmp_path: Path, key: Path, answering: dict[str, Any], pki: Pki, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(pki.context()) as server:
        found = checks(tmp_path, capsys, hook(server, key, pki.ca))
        assert server.posted.empty()
    assert answering["asked"] == ["/"]
    assert {name: one["level"] for (_, name), one in found.items()} == {
        **dict.fromkeys(("key", "reached", "clock"), "ok"),
        "certificate": "warning",  # of a day
    }
    assert found["webhook", "certificate"]["found"] == "good for 1 days"


@pytest.mark.parametrize(("ahead_s", "level"), [(120, "warning"), (-900, "wrong")])
def test_a_clock_that_differs(
    tmp_path: Path, key: Path, answering: dict[str, Any], ahead_s: int, level: str, capsys: pytest.CaptureFixture[str]
) -> None:
    answering["ahead_s"] = ahead_s
    with serving() as server:
        clock = checks(tmp_path, capsys, hook(server, key))["webhook", "clock"]
    assert (clock["level"], clock["mend"]) == (level, "timedatectl set-ntp true")
    assert clock["found"].endswith(" s behind it" if ahead_s > 0 else " s ahead of it")


def test_what_is_not_there_or_not_trusted(
    tmp_path: Path, key: Path, pki: Pki, answering: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with serving(pki.context(pki.expired)) as server:
            found = checks(
                tmp_path,
                capsys,
                f"{hook(server, key, pki.ca)}\nsyslog: {{url: 'tcp://127.0.0.1:{port}'}}\nlines: e.jsonl",
            )
    assert found["syslog", "reached"]["level"] == found["webhook", "reached"]["level"] == "wrong"
    assert "cannot be reached: Connection refused" in found["syslog", "reached"]["found"]
    assert "certificate has expired" in found["webhook", "reached"]["found"]
    assert found["webhook", "reached"]["mend"] == "timedatectl set-ntp true"
    assert found["lines", "reached"]["level"] == "ok"


def test_elasticsearch_that_is_none(
    tmp_path: Path, key: Path, answering: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with serving() as server:
        found = checks(tmp_path, capsys, f"elastic: {{url: 'http://127.0.0.1:{server.server_port}', key-file: {key}}}")
    assert found["elastic", "reached"]["level"] == "wrong"


def test_keys(tmp_path: Path, key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = f"webhook: {{url: 'http://127.0.0.1:9/', secret-file: {key}}}"
    key.chmod(0o644)
    found = checks(tmp_path, capsys, said)
    assert (found["webhook", "key"]["level"], found["webhook", "key"]["mend"]) == ("wrong", f"chmod 600 {key}")
    assert ("webhook", "reached") not in found
    key.unlink()
    assert "No such file" in checks(tmp_path, capsys, said)["webhook", "key"]["found"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_whose_a_key_is(tmp_path: Path, key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = f"user: nobody\nwebhook: {{url: 'http://127.0.0.1:9/', secret-file: {key}}}"
    assert checks(tmp_path, capsys, said)["webhook", "key"]["level"] == "ok"  # started as root
    service.UNIT.write_text("[Service]\n")
    found = checks(tmp_path, capsys, said)["webhook", "key"]
    assert found["level"] == "wrong"
    assert found["mend"].startswith("otmon install-service --config ")
    service.UNIT.write_text(f"[Service]\nLoadCredential=webhook:{key}\n")
    assert checks(tmp_path, capsys, said)["webhook", "key"]["level"] == "ok"
    os.chown(key, 65534, -1)
    assert checks(tmp_path, capsys, said)["webhook", "key"]["found"] == "only nobody reads it"
    os.chown(key, 1, -1)
    assert checks(tmp_path, capsys, said)["webhook", "key"]["mend"] == f"chown nobody {key}"


def test_settings_that_cannot_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = checks(tmp_path, capsys, "lines: /etc/passwd")
    assert found["lines", "settings"]["level"] == "wrong"
    assert found["lines", "settings"]["found"].startswith("/etc/passwd is not in the data folder")
