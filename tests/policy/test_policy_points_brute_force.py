"""What writes make of points, and whether rows allow it, against a device that is a table of bits and no more.

Every message is real bytes, decoded as the engine does it; the reference reads and writes them with struct alone.
"""

import itertools
import random
import struct
from fractions import Fraction
from typing import Any

import pytest

from otmon.engine.writes import writes
from otmon.model import Message, OperationKey
from otmon.policy.effects import Image
from otmon.policy.judge import Policy
from otmon.policy.load import load_bytes
from otmon.policy.tags import TagMap
from otmon.policy.writes import Write
from otmon.protocols import PROTOCOLS
from tests.effort import examples
from tests.protocols import dnp3_corpus
from tests.protocols.modbus_corpus import adu
from tests.protocols.s7_streams import any_item, s7

SECOND = 10**9
PROTOCOL = {protocol.name: protocol for protocol in reversed(PROTOCOLS)}
CODES = {
    "int8": "b", "uint8": "B", "int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "int64": "q", "uint64": "Q",
    "float32": "f", "float64": "d",
}  # fmt: skip
SENT = {
    ("ABCD", 1): "A", ("CDAB", 1): "A", ("BADC", 1): "A", ("DCBA", 1): "A",
    ("ABCD", 2): "AB", ("CDAB", 2): "AB", ("BADC", 2): "BA", ("DCBA", 2): "BA",
    ("ABCD", 4): "ABCD", ("CDAB", 4): "CDAB", ("BADC", 4): "BADC", ("DCBA", 4): "DCBA",
    ("ABCD", 8): "ABCDEFGH", ("CDAB", 8): "GHEFCDAB", ("BADC", 8): "BADCFEHG", ("DCBA", 8): "HGFEDCBA",
}  # fmt: skip
"""The bytes of a number as they are sent, A the highest, for each order and length."""
Place = tuple[str, int, int]
"""Space, position, bit."""


class Device:
    """Bits; None: nobody has said what they are."""

    def __init__(self) -> None:
        self.bits: dict[Place, int] = {}

    def put(self, space: str, position: int, value: int, width: int) -> None:
        for bit in range(width):
            self.bits[space, position, bit] = value >> bit & 1

    def values(self, tag: dict[str, Any]) -> list[float]:
        """Every value that a point may have, or none if that would be more than 256."""
        places = tag["places"]
        unknown = [place for place in places if place not in self.bits]
        if len(unknown) > 8:
            return []
        found = set()
        for guess in itertools.product((0, 1), repeat=len(unknown)):
            bits = {**self.bits, **dict(zip(unknown, guess, strict=True))}
            found.add(number(tag, [bits[place] for place in places]))
        return [*sorted(value for value in found if value == value), *[float("nan")] * any(v != v for v in found)]


def number(tag: dict[str, Any], bits: list[int]) -> float:
    """The value of a point from its bits, in the order in which they are sent, the highest of each byte first."""
    if tag["type"] == "bool":
        raw: float = bits[0]
    else:
        sent = bytes(int("".join(map(str, bits[at : at + 8])), 2) for at in range(0, len(bits), 8))
        letters = dict(zip(SENT[tag["order"], len(sent)], sent, strict=True))
        (raw,) = struct.unpack(">" + CODES[tag["type"]], bytes(letters[letter] for letter in sorted(letters)))
    if isinstance(raw, float):
        if raw != raw or raw in (float("inf"), float("-inf")):
            return raw
        if tag["type"] == "float32":
            raw = next(float(f"{raw:.{n}g}") for n in range(1, 18) if same(float(f"{raw:.{n}g}"), raw))
        return float(Fraction(repr(raw)) * Fraction(tag["scale"]) + Fraction(tag["offset"]))
    return float(raw * Fraction(tag["scale"]) + Fraction(tag["offset"]))


def same(short: float, exact: float) -> bool:
    try:
        return struct.pack(">f", short) == struct.pack(">f", exact)
    except OverflowError:
        return False


