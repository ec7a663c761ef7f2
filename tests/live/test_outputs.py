"""`otmon watch` as root with each of its outputs: what is delivered by a process that has given up its rights."""

import gzip
import json
import queue
import re
import socket
import sqlite3
import ssl
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from otmon.sensor.settings import OUTPUTS
from tests.live.lab import MONITOR, skip_reason
from tests.live.sensor import POLICY, Watching, alerts, health, otmon, rows, until, write
from tests.outputs import pki as authority
from tests.outputs.pki import Pki

pytestmark = pytest.mark.skipif(bool(skip_reason()), reason=str(skip_reason()))
SECRET = "correct horse battery staple"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return authority.make(tmp_path_factory.mktemp("pki"))  # in a folder that only root enters


class Heard:
    """What came to a listener, as one text."""

    def __init__(self, listener: socket.socket, answer: Callable[[bytes], bytes], context: ssl.SSLContext | None):
        self.port: int = listener.getsockname()[1]
        self._listener, self._answer, self._context = listener, answer, context
        self._came: queue.Queue[bytes] = queue.Queue()
        self._text = b""
        threading.Thread(target=self._udp if listener.type == socket.SOCK_DGRAM else self._tcp, daemon=True).start()

    def _udp(self) -> None:
        with suppress(OSError):
            while True:
                self._came.put(self._listener.recv(65_536))

    def _tcp(self) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=self._talk, args=self._listener.accept()[:1], daemon=True).start()

    def _talk(self, sock: socket.socket) -> None:
        with suppress(OSError):
            if self._context:
                sock = self._context.wrap_socket(sock, server_side=True)
            asked = b""
            while data := sock.recv(1 << 20):
                self._came.put(data)
                asked += data
                if said := self._answer(asked):
                    sock.sendall(said)
                    asked = b""

    def text(self) -> str:
        while not self._came.empty():
            self._text += self._came.get()
        return self._text.decode(errors="replace")


@contextmanager
def listening(
    plant: Any,
    answer: Callable[[bytes], bytes] = lambda data: b"",
    context: ssl.SSLContext | None = None,
    kind: int = socket.SOCK_STREAM,
) -> Iterator[Heard]:
    """On loopback, beside the sensor."""
    with plant.inside("monitor"):
        listener = socket.socket(socket.AF_INET, kind)
    with closing(listener):
        listener.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            listener.listen()
        yield Heard(listener, answer, context)


def parts(asked: bytes) -> tuple[bytes, bytes]:
    """Head and body of a request; both empty before all of it is there."""
    head, _, body = asked.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    return (head, body) if length and len(body) == int(length[1]) else (b"", b"")


def no_content(asked: bytes) -> bytes:
    return b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n" if parts(asked)[0] else b""


def bulk(asked: bytes) -> bytes:
    """As Elasticsearch answers when it has taken everything."""
    head, body = parts(asked)
    if not head:
        return b""
    body = gzip.decompress(body) if b"content-encoding: gzip" in head.lower() else body
    ids = [json.loads(line)["create"]["_id"] for line in body.splitlines()[::2]]
    said = json.dumps({"items": [{"create": {"_id": name, "status": 201}} for name in ids]}).encode()
    fields = f"X-Elastic-Product: Elasticsearch\r\nContent-Type: application/json\r\nContent-Length: {len(said)}"
    return f"HTTP/1.1 200 OK\r\n{fields}\r\n\r\n".encode() + said


def watch(plant: Any, data: Path, outputs: str) -> Watching:
    config = data.parent / "sensor.yaml"
    config.write_text(f"interfaces: [{MONITOR}]\npolicy: {POLICY}\ndata: {data}\n{outputs}\n")
    watching = Watching(plant, "--config", config)
    plant.inject(write("10.0.2.99"))
    until(lambda: alerts(data))
    return watching


def states(data: Path) -> dict[str, tuple[str, int]]:
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{data / 'delivery.db'}?mode=ro", uri=True)) as db:
        return {name: (state, number) for name, state, number in db.execute("SELECT sink, state, delivered FROM sinks")}
    return {}


