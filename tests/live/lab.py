"""A small plant in network namespaces: a switch with a mirror port, three hosts, and a monitor that only listens.

    with lab() as plant:
        plant.run("plc", "ip", "addr")                      a command inside a namespace
        server = plant.start("plc", "python", "server.py")  one that goes on; ended with the lab
        plant.inject([frame, ...])                          raw frames, straight into the mirror port
        plant.inject([frame, ...], "hmi")                   as one of the hosts sends them, through the switch
        with plant.inside("monitor"):                       this thread's new sockets are made in there
            ring = Ring(MONITOR, 0)

Frames that any host sends appear once each at interface MONITOR of host "monitor". Everything is removed at the end.
Needs root, `ip` and `tc`: `skip_reason()` says what is missing.
"""

import ctypes
import functools
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

HOSTS = {"plc": "10.77.0.10", "hmi": "10.77.0.20", "attacker": "10.77.0.30"}
"""Name -> address; their interface is eth0, their MAC address 02:00:00:00:00:10 and so on."""
MONITOR = "span0"
"""Interface of the monitor, and of the switch's end of that cable."""
NAMESPACES = ("switch", "monitor", *HOSTS)
_CLONE_NEWNET = 0x40000000
_SETTINGS = {
    "/proc/sys/net/ipv6/conf/all/disable_ipv6": 1,  # no chatter
    "/proc/sys/net/ipv6/conf/default/disable_ipv6": 1,
    "/proc/sys/net/bridge/bridge-nf-call-iptables": 0,  # the switch would drop what is no good IP
}
_OFFLOADS = [word for name in ("tso", "gso", "gro", "tx", "rx", "sg") for word in (name, "off")]


class LabError(Exception):
    """The lab cannot be made here; str() is the command's last line."""


def _do(*command: str, check: bool = True) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    if check and done.returncode:
        raise LabError(f"{' '.join(command)}: {(done.stderr.strip().splitlines() or ['failed'])[-1]}")
    return done.stdout


