"""Jobs share an interface: exactly one takes each frame, and both directions of a conversation go to the same one."""

import random
import struct
from collections import Counter
from pathlib import Path

import pytest

from otmon.capture.bpf import compile_filter
from otmon.capture.errors import FilterError
from otmon.capture.inputs import open_inputs
from otmon.capture.share import behind, share
from otmon.limits import MAX_JOBS
from tests.capture.machine import takes, untagged

MACS = bytes.fromhex("020000000010020000000020")
CAPTURES = sorted((Path(__file__).parents[2] / "captures").glob("*.pcap"))


def job_of(frame: bytes, jobs: int = 4) -> int:
    """The one job that takes it."""
    (job,) = [job for job in range(jobs) if takes(share(job, jobs), frame)]
    return job


def v4(source: str, destination: str, protocol: int = 6, fragment: int = 0, body: bytes = bytes(24), words: int = 5):
    ends = [bytes(map(int, address.split("."))) for address in (source, destination)]
    head = struct.pack(">BBHHHBBH", 0x40 | words, 0, 4 * words + len(body), 1, fragment, 64, protocol, 0)
    return head + b"".join(ends) + bytes(4 * words - 20) + body


def v6(source: bytes, destination: bytes, protocol: int = 6, body: bytes = bytes(24)) -> bytes:
    return struct.pack(">IHBB", 6 << 28, len(body), protocol, 64) + source + destination + body


def ethernet(packet: bytes, ethertype: int = 0x0800, tags: bytes = b"") -> bytes:
    return (MACS + tags + struct.pack(">H", ethertype) + packet).ljust(60, b"\0")


def vxlan(flags: int = 8, port: int = 4789) -> bytes:
    return struct.pack(">HHHH", 12345, port, 32, 0) + bytes([flags]) + bytes(23)


@pytest.mark.parametrize("jobs", [2, 3, MAX_JOBS])
def test_pairs_spread_over_all_jobs_and_stay_together(jobs: int) -> None:
    chosen = random.Random(1)
    found: Counter[int] = Counter()
    for host in range(1, 201):
        plc, hmi = f"10.0.{host % 4}.{host}", f"10.0.9.{10 * chosen.randrange(1, 4)}"
        job = job_of(ethernet(v4(plc, hmi)), jobs)
        found[job] += 1
        assert job_of(ethernet(v4(hmi, plc, 17)), jobs) == job
        mine, other = b"\xfe\x80" + bytes(13) + bytes([host]), b"\xfe\x80" + chosen.randbytes(14)
        assert job_of(ethernet(v6(mine, other), 0x86DD), jobs) == job_of(ethernet(v6(other, mine, 17), 0x86DD), jobs)
    assert len(found) == jobs
    assert min(found.values()) > 100 / jobs / 2


def test_fragments_tags_and_options_do_not_matter() -> None:
    for host in range(1, 30):
        ends = f"10.0.0.{host}", "10.0.9.9"
        job = job_of(ethernet(v4(*ends)))
        for fragment in (0x2000, 0x2001, 0x0007):
            assert job_of(ethernet(v4(*ends, 17, fragment, vxlan()))) == job
        for words in range(5, 16):
            assert job_of(ethernet(v4(*ends, 17, words=words))) == job
        for tags in (
            "8100000a",
            "88a8000a8100000b",
            "9100000181000002810000ff",
            "892f00010002",
            "81000001892f00010002",
        ):
            assert job_of(ethernet(v4(*ends), tags=bytes.fromhex(tags))) == job


def test_what_has_no_address_pair_of_its_own_goes_to_the_first() -> None:
    nowhere = [
        ethernet(bytes(46), 0x0806),
        ethernet(v4("10.0.0.1", "10.0.0.2"), 0x8847),
        ethernet(v4("10.0.0.1", "10.0.0.2"), tags=bytes.fromhex("81000001") * 4),
        MACS + b"\x08\x00",
        (MACS + b"\x08\x00" + v4("10.0.0.1", "10.0.0.2"))[:33],
        (MACS + b"\x86\xdd" + v6(bytes(16), b"\1" * 16))[:53],
    ]
    for host in range(1, 20):
        ends = f"10.0.0.{host}", "10.0.9.9"
        nowhere += [
            ethernet(v4(*ends, 47)),
            ethernet(v4(*ends, 47, 0x2000)),
            ethernet(v4(*ends, 17, body=vxlan(), words=7)),
            ethernet(v6(bytes(15) + bytes([host]), b"\1" * 16, 17, vxlan()), 0x86DD),
            ethernet(v6(bytes(15) + bytes([host]), b"\1" * 16, 47), 0x86DD),
        ]
    assert {job_of(frame) for frame in nowhere} == {0}


def test_only_what_the_engine_enters_is_a_tunnel() -> None:
    for host in range(1, 20):
        ends = f"10.0.0.{host}", "10.0.9.9"
        for body in (vxlan(0), vxlan(8, 4790), vxlan()[:15]):
            assert job_of(ethernet(v4(*ends, 17, body=body))[: 34 + len(body)]) == job_of(ethernet(v4(*ends)))


def test_no_frame_is_refused_by_all() -> None:
    """A load behind a frame's end would be: neither what real stacks send, cut anywhere, nor noise."""
    chosen, programs = random.Random(2), [share(job, 3) for job in range(3)]
    frames = [chosen.randbytes(chosen.randrange(14, 90)) for _ in range(300)]
    for start in (b"\x08\x00", b"\x86\xdd", b"\x81\x00\0\0\x08\x00", b"\x89\x2f\0\0\0\0\x86\xdd"):
        frames += [MACS + start + chosen.randbytes(chosen.randrange(0, 90)) for _ in range(300)]
    for path in CAPTURES:
        for batch in open_inputs([str(path)]):
            for at, lengths in batch.records[:40, :2].tolist():
                frame = batch.data[at : at + (lengths >> 32)].tobytes()
                frames += [untagged(frame), untagged(frame)[: chosen.randrange(14, 80)]]
    assert all(sum(takes(program, frame) for program in programs) == 1 for frame in frames)


def test_a_filter_comes_first() -> None:
    try:
        only = compile_filter("udp", 1)
    except FilterError as error:
        pytest.skip(str(error))
    for host in range(1, 20):
        ends = f"10.0.0.{host}", "10.0.9.9"
        udp, tcp = ethernet(v4(*ends, 17)), ethernet(v4(*ends, 6))
        job = job_of(tcp)
        for n in range(4):
            program = behind(only, share(n, 4))
            assert (takes(program, udp), takes(program, tcp)) == (n == job, False)
    assert behind([], share(1, 2)) == share(1, 2)


def test_comparisons_reach_their_labels() -> None:
    for code, yes, no, k in share(1, 2):
        assert 0 <= yes <= 255
        assert 0 <= no <= 255
        assert 0 <= k <= 0xFFFFFFFF, code
