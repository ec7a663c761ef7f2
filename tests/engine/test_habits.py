"""How clients speak: signatures of stack and numbering, and the right address on the wrong machine."""

import random
from pathlib import Path
from typing import Any

import pytest

from otmon.engine import analyze
from otmon.engine.habits import stack
from otmon.limits import MAX_SIGNATURES
from otmon.model import Habit, Sighting
from otmon.site.habits import ESTABLISHED, STRANGE, VARIOUS, add_habits, strangers
from tests.engine.logic import Programmer
from tests.engine.world import START_NS, Frame, same, see, write
from tests.hostile.kit import ACK, SYN, Session
from tests.protocols.modbus_corpus import adu

OWN = Path(__file__).parents[2] / "captures"
LINUX = bytes.fromhex("020405b4 0402080a 00000001 00000000 01030307")
WINDOWS = bytes.fromhex("020405b4 01030308 01010402")
HMI, PLC = "10.0.2.10", "10.0.1.11"


def poll(
    second: float, *, options: bytes = LINUX, ttl: int = 64, window: int = 64_240, first: int = 1, step: int = 1,
    requests: int = 3, ends: tuple[str, str] = (HMI, PLC),
) -> list[Frame]:  # fmt: skip
    """One connection on which a client reads some registers."""
    session = Session(*ends, 40_000 + int(second * 10), 502)
    frames = [
        session.send(flags=SYN, options=options, ttl=ttl, window=window),
        session.send(flags=SYN | ACK, from_client=False, options=b"\x02\x04\x05\xb4"),
        session.send(ttl=ttl),
    ]
    for number in range(requests):
        transaction = (first + number * step) & 0xFFFF
        frames.append(session.send(adu(3, b"\0\0\0\1", transaction=transaction), ttl=ttl))
        frames.append(session.send(adu(3, b"\2\0\7", transaction=transaction), from_client=False))
    frames += session.close()
    return [Frame(START_NS + int(second * 1e9) + n * 1_000_000, frame) for n, frame in enumerate(frames)]


def habits(frames: list[Any], tmp_path: Path) -> dict[tuple[str, str], dict[str, Sighting]]:
    part = analyze([str(write(tmp_path / "a.pcap", frames))]).part
    return {(habit.address, habit.kind): habit.signatures for habit in part.habits}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (LINUX, "mss 1460 sack time nop scale 7"),
        (WINDOWS, "mss 1460 nop scale 8 nop nop sack"),
        (b"", "no options"),
        (b"\x02\x04\x05\xb4", "mss 1460"),
        (b"\0\0\0\0", "end"),
        (b"\1\1\1\2", "nop nop nop mss 0"),  # its length is cut off
        (b"\xfe\x04ab", "other"),
        (b"\x22\x02\x01\x01", "other nop nop"),  # fast open
        (b"\x03\x00\x01\x01", "scale ?"),  # a length that cannot be
        (b"\1" * 40, " ".join(["nop"] * 15)),
    ],
)
def test_the_options_of_a_syn(options: bytes, words: str, tmp_path: Path) -> None:
    found = habits(poll(0, options=options), tmp_path)
    assert list(found[HMI, "stack"]) == [f"hops 64, window 64240, {words}"]


@pytest.mark.parametrize(
    ("ttl", "hops"), [(1, 32), (32, 32), (60, 64), (64, 64), (65, 128), (117, 128), (129, 255), (255, 255)]
)
def test_where_the_hop_limit_began(ttl: int, hops: int, tmp_path: Path) -> None:
    for ends in ((HMI, PLC), ("fd00::10", "fd00::11")):
        (signature,) = habits(poll(0, ttl=ttl, ends=ends), tmp_path)[ends[0], "stack"]
        # The kit's IPv6 hop limit is set as a TTL is.
        assert signature.startswith(f"hops {hops},")


@pytest.mark.parametrize(("first", "step"), [(1, 1), (0, 0), (0xFFFF, 1), (77, 256), (5, 0xFFFF)])
def test_transaction_ids(first: int, step: int, tmp_path: Path) -> None:
    found = habits(poll(0, first=first, step=step), tmp_path)
    assert list(found[HMI, "numbering"]) == [f"transaction id first {first}, step {step}"]