def laid_out(rng: random.Random, protocol: str) -> list[dict[str, Any]]:
    """Points side by side, with gaps, in one space of registers, bytes, coils or indexes."""
    space, width = {"modbus": ("holding_register", 16), "s7comm": ("DB10", 8)}[protocol]
    tags, at = [], 0
    for n in range(rng.randrange(1, 6)):
        at += rng.choice((0, 0, 1))
        kind = rng.choice([*(name for name in CODES if struct.calcsize(CODES[name]) * 8 >= width), "bool"])
        tag = {"point": f"P{n}", "type": kind, "order": rng.choice(("ABCD", "CDAB", "BADC", "DCBA"))}
        tag["scale"], tag["offset"] = rng.choice(("1", "1", "0.1", "-2", "0.25")), rng.choice(("0", "0", "-40", "0.5"))
        if kind == "bool":
            bit = rng.randrange(width)
            tag["places"], tag["order"], tag["scale"], tag["offset"] = [(space, at, bit)], "ABCD", "1", "0"
            tag["address"] = f"{at}.{bit}" if protocol == "modbus" else f"DB10.DBX{at}.{bit}"
            at += 1
        else:
            size = struct.calcsize(CODES[kind]) * 8 // width
            tag["places"] = [(space, at + n, bit) for n in range(size) for bit in range(width - 1, -1, -1)]
            tag["address"] = str(at) if protocol == "modbus" else f"DB10.DBB{at}"
            at += size
        tags.append(tag)
    return tags


def modbus_write(rng: random.Random, device: Device, last: int) -> tuple[bytes, list[tuple[int, int]]]:
    """A request, and (position, mask) of what it writes; the device has done it."""
    at = rng.randrange(last + 1)
    value = rng.choice((0, 1, 0x7FFF, 0x8000, 0xFFFF, 0x42B4, rng.randrange(65536)))
    match rng.randrange(3):
        case 0:
            device.put("holding_register", at, value, 16)
            return adu(6, struct.pack(">HH", at, value)), [(at, 0xFFFF)]
        case 1:
            few = [rng.choice((value, 0, rng.randrange(65536))) for _ in range(rng.randrange(1, 9))]
            for n, word in enumerate(few):
                device.put("holding_register", at + n, word, 16)
            body = struct.pack(f">HHB{len(few)}H", at, len(few), 2 * len(few), *few)
            return adu(16, body), [(at + n, 0xFFFF) for n in range(len(few))]
    kept = rng.choice((0xFFFF ^ 1 << rng.randrange(16), 0xFF00, 0x00FF, rng.randrange(65536)))
    for bit in range(16):
        if not kept >> bit & 1:
            device.bits["holding_register", at, bit] = value >> bit & 1
    return adu(22, struct.pack(">HHH", at, kept, value)), [(at, 0xFFFF & ~kept)]


def s7_write(rng: random.Random, device: Device, last: int) -> tuple[bytes, list[tuple[int, int]]]:
    items, data, touched = [], b"", []
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(last + 1)
        if rng.random() < 0.4:
            bit, value = rng.randrange(8), rng.randrange(2)
            device.bits["DB10", at, bit] = value
            touched.append((at, 1 << bit))
            items.append(any_item(1, 1, 10, 0x84, at * 8 + bit))
            content, head = bytes([value]), struct.pack(">BBH", 0, 3, 1)
        else:
            transport, size = rng.choice(((2, 1), (4, 2), (8, 4), (6, 4)))
            count = rng.randrange(1, 4)
            content = rng.choice((rng.randbytes(size * count), struct.pack(">f", 55.5) * count)[:2])[: size * count]
            content = content.ljust(size * count, b"\0")
            for n, octet in enumerate(content):
                device.put("DB10", at + n, octet, 8)
                touched.append((at + n, 0xFF))
            items.append(any_item(transport, count, 10, 0x84, at * 8))
            head = struct.pack(">BBH", 0, 4, 8 * len(content))
        data += (b"\0" if len(data) & 1 else b"") + head + content
    return s7(1, bytes([5, len(items)]) + b"".join(items), data), touched