def delivered(data: Path, sink: str) -> None:
    """An alert and an audit record, and nobody in the way."""
    until(lambda: states(data).get(sink, ("", 0))[1] >= 2)
    assert states(data)[sink][0] == "well"


def metrics(plant: Any) -> str:
    with plant.inside("monitor"), urllib.request.urlopen("http://127.0.0.1:9105/metrics", timeout=5) as page:
        return str(page.read().decode())


@pytest.mark.parametrize("way", ["udp", pytest.param("tcp", marks=pytest.mark.long), "tls"])
def test_syslog(plant: Any, data: Path, certificates: Pki, way: str) -> None:
    context = certificates.context(ask_client=True) if way == "tls" else None
    with listening(plant, context=context, kind=socket.SOCK_DGRAM if way == "udp" else socket.SOCK_STREAM) as heard:
        tls = f", ca: {certificates.ca}, certificate: {certificates.client}" if way == "tls" else ""
        said = f"syslog: {{url: '{way}://localhost:{heard.port}', facility: local3{tls}}}"
        watching = watch(plant, data, said)
        delivered(data, "syslog")
        [alert] = alerts(data)
        until(lambda: f"externalId={alert['id']} " in heard.text())
        assert re.search(r"<15[0-9]>1 ", heard.text())  # 19 * 8 and the severity
        assert watching.end() == 0
        until(lambda: "sensor_stopped" in heard.text())


@pytest.mark.parametrize("secure", [pytest.param(False, marks=pytest.mark.long), True])
def test_webhook(plant: Any, data: Path, certificates: Pki, tmp_path: Path, secure: bool) -> None:
    secret = tmp_path / "secret"  # where nobody but root gets
    secret.write_text(SECRET)
    secret.chmod(0o600)
    with listening(plant, no_content, certificates.context() if secure else None) as heard:
        url = f"http{'s' * secure}://localhost:{heard.port}/hook"
        ca = f", ca: {certificates.ca}" if secure else ""
        watching = watch(plant, data, f"webhook: {{url: '{url}', secret-file: {secret}{ca}}}")
        delivered(data, "webhook")
        until(lambda: alerts(data)[0]["id"] in heard.text())
        assert "X-Otmon-Signature: sha256=" in heard.text()
        assert watching.end() == 0


@pytest.mark.long
def test_lines(plant: Any, data: Path) -> None:
    watching = watch(plant, data, "lines: {path: events.jsonl, streams: [alert, audit]}")
    delivered(data, "lines")
    assert watching.end() == 0
    found = [json.loads(line) for line in (data / "events.jsonl").read_text().splitlines()]
    assert {one["stream"] for one in found} == {"alert", "audit"}
    assert alerts(data)[0]["id"] in {one["record"].get("id") for one in found}
    assert (data / "events.jsonl").stat().st_uid == data.stat().st_uid != 0


