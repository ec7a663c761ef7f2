"""`otmon policy absent`: no proof is given of what was there, and every spell of blindness is counted."""

import json
import random
import sqlite3
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from otmon.cli import run
from otmon.cli.policy_absent import names_of
from otmon.model import ConnectionRecord, Counts, HostRecord, OperationKey, OperationRecord, Target
from otmon.policy.addresses import point
from otmon.policy.intervals import covers
from otmon.policy.load import load_bytes
from otmon.policy.pattern import parse_pattern
from otmon.site.part import Part
from otmon.site.site import Site
from otmon.site.timing import bucket
from otmon.store.database import SiteDatabase, write_database
from otmon.store.retention import Retention
from otmon.store.sensor import SiteStore

ROOT = Path(__file__).parents[2]
PLANT = str(ROOT / "rules" / "plant.yaml")
S = 10**9
END = 600
CLIENT, SERVER = "10.0.2.1", "10.0.1.1"


def operation(times, target=None, function="write_single_register", access="write", client=CLIENT):
    key = OperationKey("default", client, SERVER, "tcp", 502, "modbus", 1, 6, function, access, target)
    gaps = Counter(bucket((b - a) * S) for a, b in pairwise(times))
    counts, when = Counts(len(times), len(times)), (times[0] * S, times[-1] * S)
    return OperationRecord(key, counts, 9, *when, (0, 1), dict(gaps), {}, None, None)


def connection(first, last, client=CLIENT, **more):
    fields = {"gaps": 0, "missing_bytes": 0, "one_sided": False, "encrypted_bytes": 0, "midstream": False, **more}
    who = ("default", client, 5000 + first, SERVER, 502, "tcp", "modbus", False, ())
    return ConnectionRecord(*who, first * S, last * S, (0, 1), (5, 5), (9, 9), **fields)


def stored(path, operations, connections, health=()):
    hosts = [HostRecord("default", SERVER, 0, END * S, 9, (0, 1))]
    path.unlink(missing_ok=True)
    write_database(path, Site(Part(operations=operations, connections=connections, hosts=hosts)), [])
    with sqlite3.connect(path) as db:
        db.executemany(
            "INSERT INTO health (ts_ns, record) VALUES (?, ?)", [(r["ts_ns"], json.dumps(r)) for r in health]
        )
    return SiteDatabase(path)


def test_what_was_there_is_never_said_to_be_absent(tmp_path):
    choose = random.Random(5)
    answers = Counter()
    for number in range(40):
        operations, connections, events = [], [connection(0, 1, "10.0.2.99")], []
        for n in range(choose.randrange(1, 6)):
            client = f"10.0.2.{n}"
            times = []
            for at in sorted(choose.sample(range(2, END, 20), choose.randrange(1, 6))):
                spell = sorted(choose.sample(range(at, at + 18), choose.randrange(1, 5)))
                connections.append(connection(spell[0], spell[-1], client))
                times += spell
            if choose.random() < 0.2:
                times = list(range(times[0], times[-1] + 1, choose.choice([1, 3])))
                connections.append(connection(times[0], times[-1], client))
            target = choose.choice([Target("holding_register", n, n + 1), None])
            operations.append(operation(times, target, client=client))
            events += [(at, operations[-1].key) for at in times]
        words = choose.choice(["* -> * write", "write 2-3", "10.0.2.1 -> * modbus unit 1 write*", "* -> * read"])
        pattern = parse_pattern(words, {})
        with stored(tmp_path / f"{number}.db", operations, connections) as results:
            for _ in range(20):
                start = choose.randrange(2, END - 1)
                end = min(END, start + choose.choice([1, 3, 9, 30, 200]))
                found = results.absence(pattern, start * S, end * S)
                there = {key for at, key in events if start <= at < end}
                really = {key for key in there if pattern.has(key)}
                wide = pattern._replace(target=None)
                hidden = {key for key in there if key.target is None and wide.has(key)}
                seen, perhaps = ({one.key for one in some} for some in (found.seen, found.perhaps))
                assert seen <= really
                assert really | hidden <= seen | perhaps
                asked = [
                    key for o in operations if o.first_ts_ns < end * S and o.last_ts_ns >= start * S for key in [o.key]
                ]
                known = not words.startswith(CLIENT) or any(key.client == CLIENT for key in asked)
                absent = "none" if known else "unknown"
                assert found.answer == ("seen" if seen else "perhaps" if perhaps else absent)
                answers[found.answer] += 1
    assert min(answers[name] for name in ("seen", "perhaps", "none")) > 40


