"""Every mistake in a policy: file, line, column, key, what is wrong, what would be right."""

import json
import random
from contextlib import suppress
from textwrap import dedent

import pytest

import otmon
from otmon.limits import MAX_POLICY_BYTES
from otmon.policy.errors import PolicyError, key_text
from otmon.policy.load import load_bytes, load_policy
from otmon.policy.reader import parse

GOOD = "otmon: 1\nsite: plant\nzones:\n  control: {level: 1, hosts: [10.0.1.0/24]}\n"

GOLDEN = {
    "empty": ("", "p:1:1: the file is empty; a policy begins with `otmon: 1`"),
    "comment only": ("# nothing\n", "p:1:1: the file is empty; a policy begins with `otmon: 1`"),
    "list": ("- otmon\n", "p:1:1: not a mapping; a policy begins with `otmon: 1`"),
    "version": ("otmon: 0\n", "p:1:1: otmon: '0' is not known here; known: 1"),
    "newer version": (
        "otmon: 2\nzoness: {}\nsite: 1\n",
        f"p:1:1: otmon: format 2 of a policy: this otmon {otmon.__version__} reads format 1; "
        "use the otmon that wrote it, or a later one",
    ),
    "no version": ("site: x\n", "p:1:1: otmon: missing; the file begins with `otmon: 1`"),
    "unknown key": ("otmon: 1\nzone: {}\n", "p:2:1: zone: unknown key 'zone'; did you mean 'zones'?"),
    "unknown key in a zone": (
        "otmon: 1\nzones:\n  a: {host: [10.0.0.1]}\n",
        "p:3:7: zones.a.host: unknown key 'host'; did you mean 'hosts'?",
    ),
    "duplicate key": (
        "otmon: 1\nsite: a\nsite: b\n",
        "p:3:1: site: duplicate key, first in line 2; keep one of the two",
    ),
    "duplicate zone": (
        "otmon: 1\nzones:\n  a: {}\n  b: {}\n  a: {}\n",
        "p:5:3: zones.a: duplicate key, first in line 3; keep one of the two",
    ),
    "alias": ("otmon: 1\nsite: *x\n", "p:2:7: site: an alias; write the value out"),
    "anchor": ("otmon: 1\nsite: &x y\n", "p:2:7: site: an anchor; remove it: policies have no aliases"),
    "merge key": ("otmon: 1\nzones:\n  <<: {}\n", "p:3:3: zones: a merge key; write the keys out"),
    "tag": (
        "otmon: 1\nsite: !!python/name:os.system x\n",
        "p:2:7: site: a tag 'tag:yaml.org,2002:python/name:os.system'; remove it: values are plain",
    ),
    "second document": ("otmon: 1\n---\notmon: 1\n", "p:2:1: a second document; one policy is one document"),
    "yaml 1.1": ("%YAML 1.1\n---\notmon: 1\n", None),
    "host bits": (
        "otmon: 1\nzones:\n  a:\n    hosts:\n      - 10.0.1.5/24\n",
        "p:5:9: zones.a.hosts[0]: '10.0.1.5/24' has host bits set; write 10.0.1.0/24 or 10.0.1.5",
    ),
    "scope": (
        "otmon: 1\nzones:\n  a: {hosts: ['fe80::1%eth0']}\n",
        "p:3:15: zones.a.hosts[0]: 'fe80::1%eth0' has a scope; leave the part from % out: the realm says on which link",
    ),
    "no address": (
        "otmon: 1\nzones:\n  a: {hosts: [10.0.1.256]}\n",
        "p:3:15: zones.a.hosts[0]: '10.0.1.256' is not an address; write 10.0.1.5, 10.0.1.0/24, fd00::/64 or a MAC",
    ),
    "overlapping zones": (
        "otmon: 1\nzones:\n  a: {hosts: [10.0.0.0/24, 10.0.1.0/24]}\n  b: {hosts: [10.0.1.0/24, 10.0.2.0/24]}\n",
        "p:4:3: zones.b: shares 10.0.1.0-10.0.1.255 with zone 'a', and neither lies within the other; "
        "give each host to one zone, or let one zone contain the other",
    ),
    "equal zones": (
        "otmon: 1\nzones:\n  a: {hosts: [10.0.0.1]}\n  b: {hosts: [10.0.0.1]}\n",
        "p:4:3: zones.b: shares 10.0.0.1 with zone 'a', and neither lies within the other; "
        "give each host to one zone, or let one zone contain the other",
    ),
    "unknown asset": (
        "otmon: 1\nassets: {plc-1: {hosts: [10.0.0.1]}}\nzones:\n  a: {assets: [plc1]}\n",
        "p:4:16: zones.a.assets[0]: unknown asset 'plc1'; did you mean 'plc-1'?",
    ),
    "unknown zone": (
        GOOD + "conduits:\n  - {id: x, from: contrl, to: control, allow: []}\n",
        "p:6:13: conduits[0].from: 'contrl' is no zone, asset or address; did you mean 'control'?",
    ),
    "role without its key": (
        GOOD + "roles: {eng: [10.0.1.9]}\nconduits:\n  - {id: x, from: eng, to: control, allow: []}\n",
        "p:7:13: conduits[0].from: 'eng' is no zone, asset or address; write {role: eng}",
    ),
    "unknown role": (
        GOOD + "conduits:\n  - {id: x, from: {role: eng}, to: control, allow: []}\n",
        "p:6:20: conduits[0].from.role: unknown role 'eng'; none is declared",
    ),
    "missing to": (
        GOOD + "conduits:\n  - {id: x, from: any, allow: []}\n",
        "p:6:5: conduits[0].to: missing; say towards whom: a zone, asset, address, {role: name} or any",
    ),
    "protocol": (
        GOOD + "conduits:\n  - {id: x, from: any, to: any, allow: [{protocol: modbuss}]}\n",
        "p:6:42: conduits[0].allow[0].protocol: 'modbuss' is not known here; did you mean 'modbus'?",
    ),
    "function": (
        GOOD + "conduits:\n  - {id: x, from: any, to: any, allow: [{protocol: modbus, functions: [read_coil]}]}\n",
        "p:6:72: conduits[0].allow[0].functions[0]: modbus has no function 'read_coil'; did you mean 'read_coils'?",
    ),
    "access": (
        GOOD + "conduits:\n  - {id: x, from: any, to: any, allow: [{protocol: modbus, access: raed}]}\n",
        "p:6:60: conduits[0].allow[0].access: 'raed' is not known here; did you mean 'read'?",
    ),
    "key of another protocol": (
        GOOD + "conduits:\n  - {id: x, from: any, to: any, allow: [{protocol: s7comm, addresses: 5}]}\n",
        "p:6:60: conduits[0].allow[0].addresses: 'addresses' says nothing of s7comm; write `items`",
    ),
    "range": (
        GOOD + "conduits:\n  - {id: x, from: any, to: any, allow: [{protocol: modbus, addresses: [9-0]}]}\n",
        "p:6:72: conduits[0].allow[0].addresses[0]: '9-0' is an empty range; write 0-9",
    ),
    "empty list": (
        GOOD + "conduits:\n  - {id: x, from: any, to: any, allow: [{protocol: modbus, units: []}]}\n",
        "p:6:60: conduits[0].allow[0].units: an empty list; name something or leave the key out",
    ),
    "item": (
        GOOD + "conduits:\n  - {id: x, from: any, to: any, allow: [{protocol: s7comm, items: [DB1.X]}]}\n",
        "p:6:68: conduits[0].allow[0].items[0]: 'DB1.X' is not an S7 item; "
        "write DB10, DB10.DBB0-255, DB10.DBW4, MB0-9, IB0 or QB4",
    ),
    "values in never": (
        GOOD + "never:\n  - {operations: [{protocol: modbus, values: 5}]}\n",
        "p:6:38: never[0].operations[0].values: `values` does not go with `never`; "
        "permit the values that are right in a conduit",
    ),
    "duplicate id": (
        GOOD + "conduits:\n  - {id: x, from: any, to: any, allow: []}\n  - {id: x, from: any, to: any, allow: []}\n",
        "p:7:6: conduits[1].id: the id 'x' is taken by conduits[0]; ids are unique",
    ),
    "id is a number": (
        GOOD + "conduits:\n  - {id: 12, from: any, to: any, allow: []}\n",
        "p:6:6: conduits[0].id: '12' is not a name; "
        "use letters, digits and _ . : / - (64 at most), in quotes if it is a number",
    ),
    "time zone": (
        "otmon: 1\ntimezone: Europe/Vienne\n",
        "p:2:1: timezone: unknown time zone 'Europe/Vienne'; did you mean 'Europe/Vienna'?",
    ),
    "hours": (
        GOOD + "conduits:\n  - {id: x, from: any, to: any, during: {hours: 8-17}, allow: []}\n",
        "p:6:42: conduits[0].during.hours: '8-17' is not a time of day; write 08:00-17:00",
    ),
    "day": (
        GOOD + "conduits:\n  - {id: x, from: any, to: any, during: {days: [mo]}, allow: []}\n",
        "p:6:49: conduits[0].during.days[0]: 'mo' is not a day; did you mean 'mon'?",
    ),
    "until": (
        GOOD + "conduits:\n  - {id: x, from: any, to: any, during: {until: 2026-02-30}, allow: []}\n",
        "p:6:42: conduits[0].during.until: '2026-02-30' is not a date; write 2026-12-01 or 2026-12-01T17:00",
    ),
    "vlan in two realms": (
        "otmon: 1\nrealms:\n  a: {vlans: [1-9]}\n  b: {vlans: [9]}\n",
        "p:4:15: realms.b.vlans[0]: VLAN 9 already belongs to realm 'a'; give it to one of the two",
    ),
    "not utf-8": (b"otmon: 1\nsite: \xff\n", "p:2:7: not UTF-8 text; save the file as UTF-8"),
    "control character": ("otmon: 1\nsite: a\x07b\n", "p:2:8: a character that YAML does not allow; remove it"),
    "hostile key": (
        'otmon: 1\n"\\e[31m\\u202e": 1\n',
        "p:2:1: \\x1b[31m\\u202e: unknown key '\\x1b[31m\\u202e'; known: assets, chatter, conduits, never, otmon, "
        "realms, review, roles, site, tags, timezone, zones",
    ),
    "unclosed": ("otmon: 1\nzones: {a: [\n", None),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name):
    text, expected = GOLDEN[name]
    raw = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(PolicyError) as caught:
        load_bytes(raw, "p")
    if expected is not None:
        assert str(caught.value) == expected
    for problem in caught.value.problems:
        assert problem.line >= 1
        assert problem.column >= 1
    assert str(caught.value).replace("\n", "").isprintable()


