"""Values of named points: judged in their units, told from what to what, whatever way the frames take."""

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from otmon.engine.run import Run
from otmon.engine.writes import shown, writes
from otmon.policy.effects import Image
from otmon.policy.judge import Policy
from otmon.policy.load import load_policy
from otmon.policy.writes import Write
from otmon.protocols import PROTOCOLS
from otmon.wire import columns as c
from tests.engine.test_episodes import SECOND, WAYS, at_times
from tests.engine.traffic import Exchange, frames
from tests.engine.world import Seen, see
from tests.engine.world import write as write_capture
from tests.hostile.kit import Session
from tests.policy.policy_kit import op, registers
from tests.protocols.modbus_corpus import adu
from tests.protocols.s7_streams import any_item, s7

TAGS = """point,asset,protocol,unit,address,type,order,scale,offset,units,label
T1,plc-1,modbus,1,40,float32,ABCD,,,degC,T1 set-point
T2,plc-1,modbus,1,42,float32,CDAB,,,degC,T2 set-point
LEVEL,plc-1,modbus,1,50,int16,,0.1,,cm,Level
PUMP,plc-1,modbus,1,60.3,bool,,,,,Pump
FREE,plc-1,modbus,1,70,uint16,,,,rpm,Speed
"""
POLICY = """otmon: 1
tags: tags.csv
zones:
  plant: {hosts: [10.0.0.0/16]}
assets:
  plc-1: {hosts: [10.0.1.1]}
conduits:
  - id: sets
    from: 10.0.2.1
    to: plc-1
    allow:
      - {protocol: modbus, units: 1, access: read}
%s
"""


def policy(folder: Path, *rows: str) -> Policy:
    (folder / "tags.csv").write_text(TAGS)
    (folder / "policy.yaml").write_text(POLICY % "\n".join(f"      - {row}" for row in rows))
    return load_policy(folder / "policy.yaml")


def write(address: int, *registers: int, n: int = 1) -> Exchange:
    body = struct.pack(">HH", address, len(registers))
    data = struct.pack(f">{len(registers)}H", *registers)
    return adu(16, body + bytes([len(data)]) + data, transaction=n), adu(16, body, transaction=n)


def write_one(address: int, value: int, n: int = 1) -> Exchange:
    body = struct.pack(">HH", address, value)
    return adu(6, body, transaction=n), adu(6, body, transaction=n)


def mask(address: int, and_mask: int, or_mask: int, n: int = 1) -> Exchange:
    body = struct.pack(">HHH", address, and_mask, or_mask)
    return adu(22, body, transaction=n), adu(22, body, transaction=n)


def real(value: float) -> tuple[int, int]:
    high, low = struct.unpack(">HH", struct.pack(">f", value))
    return high, low


def alerts(policy: Policy, *exchanges: tuple[float, Exchange], ways: list[dict[str, Any]] = WAYS) -> list[str]:
    """The titles of all alerts of a policy, the same in every way; times in seconds."""
    shots = at_times([(int(after * SECOND), exchange) for after, exchange in exchanges])
    seen: list[Seen] = [see(frames(shots), policy, **way) for way in ways]
    assert all(s.picture == seen[0].picture for s in seen)
    return [alert["title"] for alert in seen[0].policy_alerts()]


def told(titles: list[str]) -> list[str]:
    """What was set, and what the policy says: the rest of the sentence is the same for all."""
    return [t.split(" set ", 1)[1].split(" at holding")[0] + " | " + t.split("accepted. ", 1)[1] for t in titles]


def test_a_set_point_of_two_registers_is_told_in_its_units(tmp_path: Path) -> None:
    rules = policy(tmp_path, "{protocol: modbus, points: [T1], values: 20-80}")
    (title,) = alerts(rules, (1, write(40, *real(55.0))), (2, write(40, *real(90.0), n=2)))
    assert title == (
        "10.0.2.1 (plant) set T1 set-point 55.0 -> 90.0 degC at holding registers 40041-40042 (PDU addresses 40-41) of "
        "plc-1 (10.0.1.1, plant); accepted. Row sets allows 20-80 degC there."
    )