@pytest.mark.parametrize(("times", "answer"), [((10, 200), "none"), ((10, 100, 200), "perhaps"), ((10, 95), "seen")])
def test_what_was_seen_before_and_after(tmp_path, times, answer):
    with stored(tmp_path / "site.db", [operation(times)], [connection(0, 1), connection(5, 300)]) as results:
        assert results.absence(parse_pattern("* -> * write", {}), 90 * S, 110 * S).answer == answer


def health(first, last, **more):
    return {
        "first_ts_ns": first * S,
        "ts_ns": last * S,
        "interfaces": [{"interface": "eth1", "dropped": 0, "interface_drops": 0, "state": "up"}],
        "shed": 0,
        "frames": {"ot": 5},
        "visibility": {},
        "ot_bytes": {"decoded": 9},
        **more,
    }


def lost(number):
    return [{"interface": "eth1", "dropped": number, "interface_drops": 0, "state": "up"}]


@pytest.mark.parametrize("keep", [{"keep_ns": 300 * S}, {"keep_ns": 1 << 62, "max_bytes": 150_000}])
@pytest.mark.parametrize("noted", [True, False])
def test_what_retention_removed_is_blind_not_absent(tmp_path, keep, noted):
    choose = random.Random(8)
    times = {f"10.9.{n // 250}.{n % 250}": sorted(choose.sample(range(1, END), 2)) for n in range(400)}
    with SiteStore(tmp_path / "site.db", "default", keep=Retention(**keep)) as store:
        store.add(Part(operations=[operation(found, client=client) for client, found in times.items()]))
        gone = store.forget(END * S).operations
    assert 0 < gone < 400
    with sqlite3.connect(tmp_path / "site.db") as db:
        records = [health(0, 1), health(1, END)]
        db.executemany(
            "INSERT INTO health (ts_ns, record) VALUES (?, ?)", [(r["ts_ns"], json.dumps(r)) for r in records]
        )
        if not noted:
            db.execute("DELETE FROM counters WHERE name = 'forgotten_until'")
    with SiteDatabase(tmp_path / "site.db") as results:
        left = {o.key.client for o in results.operations}
        until = max(last for client, (_, last) in times.items() if client not in left) + 1
        for client, found in choose.sample(sorted(times.items()), 25):
            for at in found:
                asked = results.absence(parse_pattern(f"{client} -> * write", {}), at * S, (at + 1) * S)
                assert asked.answer == ("seen" if client in left else "blind"), (client, at)
                assert (client in left) or asked.blind[0].why == "operations of that time are forgotten"
        later = results.absence(parse_pattern(f"* -> {SERVER} read", {}), (until + 1) * S, END * S)
        assert later.blind_ns < S * (END - until) // 4
        assert noted is False or later.answer == "none"