def test_several_errors_at_once():
    text = """\
    otmon: 1
    sight: x
    zones:
      a: {hosts: [10.0.0.1], levl: 3}
    conduits:
      - {id: x, from: any, to: any, allow: [{protocol: dnp, units: z}]}
    """
    with pytest.raises(PolicyError) as caught:
        load_bytes(dedent(text).encode(), "p")
    assert [problem.key for problem in caught.value.problems] == [
        "sight",
        "zones.a.levl",
        "conduits[0].allow[0].protocol",
        "conduits[0].allow[0].units",
    ]


def test_what_is_wrong_in_its_words_and_in_its_meaning_is_told_at_once():
    text = """\
    otmon: 1
    site: a
    site: b
    timezone: Nowhere
    zones:
      a: {hosts: [10.0.0.1, 5, 10.0.0.300], level: x}
      b: {hosts: [10.0.0.2]}
      b: {hosts: [10.0.0.3], levl: 3}
      broken: 7
    conduits:
      - {id: x, from: a, to: bb, allow: [{units: 1}, {protocol: modbus, units: [x, 300]}]}
      - {id: x, from: broken, to: c, allow: []}
      - {id: y, from: b, to: {zone: [3]}, allow: [{protocol: tcp, portz: 1}]}
    """
    with pytest.raises(PolicyError) as caught:
        load_bytes(dedent(text).encode(), "p")
    assert str(caught.value).splitlines() == [
        "p:3:1: site: duplicate key, first in line 2; keep one of the two",
        "p:4:1: timezone: unknown time zone 'Nowhere'; write an IANA name such as Europe/Vienna",
        "p:6:25: zones.a.hosts[1]: '5' is not text; write a word or a sentence, in quotes if it is a number",
        "p:6:28: zones.a.hosts[2]: '10.0.0.300' is not an address; write 10.0.1.5, 10.0.1.0/24, fd00::/64 or a MAC",
        "p:6:41: zones.a.level: 'x' is not a number; write a number",
        "p:8:3: zones.b: duplicate key, first in line 7; keep one of the two",
        "p:8:26: zones.b.levl: unknown key 'levl'; did you mean 'level'?",
        "p:9:3: zones.broken: '7' is not a mapping (`key: value` lines); write a mapping (`key: value` lines)",
        "p:11:22: conduits[0].to: 'bb' is no zone, asset or address; did you mean 'b'?",
        "p:11:38: conduits[0].allow[0].protocol: missing; write modbus, dnp3, s7comm, tcp, udp, icmp or ip",
        "p:11:77: conduits[0].allow[1].units[0]: 'x' is not a range; write a number or 0-199",
        "p:11:80: conduits[0].allow[1].units[1]: 300 cannot occur in `units`; they go from 0 to 255",
        "p:12:6: conduits[1].id: the id 'x' is taken by conduits[0]; ids are unique",
        "p:12:27: conduits[1].to: 'c' is no zone, asset or address; known: a, any, b, outside",
        "p:13:34: conduits[2].to.zone[0]: '3' is not a name; "
        "use letters, digits and _ . : / - (64 at most), in quotes if it is a number",
        "p:13:63: conduits[2].allow[0].portz: unknown key 'portz'; did you mean 'port'?",
    ]


