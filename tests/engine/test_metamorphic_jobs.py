"""One process or several, compiled or interpreted: the same result."""

import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otmon.engine import cache
from otmon.policy import load_policy
from tests.effort import examples
from tests.engine.scenes import captures, policies
from tests.engine.traffic import PORTS, Shot, conversation, exchanges, frames
from tests.engine.world import START_NS, Frame, digest, same, scratch, see, see_files, write
from tests.hostile.kit import ACK, SYN, Session, fragments

ROOT = Path(__file__).parents[2]
RELAXED = settings(max_examples=examples(25), deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def everything() -> list[Frame]:
    """Many pairs of hosts, and every kind of frame that has no pair."""
    made: list[Frame] = []
    for number in range(12):
        protocol = sorted(PORTS)[number % 3]
        ends = (f"10.0.2.{number}", f"10.0.1.{number}") if number % 4 else (f"fd00:2::{number}", f"fd00:1::{number}")
        session = Session(*ends, 49152 + number, PORTS[protocol])
        made += frames(conversation(session, exchanges(protocol, range(number, number + 6)), closing=number % 2 == 0))
    other = Session("10.0.2.77", "10.0.1.77")
    request = exchanges("modbus", [0, 1])[1][0]
    pieces = [*other.handshake(), *fragments(other.send(request), 8)]
    web = Session("10.0.2.1", "10.0.9.9", 40000, 80).send(b"GET / HTTP/1.0\r\n\r\n")
    arp = bytes.fromhex("ffffffffffff 020000000001 0806 0001080006040001 020000000001 0a000201 000000000000 0a000101")
    lldp = bytes.fromhex("0180c200000e 020000000009 88cc") + bytes(40)
    good = other.send(request, seq=90_000)
    bad = good[:14] + b"\x41" + good[15:]  # header length 4
    longer = good[:16] + b"\x7f\xff" + good[18:]  # says it is longer than it is
    short = good[:20]
    six = Session("fd00::7", "fd00::8").send(request)
    pieces += [web, arp, lldp, bad, longer, short, six[:30], six[:14] + b"\x50" + six[15:], b"", b"\0" * 5, good[:14]]
    made += [Frame(START_NS + n * 999_999, data) for n, data in enumerate(pieces)]
    made += [Frame(START_NS + 1, good, 20), Frame(START_NS + 2, good, 40), Frame(START_NS + 3, six, 40)]
    return sorted(made, key=lambda frame: frame.ts_ns)


@pytest.mark.parametrize("jobs", [2, 3])
def test_processes(jobs: int) -> None:
    policy = policies()["permitted"]
    same(see(everything(), policy), see(everything(), policy, jobs=jobs), f"{jobs} jobs")


@pytest.mark.usefixtures("one_process")
@pytest.mark.parametrize("jobs", [2, 3, 7])
def test_shares(jobs: int) -> None:
    policy = policies()["refused"]
    same(see(everything(), policy), see(everything(), policy, jobs=jobs), f"{jobs} jobs")


@pytest.mark.usefixtures("one_process")
@pytest.mark.parametrize("path", sorted((ROOT / "captures").glob("*.pcap")), ids=lambda path: path.stem)
def test_own_captures(path: Path) -> None:
    policy = load_policy(ROOT / "rules" / "plant.yaml")
    same(see_files([path], policy), see_files([path], policy, jobs=2), "2 jobs")


@pytest.mark.usefixtures("one_process")
def test_several_inputs() -> None:
    paths = sorted((ROOT / "captures").glob("modbus*.pcap"))
    same(see_files(paths), see_files(paths, jobs=3), "3 jobs")


@pytest.mark.usefixtures("one_process")
@RELAXED
@given(captures(), st.sampled_from(["none", "permitted", "refused"]), st.sampled_from([2, 3]))
def test_spoilt_conversations(capture: list[Frame], rules: str, jobs: int) -> None:
    same(see(capture, policies()[rules]), see(capture, policies()[rules], jobs=jobs), f"{jobs} jobs")


def digests(files: list[Path], interpreted: bool) -> list[str]:
    environment = {k: v for k, v in os.environ.items() if k != "OTMON_INTERPRET"}
    if interpreted:
        environment["OTMON_INTERPRET"] = "1"
    command = [sys.executable, "-m", "tests.engine.world", *map(str, files)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_digest_is_of_this_process_too() -> None:
    path = ROOT / "captures" / "modbus_pymodbus.pcap"
    assert digests([path], interpreted=True) == [digest(see_files([path]))]


def test_compiled() -> None:
    if not cache.is_warm():
        pytest.skip("the kernel cache is cold: run `otmon warm`")
    files = sorted((ROOT / "captures").glob("*.pcap"))
    files.append(write(scratch() / "everything.pcap", everything()))
    files += [write(scratch() / f"spoilt{n}.pcap", capture) for n, capture in enumerate(some(15))]
    assert digests(files, interpreted=False) == digests(files, interpreted=True)


def test_numbers_of_rows_are_whole_in_interpreted_code() -> None:
    """More than 128 pairs, each twice; and a connection whose server is seen first begins anew."""
    shots: list[Shot] = []
    for host, again in product(range(1, 134), (0, 1)):
        session = Session(f"10.0.2.{host}", "10.0.1.1", 40000 + again, 502)
        start_ns = START_NS + len(shots) * 1000
        shots += conversation(session, exchanges("modbus", (0,)), opening=False, start_ns=start_ns)[
            not again and host < 2 :
        ]
    session, last_ns = shots[0].session, shots[-1].ts_ns
    shots.append(Shot(session, last_ns + 10**9, True, 2000, 5000, SYN, ip_id=3000))
    shots.append(Shot(session, last_ns + 2 * 10**9, False, 7_000_000, 2001, SYN | ACK, ip_id=3001))
    path = write(scratch() / "rows.pcap", frames(shots))
    assert digests([path], interpreted=True) == [digest(see_files([path], force_slow=True))]


def some(count: int) -> list[list[Frame]]:
    """The first captures that hypothesis thinks of, always the same."""
    found: list[list[Frame]] = []

    @settings(RELAXED, max_examples=count, database=None)
    @given(captures())
    def pick(capture: list[Frame]) -> None:
        found.append(capture)

    pick()
    return found