def test_blindness_is_counted_to_the_second(tmp_path):
    choose = random.Random(3)
    for number in range(25):
        records, blind, at = [], set(range(END)), choose.randrange(60)
        first = True
        while at < END:
            till = at + choose.randrange(1, 60)
            bad = choose.choice([{}, {}, {}, {"interfaces": lost(3)}, {"shed": 2}, {"frames": {"truncated": 1}}])
            begin = 0 if first else at
            records.append(health(begin, till, **bad))
            if not bad and begin:
                blind -= set(range(begin, till))
            first = False
            at = till
            if choose.random() < 0.2:
                at, first = at + choose.randrange(40), True
        with stored(tmp_path / f"{number}.db", [], [connection(0, 1)], records) as results:
            for _ in range(10):
                start, end = sorted(choose.sample(range(END), 2))
                found = results.absence(parse_pattern("* -> * write", {}), start * S, end * S)
                assert round(found.blind_ns / S) == len(blind & set(range(start, end))), number
                assert abs(found.coverage - (1 - found.blind_ns / S / (end - start))) < 1e-12
                assert (found.answer == "none") == (found.blind_ns == 0) == (not found.blind)


@pytest.mark.parametrize(
    ("records", "blind"),
    [
        ([health(10, 60), health(60, 3000, clock={"steps": 1}), health(3000, 3060)], (60, 3000)),
        ([health(10, 60), health(60, 70, clock={"steps": 0})], None),
        ([health(10, 60), health(60, 30, clock={"steps": 1}), health(30, 90)], (30, 60)),
        ([health(10, 60), health(60, 30), health(30, 90)], (30, 60)),
    ],
)
def test_while_the_clock_was_set_nothing_is_proved(tmp_path, records, blind):
    end = records[-1]["ts_ns"]
    with stored(tmp_path / "site.db", [], [connection(0, 1)], records) as results:
        found = results.absence(parse_pattern("* -> * write", {}), 20 * S, end)
    said = [] if blind is None else [(blind[0] * S, blind[1] * S, "the clock was set")]
    assert [tuple(spell) for spell in found.blind] == said


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"gaps": 2}, "2 gaps"),
        ({"missing_bytes": 1460}, "1,460 bytes never captured"),
        ({"encrypted_bytes": 99}, "99 encrypted bytes"),
        ({"malformed_bytes": 7}, "7 malformed bytes"),
        ({"one_sided": True, "frames": (0, 9)}, "nothing captured of what the client sent"),
    ],
)
def test_what_was_missing_from_a_connection_blinds_questions_about_its_hosts(tmp_path, more, why):
    frames = more.pop("frames", (5, 5))
    torn = connection(100, 200, **more)._replace(frames=frames)
    with stored(tmp_path / "site.db", [], [connection(0, 1), torn, connection(5, 500, "10.0.2.2")]) as results:
        found = results.absence(parse_pattern(f"* -> {SERVER} write", {}), 50 * S, 300 * S)
        other = results.absence(parse_pattern("10.0.2.2 -> * write", {}), 50 * S, 300 * S)
    assert [(spell.first_ts_ns, spell.why) for spell in found.blind] == [
        (100 * S, f"{why} between {CLIENT} and {SERVER}")
    ]
    assert found.answer == "blind"
    assert other.answer == "none"


def test_a_typing_error_proves_nothing(tmp_path):
    """Nothing was seen of it because nothing was ever seen of the host."""
    connections = [connection(0, 500)]
    with stored(tmp_path / "site.db", [operation((5, 500))], connections) as results:

        def asked(words):
            return results.absence(parse_pattern(words, {}), 50 * S, 300 * S)

        assert asked(f"* -> {SERVER} program").answer == "none"
        found = asked("* -> 10.0.1.11 program")
        assert (found.answer, found.coverage) == ("unknown", 1.0)
        assert found.unknown == [("server", "10.0.1.11", None, None, (SERVER,))]
        assert asked(f"10.0.2.77 -> {SERVER} program").unknown[0].what == "client"
        assert asked(f"* -> {SERVER} unit 7 program").unknown == [("unit", "7", None, None, ("1",))]
        assert asked("realm east * -> * program").unknown == [("realm", "east", None, None, ("default",))]
        assert asked(f"* -> {SERVER} port 502 program").answer == "none"


def test_of_a_time_that_is_blind_as_a_whole_nobody_is_unknown(tmp_path):
    with stored(tmp_path / "site.db", [], [connection(0, 1)]) as results:
        found = results.absence(parse_pattern("* -> 10.9.9.9 write", {}), 700 * S, 800 * S)
    assert (found.answer, found.unknown) == ("blind", [])