def test_the_first_write_says_that_the_last_value_is_unknown(tmp_path: Path) -> None:
    rules = policy(tmp_path, "{protocol: modbus, points: [T1], values: 20-80}")
    assert told(alerts(rules, (1, write(40, *real(90.0))))) == [
        "T1 set-point 90.0 degC (last value unknown) | Row sets allows 20-80 degC there."
    ]


def test_a_set_of_values_and_a_scale(tmp_path: Path) -> None:
    rules = policy(tmp_path, "{protocol: modbus, points: [LEVEL], values: [-0.3, 25.5]}")
    assert not alerts(rules, (1, write_one(50, 0xFFFD)), (2, write_one(50, 255, n=2)))
    assert told(alerts(rules, (1, write_one(50, 0xFFFD)), (2, write_one(50, 254, n=2)))) == [
        "Level -0.3 -> 25.4 cm | Row sets allows -0.3, 25.5 cm there."
    ]


def test_a_step_is_measured_from_the_last_value(tmp_path: Path) -> None:
    rules = policy(tmp_path, "{protocol: modbus, points: [T1], values: 0-100, step: 5}")
    steady = [(n, write(40, *real(50.0 + 5 * n), n=n)) for n in range(1, 9)]
    assert not alerts(rules, *steady)
    assert told(alerts(rules, *steady, (9, write(40, *real(60.0), n=9)))) == [
        "T1 set-point 90.0 -> 60.0 degC | Row sets allows steps of 5 degC there; 90.0 is from 10.0.2.1."
    ]


def test_a_rate_counts_from_the_last_change(tmp_path: Path) -> None:
    rules = policy(tmp_path, "{protocol: modbus, points: [T1], rate: 2/min}")
    again = [(n, write(40, *real(50.0), n=n)) for n in range(1, 60, 10)]
    assert not alerts(rules, *again, (61, write(40, *real(52.0), n=9)))
    assert told(alerts(rules, *again, (61, write(40, *real(52.5), n=9)))) == [
        "T1 set-point 50.0 -> 52.5 degC | Row sets allows 2 degC/min there; 50.0 is from 10.0.2.1, 60 s before."
    ]


def test_a_write_over_several_points_judges_each(tmp_path: Path) -> None:
    rules = policy(tmp_path, "{protocol: modbus, points: [T1, T2], values: 20-80}")
    high, low = real(75.0)
    assert not alerts(rules, (1, write(40, *real(30.0), low, high)))
    wrong = write(40, *real(30.0), *real(75.0))  # the words of T2 the other way round
    (title,) = told(alerts(rules, (1, wrong)))
    assert title.startswith("T2 set-point ")
    assert title.endswith("and 1 more point | Row sets allows 20-80 degC there.")


def test_half_a_number_counts_with_the_half_that_is_known(tmp_path: Path) -> None:
    rules = policy(tmp_path, "{protocol: modbus, points: [T1], values: 20-80}")
    high, low = real(55.5)
    assert not alerts(rules, (1, write(40, *real(55.0))), (2, write_one(40, high, n=2)), (3, write_one(41, low, n=3)))
    assert told(alerts(rules, (1, write_one(40, high)))) == [
        "T1 set-point to a value that cannot be known (last value unknown) | Row sets limits it, and only a part "
        "of it is written: the rest was not seen before."
    ]


def test_a_masked_write_is_judged_by_what_it_makes(tmp_path: Path) -> None:
    rules = policy(tmp_path, "{protocol: modbus, points: [LEVEL], values: 0-30}")
    assert not alerts(rules, (1, write_one(50, 200)), (2, mask(50, 0xFF00, 0x0012, n=2)))
    assert told(alerts(rules, (1, write_one(50, 200)), (2, mask(50, 0xFEFF, 0x0100, n=2)))) == [
        "Level 20.0 -> 45.6 cm | Row sets allows 0-30 cm there."
    ]
    # What is kept may be anything: eight bits of it make 0-25.5 cm at most, nine make up to 51.1 cm.
    assert not alerts(rules, (1, mask(50, 0x00FF, 0)))
    (title,) = told(alerts(rules, (1, mask(50, 0x01FF, 0))))
    assert title.startswith("Level to a value that cannot be known (last value unknown) | Row sets limits it")