WHOLE = {
    "otmon": 1,
    "timezone": "UTC",
    "realms": {"r1": {"vlans": [1, "3-4"]}},
    "zones": {
        "a": {"hosts": ["10.0.0.0/24"], "realm": "r1", "assets": ["box"], "allow": [{"protocol": "icmp"}]},
        "b": {"hosts": ["10.0.1.0/24"], "level": 2},
    },
    "assets": {"box": {"hosts": ["10.0.0.9"], "name": "Box", "realm": "r1"}},
    "roles": {"eng": ["10.0.1.7", "10.0.1.8"]},
    "never": [{"to": "a", "operations": [{"protocol": "modbus", "functions": [6], "units": [7]}]}],
    "conduits": [
        {"id": "x", "from": {"role": "eng"}, "to": ["a", {"asset": "box"}], "during": {"days": ["mon"], "ticket": "T"},
         "allow": [{"protocol": "dnp3", "objects": ["g1 0-3"], "master": 1},
                   {"protocol": "modbus", "addresses": ["0-9"], "targets": [{"space": "coil"}]}]},
        {"id": "y", "from": "b", "to": "outside", "allow": [{"protocol": "tcp", "ports": [80, 443]}]},
    ],
    "review": [{"from": "b", "to": "a", "operations": [{"protocol": "s7comm", "access": "read"}], "reason": "r"}],
}  # fmt: skip


