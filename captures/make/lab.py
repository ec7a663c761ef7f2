"""A plant in network namespaces: one bridge, one namespace a host, one capture point that sees each frame once.

The capture point is the bridge device itself: in promiscuous mode it is handed every frame it forwards, once, as
a mirror port set to "receive" would be. Offloads are off, so frames have the size and the checksums of the wire.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PREFIX = "otmcap-"
SWITCH = PREFIX + "switch"
OFFLOADS = [word for feature in ("tso", "gso", "gro", "tx", "rx", "sg") for word in (feature, "off")]


@dataclass(frozen=True, slots=True)
class Host:
    name: str
    ip: str
    mac: str


def run(*command: str | Path) -> None:
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)


@dataclass(slots=True)
class Lab:
    """The running plant; everything it starts ends with it."""

    logs: Path
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, host: str, name: str, *command: str | Path) -> subprocess.Popen[bytes]:
        """Start a process on a host; its output goes to a log of that name."""
        with (self.logs / f"{name}.log").open("wb") as log:
            words = ["ip", "netns", "exec", PREFIX + host, *(str(word) for word in command)]
            process = subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT)
        self.started.append(process)
        return process

    def wait_for(self, host: str, port: int, timeout_s: float = 20.0) -> None:
        """Wait until a host listens on a TCP or UDP port, without sending it anything."""
        deadline = time.monotonic() + timeout_s
        command = ["ip", "netns", "exec", PREFIX + host, "ss", "-Hltun", f"sport = :{port}"]
        while not subprocess.run(command, check=True, capture_output=True).stdout.strip():
            if time.monotonic() > deadline:
                raise TimeoutError(f"nothing listens on {host}:{port}; see {self.logs}")
            time.sleep(0.1)

    def finish(self, clients: Sequence[subprocess.Popen[bytes]], timeout_s: float = 90.0) -> None:
        """Wait for the clients and insist that each ended well."""
        for client in clients:
            code = client.wait(timeout_s)
            if code != 0:
                raise RuntimeError(f"{client.args!r} ended with {code}; see {self.logs}")

    @contextlib.contextmanager
    def capture(self, path: Path) -> Iterator[None]:
        """Write every frame on the bridge to `path` while the context is open."""
        command = ["ip", "netns", "exec", SWITCH, "tcpdump", "-i", "br0", "-nn", "-U", "--immediate-mode", "-Z", "root"]
        tcpdump = subprocess.Popen([*command, "-w", str(path)], stderr=subprocess.PIPE)
        assert tcpdump.stderr is not None
        while b"listening on" not in tcpdump.stderr.readline():
            if tcpdump.poll() is not None:
                raise RuntimeError("tcpdump ended")
        try:
            yield
            time.sleep(0.7)
        finally:
            tcpdump.terminate()
            report = tcpdump.communicate()[1].decode()
        dropped = re.search(r"(\d+) packets dropped by kernel", report)
        if dropped is None or dropped[1] != "0":
            raise RuntimeError(f"the capture is not whole: {report}")


@contextlib.contextmanager
def lab(hosts: Sequence[Host], logs: Path) -> Iterator[Lab]:
    """Build the plant, hand it over, and take it away again whatever happens."""
    logs.mkdir(parents=True, exist_ok=True)
    plant = Lab(logs)
    made: list[str] = []
    try:
        for name in (SWITCH, *(PREFIX + host.name for host in hosts)):
            run("ip", "netns", "add", name)
            made.append(name)
            for scope in ("all", "default"):
                run("ip", "netns", "exec", name, "sysctl", "-qw", f"net.ipv6.conf.{scope}.disable_ipv6=1")
            run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "-n", SWITCH, "link", "add", "br0", "type", "bridge", "stp_state", "0", "mcast_snooping", "0")
        run("ip", "-n", SWITCH, "link", "set", "br0", "up")
        for number, host in enumerate(hosts, 1):
            plug_in(host, f"port{number}")
        yield plant
    finally:
        for process in reversed(plant.started):
            if process.poll() is None:
                process.terminate()
        for process in plant.started:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for name in reversed(made):
            run("ip", "netns", "del", name)


def plug_in(host: Host, port: str) -> None:
    """Join a host to the bridge by a veth pair, with its own address and MAC."""
    space = PREFIX + host.name
    run("ip", "link", "add", port, "netns", SWITCH, "type", "veth", "peer", "name", "eth0", "netns", space)
    run("ip", "-n", space, "link", "set", "eth0", "address", host.mac)
    run("ip", "-n", space, "addr", "add", host.ip + "/16", "dev", "eth0")
    run("ip", "netns", "exec", space, "ethtool", "-K", "eth0", *OFFLOADS)
    run("ip", "netns", "exec", SWITCH, "ethtool", "-K", port, *OFFLOADS)
    run("ip", "-n", space, "link", "set", "eth0", "up")
    run("ip", "-n", SWITCH, "link", "set", port, "master", "br0", "up")
