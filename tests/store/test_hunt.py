"""`otmon hunt`: what the database finds is what a look at every operation finds; words that mean nothing are errors."""

import json
import random
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from otmon.cli import run
from otmon.engine import analyze
from otmon.model import NEED_TIME, SESSION, Counts, OperationKey, OperationRecord, Target
from otmon.policy.addresses import point
from otmon.policy.facts import FACTS
from otmon.policy.functions import groups, triples
from otmon.policy.load import load_bytes
from otmon.policy.pattern import Pattern, parse_pattern
from otmon.policy.rows import names_function
from otmon.policy.words import TextError
from otmon.protocols.dnp3.attributes import IDENTITY as DNP3_IDENTITY
from otmon.protocols.modbus import umas
from otmon.protocols.modbus.tables import IDENTITY as MODBUS_IDENTITY
from otmon.protocols.s7comm.identity import _CLIENT, _COMPONENTS
from otmon.site.part import Part
from otmon.site.site import Site
from otmon.store.database import SiteDatabase, write_database

ROOT = Path(__file__).parents[2]
NAMES = {"my plc": ((7, 7),), "plc-3": ((point("10.0.1.3"),) * 2,), "hmi[1]": ((point("10.0.2.1"),) * 2,)}
SPOKEN = [
    ("modbus", 6, "write_single_register", "write", "holding_register", "modbus"),
    ("modbus", 3, "read_holding_registers", "read", "holding_register", "modbus"),
    ("modbus", 1, "read_coils", "read", "coil", "modbus"),
    ("dnp3", 4, "operate", "control", "g12", "dnp3"),
    ("s7comm", 5, "write_var", "write", "DB1", None),
    ("s7comm", 26, "request_download", "program", "block", None),
    ("s7comm", 29, "start_upload", "program", "block", None),
    ("s7comm", 30, "upload", "program", "block", None),
    ("modbus", 90, "umas_stop_plc", "control", None, "modbus"),
    ("tcp", None, "connect", "connect", None, None),
    ("tcp", None, "scan", "connect", None, None),
]


def some_operations(choose, count):
    found = {}
    for n in range(count):
        protocol, code, function, access, space, kind = choose.choice(SPOKEN)
        first = choose.randrange(30)
        target = {"block": Target("block", name=choose.choice(["OB1", "OB35", "DB[7]", ""])), None: None}.get(
            space, Target(space or "", first, choose.choice([None, first, first + 5]))
        )
        target = choose.choice([target, target, target, None])
        unit = {"modbus": choose.randrange(3), "dnp3": (choose.randrange(2), choose.randrange(12)), None: None}[kind]
        key = OperationKey(
            *(choose.choice(["default", "east"]), choose.choice(["10.0.2.1", "10.0.2.2", "fd00::5", "no address"])),
            *(choose.choice(["10.0.1.3", "10.0.1.4", "10.0.2.1"]), choose.choice(["tcp", "udp"])),
            *(
                None if function == "scan" else choose.choice([502, 5020]),
                protocol,
                unit,
                code,
                function,
                access,
                target,
            ),
        )
        counts = Counts(attempted=2, accepted=1, rejected=1)
        found[key] = OperationRecord(
            key, counts, 60, n, n + 5, (0, n + 1), {}, {}, choose.choice(["permit", "deny"]), None
        )
    return list(found.values())


HOSTS = ["*", "any", "plc-*", "10.0.2.1", "10.0.2.*", "10.0.2.0/31", "fd00::/64", "plc-3", "hmi[1]", "*::*"]
WORDS = ["modbus", "modbus unit 1", "modbus unit 1-2 write*", "dnp3 master 1 outstation 3-9", "* port 502", "udp"]
WORDS += [
    "write",
    "*/read",
    "*_*",
    "s7comm block OB*",
    "block",
    'block "DB[7]"',
    "holding_register 3-9",
    "5",
    "4-6 sweep",
]
WORDS += [
    "DB1.DBB3-9",
    "DB1.DBB0",
    "g12 0-4",
    "modbus * c* 3",
    "tcp scan",
    "* sweep",
    "connect/connect",
    "* * block",
    "request*",
    "download",
    "s7comm upload block OB1",
    "upload/program",
    "umas sweep",
    "modbus umas",
]


def text(choose):
    hosts = choose.choice(["", choose.choice(HOSTS[1:]), f"{choose.choice(HOSTS)} -> {choose.choice(HOSTS)}"])
    return " ".join(filter(None, [choose.choice(["", "", "realm east"]), hosts, choose.choice(WORDS)]))


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    path = tmp_path_factory.mktemp("hunt") / "site.db"
    operations = some_operations(random.Random(7), 1500)
    write_database(path, Site(Part(operations=operations)), [])
    return path, operations


