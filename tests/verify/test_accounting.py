"""Every frame and every byte is in one bucket, every PDU in one record, every attempt has one outcome."""

import shutil
import subprocess
from collections import Counter

import pytest

from tests.verify.captures import Seen, find, seen

OUTCOMES = ("accepted", "rejected", "partial", "unanswered", "unseen", "pending")

UNREAD: dict[str, dict[str, int]] = {
    # Frame 1 has a link length of 2; it is alone in its connection.
    "DNP3-Malformed.pcap": {"unrecognised": 295},
    # Mirrored twice, same IP identification, a microsecond apart.
    "modbus_test_2.pcap": {"copy": 11113},
    "bittorrent-dht.pcap": {"unrecognised": 1078, "copy": 47},
    # A fragment that never ends, longer than any buffer; Suricata drops it as well (rule 2270007).
    "dnp3-too-long-reassembly-request.pcap": {"malformed": 18980},
    # The same, shorter: it may still end.
    "dnp3-flowbuffer-overflow-assert.pcap": {"pending": 4812},
    # Frames 19 and 21 begin with 0505, not 0564.
    "dnp3.pcap": {"malformed": 48},
    # Frames 32 and 34 (12 bytes each) are malformed Modbus. Two connections are none: 76-82 (902 and 24 bytes), 91-113.
    "modbus_test_data_part1.pcap": {"malformed": 24, "unrecognised": 902 + 24 + 10 * 10 + 2 * 14},
    "modbus_test_data_part2.pcap": {"malformed": 110},
    "4SICS-GeekLounge-151022-min.pcap": {"malformed": 260},
    "modbus-eit.pcap": {"malformed": 18},
    # HTTP, TLS, DCERPC.
    "modbus-and-non-modbus-p502.pcap": {"unrecognised": 475},
    # TLS on 802 and 19999.
    "secure.pcap": {"encrypted": 4347 + 2930},
    # TLS inside COTP: 83 units from the client (69,701 bytes) and 83 from the server (5,276).
    "s7_plus_tls.pcap": {"encrypted": 74977},
    "modbus_tls.pcap": {"encrypted": 8653},
    # Mutated sequence numbers, lengths and payload.
    "fuzz-72.pcap": {"gap": 30, "malformed": 43, "copy": 16},
}
"""Bytes of control protocols' connections that are no sound PDUs; everywhere else every one is decoded."""


def test_frames_add_up_to_what_capinfos_counts(name: str) -> None:
    frames = seen(name).summary["frames"]
    assert sum(count for bucket, count in frames.items() if bucket != "captured") == frames["captured"]
    if not shutil.which("capinfos"):
        pytest.skip("capinfos is not installed")
    done = subprocess.run(["capinfos", "-MTcrm", str(find(name))], capture_output=True, text=True, check=True)
    assert frames["captured"] == int(done.stdout.strip().rpartition(",")[2])


def test_bytes_add_up(name: str) -> None:
    ot_bytes = seen(name).summary["ot_bytes"]
    assert sum(count for bucket, count in ot_bytes.items() if bucket != "seen") == ot_bytes["seen"]
    assert min(ot_bytes.values()) >= 0
    unread = {bucket: count for bucket, count in ot_bytes.items() if count and bucket not in ("seen", "decoded")}
    assert unread == UNREAD.get(name, {})


def test_nothing_went_wrong_inside(name: str) -> None:
    found = seen(name)
    assert (found.code, found.stderr) == (0, "")
    assert not any(found.summary["frames"][bucket] for bucket in ("internal", "truncated", "unsupported", "shed"))


def test_a_message_for_every_pdu(name: str) -> None:
    found = seen(name)
    assert [record["n"] for record in found.messages] == list(range(1, len(found.messages) + 1))
    counted = found.summary["protocols"]
    assert Counter(record["protocol"] for record in found.messages) == {
        protocol: section["pdus"] for protocol, section in counted.items() if section["pdus"]
    }
    for protocol, section in counted.items():
        records = found.of(protocol)
        sound = [record for record in records if "malformed" not in record["flags"]]
        kinds = Counter(record["kind"] for record in sound)
        assert section["requests"] == kinds["request"]
        assert section["responses"] == kinds["response"] + kinds["unsolicited"]
        # DNP3 counts as malformed, beside PDUs, link frames of which no PDU came to be.
        assert section["malformed"] >= len(records) - len(sound)
        named: Counter[str] = Counter()
        for part in ("functions", "userdata"):
            for row in section.get(part, {}).values():
                named.update({key: row[key] for key in ("requests", "responses", "exceptions")})
        # What has no function on the wire (S7comm's bare acknowledgements, S7comm-plus) is in no table.
        assert all(named[key] <= section[key] for key in named)
        if protocol != "s7comm":
            assert all(named[key] == section[key] for key in named)


def test_messages_are_in_the_order_of_their_last_frames(name: str) -> None:
    found = seen(name)
    places = [(record["ts_ns"], record["frames"][-1]) for record in found.messages]
    assert places == sorted(places)
    assert all(record["frames"] == sorted(record["frames"]) for record in found.messages)


def test_a_response_refers_to_an_earlier_request_of_its_connection(name: str) -> None:
    answered: set[int] = set()
    records = {record["n"]: record for record in seen(name).messages}
    for n, record in records.items():
        if record["request_n"] is None:
            continue
        assert record["kind"] == "response"
        request = records[record["request_n"]]
        assert request["n"] < n
        assert request["kind"] == "request"
        assert (request["connection"], request["src"], request["dst"]) == (
            record["connection"], record["dst"], record["src"],
        )  # fmt: skip
        assert request["from_client"] != record["from_client"]
        assert request["n"] not in answered or record["outcome"] is None
        answered.add(request["n"])


def test_every_attempt_has_one_outcome(name: str) -> None:
    for record in seen(name).operations:
        assert record["attempted"] == sum(record[outcome] for outcome in OUTCOMES)
        assert record["attempted"] > 0
        assert record["first_ts_ns"] <= record["last_ts_ns"]


def outcomes(found: Seen, protocol: str) -> Counter[str]:
    """Of all requests, by the responses that refer to them."""
    settled = {
        record["request_n"]: record["outcome"]
        for record in found.of(protocol)
        if record["request_n"] and record["outcome"]
    }
    return Counter(settled.values())


def test_outcomes_of_operations_are_those_of_the_responses(name: str) -> None:
    """Modbus: one operation a request but for 23, which reads and writes."""
    found = seen(name)
    if any(record["function_code"] == 23 for record in found.of("modbus")):
        pytest.skip("read_write_multiple_registers is two operations")
    counted: Counter[str] = Counter()
    for record in found.operations:
        if record["operation"]["protocol"] == "modbus":
            counted.update({outcome: record[outcome] for outcome in ("accepted", "rejected", "partial")})
    orphans = Counter(
        record["outcome"]
        for record in found.of("modbus")
        if record["kind"] == "response" and not record["request_n"] and "malformed" not in record["flags"]
    )
    assert +counted == outcomes(found, "modbus") + orphans