def paths_of(value, at=()):
    yield at
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from paths_of(item, (*at, key))


def problems_of(text):
    try:
        load_bytes(text.encode(), "p")
    except PolicyError as error:
        return error.problems
    return ()


@pytest.mark.parametrize("junk", [None, -7, ["\0"], {"x": 1}, "?(a+)+$"], ids=repr)
def test_one_wrong_value_is_one_mistake(junk):
    """Wherever it stands: nothing is said of what merely depends on it."""
    load_bytes(json.dumps(WHOLE).encode(), "p")
    for path in list(paths_of(WHOLE))[1:]:
        spoilt = json.loads(json.dumps(WHOLE))
        inner = spoilt
        for part in path[:-1]:
            inner = inner[part]
        inner[path[-1]] = junk
        problems = problems_of(json.dumps(spoilt, indent=1))
        key = key_text(path)
        others_declared = len(path) == 1 and isinstance(junk, dict)
        if any(problem.key.startswith(key) for problem in problems) and not others_declared:
            assert [p for p in problems if not (p.key.startswith(key) or key.startswith(p.key))] == [], key
            assert min(problem.line for problem in problems) > 1


def test_many_errors_are_counted():
    zones = "".join(f"  z{i}: {{hosts: [1.2.3]}}\n" for i in range(50))
    with pytest.raises(PolicyError) as caught:
        load_bytes(f"otmon: 1\nzones:\n{zones}".encode(), "p")
    assert len(caught.value.problems) == 50
    assert str(caught.value).splitlines()[-1] == "p: and 30 more errors"