def test_the_database_finds_what_a_look_at_each_operation_finds(stored):
    path, operations = stored
    choose = random.Random(1)
    kinds = Counter()
    with SiteDatabase(path) as results:
        for _ in range(150):
            words = text(choose)
            pattern = parse_pattern(words, NAMES)
            found = results.hunt(pattern._replace(sweep=False))
            right = [op for op in operations if pattern.has(op.key)]
            kinds[bool(right)] += 1
            assert sum(one.operations for one in found) == len(right), words
            assert sum(one.times for one in found) == 2 * len(right)
            assert sum(one.denied for one in found) == sum(op.verdict == "deny" for op in right)
            whole = {(one.realm, one.client, one.server, one.protocol, one.function, one.space) for one in found}
            keys = [op.key for op in right]
            assert whole == {(*k[:3], k.protocol, k.function, k.target and k.target.space) for k in keys}
            if right:
                assert min(one.first_ts_ns for one in found) == min(op.first_ts_ns for op in right)
                assert max(one.last_ts_ns for one in found) == max(op.last_ts_ns for op in right)
            places = defaultdict(list)
            for key in keys:
                places[*key[:5], key.function, key.target and key.target.space].append(key)
            for one in found:
                same = places[*one[:5], one.function, one.space]
                units = {k.unit[1] if isinstance(k.unit, tuple) else k.unit for k in same} - {None}
                assert units == {at for low, high in one.units for at in range(low, high + 1)}
                starts = [k.target.start for k in same if k.target and k.target.start is not None]
                assert one.start == min(starts, default=None)
    assert kinds[True] > 60
    assert kinds[False] > 10


def test_a_sweep_over_units_is_found(tmp_path):
    operations = [op for op in some_operations(random.Random(2), 50) if op.key.protocol != "modbus"]
    read = ("tcp", 502, "modbus", 1, 3, "read_holding_registers", "read", None)
    base = OperationKey("default", "10.9.9.9", "10.0.1.3", *read)
    swept = [
        OperationRecord(base._replace(unit=unit), Counts(1, 1), 9, 5, 5, (0, 1), {}, {}, None, None)
        for unit in range(1, 20)
    ]
    few = [one._replace(key=one.key._replace(client="10.9.9.8")) for one in swept[:15]]
    write_database(tmp_path / "site.db", Site(Part(operations=operations + swept + few)), [])
    with SiteDatabase(tmp_path / "site.db") as results:
        found = [one for one in results.hunt(Pattern(sweep=True)) if one.function != "scan"]
    assert [(one.client, one.units, one.operations) for one in found] == [("10.9.9.9", ((1, 19),), 19)]


@pytest.mark.parametrize(("protocol", "group"), [(p, g) for p in ("modbus", "dnp3", "s7comm") for g in groups(p)])
def test_a_group_names_what_it_names_in_rows(protocol, group):
    row = {"protocol": protocol, "functions": [group]}
    zones = {"a": {"hosts": ["10.0.0.0/8"]}}
    policy = {
        "otmon": 1,
        "site": "s",
        "zones": zones,
        "conduits": [{"id": "c", "from": "a", "to": "a", "allow": [row]}],
    }
    (made,) = load_bytes(json.dumps(policy).encode(), "p").conduits.rules[0].rows
    for words in (group, f"{protocol} {group}", f"{group}/{'program' if protocol == 's7comm' else 'control'}"):
        pattern = parse_pattern(words, {})
        for triple in triples(protocol):
            key = OperationKey("", "10.0.0.1", "10.0.0.2", "tcp", 102, protocol, None, *triple, None)
            assert pattern.names_function(triple[1]) == names_function(made, key), triple


def test_names_and_any_stand_for_hosts():
    names = NAMES | {"plc-4": ((point("10.0.1.4"),) * 2,), "10.0.1.x": ((5, 5),)}
    assert parse_pattern("any -> any write", {}) == parse_pattern("* -> * write", {})
    assert parse_pattern("any write", {}).either == parse_pattern("any -> * write", {}).client
    assert parse_pattern("* -> plc-*", names).server.ranges == ((point("10.0.1.3"), point("10.0.1.4")),)
    assert parse_pattern("* -> 10.0.1.*", names).server.ranges is None


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        ("", "1: nothing is asked for"),
        ("plc3 -> * write", "1: 'plc3' is neither an address nor an asset; did you mean 'plc-3'?"),
        ("my plc -> *", "1: 'my' is neither a function, an access class nor a target; write \"my plc\", in quotes"),
        ("'my-plc' -> *", "1: ''my-plc'' is neither an address nor an asset; did you mean '\"my plc\"'?"),
        ("* -> plx-*", "6: 'plx-*' is neither an address nor an asset; did you mean 'plc-3'?"),
        (
            "* -> plc-3 downloads",
            "12: 'downloads' is neither a function, an access class nor a target; did you mean 'dow",
        ),
        ("* -> plc-3 writ", "12: 'writ' is neither a function, an access class nor a target; did you mean 'write'?"),
        ("modbus unit 9-1", "13: '9-1' is not a number, or a range, of units; write 1, 1-10 or *"),
        ("write hmi", "7: 'hmi' is no target"),
        ("write block OB1 now", "17: 'now' is too much"),
        ("10.0.0.1/24 -> *", "1: '10.0.0.1/24' is neither an address nor an asset"),
        ("x" * 1001, "1: longer than 1000 characters"),
    ],
)
def test_words_that_mean_nothing_are_errors(words, wrong):
    with pytest.raises(TextError) as error:
        parse_pattern(words, NAMES)
    assert str(error.value).startswith(wrong)