@pytest.mark.long
def test_all_at_once_and_what_is_said_of_them(plant: Any, data: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    with listening(plant, bulk) as elastic, listening(plant, no_content) as hook, listening(plant) as collector:
        outputs = (
            f"elastic: {{url: 'http://127.0.0.1:{elastic.port}', key-file: {secret}}}",
            f"webhook: {{url: 'http://127.0.0.1:{hook.port}/', secret-file: {secret}}}",
            f"syslog: {{url: 'tcp://127.0.0.1:{collector.port}'}}",
            "lines: events.jsonl",
        )
        watching = watch(plant, data, "\n".join((*outputs, "metrics: 127.0.0.1:9105")))
        for name in OUTPUTS:
            delivered(data, name)
        until(lambda: all(f'otmon_delivery_up{{sink="{name}"}} 1.0' in metrics(plant) for name in OUTPUTS))
        until(lambda: re.search(r'otmon_delivery_delivered_total\{sink="webhook"\} [2-9]', metrics(plant)))
        assert 'otmon_spool_records{stream="alert"}' in metrics(plant)
        assert watching.end() == 0
        assert {one["sink"]: one["state"] for one in health(data)[-1]["delivery"]} == dict.fromkeys(OUTPUTS, "well")
        assert "PUT /logs-otmon.alert-default/_bulk" in elastic.text()
        assert alerts(data)[0]["id"] in hook.text()
    assert rows(data, "SELECT count(*) FROM spool WHERE stream = 'audit'") == [(0,)]


@pytest.mark.long
def test_decisions_reach_a_sensor_that_runs(plant: Any, data: Path, tmp_path: Path) -> None:
    watching = watch(plant, data, "lines: events.jsonl")
    key, plain, signed = (tmp_path / name for name in ("key", "plain", "signed"))
    key.write_text("5" * 64)
    key.chmod(0o600)
    now = datetime.now(UTC).isoformat()
    decision = {"decision": "accept", "alert": alerts(data)[0]["id"], "by": "SOC", "ts": now, "site": "demo-plant"}
    plain.write_text(json.dumps(decision) + "\n")
    with signed.open("w") as out:
        subprocess.run(otmon("alerts", "sign", plain, "--key-file", key), check=True, stdout=out)
    take = otmon("alerts", "import", signed, data, "--key-file", key)
    assert subprocess.run(take, check=False).returncode == 0
    watching.hears("decisions: 1 decisions about alerts were taken over")
    again = subprocess.run(take, check=False, capture_output=True, text=True)
    assert (again.returncode, "taken already" in again.stderr) == (2, True)
    assert rows(data, "SELECT decision, person FROM decisions") == [("accept", "SOC")]
    until(lambda: "alert_accepted" in (data / "events.jsonl").read_text())
    assert watching.end() == 0


def test_what_waits_is_delivered_when_the_sensor_has_ended(plant: Any, data: Path) -> None:
    watching = watch(plant, data, "syslog: {url: 'tcp://127.0.0.1:9'}\nlines: events.jsonl")
    delivered(data, "lines")
    assert watching.end() == 0
    with listening(plant) as collector:
        config = data.parent / "sensor.yaml"
        config.write_text(config.read_text().replace("127.0.0.1:9'", f"127.0.0.1:{collector.port}'"))
        done = plant.run("monitor", *otmon("deliver", data, "--config", config), timeout_s=60)
        assert (done.returncode, done.stderr.count("delivered to syslog")) == (0, 1), done.stderr
        assert "for lines" in done.stderr, "it had all of it before"
        until(lambda: alerts(data)[0]["id"] in collector.text())


@pytest.mark.long
def test_a_collector_that_is_away_holds_up_nobody(plant: Any, data: Path) -> None:
    watching = watch(plant, data, "syslog: {url: 'tcp://127.0.0.1:9'}\nlines: events.jsonl")
    delivered(data, "lines")
    until(lambda: states(data).get("syslog", ("", 0))[0] == "away")
    assert watching.end() == 0
    assert rows(data, "SELECT count(DISTINCT json_extract(record, '$.id')) FROM spool WHERE stream = 'alert'") == [(1,)]


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        ("lines: /var/log/otmon.jsonl", "lines: /var/log/otmon.jsonl is not in the data folder"),
        ("lines: alerts.jsonl", "name it .jsonl, and not as otmon's own files"),
        (
            "webhook: {url: 'https://siem.example/', secret-file: none}",
            "sensor.yaml:3:41: webhook.secret-file: the secret in ",
        ),
        ("syslog: {url: 'tls://siem.example', ca: none}", "none holds no certificate of an authority: No such file"),
    ],
)
def test_what_cannot_be_is_said_before_anything_starts(plant: Any, data: Path, outputs: str, said: str) -> None:
    config = data.parent / "sensor.yaml"
    config.write_text(f"interfaces: [{MONITOR}]\ndata: {data}\n{outputs}\n")
    watching = Watching(plant, "--config", config, wait=False)
    assert said in watching.hears("error: ")
    assert watching.process.wait(30) == 2