def test_files(tmp_path):
    with pytest.raises(PolicyError, match=r"none\.yaml: cannot be read: No such file or directory"):
        load_policy(tmp_path / "none.yaml")
    with pytest.raises(PolicyError, match="cannot be read: Is a directory"):
        load_policy(tmp_path)
    big = tmp_path / "big.yaml"
    big.write_bytes(b"otmon: 1\n" + b"#" * MAX_POLICY_BYTES)
    with pytest.raises(PolicyError, match="larger than 4194304 bytes"):
        load_policy(big)
    big.write_bytes(b"otmon: 1\n" + b"#" * (MAX_POLICY_BYTES - 9))
    assert load_policy(big).site == "default"


def test_bom_and_crlf_change_nothing():
    plain = load_bytes(GOOD.encode(), "p")
    for raw in (b"\xef\xbb\xbf" + GOOD.encode(), GOOD.replace("\n", "\r\n").encode()):
        other = load_bytes(raw, "p")
        assert other.zone_of("r", "10.0.1.7") == plain.zone_of("r", "10.0.1.7") == "control"
        assert other.sha256 != plain.sha256
    with pytest.raises(PolicyError, match=r"p:3:1: zome"):
        load_bytes(b"otmon: 1\r\nsite: x\r\nzome: y\r\n", "p")


BOMBS = {
    "deep lists": "otmon: 1\nsite: " + "[" * (MAX_POLICY_BYTES - 20),
    "deep mappings": "otmon: 1\nsite: " + "{a: " * 50_000,
    "deep block": "otmon: 1\n" + "\n".join(" " * i + "a:" for i in range(400)),
    "laughs": "a: &a [x, x]\n" + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}]\n" for i in range(9)),
    "long scalar": "otmon: 1\nsite: [" + "9" * 500_000 + "]",
    "huge int": "otmon: " + "9" * 500_000,
    "huge exponent": "otmon: 1e999999999",
    "many keys": "otmon: 1\n" + "".join(f"k{i}: 1\n" for i in range(3000)),
    "complex key": "otmon: 1\n? [a, b]\n: c\n",
    "self": "otmon: 1\nzones: &z {a: *z}\n",
    "nul": "otmon: 1\x00",
    "tabs": "otmon: 1\nzones:\n\ta: 1\n",
    "regex": "otmon: 1\nconduits: [{id: x, from: any, to: any, allow: [{protocol: s7comm, items: ['"
    + "DB1." * 20_000
    + "']}]}]",
    "spaces": "otmon: 1\nconduits: [{id: x, from: any, to: any, allow: [{protocol: modbus, units: '"
    + " " * 9999
    + "x'}]}]",
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_end_in_a_policy_error(name):
    with pytest.raises(PolicyError) as caught:
        load_bytes(BOMBS[name].encode(), "p")
    assert len(str(caught.value)) < 8000


def test_yaml_1_2_scalars():
    text = (
        "{a: 08:00-17:00, b: 22:10, c: yes, d: 010, e: 0o10, f: 2026-12-01, "
        "g: 1_000, h: .5, i: ~, j: '5', k: no, l: 0x1F}"
    )
    assert parse(text.encode(), "p").data == {
        "a": "08:00-17:00",
        "b": "22:10",
        "c": "yes",
        "d": 10,
        "e": 8,
        "f": "2026-12-01",
        "g": "1_000",
        "h": 0.5,
        "i": None,
        "j": "5",
        "k": "no",
        "l": 31,
    }


def test_mutilated_policies_never_raise_anything_else():
    source = (
        GOOD
        + "timezone: UTC\n"
        + "conduits:\n  - {id: x, from: any, to: control, during: {hours: 08:00-17:00}, allow: [{protocol: tcp}]}\n"
    ).encode()
    rng = random.Random(60)
    for _ in range(400):
        raw = bytearray(source)
        for _ in range(rng.randint(1, 6)):
            at = rng.randrange(len(raw))
            choice = rng.randrange(3)
            if choice == 0:
                raw[at] = rng.randrange(256)
            elif choice == 1:
                del raw[at : at + rng.randint(1, 9)]
            else:
                raw[at:at] = rng.choice(
                    [b"{", b"[", b": ", b"\n", b"- ", b"'", b'"', b"&a ", b"*a", b"!t ", b"\t", b"#"]
                )
            if not raw:
                raw = bytearray(b"x")
        with suppress(PolicyError):
            load_bytes(bytes(raw), "p")
