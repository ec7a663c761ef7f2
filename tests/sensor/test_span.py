"""Mirrors with one fault each: it is named, nothing else is, and every conversation is counted once."""

import random
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from otmon.capture.inputs import open_inputs
from otmon.engine import analyze
from otmon.engine.run import Run
from otmon.policy.load import load_policy
from otmon.sensor import mirror, span
from otmon.sensor.sample import Sample
from otmon.sensor.source import Reading
from otmon.site.part import Part
from tests.engine.world import START_NS, Frame, write
from tests.sensor.deal import batch_of
from tests.sensor.test_intake import CAPTURES, frames_of

ROOT = CAPTURES.parent
IF = "eth1"


def upwards(data: bytes) -> bool:
    return data[6:12] > data[:6] and not data[0] & 1


def tagged(data: bytes, vlan: int = 7) -> bytes:
    return data[:12] + b"\x81\0" + struct.pack(">H", vlan) + data[12:]


def is_ip(data: bytes) -> bool:
    return data[12:14] == b"\x08\0"


def checksum(head: bytes) -> int:
    total = sum(struct.unpack(f">{len(head) // 2}H", head))
    return ~(total % 0xFFFF) & 0xFFFF


def hop(data: bytes) -> bytes:
    """The frame behind a router."""
    head = bytearray(data[14:34])
    head[8] -= 1
    head[10:12] = b"\0\0"
    head[10:12] = struct.pack(">H", checksum(bytes(head)))
    return b"\2\0\0\0\0\xf1" + b"\2\0\0\0\0\xf2" + data[12:14] + bytes(head) + data[34:]


def outer(inner: bytes, protocol: int) -> bytes:
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(inner), 1, 0, 64, protocol, 0, b"\xc0\0\2\1", b"\xc0\0\2\2")
    head = head[:10] + struct.pack(">H", checksum(head)) + head[12:]
    return b"\2\0\0\0\0\xe1" + b"\2\0\0\0\0\xe2" + b"\x08\0" + head + inner


def erspan(data: bytes, number: int = 0) -> bytes:
    return outer(struct.pack(">HHIII", 0x1000, 0x88BE, number, 0x1000_0001, 0) + data, 47)


def vxlan(data: bytes) -> bytes:
    return outer(struct.pack(">HHHHII", 50_000, 4789, 16 + len(data), 0, 0x08000000, 77 << 8) + data, 17)


def prp(data: bytes, lan: int, number: int = 9) -> bytes:
    padded = data.ljust(60, b"\0")
    return padded + struct.pack(">HHH", number, lan << 12 | len(padded) - 14 + 6, 0x88FB)


def hsr(data: bytes, path: int, number: int = 9) -> bytes:
    return data[:12] + struct.pack(">HHH", 0x892F, path << 12 | (len(data) - 14 + 6) & 0xFFF, number) + data[12:]


def each(change: Callable[[bytes], Sequence[bytes]]) -> Callable[[list[Frame]], list[Frame]]:
    return lambda frames: [Frame(f.ts_ns + n * 1000, data) for f in frames for n, data in enumerate(change(f.data))]


def without_some(frames: list[Frame]) -> list[Frame]:
    """Every twentieth data segment never came."""
    out, n = [], 0
    for frame in frames:
        n += is_ip(frame.data) and frame.data[23] == 6 and len(frame.data) > 70
        if not (is_ip(frame.data) and frame.data[23] == 6 and len(frame.data) > 70 and n % 20 == 0):
            out.append(frame)
    return out


MIRRORS: dict[str, tuple[Callable[[list[Frame]], list[Frame]], set[str]]] = {
    "as it should be": (list, set()),
    "both directions of all ports": (each(lambda d: [d, d]), {"copies"}),
    "both directions, tagged on the way in": (each(lambda d: [tagged(d), d]), {"copies"}),
    "both sides of a router": (each(lambda d: [d, hop(d)] if is_ip(d) else [d]), {"copies"}),
    "one direction": (each(lambda d: [d] if upwards(d) else []), {"directions"}),
    "the other direction": (each(lambda d: [] if upwards(d) else [d]), {"directions"}),
    "tags in one direction": (each(lambda d: [tagged(d) if upwards(d) else d]), {"tags"}),
    "tags in both": (each(lambda d: [tagged(d)]), set()),
    "another tag in each": (each(lambda d: [tagged(d, 7 + upwards(d))]), set()),
    "loss in the switch": (without_some, {"loss in the switch"}),
    "erspan": (each(lambda d: [erspan(d)]), set()),
    "vxlan": (each(lambda d: [vxlan(d)]), set()),
    "both LANs of PRP": (each(lambda d: [prp(d, 10), prp(d, 11)]), set()),
    "both ways round an HSR ring": (each(lambda d: [hsr(d, 0), hsr(d, 1)]), set()),
    "an ordinary port": (each(lambda d: [d] if d[0] & 1 else []), {"traffic"}),
    "nothing": (lambda frames: [], {"traffic"}),
}  # fmt: skip
WHOLE = set(MIRRORS) - {
    "one direction", "the other direction", "loss in the switch", "an ordinary port", "nothing",
}  # fmt: skip


