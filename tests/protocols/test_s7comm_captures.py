"""S7 of real captures: key and decoder agree, framing loses nothing; and what is not S7."""

from collections import Counter
from collections.abc import Iterator

import pytest

from otmon.model import Message
from otmon.protocols.s7comm import S7COMM
from otmon.wire.contract import (
    KIND_LINK,
    KIND_REQUEST,
    KIND_RESPONSE,
    KIND_UNSOLICITED,
    OUT_CLASS,
    OUT_EVIDENCE,
    OUT_FROM_CLIENT,
    OUT_KIND,
    OUT_REPLY_KEY,
    OUT_TOKEN,
    OUT_WORDS,
)
from tests.protocols.s7_streams import CAPTURES, FILES, Pdu, key, pdus, tcp, units

KINDS = {"request": KIND_REQUEST, "response": KIND_RESPONSE, "unsolicited": KIND_UNSOLICITED, "link": KIND_LINK}


def messages(name: str) -> Iterator[tuple[Pdu, Message]]:
    """Everything in a capture, responses decoded with their request."""
    if not FILES[name].exists():
        pytest.skip(f"no {FILES[name]}")
    pending = {}
    for pdu in pdus(FILES[name]):
        request = None
        _, out = key(pdu.data)
        match = int(out[OUT_TOKEN]), int(out[OUT_REPLY_KEY])
        if out[OUT_KIND] == KIND_REQUEST:
            pending[pdu.flow, match] = pdu.data
        elif out[OUT_KIND] == KIND_RESPONSE:
            source, destination, *ports = pdu.flow
            request = pending.pop(((destination, source, ports[1], ports[0]), match))
        yield pdu, S7COMM.decode(pdu.data, pdu.flow[3] == 102, request)


@pytest.mark.parametrize("name", FILES)
def test_key_and_decoder_agree(name: str) -> None:
    seen = 0
    for pdu, message in messages(name):
        client = pdu.flow[3] == 102
        count, out = key(pdu.data, client)
        assert S7COMM.operations(out[OUT_WORDS : OUT_WORDS + count].tolist()) == message.ops
        assert out[OUT_KIND] == KINDS[message.kind]
        assert out[OUT_EVIDENCE] == 2 or message.kind == "link"
        # Whoever called port 102 is the client in all of these captures.
        assert out[OUT_FROM_CLIENT] in (-1, client)
        assert bool(message.ops) == (message.kind != "link")
        seen += 1
    assert seen > 1


@pytest.mark.parametrize(("name", "versions"), [("plus_v2", {"1": 2, "2": 86}), ("plus_modbus", {"2": 1139})])
def test_plus_versions(name: str, versions: dict[str, int]) -> None:
    """As in MANIFEST.tsv, which counted 0x72 and the byte behind it."""
    seen = Counter(
        S7COMM.class_names(int(out[OUT_CLASS]))
        for pdu, _ in messages(name)
        for _, out in [key(pdu.data)]
        if out[OUT_CLASS] >= 0
    )
    assert seen == {("s7comm_plus", version): count for version, count in versions.items()}


def test_remote_desktop_is_no_s7() -> None:
    """TPKT and COTP carry RDP as well: framed alike, but nothing in it is evidence."""
    path = CAPTURES / "zeek__zeek" / "rdp-proprietary-encryption.pcap"
    if not path.exists():
        pytest.skip(f"no {path}")
    seen = [(key(pdu.data), pdu) for pdu in pdus(path, 3389)]
    assert len(seen) > 50
    assert all(out[OUT_EVIDENCE] == 0 for (_, out), _ in seen)
    assert sum(count < 0 for (count, _), _ in seen) > 50


@pytest.mark.parametrize("name", [name for name in FILES if name != "bench"])
def test_framing_loses_nothing(name: str) -> None:
    if not FILES[name].exists():
        pytest.skip(f"no {FILES[name]}")
    covered: dict[tuple[bytes, bytes, int, int], set[int]] = {}
    for _, flow, sequence, data in tcp(FILES[name]):
        if 102 in flow[2:]:
            covered.setdefault(flow, set()).update(range(sequence, sequence + len(data)))
    # A keep-alive at the very start of a direction is a byte of an earlier segment.
    stray = 1 if name == "plus_v3" else 0
    assert sum(len(unit.data) for unit in units(FILES[name])) == sum(map(len, covered.values())) - stray


@pytest.mark.parametrize(
    ("name", "fragments", "unknown"), [("plus_v2", 1, 1), ("plus_v3", 0, 0), ("plus_modbus", 38, 0)]
)
def test_plus_is_read_to_the_last_byte(name: str, fragments: int, unknown: int) -> None:
    """But for first fragments of longer messages, and one answer with descriptions of tags (S7-1200, firmware 2)."""
    seen: Counter[str] = Counter()
    for _, message in messages(name):
        if "s7comm_plus" in message.extra:
            seen.update(flag for flag in message.flags if flag != "error")
            seen["all"] += 1
    assert seen["all"] > 80
    assert seen["part_of_longer_message"] == fragments
    assert seen["structure_unknown"] == unknown
    assert seen["trailing_bytes"] == 0


def test_plus_shows_objects_values_and_blocks() -> None:
    found = [message for _, message in messages("plus_v2")]
    created = [message.body for message in found if message.function == "create_object"]
    (version,) = [
        element["value"]
        for one in created[1]["objects"]
        for attribute in one["attributes"]
        for element in attribute.get("elements", [])
        if element["name"] == "session_version_system_paom_string"
    ]
    assert version == "1;6ES7 214-1HE30-0XB0 ;V2.2"
    (block,) = [one for body in created for one in body["objects"] if "block" in one]
    assert (block["block"], block["attributes"][0]["value"]) == ("OB1", "Main")
    (record,) = [
        value["identification"]
        for message in found
        for value in message.body.get("values", [])
        if "identification" in value
    ]
    assert (record["order_number"], record["firmware"]) == ("6ES7 214-1HE30-0XB0", "V2.2.0")
    reals = [
        value["value"]
        for _, message in messages("plus_v3")
        if message.kind == "unsolicited"
        for value in message.body["values"]
        if value["type"] == "real"
    ]
    assert len(reals) > 200
    assert all(0 <= value <= 100 for value in reals)


def test_areas_of_a_data_block_read_have_codes_and_values() -> None:
    answers = [message.body["items"][0] for _, message in messages("wincc") if message.function_code == 4][1::2]
    split = [item for item in answers if "areas" in item]
    assert len(split) > 40
    for item in split:
        assert sum(1 + area["length"] * (area["return_code"] == 0xFF) for area in item["areas"]) * 2 == len(item["raw"])
    assert [area["value"] for area in split[0]["areas"]] == [0x040A, 0x0544053E, 0x040A]


def test_alarms_and_subscriptions_of_a_real_plant_are_whole() -> None:
    alarms = values = 0
    for _, message in messages("wincc"):
        assert "data_truncated" not in message.flags, message
        if message.function in ("alarm_8_indication", "notify_indication"):
            alarms += 1
            assert message.body["time"]
            assert len(message.body["values"]) == message.body["objects"][0]["value_count"] > 0
        if message.function.startswith("cyclic_on_change") and message.kind != "request":
            values += sum("raw" in item for item in message.body.get("items", []))
    assert alarms == 14
    assert values > 700