def test_the_command_and_its_exit_codes(tmp_path, capsys):
    folder = tmp_path / "out"
    assert run(["analyze", str(ROOT / "captures" / "plant.pcap"), "--policy", PLANT, "--out", str(folder)]) == 0

    def absent(words, start, end, *more):
        capsys.readouterr()
        asked = ["--data", str(folder), "--from", start, "--until", end]
        return run(["policy", "absent", PLANT, words, *asked, *more]), *capsys.readouterr()

    inside = "2026-11-22T02:58:55", "2026-11-22T02:59:15"
    assert absent("* -> plc-3 program", *inside)[0] == 0
    code, out, _ = absent("any -> outside s7comm download", *inside)
    assert (code, out.splitlines()[1]) == (0, "Asked about request_download, download_block, download_ended.")
    assert "is a name in the policy and a word for what is done" in absent("control", *inside)[2]
    code, out, _ = absent("outside -> any", *inside)
    assert (code, out.partition(":")[0]) == (0, "Not seen, and nothing was blind")
    code, out, _ = absent("any -> outside", *inside)
    assert (code, "10.0.3.50 -> 224.0.0.251 udp connect 5353: once, first" in out) == (1, True)
    code, out, _ = absent("* -> 10.0.1.31 program", *inside)
    assert code == 1
    assert out.startswith("Not seen, but nothing is known of 10.0.1.31: * -> 10.0.1.31 program")
    assert "  unknown: server 10.0.1.31 was never seen: it is not on this network, or the monitor does not" in out
    assert "written like it: 10.0.1.21, 10.0.1.13" in out
    assert "Coverage 100 %" in out
    code, out, _ = absent("* -> control program", "2026-11-22T02:50", "2026-11-22T02:59:15", "--json")
    (record,) = json.loads(out)
    assert (code, record["answer"], record["blind"][0]["why"]) == (1, "blind", "not in the capture")
    code, out, _ = absent("{role} -> plc-3 write".replace("{role}", "operator-panel"), *inside)
    assert code == 1
    assert out.startswith("Seen: operator-panel -> plc-3 write, from 2026-11-22 01:58:55Z")
    for words, start, end, wrong in (
        ("* -> plc-9 write", *inside, "words:6: 'plc-9' is neither an address nor an asset"),
        ("* -> plc-3 write", "noon", inside[1], "--from: 'noon' is not a time"),
        ("* -> plc-3 write", inside[1], inside[0], "is not after"),
    ):
        code, out, err = absent(words, start, end)
        assert (code, out) == (2, "")
        assert wrong in err


@pytest.mark.parametrize("realms", [(None,), ("a", "b"), (None, "a")])
def test_outside_is_what_is_in_no_zone(realms):
    """Of a policy with realms: in no zone of some realm."""
    choose = random.Random(4)
    for _ in range(20):
        nets = choose.sample([f"10.0.{n}.{m}/25" for n in range(4) for m in (0, 128)], choose.randrange(1, 6))
        zones = {f"z{n}": {"hosts": [net]} for n, net in enumerate(nets)}
        for zone in zones.values():
            if realm := choose.choice(realms):
                zone["realm"] = realm
        marks = {realm: {"vlans": [n + 1]} for n, realm in enumerate(filter(None, realms))}
        policy = load_bytes(json.dumps({"otmon": 1, "site": "s", "realms": marks, "zones": zones}).encode(), "p")
        outside = names_of(policy)["outside"]
        for address in (
            "fd00::1",
            "00:11:22:33:44:55",
            *(f"10.0.{n}.{m}" for n in range(5) for m in (0, 127, 128, 255)),
        ):
            at = point(address)
            some = any(policy.zone_of(realm, address) == "outside" for realm in (*marks, "default"))
            assert covers(outside, at, at) == some