def watch(frames: list[Frame], policy=None) -> tuple[Part, Sample]:
    run, sample = Run(policy, seed=1), Sample()
    for at in range(0, len(frames), 300):
        batch = batch_of(frames[at : at + 300], 0, at + 1)
        sample.see(batch)
        run.feed(batch)
    run.finish()
    return run.harvest(), sample


def reading(frames: int, dropped: int = 0) -> Reading:
    return Reading(IF, "up", frames, dropped, 0, 0, frames)


@pytest.mark.parametrize("name", MIRRORS)
def test_a_fault_is_named_and_no_other(name: str) -> None:
    change, wanted = MIRRORS[name]
    frames = change(frames_of("plant.pcap"))
    part, sample = watch(frames)
    checks = span.judge(IF, part, sample, reading(len(frames)))
    assert {check.name for check in checks if check.level != "ok"} == wanted, checks
    assert all(check.meaning and check.mend for check in checks if check.level != "ok")


def test_what_is_told() -> None:
    def told(name: str) -> str:
        frames = MIRRORS[name][0](frames_of("plant.pcap"))
        part, sample = watch(frames)
        return "\n".join(f"{c.name}: {c.found}" for c in span.judge(IF, part, sample, reading(len(frames))))

    assert "are there twice: x2.0" in told("both directions of all ports")
    assert "lower TTL" in told("both sides of a router")
    assert "both LANs of a redundant network (PRP, HSR): x2.0" in told("both LANs of PRP")
    assert "15 of 15 TCP connections show one direction alone" in told("one direction")
    assert "encapsulation: erspan-ii: 1,044" in told("erspan")
    assert "encapsulation: vxlan: 1,044" in told("vxlan")


def counted(part: Part) -> object:
    return (
        {op.key: op.counts.as_dict() for op in part.operations},
        part.protocols,
        sorted(
            (c.client, c.client_port or 0, c.server, c.server_port or 0, c.protocol or "") for c in part.connections
        ),
        part.visibility["gaps"],
    )


@pytest.mark.parametrize("capture", ["plant", "modbus_pymodbus", "dnp3_opendnp3", "s7_snap7", "s7_download"])
@pytest.mark.parametrize("name", sorted(WHOLE - {"as it should be"}))
def test_one_conversation_is_counted_once(name: str, capture: str, tmp_path: Path) -> None:
    frames = frames_of(f"{capture}.pcap")
    policy = load_policy(ROOT / "rules" / "plant.yaml")
    once = analyze([str(write(tmp_path / "once.pcap", frames))], policy=policy).part
    many = analyze([str(write(tmp_path / "many.pcap", MIRRORS[name][0](frames)))], policy=policy).part
    assert counted(many) == counted(once)
    alerts = [sorted((e.key, e.count) for e in p.episodes if e.key.kind != "visibility") for p in (many, once)]
    assert alerts[0] == alerts[1]


def test_loss_here_is_not_blamed_on_the_switch() -> None:
    frames = without_some(frames_of("plant.pcap"))
    part, sample = watch(frames)
    checks = span.judge(IF, part, sample, reading(len(frames), dropped=40))
    assert {check.name for check in checks if check.level != "ok"} == {"loss here"}


def test_conduits_of_which_nothing_was_seen() -> None:
    policy = load_policy(ROOT / "rules" / "plant.yaml")
    frames = frames_of("plant.pcap")
    part, sample = watch(frames, policy)
    assert all(c.level == "ok" for c in span.judge(IF, part, sample, reading(len(frames)), policy))
    plc_2 = bytes([10, 0, 1, 12])
    fewer = [f for f in frames if plc_2 not in f.data[26:34]]
    part, sample = watch(fewer, policy)
    (check,) = (c for c in span.judge(IF, part, sample, reading(len(fewer)), policy) if c.level != "ok")
    assert check.name == "conduits"
    assert "plc-2" in check.found


def test_batches_cut_elsewhere_say_the_same() -> None:
    rng = random.Random(3)
    for name in ("both directions of all ports", "tags in one direction", "both sides of a router"):
        frames = MIRRORS[name][0](frames_of("plant.pcap"))
        sample, at = Sample(), 0
        while at < len(frames):
            end = at + rng.randint(1, 90)
            sample.see(batch_of(frames[at:end]))
            at = end
        reasons = {fault.reason for fault in mirror.faults(watch(frames)[0], sample, 0)}
        assert len(reasons) == 1, name


def test_hostile_frames_do_no_harm() -> None:
    rng = random.Random(1)
    sample = Sample()
    good = [f.data for name in MIRRORS for f in MIRRORS[name][0](frames_of("modbus_pymodbus.pcap"))]
    for _ in range(300):
        frames = [Frame(START_NS, rng.choice(good)[: rng.randrange(0, 90)]) for _ in range(rng.randrange(1, 30))]
        sample.see(batch_of(frames))
    assert sample.frames > 0


def test_an_unlucky_end_of_the_data() -> None:
    for batch in open_inputs([str(CAPTURES / "plant.pcap")]):
        Sample().see(batch, most=10**6)
