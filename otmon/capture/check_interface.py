"""Checks of one interface: is it one that a mirror port can be watched on, whole and without being heard?"""

from collections.abc import Callable, Iterator
from typing import Final

from otmon.capture import trial
from otmon.capture.check import Check
from otmon.capture.nic import ARPHRD_ETHER, IFF_NOARP, IFF_RUNNING, IFF_UP, Nic, look
from otmon.text import safe_text

_MERGING: Final = {
    "rx-gro": "gro",
    "rx-gro-hw": "rx-gro-hw",
    "rx-lro": "lro",
    "rx-gro-list": "rx-gro-list",
    "rx-udp-gro-forwarding": "rx-udp-gro-forwarding",
}
"""Kernel's name -> what `ethtool -K` calls it."""
_SENDING: Final = {"tx-tcp-segmentation": "tso", "tx-generic-segmentation": "gso"}


def _up(nic: Nic) -> Check:
    if not nic.flags & IFF_UP:
        means = "A port that is down receives nothing."
        return Check(nic.name, "link", "wrong", "down", means, f"ip link set {nic.name} up")
    if not nic.flags & IFF_RUNNING:
        means = "No carrier: the cable is out, or the switch port is shut down."
        return Check(nic.name, "link", "wrong", "up, no carrier", means)
    return Check(nic.name, "link", "ok", "up")


def _kind(nic: Nic) -> Check:
    if nic.hardware != ARPHRD_ETHER:
        means = "A mirror port gives Ethernet frames; this is another kind of interface."
        return Check(nic.name, "kind", "warning", f"hardware type {nic.hardware}", means)
    return Check(nic.name, "kind", "ok", "Ethernet")


def _speed(nic: Nic) -> Check:
    if nic.speed_mbit is None:
        means = "Unknown (usual on virtual machines): otmon cannot say how close to its limit the mirror runs."
        return Check(nic.name, "speed", "ok", "not told by the driver", means)
    return Check(nic.name, "speed", "ok", f"{nic.speed_mbit:,} Mbit/s")


def _address(nic: Nic) -> Check:
    if nic.addresses:
        means = "The machine can be spoken to, and answers, on the network it watches; a monitor port has no address. "
        means += "If this is the way to the machine itself, watch another interface."
        found = ", ".join(nic.addresses)
        return Check(nic.name, "address", "warning", found, means, f"ip addr flush dev {nic.name}")
    return Check(nic.name, "address", "ok", "none")


def _silent(nic: Nic) -> Check:
    speaks = [word for word, on in (("ARP", not nic.flags & IFF_NOARP), ("IPv6", nic.ipv6)) if on]
    if not speaks:
        return Check(nic.name, "silence", "ok", "ARP and IPv6 are off")
    orders = {"ARP": f"ip link set {nic.name} arp off", "IPv6": f"sysctl -w net.ipv6.conf.{nic.name}.disable_ipv6=1"}
    means = "The kernel may transmit on the network it watches (otmon itself never does)."
    mend = " && ".join(orders[word] for word in speaks)
    return Check(nic.name, "silence", "warning", f"{' and '.join(speaks)} on", means, mend)


def _offloads(nic: Nic) -> Check:
    if not nic.features:
        return Check(nic.name, "offloads", "ok", "not told by the driver", "Look at them with `ethtool -k`.")
    merging = [name for name in _MERGING if name in nic.features and nic.features[name].on]
    sending = [word for name, word in _SENDING.items() if name in nic.features and nic.features[name].on]
    if not merging:
        found = "frames arrive as they were sent"
        if sending:
            found += f" ({' and '.join(sending)} concern what is sent)"
        return Check(nic.name, "offloads", "ok", found)
    means = "Frames are merged before otmon sees them: sizes, counts and times are not those on the wire."
    fixed = [_MERGING[name] for name in merging if not nic.features[name].changeable]
    orders = " ".join(f"{_MERGING[name]} off" for name in merging if nic.features[name].changeable)
    if fixed:
        means += f" The driver keeps {', '.join(fixed)}: on a virtual machine, switch it off on its host."
    found = f"{', '.join(_MERGING[name] for name in merging)} on"
    return Check(nic.name, "offloads", "warning", found, means, f"ethtool -K {nic.name} {orders}" if orders else "")


def _tags(nic: Nic) -> Check:
    feature = nic.features.get("rx-vlan-hw-parse")
    found = (
        "taken off by the hardware, put back by otmon" if feature is not None and feature.on else "left in the frame"
    )
    return Check(nic.name, "VLAN tags", "ok", found)


def _ring(nic: Nic) -> Check:
    if nic.ring is None:
        return Check(nic.name, "receive ring", "ok", "not told by the driver")
    now, most = nic.ring
    if now < most:
        means = "A burst longer than this is lost in the hardware, before otmon can count it."
        found = f"{now:,} of {most:,} descriptors"
        return Check(nic.name, "receive ring", "warning", found, means, f"ethtool -G {nic.name} rx {most}")
    return Check(nic.name, "receive ring", "ok", f"{now:,} descriptors, the most it can have")


def _drops(nic: Nic) -> Check:
    counts = {name: nic.received.get(name, 0) for name in ("errors", "drops", "fifo")}
    frames = nic.received.get("frames", 0)
    if not any(counts.values()):
        return Check(nic.name, "losses", "ok", f"none of {frames:,} frames")
    found = ", ".join(f"{value:,} {name}" for name, value in counts.items() if value) + f" beside {frames:,} frames"
    means = "Since the interface was made. If they grow: errors are the cable, drops and fifo a ring or CPU too small."
    return Check(nic.name, "losses", "warning", found, means, f"ip -s -s link show {nic.name}")


def _capture(nic: Nic) -> Check:
    try:
        refused = trial.promiscuous(nic.name, nic.number)
    except OSError as error:
        means = "Not tried: packet sockets are refused, see `privileges`."
        return Check(nic.name, "capture", "warning", error.strerror or str(error), means)
    if refused is not None:
        means = "Without it only frames to this machine are seen. Some virtual switches refuse it: allow it there."
        return Check(nic.name, "capture", "wrong", f"not promiscuous: {refused}", means)
    return Check(nic.name, "capture", "ok", "promiscuous")


_CHECKS: Final[tuple[Callable[[Nic], Check], ...]] = (
    *(_kind, _up, _speed, _address, _silent, _offloads, _tags, _ring, _drops, _capture),
)


def judge(nic: Nic) -> Iterator[Check]:
    """Every check of an interface that is there."""
    return (check(nic) for check in _CHECKS)


def interface_checks(name: str) -> list[Check]:
    """Look at an interface. Nothing is sent; for a moment it is made promiscuous, if privileges allow."""
    nic = look(name)
    if nic is None:
        return [Check(safe_text(name), "link", "wrong", "no such interface", "These are there:", "ip -br link")]
    return list(judge(nic))