WRITER = {"modbus": modbus_write, "s7comm": s7_write}


def policy_of(tags: list[dict[str, Any]], protocol: str, folder: Any, row: str) -> Policy:
    names = ("point", "type", "order", "scale", "offset", "address")
    lines = [",".join([*names, "asset", "protocol"])]
    lines += [",".join([*(tag[name] for name in names), "10.0.1.1", protocol]) for tag in tags]
    (folder / "tags.csv").write_text("\n".join(lines))
    text = "otmon: 1\ntags: tags.csv\nzones: {z: {hosts: [10.0.0.0/16]}}\nconduits:\n"
    text += f"  - {{id: c, from: any, to: any, allow: [{row}]}}\n"
    return load_bytes(text.encode(), str(folder / "policy.yaml"))


def key_of(message: Message, op: Any) -> OperationKey:
    port = {"modbus": 502, "s7comm": 102}
    protocol = "modbus" if message.unit is not None else "s7comm"
    return OperationKey("default", "10.0.2.1", "10.0.1.1", "tcp", port[protocol], protocol, op.unit, *op[:3], op.target)


@pytest.mark.parametrize("protocol", ["modbus", "s7comm"])
@pytest.mark.parametrize("seed", range(examples(60)))
def test_points_are_what_a_table_of_bits_says(protocol: str, seed: int, tmp_path: Any) -> None:
    rng = random.Random(seed)
    tags = laid_out(rng, protocol)
    first = tags[0]
    low, high = sorted((rng.uniform(-100, 40000), rng.uniform(-100, 40000)))
    step, rate = rng.choice((None, 1000.0)), rng.choice((None, 300))
    row = f"{{protocol: {protocol}, points: [P0], values: {low:.3f}..{high:.3f}"
    row += (f", step: {step}" if step else "") + (f", rate: {rate}/s" if rate else "") + "}"
    low, high = float(f"{low:.3f}"), float(f"{high:.3f}")
    policy = policy_of(tags, protocol, tmp_path, row)
    device, image = Device(), Image()
    where = ("default", "10.0.1.1", protocol, 1 if protocol == "modbus" else None)
    known: dict[str, tuple[float, int]] = {}
    last_place = max(place[1] for tag in tags for place in tag["places"])
    own = {(place[1], place[2]) for place in first["places"]}
    for n in range(14):
        ts_ns = (n + 1) * rng.choice((1, 2)) * SECOND + n * 40 * SECOND
        before = dict(device.bits)
        pdu, touched = WRITER[protocol](rng, device, last_place)
        message = PROTOCOL[protocol].decode(pdu, True, None)
        written = PROTOCOL[protocol].written(message)
        found = writes(protocol, message, written)
        effects = image.effects(policy.tags, where, found)
        told = {effect.tag.name: effect for effect in effects.points}
        hit = {(position, bit) for position, mask in touched for bit in range(16) if mask >> bit & 1}
        for tag in tags:
            is_touched = any((place[1], place[2]) in hit for place in tag["places"])
            assert (tag["point"] in told) == is_touched
            if is_touched:
                effect = told[tag["point"]]
                # A 32-bit float has several shortest decimals now and then.
                close = 1e-7 if tag["type"] == "float32" else 0
                assert effect.after == pytest.approx(device.values(tag), rel=close, abs=0, nan_ok=True)
                last = known.get(tag["point"])
                assert (last is None) == (effect.before is None)
                if last is not None:
                    assert effect.before.value == pytest.approx(last[0], rel=close, abs=0, nan_ok=True)
                    assert effect.before.changed_ns == last[1]
        limits = (low, high, step, rate)
        _judged(policy, message, written, effects, device, before, first, hit, own, limits, known, ts_ns)
        image.note(policy.tags, where, found, effects, ts_ns, "10.0.2.1")
        for tag in tags:
            if tag["point"] in told:
                now = device.values(tag)
                if len(now) != 1:
                    known.pop(tag["point"], None)
                elif tag["point"] not in known or known[tag["point"]][0] != now[0]:
                    known[tag["point"]] = now[0], ts_ns