def test_hunting_in_a_result_folder(tmp_path, capsys):
    folder = tmp_path / "out"
    policy = str(ROOT / "rules" / "plant.yaml")
    assert run(["analyze", str(ROOT / "captures" / "plant.pcap"), "--policy", policy, "--out", str(folder)]) == 0

    def hunt(words, *more):
        capsys.readouterr()
        code = run(["hunt", words, "--data", str(folder), *more])
        return code, *capsys.readouterr()

    code, out, _ = hunt("* -> PLC-3 write 45", "--json")
    (record,) = json.loads(out)
    assert (code, record["kind"], record["client"], record["function"]) == (
        *(0, "operations", "10.0.2.11", "write_single_register"),
    )
    assert hunt("* -> plc-3 write 45", "--json")[1] == out  # in small letters, as policies have it
    assert "   1 of 2   " in hunt("10.0.2.11 -> PLC-1")[1]  # of 25 times, 24 were of the other operation
    assert "      all   " in hunt("* -> * plc_stop")[1]
    code, out, _ = hunt("10.0.1.12", "--json")
    assert {record["kind"] for record in json.loads(out)} == {"host", "fact", "operations"}
    assert "V3.2.6" in hunt("fact firmware V3*")[1]
    assert hunt("10.9.9.9")[1].startswith("Never seen: nothing of 49 operations that are remembered fits, from 2026-11")
    code, out, _ = hunt("10.0.2.13 -> plc-3 write")
    assert (code, out.splitlines()[1].partition(":")[0]) == (0, "  unknown")
    assert "client 10.0.2.13 was never seen: it is not on this network, or the monitor does not see it" in out
    for words, error in (
        ("fact firmwar V3*", "words:6: 'firmwar' is nothing that devices say; did you mean 'firmware'?"),
        ("fact zz*", "words:6: 'zz*' is nothing that devices say; known: application, configuration_id"),
    ):
        code, out, err = hunt(words)
        assert (code, out) == (2, "")
        assert error in err
    assert hunt("fact firmware V9*")[1].startswith("Never seen: nothing of 16 facts that are remembered fits, from")
    assert hunt("fact firm* V9*", "--json")[:2] == (0, "[]\n")
    assert hunt("fact")[0] == hunt("bloc OB1")[0] == 2


@pytest.mark.parametrize("name", ["control", "write", "modbus", "sweep", "read_coils", "download"])
def test_a_zone_that_is_called_like_a_word_is_not_mistaken(name):
    """`otmon learn` calls zones `control`, which is an access class too."""
    names = {name: ((point("10.6.6.6"),) * 2,)}
    with pytest.raises(TextError) as error:
        parse_pattern(name, names, names)
    assert f"'{name}' is a name in the policy and a word for what is done; write '* -> {name}' for the" in str(
        error.value
    )
    assert parse_pattern(f"* -> {name}", names, names).server.ranges == names[name]
    assert parse_pattern(f"{name} -> *", names, names).client.ranges == names[name]


def test_a_device_that_names_itself_takes_no_word_away():
    elsewhere = ((point("10.6.6.6"),) * 2,)
    names = dict.fromkeys(["10.0.1.3", "write", "modbus", "*", "->", "sweep", "my plc"], elsewhere)
    assert parse_pattern("10.0.1.3 -> * write", names) == parse_pattern("10.0.1.3 -> * write", {})
    assert parse_pattern("modbus write", names) == parse_pattern("modbus write", {})
    assert parse_pattern("* sweep", names) == parse_pattern("* sweep", {})
    assert parse_pattern('"my plc"', names).either.ranges == elsewhere


def test_every_fact_that_a_device_can_tell_has_a_name():
    """Those of tables, and those that stand in the code that yields them."""
    told = {name for name, _ in (*DNP3_IDENTITY.values(), *MODBUS_IDENTITY.values())} | {NEED_TIME, SESSION}
    told |= {name for name, _ in (*_COMPONENTS.values(), *_CLIENT.values())}
    told |= {umas.VENDOR[0], *(name for facts in umas._FACTS.values() for _, name, _ in facts)}
    told |= {"link_address", "rack_slot", "firmware", "hardware", "order_code", "vendor", "serial", "model"}
    assert told == set(FACTS)
    assert list(FACTS) == sorted(FACTS)


def test_every_fact_of_the_captures_has_a_name():
    captures = sorted((ROOT / "captures").glob("*.pcap"))
    told = {fact.name for capture in captures for fact in analyze([str(capture)]).part.facts}
    assert "firmware" in told
    assert told <= set(FACTS)
