"""The office: a workstation that browses, pings and asks for names; a name server. Standard library only.

Usage: plant_office.py workstation START | plant_office.py names ADDRESS
"""

import contextlib
import socket
import struct
import sys
import urllib.request

from schedule import follow

SERVER = "10.0.3.5"


def question(number: int, name: str, kind: int = 1) -> bytes:
    """A DNS query for one name (RFC 1035 section 4.1)."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">6H", number, 0x0100, 1, 0, 0, 0) + labels + struct.pack(">BHH", 0, kind, 1)


def answer(query: bytes) -> bytes:
    """One A record for whatever was asked."""
    header = query[:2] + struct.pack(">5H", 0x8180, 1, 1, 0, 0)
    return header + query[12:] + struct.pack(">HHHIH", 0xC00C, 1, 1, 300, 4) + socket.inet_aton(SERVER)


def serve_names(address: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind((address, 53))
        while True:
            query, client = listener.recvfrom(512)
            listener.sendto(answer(query), client)


def resolve(number: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.settimeout(3)
        asker.sendto(question(number, "files.office.example"), (SERVER, 53))
        asker.recv(512)


def browse(path: str) -> None:
    with urllib.request.urlopen(f"http://{SERVER}/{path}", timeout=5) as page:
        page.read()


def ping(number: int) -> None:
    """One ICMP echo request (RFC 792), answered by the other kernel."""
    message = struct.pack(">BBHHH", 8, 0, 0, 0x3050, number) + bytes(range(48))
    total = sum(struct.unpack(f">{len(message) // 2}H", message))
    total = (total & 0xFFFF) + (total >> 16)
    message = message[:2] + struct.pack(">H", ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF) + message[4:]
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        raw.settimeout(3)
        raw.sendto(message, (SERVER, 0))
        raw.recv(512)


def announce() -> None:
    """Ask for printers by multicast DNS (RFC 6762), as every office workstation does."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.0.3.50"))
        asker.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
        asker.bind(("10.0.3.50", 5353))
        asker.sendto(question(0, "_ipp._tcp.local", kind=12), ("224.0.0.251", 5353))


def knock() -> None:
    """The violation: a browser on the workstation tries the PLC's web page, and the PLC has none."""
    with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("10.0.1.11", 80), timeout=3):
        pass


def work(start: float) -> None:
    steps = [
        (1.5, lambda: resolve(1)),
        (1.6, lambda: browse("")),
        (2.4, announce),
        (3.2, lambda: ping(1)),
        (4.2, lambda: ping(2)),
        (6.5, lambda: browse("shifts.txt")),
        (9.6, knock),
        (13.2, lambda: resolve(2)),
        (13.3, lambda: browse("shifts.txt")),
        (18.4, lambda: ping(3)),
        (21.9, lambda: browse("")),
    ]
    follow(start, steps)


if sys.argv[1] == "names":
    serve_names(sys.argv[2])
else:
    work(float(sys.argv[2]))