def test_what_was_not_seen_from_the_beginning_has_no_signature(tmp_path: Path) -> None:
    whole = poll(0)
    assert not habits(whole[1:], tmp_path), "no SYN"
    assert set(habits(whole[:3] + whole[5:], tmp_path)) == {(HMI, "stack")}, "a hole before the first request"
    assert set(habits(poll(0, requests=1), tmp_path)) == {(HMI, "stack")}, "one request has no step"


def test_s7_numbers_its_references(tmp_path: Path) -> None:
    who = Programmer()
    found = habits(who.connect() + who.frames(who.upload(b"0800001A", b"block")), tmp_path)
    assert list(found["10.0.2.30", "numbering"]) == ["COTP reference 1, PDU reference first 1, step 256"]


def test_what_has_no_numbers_is_said_to_have_none() -> None:
    """Neither frames of a serial line nor TLS inside COTP."""

    def of(name: str) -> dict[str, list[str]]:
        return {habit.kind: list(habit.signatures) for habit in analyze([str(OWN / name)]).part.habits}

    assert set(of("modbus_rtu.pcap")) == {"stack", "order"}
    assert of("s7_plus_tls.pcap")["numbering"] == ["COTP reference 1, no PDU reference"]


def test_programs_on_real_stacks_differ() -> None:
    def of(name: str) -> dict[tuple[str, str, str], list[str]]:
        part = analyze([str(OWN / name)]).part
        return {habit[1:4]: list(habit.signatures) for habit in part.habits}

    native, python = of("plant.pcap"), of("s7_download.pcap")
    assert native["10.0.2.30", "s7comm", "numbering"] == ["COTP reference 1, PDU reference first 0, step 256"]
    assert python["10.0.2.10", "s7comm", "numbering"] == ["COTP reference 1, PDU reference first 1, step 1"]
    assert native["10.0.2.30", "s7comm", "stack"] == ["hops 64, window 64240, mss 1460 sack time nop scale 10"]


def test_what_a_client_begins_with() -> None:
    """The functions of its first two requests, in all protocols; another beginning is evidence and no alert."""

    def begins(name: str) -> dict[tuple[str, str], list[str]]:
        part = analyze([str(OWN / name)]).part
        return {habit[1:3]: list(habit.signatures) for habit in part.habits if habit.kind == "order"}

    assert begins("plant.pcap")["10.0.2.30", "s7comm"] == ["setup_communication, read_szl"]
    assert begins("dnp3_points.pcap") == {("10.0.2.10", "dnp3"): ["read, confirm"]}
    assert begins("modbus_tcp.pcap") == {("10.0.2.10", "modbus"): ["read_coils, read_coils"]}
    assert begins("s7_plus.pcap") == {}
    frames = [frame for second in range(ESTABLISHED) for frame in poll(second)]
    read, write_one = adu(3, b"\0\0\0\1", transaction=2), adu(6, b"\0\0\0\1", transaction=2)
    other = [frame._replace(data=frame.data.replace(read[:8], write_one[:8])) for frame in frames]
    later = [frame._replace(ts_ns=frame.ts_ns + 100 * 10**9) for frame in other]
    seen = see(frames + later)
    (order,) = (habit for habit in seen.picture["habits"] if habit["kind"] == "order")
    assert list(order["signatures"]) == [
        "read_holding_registers, read_holding_registers",
        "read_holding_registers, write_single_register",
    ]
    assert seen.alerts("asset") == []


def test_they_are_evidence_of_the_asset() -> None:
    seen = see(poll(0) + poll(1))
    (asset,) = (a for a in seen.picture["assets"] if a["endpoints"][0]["address"] == HMI)
    (found,) = asset["attributes"]["habit_stack"]
    assert found["value"].startswith("hops 64, window 64240")
    assert (found["protocol"], found["frame"], found["ts_ns"]) == ("modbus", (1, 1), START_NS)
    assert found["confidence"] == 0.2


# --- the right address on the wrong machine --------------------------------------------------------------------------


def series(*runs: tuple[int, dict[str, Any]]) -> list[Frame]:
    """So many connections in each way, one a second."""
    frames: list[Frame] = []
    second = 0
    for number, way in runs:
        for _ in range(number):
            frames += poll(second, **way)
            second += 1
    return frames


OTHER: dict[str, Any] = {"options": WINDOWS, "ttl": 128}