def test_a_bit_of_a_register_is_a_point_of_its_own(tmp_path: Path) -> None:
    rules = policy(tmp_path, "{protocol: modbus, points: [PUMP]}")
    assert not alerts(rules, (1, mask(60, 0xFFF7, 0x0008)), (2, mask(60, 0xFFF7, 0, n=2)))
    assert told(alerts(rules, (1, mask(60, 0xFFF5, 0x0002)))) == [
        "Pump 0 (last value unknown) | Row sets allows bit 3 to change there, and no others."
    ]
    assert told(alerts(rules, (1, write_one(60, 8)))) == [
        "Pump 1 (last value unknown) | Row sets allows bit 3 to change there, and no others."
    ]


def test_what_nobody_may_write_is_told_by_name_too(tmp_path: Path) -> None:
    rules = policy(tmp_path, "{protocol: modbus, points: [T1], values: 20-80}")
    (title,) = alerts(rules, (1, write_one(70, 1500)))
    assert "set Speed 1500 rpm (last value unknown) at holding register 40071 (PDU address 70)" in title


def test_what_no_limit_concerns_is_counted_in_compiled_code(tmp_path: Path) -> None:
    rules = policy(tmp_path, "{protocol: modbus, points: [T1], step: 5}", "{protocol: modbus, points: [T2, FREE]}")
    client, server = "10.0.2.1", "10.0.1.1"

    def looked_at(function: str, access: str, start: int, end: int) -> bool:
        key = op(client, server, "modbus", function, access, target=registers(start, end))
        verdict = rules.judge(key, 0)
        assert verdict.permit
        assert verdict.bounds is None
        return verdict.inspect

    assert looked_at("write_multiple_registers", "write", 40, 41)
    assert looked_at("write_single_register", "write", 41, 41)
    assert looked_at("write_multiple_registers", "write", 40, 43)
    assert not looked_at("read_holding_registers", "read", 40, 43)
    assert not looked_at("write_multiple_registers", "write", 42, 43)
    assert not looked_at("write_single_register", "write", 70, 70)


def test_a_writer_whom_nothing_limits_is_remembered(tmp_path: Path) -> None:
    rows = "{protocol: modbus, points: [T1], step: 5}\n  - id: free\n    from: 10.0.2.9\n    to: plc-1\n    allow:\n"
    rules = policy(tmp_path, rows + "      - {protocol: modbus}")
    first = at_times([(SECOND, write(40, *real(50.0)))])
    free = [
        replace(shot, session=other)
        for other in [Session("10.0.2.9", "10.0.1.1", 49153)]
        for shot in at_times([(2 * SECOND, write(40, *real(70.0)))])
    ]
    last = at_times([(3 * SECOND, write(40, *real(56.0)))], port=49154)
    seen = see(frames([*first, *free, *last]), rules)
    assert told([alert["title"] for alert in seen.policy_alerts()]) == [
        "T1 set-point 70.0 -> 56.0 degC | Row sets allows steps of 5 degC there; 70.0 is from 10.0.2.9."
    ]


def test_processes_change_nothing(tmp_path: Path) -> None:
    rules = policy(tmp_path, "{protocol: modbus, points: [T1], values: 0-60, step: 5}")
    exchanges = [(n, write(40, *real(50.0 + 4 * n), n=n)) for n in range(1, 6)]
    assert len(alerts(rules, *exchanges, ways=[{}, {"jobs": 2}])) == 1


