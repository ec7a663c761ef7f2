"""What only looks like a control protocol is none."""

import pytest

from tests.oracles.logs import read
from tests.protocols.segments import CAPTURES
from tests.verify.captures import seen


@pytest.mark.parametrize(
    "bait",
    [
        "bittorrent-dht.pcap",  # on UDP port 20000
        "rdp-proprietary-encryption.pcap",  # TPKT and COTP on port 3389
        "bacnet_services.pcap",
        "enip_cip_example.pcap",
        "hart-ip_all_types_and_commands_sent.pcapng",
        "omron.pcap",
        "profinet_io_cm_mixed_1.pcap",
    ],
)
def test_other_protocols_give_no_pdu(bait: str) -> None:
    found = seen(bait)
    assert found.summary["protocols"] == {}
    assert found.messages == []
    assert found.summary["frames"]["ot"] == 0
    assert found.summary["ot_bytes"]["decoded"] == 0
    assert {record["operation"]["protocol"] for record in found.operations} <= {"tcp", "udp", "icmp", "ip"}


def test_only_modbus_is_modbus_on_its_port() -> None:
    """HTTP, TLS and DCERPC to port 502: Zeek too finds Modbus in one connection."""
    found = seen("modbus-and-non-modbus-p502.pcap")
    folder = CAPTURES / "zeek__zeek" / "oracle" / "scripts.base.protocols.modbus.modbus_and_non_modbus_on_port_502"
    connections, pdus = read(folder / "conn.log"), read(folder / "modbus.log")
    modbus = [row for row in connections if row["service"] == "modbus"]
    assert len(modbus) == 1
    ends = ("id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p")
    # Zeek sees two connections where, after a reset, data came on the same ports.
    assert len({tuple(row[end] for end in ends) for row in connections}) == found.summary["connections"]
    assert {(r["src"][1], r["dst"][1]) for r in found.messages if r["from_client"]} == {
        (int(row["id.orig_p"]), int(row["id.resp_p"])) for row in modbus
    }
    assert len(found.messages) == len(pdus) == 12
    # Every byte of the others is accounted for as what it is.
    foreign = sum(int(row["orig_bytes"]) + int(row["resp_bytes"]) for row in connections if row not in modbus)
    assert found.summary["ot_bytes"]["unrecognised"] == foreign
    assert found.summary["ot_bytes"]["decoded"] == sum(
        int(row["orig_bytes"]) + int(row["resp_bytes"]) for row in modbus
    )
    asked = {
        (r["operation"]["client"], r["operation"]["server"])
        for r in found.operations
        if r["operation"]["protocol"] == "tcp"
    }
    assert asked == {(row["id.orig_h"], row["id.resp_h"]) for row in connections if row not in modbus}