def _judged(
    policy: Policy, message: Message, written: Any, effects: Any, device: Device, before: dict[Place, int],
    tag: dict[str, Any], hit: set[tuple[int, int]], own: set[tuple[int, int]], limits: Any, known: Any, ts_ns: int,
) -> None:  # fmt: skip
    """The policy says of each operation what can be worked out from the bits before and after."""
    low, high, step, rate = limits
    positions = {position for position, _ in own}
    for op in message.ops:
        target = op.target
        assert target is not None
        assert target.start is not None
        span = range(target.start, (target.end if target.end is not None else target.start) + 1)
        permit = set(span) <= positions  # the row names P0 alone
        mine = {place for place in hit if place[0] in span}
        if permit and mine & own:
            values = device.values(tag)
            permit = bool(values) and all(low <= value <= high for value in values)
            last = known.get(tag["point"])
            if permit and last is not None:
                passed_s = (ts_ns - last[1]) / SECOND
                changes = [abs(value - last[0]) for value in values]
                permit = all((not step or c <= step) and (not rate or c <= rate * passed_s) for c in changes)
        if permit:
            others = mine - own
            space = target.space
            permit = all(before.get((space, *place)) == device.bits[(space, *place)] for place in others)
        verdict = policy.judge_values(key_of(message, op), written, ts_ns, effects)
        assert verdict.permit is permit, (op, verdict, device.values(tag))


@pytest.mark.parametrize("protocol", ["modbus", "s7comm"])
@pytest.mark.parametrize("seed", range(examples(30)))
def test_what_is_refused_was_never_written(protocol: str, seed: int, tmp_path: Any) -> None:
    """Answers come late and in any order: an image is as one of what was not refused so far, and nothing else."""
    rng = random.Random(1000 + seed)
    tags = laid_out(rng, protocol)
    policy = policy_of(tags, protocol, tmp_path, f"{{protocol: {protocol}, points: [P0], step: 1}}")
    where = ("default", "10.0.1.1", protocol, 1 if protocol == "modbus" else None)
    last_place = max(place[1] for tag in tags for place in tag["places"])
    image, sent, open_ = Image(), list[list[Any]](), set[int]()
    for n in range(1, 30):
        pdu, _ = WRITER[protocol](rng, Device(), last_place)
        message = PROTOCOL[protocol].decode(pdu, True, None)
        found = writes(protocol, message, PROTOCOL[protocol].written(message))
        number = n if rng.random() < 0.8 and len(open_) < 8 else None
        client = f"10.0.2.{n}"
        image.note(
            policy.tags, where, found, image.effects(policy.tags, where, found), n, client, number, number is None
        )
        sent.append([number, found, n, client])
        open_ |= {number} - {None}
        assert {number for number in open_ if image.awaits(number)} == open_
        for number in rng.sample(sorted(open_), rng.randrange(len(open_) + 1)):
            open_.remove(number)
            refused, partly = rng.choice(((True, False), (False, True), (False, False), (False, False)))
            image.settle(number, refused, partly)
            at = next(i for i, item in enumerate(sent) if item[0] == number)
            if refused:
                del sent[at]
            elif partly:
                sent[at][1] = [write._replace(value=None) for write in sent[at][1]]
        fresh = Image()
        for _, found, ts_ns, client in sent:
            fresh.note(policy.tags, where, found, fresh.effects(policy.tags, where, found), ts_ns, client)
        nothing = [Write(*tag["places"][0][:2], 0, 1 << tag["places"][0][2]) for tag in tags]
        assert image.effects(policy.tags, where, nothing) == fresh.effects(policy.tags, where, nothing)
    for number in open_:
        image.settle(number, False)
    assert not image.waiting


