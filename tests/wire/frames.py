"""Strips frames and says in words what came out; `python -m tests.wire.frames` does so for JSON lines from stdin."""

import ipaddress
import json
import sys

import numpy as np

from otmon.capture.batch import LINK_ETHERNET
from otmon.engine.loop import LOOP
from otmon.wire import link
from otmon.wire.linknames import TUNNEL_NAMES, describe
from tests.protocols.far import STATE

CODES = {
    link.LINK_IP: "ip",
    link.LINK_NON_IP: "non-ip",
    link.LINK_UNSUPPORTED_LAYER: "unsupported",
    link.LINK_MALFORMED: "malformed",
    link.LINK_SHORT: "short",
}


def strip(data, wire=None, kind=LINK_ETHERNET, before=b""):
    """(code, slots): `before` bytes stand in the buffer before and behind the frame, as in a real batch."""
    buf = np.frombuffer(before + bytes(data) + before, np.uint8)
    start = len(before)
    STATE.link[:] = -999
    end = start + len(data)
    wire_end = start + (len(data) if wire is None else wire)
    code = LOOP.strip(STATE, buf, start, end, wire_end, kind)
    slots = STATE.link[: link.L_SIZE].tolist()
    for slot in (link.L_L3, link.L_END, link.L_WIRE_END):
        slots[slot] -= start
    if slots[link.L_OUTER] >= 0:
        slots[link.L_OUTER] -= start
    return CODES[int(code)], slots


def told(data, **options):
    """The same as a dict of what is there."""
    code, slots = strip(data, **options)
    seen = {"code": code}
    l3 = slots[link.L_L3]
    if code == "ip":
        first, size = (l3 + 12, 4) if slots[link.L_FAMILY] == 4 else (l3 + 8, 16)
        seen["src"] = str(ipaddress.ip_address(bytes(data)[first : first + size]))
    if code == "unsupported":
        seen["what"] = describe(slots[link.L_REASON], slots[link.L_WHAT])
    if code == "non-ip":
        seen["ethertype"] = slots[link.L_ETHERTYPE]
        seen["rest"] = bytes(data)[l3 : slots[link.L_END]]
    if slots[link.L_SRC] >= 0:
        seen["mac"] = slots[link.L_SRC].to_bytes(6, "big").hex(":")
    vlans = [word for word in (slots[link.L_VLANS] & 0xFFFF, slots[link.L_VLANS] >> 16) if word != link.NO_VLAN]
    if vlans:
        seen["vlans"] = vlans
    if slots[link.L_TUNNEL]:
        seen["tunnel"] = TUNNEL_NAMES[slots[link.L_TUNNEL]]
    return seen


def main():
    for line in sys.stdin:
        data, wire, kind = json.loads(line)
        print(json.dumps(strip(bytes.fromhex(data), wire, kind)))


if __name__ == "__main__":
    main()