class Lab:
    """See the module. `offloads`: hosts hand over TCP data in pieces of up to 64 KiB, as a mirror of a server shows."""

    def __init__(self, mtu: int = 1500, offloads: bool = False) -> None:
        self._mtu = str(mtu)
        self._offloads = offloads
        self._prefix = f"otmon-{secrets.token_hex(3)}"
        self._processes: list[subprocess.Popen[str]] = []

    def namespace(self, host: str) -> str:
        """Its name, for `ip netns exec`."""
        return f"{self._prefix}-{host}"

    def up(self) -> None:
        """Raises LabError."""
        for host in NAMESPACES:
            _do("ip", "netns", "add", self.namespace(host))
            for path, value in _SETTINGS.items():
                self.run(host, "sh", "-c", f"test ! -e {path} || echo {value} > {path}")
            self.ip(host, "link set lo up")
        self.ip("switch", "link add br0 type bridge stp_state 0 mcast_snooping 0")
        self.ip("switch", f"link set br0 up mtu {self._mtu}")
        self.cable()
        for host, address in HOSTS.items():
            port = f"p-{host}"
            self._veth(port, "eth0", host)
            self.ip("switch", f"link set {port} master br0")
            self.ip(host, f"link set eth0 address 02:00:00:00:00:{address.rpartition('.')[2]}")
            self.ip(host, f"addr add {address}/24 dev eth0")
            if not self._offloads:
                for where, name in ((host, "eth0"), ("switch", port)):
                    self._without_offloads(where, name)
        self.mirror()

    def ip(self, host: str, command: str, check: bool = True) -> str:
        """`ip` inside a namespace; raises LabError."""
        return _do("ip", "-n", self.namespace(host), *command.split(), check=check)

    def _veth(self, port: str, name: str, host: str) -> None:
        peer = f"peer name {name} mtu {self._mtu} netns {self.namespace(host)}"
        self.ip("switch", f"link add {port} mtu {self._mtu} type veth {peer}")
        self.ip("switch", f"link set {port} up")
        self.ip(host, f"link set {name} up")

    def _without_offloads(self, host: str, name: str) -> None:
        if shutil.which("ethtool"):
            self.run(host, "ethtool", "-K", name, *_OFFLOADS)

    def cable(self) -> None:
        """Make the monitor's cable (again, after `cut`); it has no address and does not speak."""
        self._veth(MONITOR, MONITOR, "monitor")
        self.ip("monitor", f"link set {MONITOR} arp off")
        if not self._offloads:
            self._without_offloads("switch", MONITOR)
            self._without_offloads("monitor", MONITOR)

    def cut(self) -> None:
        """Remove the monitor's interface and its cable."""
        self.ip("monitor", f"link del {MONITOR}")

    def mirror(self) -> None:
        """Copy what arrives at each switch port to the monitor; needed again after `cable`."""
        for host in HOSTS:
            tc = ("tc", "-n", self.namespace("switch"))
            _do(*tc, "qdisc", "del", "dev", f"p-{host}", "clsact", check=False)
            _do(*tc, "qdisc", "add", "dev", f"p-{host}", "clsact")
            what = f"dev p-{host} ingress protocol all prio 1 u32 match u32 0 0"
            _do(*tc, "filter", "add", *what.split(), *f"action mirred egress mirror dev {MONITOR}".split())

    def down(self) -> None:
        """End what was started, and remove everything."""
        for process in self._processes:
            process.kill()
            process.wait()
        for host in NAMESPACES:
            _do("ip", "netns", "del", self.namespace(host), check=False)

    def run(self, host: str, *command: str, timeout_s: float = 10) -> subprocess.CompletedProcess[str]:
        """A command inside a namespace, to its end."""
        line = ("ip", "netns", "exec", self.namespace(host), *command)
        return subprocess.run(line, capture_output=True, text=True, timeout=timeout_s)

    def start(self, host: str, *command: str) -> "subprocess.Popen[str]":
        """A command inside a namespace that goes on, its stdout and stderr in pipes."""
        line = ("ip", "netns", "exec", self.namespace(host), *command)
        process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._processes.append(process)
        return process

    @contextmanager
    def inside(self, host: str) -> Iterator[None]:
        """Sockets that this thread makes now are in that namespace, and stay there."""
        enter = ctypes.CDLL(None, use_errno=True).setns
        with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{self.namespace(host)}") as there:
            if enter(there.fileno(), _CLONE_NEWNET):
                raise LabError(f"cannot enter {host}: {os.strerror(ctypes.get_errno())}")
            try:
                yield
            finally:
                enter(home.fileno(), _CLONE_NEWNET)

    def wire(self, host: str, interface: str) -> socket.socket:
        """Each `send` of it puts a raw frame there. To close it takes the kernel 20 ms: keep it for many frames."""
        with self.inside(host):
            made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        made.bind((interface, 0))
        return made

    def inject(self, frames: Sequence[bytes], host: str = "switch") -> None:
        """Send raw frames: by default into the switch's end of the mirror cable, past the switch."""
        with self.wire(host, MONITOR if host == "switch" else "eth0") as wire:
            for frame in frames:
                wire.send(frame)

    def counter(self, host: str, interface: str, direction: str = "tx", what: str = "packets") -> int:
        """The interface's own count."""
        [link] = json.loads(self.ip(host, f"-s -j link show dev {interface}"))
        return int(link["stats64"][direction][what])


@contextmanager
def lab(mtu: int = 1500, offloads: bool = False) -> Iterator[Lab]:
    """A lab that is up; raises LabError if it cannot be made here."""
    made = Lab(mtu, offloads)
    try:
        made.up()
        yield made
    finally:
        made.down()


@functools.cache
def skip_reason() -> str | None:
    """Why there can be no lab here; None if there can. Found out by making one."""
    if sys.platform != "linux":
        return "network namespaces need Linux"
    if os.geteuid():
        return "network namespaces need root"
    for tool in ("ip", "tc"):
        if not shutil.which(tool):
            return f"there is no `{tool}` (apt install iproute2)"
    try:
        with lab():
            return None
    except (LabError, OSError) as error:
        return f"network namespaces cannot be made here: {error}"
