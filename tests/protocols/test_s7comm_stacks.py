"""What real stacks wrote, read, uploaded and downloaded is what the messages say: captures/*.values.json."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from otmon.model import Message, Target
from otmon.protocols.s7comm import S7COMM
from otmon.wire.contract import KIND_REQUEST, KIND_RESPONSE, OUT_KIND, OUT_REPLY_KEY, OUT_TOKEN
from tests.protocols.s7_streams import key, pdus

CAPTURES = Path(__file__).parents[2] / "captures"
BYTES = {"byte": 1, "word": 2, "int": 2, "dword": 4, "dint": 4, "real": 4}


def told(name: str) -> Any:
    return json.loads((CAPTURES / f"{name}.values.json").read_text())


def messages(name: str) -> Iterator[tuple[bool, Message]]:
    """(from the client, message) of a capture, responses decoded with their request."""
    pending: dict[Any, bytes] = {}
    for pdu in pdus(CAPTURES / f"{name}.pcap"):
        _, out = key(pdu.data)
        source, destination, *ports = pdu.flow
        match, request = (int(out[OUT_TOKEN]), int(out[OUT_REPLY_KEY])), None
        if out[OUT_KIND] == KIND_REQUEST:
            pending[pdu.flow, match] = pdu.data
        elif out[OUT_KIND] == KIND_RESPONSE:
            request = pending.pop(((destination, source, ports[1], ports[0]), match), None)
        yield pdu.flow[3] == 102, S7COMM.decode(pdu.data, pdu.flow[3] == 102, request)


def elements(row: dict[str, Any]) -> list[tuple[Target, float]]:
    """Where each value of a row lies."""
    kind, start, space = row["kind"], row["start"], row["space"]
    if kind == "bit":
        return [(Target(space, start >> 3, start >> 3, f"bit {start & 7}"), row["values"][0])]
    size = BYTES.get(kind, 1)
    return [
        (Target(space, start + i * size, start + (i + 1) * size - 1), value) for i, value in enumerate(row["values"])
    ]


def test_values_are_those_that_were_written_and_read() -> None:
    wanted: dict[str, list[tuple[Target, float]]] = {"read": [], "write": []}
    rows = told("s7_values")["written"]
    several = [row for row in rows if row["space"] == "DB1" and row["kind"] in ("word", "dint", "real")]
    for row in rows:
        wanted["write"] += elements(row)
        wanted["read"] += elements(row)
    for row in several:
        wanted["write"] += elements(row)
        wanted["read"] += elements(row)
    found: dict[str, list[tuple[Target, Any]]] = {"read": [], "write": []}
    for _, message in messages("s7_values"):
        for value in S7COMM.points(message):
            found[value.access].append((value.target, value.value))
    assert found == wanted
    assert told("s7_values")["not_read_back"] == []


def test_services_clock_blocks_and_password() -> None:
    known, services, bodies = told("s7_values"), [], defaultdict(list)
    for _, message in messages("s7_values"):
        bodies[message.function, message.kind].append(message.body)
        if message.kind == "request" and message.function_code == 0x28:
            services.append((message.body["service"], message.function, message.body.get("start")))
    assert [name for name, _, _ in services] == known["services"]
    assert [start for name, _, start in services if name == "P_PROGRAM"] == ["warm_start", "cold_start"]
    assert [function for _, function, _ in services] == [
        "delete_block",
        "warm_start",
        "cold_start",
        "copy_ram_to_rom",
        "compress_memory",
    ]
    assert bodies["delete_block", "request"][0]["blocks"][0]["block"] == "DB2"
    assert [body["clock"] for body in bodies["set_clock", "request"]] == [known["clock"]]
    counts = bodies["list_blocks", "response"][0]["blocks"]
    assert {name: counts.get(name, 0) for name in known["blocks"]} == known["blocks"]
    listed = bodies["list_blocks_of_type", "response"][0]["blocks"]
    assert [row["block_number"] for row in listed if row["block_number"]] == known["db_numbers"]
    (password,) = bodies["set_session_password", "request"]
    assert (password["password_present"], password["password_bytes"]) == (True, known["password_bytes"])


@pytest.mark.parametrize("name", ["s7_values", "s7_snap7"])
def test_no_record_holds_a_password(name: str) -> None:
    """Nor the eight bytes that it is made into (STEP 7: each byte and 0x55, from the third on the one two before)."""
    plain = {"s7_values": b"secret7!", "s7_snap7": b"example "}[name]
    coded = bytearray()
    for i, byte in enumerate(plain):
        coded.append(byte ^ 0x55 ^ (coded[i - 2] if i > 1 else 0))
    on_the_wire = (CAPTURES / f"{name}.pcap").read_bytes()
    assert bytes(coded) in on_the_wire
    for _, message in messages(name):
        text = json.dumps([message.body, message.flags, message.extra])
        assert plain.decode().strip() not in text
        assert coded.hex() not in text


def test_blocks_are_hashed_as_they_were_sent_and_received() -> None:
    """Joined as who follows a transfer joins them: parts up to the one after which nothing comes."""
    seen: list[dict[str, str]] = []
    block, data = "", b""
    for _, message in messages("s7_blocks"):
        body = message.body
        if message.function in ("start_upload", "request_download") and message.kind == "request":
            block, data = body["block"], b""
        if message.kind == "response" and "sha256" in body:
            part = bytes.fromhex(body["data"])
            assert body["sha256"] == hashlib.sha256(part).hexdigest()
            data += part
            if not body["more"]:
                way = "upload" if message.function == "upload" else "download"
                # This client hands over what it uploads without the header of the block.
                data = data[36:] if way == "upload" else data
                seen.append({"block": block, "way": way, "sha256": hashlib.sha256(data).hexdigest()})
    assert seen == told("s7_blocks")["blocks"]


def test_plus_values_are_those_that_were_read() -> None:
    known = told("s7_plus")
    values, blocks = [], []
    for _, message in messages("s7_plus"):
        assert not [flag for flag in message.flags if flag != "error"], message
        if message.function == "get_multi_variables" and message.kind == "response":
            values += [value["raw"] for value in message.body["values"] if value["type"] == "blob"]
        for one in message.body.get("objects", []):
            blocks += [inner["block"] for inner in [one, *one.get("objects", [])] if "block" in inner]
    assert values[: len(known["read"])] == known["read"]
    assert [block for block in dict.fromkeys(blocks) if block.startswith("DB")] == known["blocks"]


def test_tls_is_named_with_its_session() -> None:
    found = [(client, message) for client, message in messages("s7_plus_tls")]
    told_by = {pair[:2] for client, message in found if client for pair in S7COMM.identity(message)}
    assert told_by == {("s7_session", "engineering")}
    plain = [message.function for _, message in found if "encrypted" not in message.flags]
    assert plain == [
        "cotp_connect_request",
        "cotp_connect_confirm",
        "init_ssl",
        "init_ssl",
        "cotp_disconnect_request",
    ]
    hidden = [(client, message.body) for client, message in found if "encrypted" in message.flags]
    assert [body["handshake"] for _, body in hidden if "handshake" in body] == ["client_hello", "server_hello"]
    assert [body["agreed_version"] for _, body in hidden if "agreed_version" in body] == ["TLS 1.3"]
    sent, got = (sum(body["bytes"] for client, body in hidden if client is way) for way in (True, False))
    assert sent > 4 * got > 0