def test_another_machine_at_the_address() -> None:
    seen = see(series((ESTABLISHED, {}), (STRANGE, OTHER)))
    (alert,) = seen.alerts("asset")
    assert (alert["row"], alert["severity"], alert["count"]) == ("habit_changed", "medium", 1)
    assert (alert["client"]["endpoint"], alert["server"]["endpoint"]) == (HMI, PLC)
    assert alert["first_ts_ns"] == START_NS + (ESTABLISHED + STRANGE - 1) * 10**9
    for words in ("hops 64, window 64240, mss 1460 sack", "hops 128, window 64240, mss 1460 nop scale 8"):
        assert words in alert["title"]
    assert alert["attack"] == ["T0848", "T0864"]


def test_another_program_at_the_address() -> None:
    (alert,) = see(series((ESTABLISHED, {}), (STRANGE, {"step": 256}))).alerts("asset")
    assert "step 1." in alert["title"]
    assert "step 256;" in alert["title"]


@pytest.mark.parametrize(
    "runs",
    [
        [(ESTABLISHED, {}), (STRANGE - 1, OTHER)],  # too few
        [(ESTABLISHED - 1, {}), (20, OTHER)],  # no habit yet
        [(1, OTHER), (ESTABLISHED, {}), (20, OTHER)],  # it was there before
        [(20, {}), (20, {"requests": 1})],
    ],
)
def test_nothing_strange(runs: list[tuple[int, dict[str, Any]]]) -> None:
    assert see(series(*runs)).alerts("asset") == []


def test_whoever_numbers_at_random_has_no_habit() -> None:
    rng = random.Random(3)
    frames = [f for second in range(20) for f in poll(second, first=rng.randrange(65_536))]
    seen = see(frames)
    assert seen.alerts("asset") == []
    (numbering,) = (h for h in seen.picture["habits"] if h["kind"] == "numbering")
    assert list(numbering["signatures"]) == [VARIOUS]
    assert numbering["signatures"][VARIOUS][0] == 20


@pytest.mark.usefixtures("one_process")
def test_jobs_batches_and_paths_give_the_same() -> None:
    plcs = [f"10.0.1.{n}" for n in range(11, 15)]
    frames: list[Frame] = []
    for second in range(24):
        way = OTHER if second >= 16 else {}
        frames += poll(second, ends=(HMI, plcs[second % 4]), **way)
    usual = see(frames, seed=1)
    assert len(usual.alerts("asset")) == 1
    for jobs in (2, 3):
        same(usual, see(frames, jobs=jobs, seed=1), f"{jobs} jobs")
    same(usual, see(frames, batch_frames=1, seed=1), "one frame a batch")
    same(usual, see(frames, force_slow=True, seed=1), "slowly")


# --- uniting ---------------------------------------------------------------------------------------------------------


def habit(**times: list[int]) -> Habit:
    found = {
        name: Sighting(len(t), tuple(sorted(t))[:ESTABLISHED], (0, 1 + min(t)), "s", max(t))
        for name, t in times.items()
    }
    return Habit("default", HMI, "modbus", "stack", found)


def test_parts_unite_to_the_same_however_they_were_shared() -> None:
    rng = random.Random(11)
    for _ in range(300):
        kinds = rng.choice([2, MAX_SIGNATURES, MAX_SIGNATURES + 2])
        seen = [(f"k{rng.randrange(kinds)}", number) for number in range(rng.randint(2, 60))]
        results = []
        for _ in range(3):
            shares: list[list[tuple[str, int]]] = [[] for _ in range(rng.randint(1, 4))]
            for one in seen:
                rng.choice(shares).append(one)
            whole: Habit | None = None
            for share in filter(None, shares):
                for name, number in rng.sample(share, len(share)):
                    one = habit(**{name: [number]})
                    whole = one if whole is None else add_habits(whole, one)
            results.append(whole)
        assert results[0] == results[1] == results[2]


def test_a_stranger_is_told_once() -> None:
    usual = list(range(ESTABLISHED))
    now = habit(a=usual, b=[20, 21, 22])
    assert [(one.usual, one.other, one.ts_ns) for one in strangers([now], {})] == [("a", "b", 22)]
    assert strangers([now], {now[:4]: habit(a=usual, b=[20, 21])})
    assert not strangers([now], {now[:4]: now})


def test_words_that_no_frame_has() -> None:
    assert stack(0, 0) == "hops 32, window 0, no options"
    assert stack((1 << 63) - 1, (1 << 63) - 1).startswith("hops 255, window 65535, other")
