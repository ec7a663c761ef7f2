"""`otmon watch` as a process at the mirror port of the lab, its data folder, and frames to show it."""

import json
import queue
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from otmon.capture.inputs import open_inputs
from tests.live.lab import MONITOR, Lab

ROOT = Path(__file__).parents[2]
CAPTURES = sorted(map(str, (ROOT / "captures").glob("*.pcap")))
POLICY = ROOT / "rules" / "plant.yaml"
PATIENCE_S = 30.0
"""For what comes in a moment on an idle machine."""


RULES = """otmon: 1
site: test
zones:
  here: {{level: 1, hosts: [10.0.0.0/8]}}
conduits:
  - {{id: only, from: here, to: here, allow: [{{protocol: modbus, access: {access:<14}}}]}}
"""
"""A policy, as long with either access."""


def otmon(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "otmon", *map(str, arguments)]


class Watching:
    """A running `otmon watch`; everything it said is in `said`."""

    def __init__(self, plant: Lab, *arguments: str | Path, wait: bool = True) -> None:
        self.process = plant.start("monitor", *otmon("watch", *arguments))
        self.said: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        if wait:
            self.hears("watching ")

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def hears(self, word: str, patience_s: float = PATIENCE_S) -> str:
        """The next line with this in it."""
        while (line := self._lines.get(timeout=patience_s)) is not None:
            self.said.append(line)
            if word in line:
                return line
        raise AssertionError(f"ended without {word!r}: {self.said}")

    def end(self, number: int = signal.SIGTERM, patience_s: float = PATIENCE_S) -> int:
        """Exit code after a signal."""
        self.process.send_signal(number)
        code = self.process.wait(patience_s)
        while (line := self._lines.get(timeout=PATIENCE_S)) is not None:
            self.said.append(line)
        return code

    def memory_kib(self) -> int:
        """Resident, without the capture ring (which is shared)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("RssAnon:")[2].split()[0])


@contextmanager
def data_folder(mib: int | None = None) -> Iterator[Path]:
    """A new folder that other users may reach; on a disk of its own of so many MiB."""
    top = Path(tempfile.mkdtemp(prefix="otmon-test-", dir="/var/tmp"))
    top.chmod(0o755)
    data = top / "data"
    data.mkdir()
    try:
        if mib is not None:
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", data], check=True)
        yield data
    finally:
        if mib is not None:
            subprocess.run(["umount", "-l", data], check=False)
        shutil.rmtree(top, ignore_errors=True)


def rows(data: Path, query: str) -> list[tuple[Any, ...]]:
    """What a reader of the database sees now; nothing while there is none."""
    try:
        with closing(sqlite3.connect(f"file:{data / 'site.db'}?mode=ro", uri=True)) as db:
            return db.execute(query).fetchall()
    except sqlite3.OperationalError:
        return []


def alerts(data: Path) -> list[dict[str, Any]]:
    """Records of the alerts that are in the database now."""
    return [json.loads(record) for (record,) in rows(data, "SELECT record FROM alerts ORDER BY n")]


def health(data: Path) -> list[dict[str, Any]]:
    """Records of the sensor's health that are in the database now."""
    return [json.loads(record) for (record,) in rows(data, "SELECT record FROM health ORDER BY n")]


def sums(data: Path) -> dict[str, int]:
    """Figures of all health records together, of their only interface."""
    total: dict[str, int] = {}
    for record in health(data):
        [reading] = record["interfaces"]
        for name in ("received", "dropped", "frames", "interface_drops"):
            total[name] = total.get(name, 0) + reading[name]
        total["shed"] = total.get("shed", 0) + record["shed"]
    return total


def until(what: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
    """What `what` gives as soon as it is true."""
    give_up = time.monotonic() + patience_s
    while not (found := what()):
        assert time.monotonic() < give_up, "it did not come"
        time.sleep(0.01)
    return found


def frames_of(paths: Sequence[str]) -> list[bytes]:
    """Every frame, one file behind the other."""
    found = []
    for batch in open_inputs(paths):
        found += [batch.data[at : at + (n >> 32)].tobytes() for at, n in batch.records[:, :2].tolist()]
    return found


def same_order(paths: Iterable[str]) -> list[bytes]:
    """Every frame of the files, each file to its end before the next one."""
    return [frame for path in paths for frame in frames_of([path])]


def write(client: str, server: str = "10.0.1.11", port: int = 40_000, register: int = 1) -> list[bytes]:
    """A handshake and a Modbus write of one register, answered."""
    pdu = struct.pack(">HHHBBHH", 1, 0, 6, 1, 6, register, 7)
    return [*handshake(client, server, port, 502), *talk(client, server, port, 502, pdu)]


def handshake(client: str, server: str, port: int, service: int) -> list[bytes]:
    return [
        tcp(client, server, port, service, 1_000, 0, 0x02),
        tcp(server, client, service, port, 2_000, 1_001, 0x12),
        tcp(client, server, port, service, 1_001, 2_001, 0x10),
    ]


def talk(client: str, server: str, port: int, service: int, pdu: bytes, said: int = 0) -> list[bytes]:
    """A request of which the answer is an echo; `said`: bytes before it."""
    return [
        tcp(client, server, port, service, 1_001 + said, 2_001 + said, 0x18, pdu),
        tcp(server, client, service, port, 2_001 + said, 1_001 + said + len(pdu), 0x18, pdu),
    ]


def tcp(
    source: str, destination: str, sport: int, dport: int, seq: int, ack: int, flags: int, payload: bytes = b""
) -> bytes:
    """An Ethernet frame; checksums are left 0, as offloading hosts do on a mirror."""
    ends = [bytes(map(int, address.split("."))) for address in (source, destination)]
    macs = b"".join(b"\x02\x00" + end for end in reversed(ends))
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 40 + len(payload), 1, 0x4000, 64, 6, 0) + ends[0] + ends[1]
    head = struct.pack(">HHIIBBHHH", sport, dport, seq, ack & 0xFFFFFFFF, 0x50, flags, 8192, 0, 0)
    return (macs + b"\x08\x00" + ip + head + payload).ljust(60, b"\x00")


def plain(record: dict[str, Any]) -> dict[str, Any]:
    """An alert, an asset or an operation without what the moment it was seen at gave it."""
    return {name: _plain(value) for name, value in record.items() if not _momentary(name)}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return plain(value)
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _momentary(name: str) -> bool:
    return name in ("id", "frames", "period_ns", "period_spread_ns", "response_ns") or name.endswith("ts_ns")


def records(folder: Path, name: str) -> list[dict[str, Any]]:
    """A result file of otmon, without moments, in an order of its content."""
    lines = (plain(json.loads(line)) for line in (folder / name).read_text().splitlines())
    return sorted(lines, key=lambda record: json.dumps(record, sort_keys=True))


def arguments(data: Path, policy: Path | None = POLICY) -> list[str | Path]:
    """Of `watch` at the lab's monitor."""
    return [MONITOR, "--data", data, *(["--policy", policy] if policy is not None else [])]


def rules(path: Path, access: str) -> Path:
    """A policy that lets all of 10.0.0.0/8 do this with Modbus, and nothing else."""
    path.write_text(RULES.format(access=f"[{access}]"))
    path.chmod(0o644)
    return path