def test_a_write_that_contradicts_its_length_becomes_nobody_knows_what(tmp_path: Path) -> None:
    rules = policy(tmp_path, "{protocol: modbus, points: [T1], values: 20-80}")
    body = struct.pack(">HHBHH", 40, 2, 4, *real(55.0))
    damaged = adu(16, body + b"\0\0", transaction=2), adu(16, struct.pack(">HH", 40, 2), transaction=2)
    (title,) = alerts(rules, (1, write(40, *real(50.0))), (2, damaged))
    assert "set T1 set-point 50.0 -> to a value that cannot be known and 1 more point at" in title


def refused(address: int, *registers: int, n: int) -> Exchange:
    return write(address, *registers, n=n)[0], adu(0x90, b"\2", transaction=n)


def test_what_the_device_refused_was_never_there(tmp_path: Path) -> None:
    """Neither a permitted write (the first) nor a denied one (the second) that ends in an exception is a last value."""
    rules = policy(tmp_path, "{protocol: modbus, points: [T1], values: 0-1000, step: 50}")
    titles = alerts(
        rules,
        *((1, write(40, *real(100.0), n=1)), (2, refused(40, *real(140.0), n=2)), (3, refused(40, *real(900.0), n=3))),
        *((4, write(40, *real(150.0), n=4)), (5, refused(40, *real(151.0), n=5)), (6, write(40, *real(201.0), n=6))),
    )
    assert [title.split(" set ", 1)[1].split(" at ")[0] for title in titles] == [
        "values such as T1 set-point 100.0 -> 900.0 degC"
    ]
    assert "2 times" in titles[0], "900 from 100, and 201 from 150"


def test_one_bit_that_was_refused_leaves_the_others(tmp_path: Path) -> None:
    rules = policy(tmp_path, "{protocol: modbus, points: [FREE], values: 0-100, step: 10}")
    body = struct.pack(">HHH", 70, 0xFFF8, 7)
    no = adu(22, body, transaction=2), adu(0x96, b"\4", transaction=2)
    titles = alerts(
        rules, (1, write_one(70, 32, n=1)), (2, no), (3, mask(70, 0xFFF7, 8, n=3)), (4, write_one(70, 51, n=4))
    )
    assert [told([title]) for title in titles] == [
        ["Speed 40 -> 51 rpm | Row sets allows steps of 10 rpm there; 40 is from 10.0.2.1."]
    ]


def test_a_point_of_another_scale_has_no_last_value(tmp_path: Path) -> None:
    """A tag map that changed while a sensor runs: what was remembered in the old units is nothing to step from."""
    old = policy(tmp_path, "{protocol: modbus, points: [LEVEL], step: 50}").tags
    (tmp_path / "tags.csv").write_text(TAGS.replace("int16,,0.1", "int16,,1"))
    new, image = load_policy(tmp_path / "policy.yaml").tags, Image()
    where, write = ("default", "10.0.1.1", "modbus", 1), [Write("holding_register", 50, 100, 0xFFFF)]
    image.note(old, where, write, image.effects(old, where, write), 1, "10.0.2.1")
    (same,), (other,) = (image.effects(tags, where, write).points for tags in (old, new))
    assert (same.text(), other.text()) == ("Level 10.0 -> 10.0 cm", "Level 100 cm (last value unknown)")


def read(address: int, *registers: int, n: int) -> Exchange:
    data = struct.pack(f">{len(registers)}H", *registers)
    request = adu(3, struct.pack(">HH", address, len(registers)), transaction=n)
    return request, adu(3, bytes([len(data)]) + data, transaction=n)


def test_a_step_is_measured_from_what_was_read(tmp_path: Path) -> None:
    """The operator means the step from what the device shows, whoever set that, seen or not."""
    rules = policy(tmp_path, "{protocol: modbus, points: [T1, T2], values: 0-1000, step: 5}")
    titles = alerts(
        rules,
        (1, read(30, *[0] * 10, *real(50.0), 7, n=1)),
        (2, write(40, *real(54.0), n=2)),
        (3, read(40, *real(80.0), n=3)),
        (4, write(40, *real(84.0), n=4)),
        (5, read(40, *real(84.0), n=5)),
        (6, write(40, *real(90.0), n=6)),
        (7, (read(40, *real(1.0), n=7)[0], adu(0x83, b"\2", transaction=7))),
        (8, write(40, *real(91.0), n=8)),
        (9, read(40, 0x42, n=9)),
        (10, read(41, 0, n=10)),
    )
    assert told(titles) == [
        "T1 set-point 84.0 -> 90.0 degC | Row sets allows steps of 5 degC there; 84.0 is from 10.0.2.1."
    ]