def test_outputs_of_dnp3_are_numbers_and_switches(tmp_path: Any) -> None:
    (tmp_path / "tags.csv").write_text(
        "point,asset,protocol,unit,address,scale,units\n"
        "SP,10.0.1.1,dnp3,10,g41 3,0.5,bar\nCB,10.0.1.1,dnp3,10,g12 2,,\n"
    )
    text = "otmon: 1\ntags: tags.csv\nzones: {z: {hosts: [10.0.0.0/16]}}\nconduits:\n"
    text += "  - {id: c, from: any, to: any, allow: [{protocol: dnp3, points: [SP], values: 0-5, step: 2}]}\n"
    policy = load_bytes(text.encode(), str(tmp_path / "policy.yaml"))
    image, decoder = Image(), PROTOCOL["dnp3"]
    where = ("default", "10.0.1.1", "dnp3", (1, 10))
    found = []
    for value in (8, 10, 5, 3):
        objects = b"\x29\x02\x28\x01\x00\x03\x00" + struct.pack("<hB", value, 0)
        message = decoder.decode(dnp3_corpus.request(5, objects), True, None)
        sets = writes("dnp3", message, decoder.written(message))
        effects = image.effects(policy.tags, where, sets)
        op = message.ops[0]
        key = OperationKey("default", "10.0.2.1", "10.0.1.1", "tcp", 20000, "dnp3", op.unit, *op[:3], op.target)
        verdict = policy.judge_values(key, decoder.written(message), 1, effects)
        image.note(policy.tags, where, sets, effects, 1, "10.0.2.1")
        found.append((effects.points[0].text(), verdict.permit))
    assert found == [
        ("SP 4.0 bar (last value unknown)", True),
        ("SP 4.0 -> 5.0 bar", True),
        ("SP 5.0 -> 2.5 bar", False),
        ("SP 2.5 -> 1.5 bar", True),
    ]
    for control, on in ((0x03, 1), (0x04, 0), (0x41, 1), (0x81, 0)):
        crob = b"\x0c\x01\x28\x01\x00\x02\x00" + struct.pack("<BBIIB", control, 1, 100, 100, 0)
        message = decoder.decode(dnp3_corpus.request(5, crob), True, None)
        (effect,) = image.effects(policy.tags, where, writes("dnp3", message, decoder.written(message))).points
        assert effect.after == (on,)


def test_a_map_of_nothing_is_no_work() -> None:
    assert not TagMap()


def test_a_dnp3_output_that_is_no_number_is_outside_every_limit(tmp_path: Any) -> None:
    (tmp_path / "tags.csv").write_text("point,asset,protocol,address,scale\nSP,10.0.1.1,dnp3,g41 3,0.5\n")
    text = "otmon: 1\ntags: tags.csv\nzones: {z: {hosts: [10.0.0.0/16]}}\nconduits:\n"
    text += "  - {id: c, from: any, to: any, allow: [{protocol: dnp3, points: [SP], values: -1000..1000}]}\n"
    policy, decoder = load_bytes(text.encode(), str(tmp_path / "policy.yaml")), PROTOCOL["dnp3"]
    for value, permit in ((float("nan"), False), (float("inf"), False), (1999.0, True)):
        objects = b"\x29\x04\x28\x01\x00\x03\x00" + struct.pack("<dB", value, 0)
        message = decoder.decode(dnp3_corpus.request(5, objects), True, None)
        written, op = decoder.written(message), message.ops[0]
        sets = writes("dnp3", message, written)
        effects = Image().effects(policy.tags, ("default", "10.0.1.1", "dnp3", op.unit), sets)
        key = OperationKey("default", "10.0.2.1", "10.0.1.1", "tcp", 20000, "dnp3", op.unit, *op[:3], op.target)
        assert policy.judge_values(key, written, 1, effects).permit is permit
        assert effects.points[0].text()
