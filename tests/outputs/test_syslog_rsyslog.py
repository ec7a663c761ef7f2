"""Syslog as rsyslog reads it: each field it finds is the one that our own parser of RFC 5424 finds, by every way."""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from otmon.outputs.sink import DONE, Outgoing
from otmon.outputs.syslog_cef import MAX_DATAGRAM_BYTES, MAX_MESSAGE_BYTES, SyslogCef, message
from tests.outputs.outgoing import HOSTILE, outgoing, with_text
from tests.outputs.pki import Pki
from tests.outputs.test_syslog_cef import read

FIELDS = {
    # what rsyslog calls it -> the same in our parser
    "pri": "pri",
    "hostname": "host",
    "app-name": "app",
    "procid": "proc",
    "msgid": "id",
    "structured-data": "sd",
    "msg": "text",
}
CONFIGURATION = """\
global(workDirectory="{folder}" maxMessageSize="64k" net.enableDNS="off"
       defaultNetstreamDriverCAFile="{pki.ca}" defaultNetstreamDriverCertFile="{pki.server}"
       defaultNetstreamDriverKeyFile="{pki.server}")
module(load="imudp")
module(load="imptcp")
module(load="imtcp" streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="anon")
template(name="fields" type="list" option.jsonf="on") {{
{properties}
}}
ruleset(name="kept") {{ action(type="omfile" file="{folder}/kept" template="fields") }}
input(type="imudp" address="127.0.0.1" port="{udp}" ruleset="kept")
input(type="imptcp" address="127.0.0.1" port="{tcp}" ruleset="kept")
input(type="imtcp" address="127.0.0.1" port="{tls}" ruleset="kept")
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Rsyslog:
    def __init__(self, folder: Path, pki: Pki) -> None:
        program = shutil.which("rsyslogd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if program is None:
            pytest.skip("no rsyslogd here (Debian: rsyslog, rsyslog-openssl)")
        self.kept, self.said = folder / "kept", folder / "said"
        self.ports = {way: free_port() for way in ("udp", "tcp", "tls")}
        properties = [f'property(name="{name}" outname="{name}" format="jsonf")' for name in FIELDS]
        properties.append('property(name="timereported" outname="time" format="jsonf" dateFormat="rfc3339")')
        (folder / "conf").write_text(
            CONFIGURATION.format(folder=folder, pki=pki, properties="\n".join(properties), **self.ports)
        )
        with self.said.open("wb") as said:
            self.process = subprocess.Popen(
                [program, "-n", "-f", folder / "conf", "-i", folder / "pid"], stdout=said, stderr=said
            )
        end_s = time.monotonic() + 20
        while any(socket.socket().connect_ex(("127.0.0.1", self.ports[way])) for way in ("tcp", "tls")):
            if self.process.poll() is not None or time.monotonic() > end_s:
                pytest.skip(
                    f"rsyslogd does not start, or has no TLS (Debian: rsyslog-openssl): {self.said.read_text()}"
                )
            time.sleep(0.05)

    def took(self, count: int) -> list[dict[str, Any]]:
        end_s = time.monotonic() + 20
        while time.monotonic() < end_s:
            lines = self.kept.read_bytes().splitlines() if self.kept.exists() else []
            if len(lines) >= count:
                break
            time.sleep(0.05)
        return [json.loads(line) for line in lines]


@pytest.fixture
def rsyslog(tmp_path: Path, pki: Pki) -> Iterator[Rsyslog]:
    found = Rsyslog(tmp_path, pki)
    yield found
    found.process.terminate()
    found.process.wait(20)


def records() -> list[Outgoing]:
    texts = [outgoing(n, record=with_text(text)) for n, text in enumerate(HOSTILE, 2)]
    return [outgoing(1), *texts, outgoing(99, sensor='s ] " \\ é\n')]


@pytest.mark.parametrize("way", ["udp", "tcp", "tls"])
def test_rsyslog_reads_what_was_written(rsyslog: Rsyslog, pki: Pki, way: str) -> None:
    sink = SyslogCef(f"{way}://127.0.0.1:{rsyslog.ports[way]}", ca=pki.ca if way == "tls" else None)
    sent = records()
    assert sink.deliver(sent, False) == [DONE] * len(sent)
    sink.close()
    most = MAX_DATAGRAM_BYTES if way == "udp" else MAX_MESSAGE_BYTES
    wanted = [read(message(one, n, most)) for n, one in enumerate(sent, 1)]
    found = rsyslog.took(len(sent))
    assert [one["time"] for one in found] == [one["time"] for one in wanted]
    for theirs, ours in zip(found, wanted, strict=True):
        said = {name: theirs[name].removeprefix("\ufeff") for name in FIELDS}
        assert said == {name: ours[mine] for name, mine in FIELDS.items()}