def test_what_is_read_is_from_the_device(tmp_path: Path) -> None:
    rules = policy(tmp_path, "{protocol: modbus, points: [LEVEL], rate: 1/s}")
    titles = alerts(
        rules,
        *((n, read(50, 100, n=n)) for n in range(1, 9)),
        (9, write_one(50, 170, n=9)),
        (10, write_one(50, 190, n=10)),
    )
    assert told(titles) == ["Level 17.0 -> 19.0 cm | Row sets allows 1 cm/s there; 17.0 is from 10.0.2.1, 1 s before."]


def test_an_answer_that_comes_while_the_device_is_told_something_else_does_not_count(tmp_path: Path) -> None:
    rules = policy(tmp_path, "{protocol: modbus, points: [FREE], step: 10}")
    (ask, shows), (tell, done) = read(70, 100, n=1), write_one(70, 110, n=2)
    last = write_one(70, 121, n=3)
    session = Session("10.0.2.1", "10.0.1.1")
    talk = [*session.handshake(), session.send(ask), session.send(tell), session.send(shows, from_client=False)]
    talk += [session.send(done, from_client=False), session.send(last[0]), session.send(last[1], from_client=False)]
    seen = [see(talk, rules, **way) for way in WAYS]
    assert {told([alert["title"] for alert in one.policy_alerts()])[0] for one in seen} == {
        "Speed 110 -> 121 rpm | Row sets allows steps of 10 rpm there; 110 is from 10.0.2.1."
    }


def test_reads_cost_nothing_without_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is asked for then; with them, of other reads the first one alone."""
    exchanges = [(n * SECOND, read(address, 1, 2, n=n)) for n, address in enumerate((40, 40, 40, 1, 1, 1), 1)]
    path = str(write_capture(tmp_path / "c.pcap", frames(at_times(exchanges))))
    for limit, answers in (("", 0), (", step: 5", 3 + 1)):
        run = Run(policy(tmp_path, f"{{protocol: modbus, points: [T1], values: 0-60{limit}}}"), seed=1, batch_frames=1)
        asked: list[int] = []
        take = run._followed.take

        def count(event: list[int], asked: list[int] = asked, take: Any = take) -> None:
            asked.append(event[c.E_REQUEST])
            take(event)

        monkeypatch.setattr(run._followed, "take", count)
        run.read([path])
        assert sum(request > 0 for request in asked) == answers


def test_octets_that_a_controller_shows_are_those_that_were_written() -> None:
    """S7: an item that is read back says what writing it said, bit or bytes; an item that failed says nothing."""
    s7comm = next(protocol for protocol in PROTOCOLS if protocol.name == "s7comm")
    items = [any_item(2, 6, 10, 0x84, 32), any_item(1, 1, 10, 0x84, 83), any_item(2, 2, 10, 0x84, 160)]
    data = b"\0\4\0\x30" + b"ABCDEF" + b"\0\3\0\1\1\0" + b"\0\4\0\x10HI"
    wrote = s7comm.decode(s7(1, bytes([5, 3]) + b"".join(items), data), True, None)
    request = s7(1, bytes([4, 3]) + b"".join(items), b"")
    answer = b"\xff\4\0\x30" + b"ABCDEF" + b"\xff\3\0\1\1\0" + b"\x0a\0\0\0"
    told = s7comm.decode(s7(3, bytes([4, 3]), answer), False, request)
    expected = [write for write in writes("s7comm", wrote, s7comm.written(wrote)) if write.position < 20]
    assert shown(s7comm, told) == expected
    assert len(expected) == 7
