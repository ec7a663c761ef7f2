"""Tag maps: what they may say, and that everything wrong with one is told at once, each at its place."""

import random
from pathlib import Path

import pytest

from otmon.policy import tags_file
from otmon.policy.errors import PolicyError
from otmon.policy.load import load_bytes, load_policy
from otmon.policy.tags import Tag, cell_bits
from otmon.policy.tags_file import look_at_tags
from otmon.policy.zones import Hosts
from tests.effort import examples

ASSETS = {"plc-1": Hosts(((10, 10),)), "plc-2": Hosts(((11, 11),))}
HEAD = "point,asset,protocol,unit,address,type,order,scale,offset,units,label\n"
DAMAGE = (
    *(b"\r", b"\n", b'"', b",", b";", b"\t", b"\xff", b"\0", b"\x1b[31m", "\u202e".encode(), b"=", b"1e99", b"nan"),
    *(b"inf", b"-", b".", b"65535", b"99999999", b"#", b" ", b"\xef\xbb\xbf", b'"' * 50, b"," * 200, b"0" * 300),
    *(b"1e-50", b"g41 "),
)


def tags(text: str | bytes) -> list[Tag]:
    found, wrong = look_at_tags(text.encode() if isinstance(text, str) else text, ASSETS)
    if wrong:
        raise PolicyError("t.csv", wrong)
    return found


def problems(text: str | bytes) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        tags(text)
    return str(caught.value).splitlines()


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_what_spreadsheets_write_is_read(delimiter: str, newline: str, bom: bytes) -> None:
    text = HEAD + '# a note\n\nT1,plc-1,modbus,1,40,float32,CDAB,0.1,-40,°C,"Tank ""one"""\n'
    text += "P,plc-2,s7comm,,DB10.DBX4.3,,,,,,\n"
    first, second = tags(bom + text.replace(",", delimiter).replace("\n", newline).encode())
    assert (first.name, first.label, first.units, first.order, str(first.scale)) == (
        "T1",
        'Tank "one"',
        "°C",
        "CDAB",
        "0.1",
    )
    assert (first.space, first.start, first.size) == ("holding_register", 40, 2)
    assert (second.space, second.start, second.bit, second.type, second.label) == ("DB10", 4, 3, "bool", "P")


@pytest.mark.parametrize(
    ("address", "kind", "place"),
    [
        ("40", "int16", ("holding_register", 40, None, 1)),
        ("input_register 7", "float64", ("input_register", 7, None, 4)),
        ("holding_register 40.15", "", ("holding_register", 40, 15, 1)),
        ("coil 3", "", ("coil", 3, None, 1)),
    ],
)
def test_addresses_of_modbus(address: str, kind: str, place: tuple[str, int, int | None, int]) -> None:
    (tag,) = tags(f"{HEAD}T,plc-1,modbus,1,{address},{kind},,,,,\n")
    assert (tag.space, tag.start, tag.bit, tag.size) == place


@pytest.mark.parametrize(
    ("address", "kind", "place"),
    [
        ("DB10.DBD4", "float32", ("DB10", 4, None, 4)),
        ("DB10.DBW6", "int16", ("DB10", 6, None, 2)),
        ("MB3", "uint8", ("M", 3, None, 1)),
        ("M3.7", "bool", ("M", 3, 7, 1)),
        ("EW2", "uint16", ("I", 2, None, 2)),
    ],
)
def test_addresses_of_s7(address: str, kind: str, place: tuple[str, int, int | None, int]) -> None:
    (tag,) = tags(f"{HEAD}T,plc-1,s7comm,,{address},{kind},,,,,\n")
    assert (tag.space, tag.start, tag.bit, tag.size) == place


def test_everything_wrong_is_told_at_once() -> None:
    text = HEAD + (
        "T1,plc-1,modbus,1,40,float32,ABCD,,,degC,\n"
        "T1,plc-1,modbus,1,50,int16,,,,,\n"
        "T2,plc-9,modbus,1,60,int16,,,,,\n"
        "T3,plc-1,modbuss,1,60,int16,,,,,\n"
        "T4,plc-1,modbus,1,41,int17,,,,,\n"
        "T5,plc-1,modbus,256,70000,int16,ABDC,nan,1e99,=cmd,@x\n"
        "T6,plc-1,modbus,1,41,uint16,,0,,,\n"
        "T7,plc-1,modbus,1,41,uint16,,,,,\n"
        '"T 8",plc-1,s7comm,1,DB10,int16,,"0,5",,,\n'
        "T9,plc-1,modbus,1\n"
        "TA,plc-1,modbus,1,80.3,int16,,,,,\n"
        "TB,plc-1,modbus,1,81,bool,,,,,\n"
        "TC,plc-1,dnp3,10,g41,,,,,,\n"
        "TD,plc-1,modbus,1,90,uint16,,,,a\x1b[2J,\n"
    )
    assert problems(text) == [
        "t.csv:3:1: point: duplicate name, first in line 2; names are unique",
        "t.csv:4:4: asset: 'plc-9' is neither an asset of the policy nor an address; did you mean 'plc-2'?",
        "t.csv:5:10: protocol: unknown protocol 'modbuss'; did you mean 'modbus'?",
        "t.csv:6:22: type: unknown type 'int17'; did you mean 'int16'?",
        "t.csv:7:17: unit: '256' is not a unit; write a number from 0 to 255",
        "t.csv:7:21: address: '70000' is not an address of modbus; write 40 (a holding register, PDU address), coil 3, "
        "holding_register 40.3 (a bit)",
        "t.csv:7:33: order: unknown order 'ABDC'; write ABCD, CDAB, BADC, DCBA: as the bytes are sent",
        "t.csv:7:38: scale: 'nan' is not a number; write a number such as 0.1",
        "t.csv:7:42: offset: '1e99' is too large; write a number below 1e15",
        "t.csv:7:47: units: '=cmd' begins as a formula does; begin with another character than = + - @",
        "t.csv:7:52: label: '@x' begins as a formula does; begin with another character than = + - @",
        "t.csv:8:30: scale: 0 makes every value the same; write the units of one step, such as 0.1",
        "t.csv:9:19: address: overlaps 'T1' in line 2; give each its own place, or drop one",
        "t.csv:10:1: point: 'T 8' is not a name; use letters, digits and _ . : / - (64 at most)",
        "t.csv:10:20: unit: s7comm has no units; leave it empty",
        "t.csv:10:22: address: 'DB10' is not an address of s7comm; write DB10.DBD4, DB10.DBX4.0, MW20 or M0.1",
        "t.csv:10:34: scale: '0,5' is not a number; write 0.5",
        "t.csv:11:1: 4 fields, the first line has 11; quote a field that holds the separator",
        "t.csv:12:24: type: int16 does not fit into a bit; write bool, or address a register or byte",
        "t.csv:13:22: type: bool is one bit, the address has more; name the bit: 81.0",
        "t.csv: and 2 more errors",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"", "t.csv:1:1: the file is empty"),
        (
            b"point;asset;protocol;address;type\nT1,plc-1,modbus,40,int16\n",
            "separates by semicolons, this one by commas",
        ),
        (b"name,asset,protocol,address\n", "t.csv:1:1: unknown column 'name'"),
        (b"point,point,asset,protocol,address\n", "t.csv:1:7: point: this column is there twice"),
        (b"point,asset\nT1,plc-1\n", "t.csv:1:1: column 'address' is missing"),
        (b'point,asset,protocol,address\n"T1,plc-1,modbus,40\n', "t.csv:2:1: a quote that does not end"),
        (b'point,asset,protocol,address\n"T1"x,plc-1,modbus,40\n', "t.csv:2:5: a quote that does not end"),
        (b"point,asset,protocol,address\n\xff\xfe\n", "t.csv:2:1: not UTF-8 text; save the file as CSV UTF-8"),
        ("point,asset,protocol,address\n".encode("utf-16"), "t.csv:1:1: not UTF-8 text"),
        (b"point,asset,protocol,address\n" + b"x" * 2**22, "larger than 4194304 bytes"),
        (b"point,asset,protocol,address\nT," + b"x" * 999 + b",modbus,1\n", "longer than 200 characters"),
        (b"," * (2**20 - 1), "t.csv:1:100: more than 100 fields in a line"),
        (b"point,asset,protocol,address\n\0,\0,\0,\0\n", "characters that nobody can see"),
    ],
)
def test_what_is_no_tag_map_ends_in_one_error(text: bytes, told: str) -> None:
    assert any(told in line for line in problems(text)), problems(text)


def test_many_points_are_read_and_more_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tags_file, "MAX_TAGS", 3000)
    rows = [f"P{n},plc-1,modbus,,{n},int16" for n in range(3001)]
    head = "point,asset,protocol,unit,address,type\n"
    assert len(tags(head + "\n".join(rows[:3000]))) == 3000
    assert "more than 3000 points" in problems(head + "\n".join(rows))[0]


def test_a_policy_tells_what_is_wrong_with_its_points(tmp_path: Path) -> None:
    rows = "T1,10.0.1.1,modbus,1,40,float32,,,,degC,\nD,10.0.1.1,dnp3,,g41 1,,,,,,\n"
    (tmp_path / "tags.csv").write_text(HEAD + rows)
    text = """otmon: 1
tags: tags.csv
zones: {z: {hosts: [10.0.0.0/16]}}
never:
  - {operations: [{protocol: modbus, points: [T1], step: 3}]}
conduits:
  - id: c
    from: 10.0.2.1
    to: 10.0.1.2
    allow:
      - {protocol: modbus, points: [T1], addresses: 3, step: -1}
      - {protocol: modbus, points: [T9, D], rate: 2/day}
      - {protocol: modbus, step: 3, rate: 5/s}
"""
    path = tmp_path / "p.yaml"
    path.write_text(text)
    with pytest.raises(PolicyError) as caught:
        load_policy(path)
    assert str(caught.value).replace(str(path), "p").splitlines() == [
        "p:5:52: never[0].operations[0].step: `step` does not go with `never`; permit the values that are right in a "
        "conduit",
        "p:11:28: conduits[0].allow[0].points: 'T1' is a point of '10.0.1.1', which is not in `to`; name it in `to`, "
        "or leave the point out",
        "p:11:42: conduits[0].allow[0].addresses: `addresses` does not go with `points`; the tag map says where they "
        "are: leave it out",
        "p:11:56: conduits[0].allow[0].step: '-1' is not a step; write a number above 0, in the units of the point",
        "p:12:37: conduits[0].allow[1].points[0]: no point 'T9' in the tag map; known: D, T1",
        "p:12:41: conduits[0].allow[1].points[1]: 'D' is a point of dnp3; protocol: dnp3",
        "p:12:45: conduits[0].allow[1].rate: '2/day' is not a rate of change; write 2/min: units of the point per s, "
        "min or h",
        "p:13:28: conduits[0].allow[2].step: `step` needs to know of which points; add `points: [...]`",
        "p:13:37: conduits[0].allow[2].rate: `rate` needs to know of which points; add `points: [...]`",
    ]


@pytest.mark.parametrize(
    ("name", "told"), [("none.csv", "p.yaml:2:1: tags: no file"), ("", "is not text"), (".", "tags: no file")]
)
def test_a_tag_map_that_is_not_there(name: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=told):
        load_bytes(f"otmon: 1\ntags: '{name}'\n".encode(), str(tmp_path / "p.yaml"))


def test_a_tag_map_and_its_policy_tell_all_at_once(tmp_path: Path) -> None:
    """What only follows from something that is wrong is not told: points of the map, devices of the policy."""
    (tmp_path / "tags.csv").write_text(HEAD + "T1,plc-1,modbus,1,40,float31,,,,,\nT2,plc-2,modbus,1,42,int16,,,,,\n")
    (tmp_path / "p.yaml").write_text("""otmon: 1
tags: tags.csv
zones: {z: {hosts: [10.0.0.0/16]}}
assets: {plc-1: {hosts: [10.0.1.1]}, plc-2: {hosts: [10.0.1.256]}}
conduits:
  - {id: c, from: any, to: any, allow: [{protocol: modbus, points: [T1, T2], functions: [write_registers]}]}
""")
    with pytest.raises(PolicyError) as caught:
        load_policy(tmp_path / "p.yaml")
    told = str(caught.value).replace(f"{tmp_path}/", "").splitlines()
    assert [line.split(": ")[:2] for line in told] == [
        ["p.yaml:4:54", "assets.plc-2.hosts[0]"],
        ["p.yaml:6:90", "conduits[0].allow[0].functions[0]"],
        ["tags.csv:2:22", "type"],
    ]


def test_what_is_wrong_is_told_in_plain_text() -> None:
    """Names of columns too: all of a damaged map is hostile."""
    text = HEAD.rstrip("\n") + ",\u202eun\x1bits\nT1,plc-1,modbus,1,40,int16,,,,\t,,a\x07\n"
    told = problems(text)
    assert [line.split(": ")[0] for line in told] == ["t.csv:1:71", "t.csv:2:31", "t.csv:2:34"]
    assert all(line.isprintable() for line in told)


@pytest.mark.parametrize("seed", range(examples(200)))
def test_a_damaged_map_ends_in_points_or_in_problems(seed: int) -> None:
    """Whatever was lost or put in: every problem has its place and is plain text, every point can be told."""
    rng = random.Random(seed)
    damaged = bytearray(
        HEAD.encode() + b'T1,plc-1,modbus,1,40,float32,CDAB,0.1,-4,degC,"a, ""b"""\r\nP,plc-1,modbus,,60.3,bool\n' * 2
    )
    for _ in range(rng.choice((1, 2, 3, 8))):
        at = rng.randrange(len(damaged) + 1)
        if rng.random() < 0.4:
            del damaged[at : at + rng.randrange(1, 12)]
        else:
            damaged[at:at] = rng.choice(DAMAGE)
    found, wrong = look_at_tags(bytes(damaged), ASSETS)
    lines = damaged.count(b"\n") + damaged.count(b"\r") + 1
    assert all(1 <= problem.line <= lines for problem in wrong)
    assert all(problem.column >= 1 for problem in wrong)
    assert all(line.isprintable() for line in str(PolicyError("t.csv", wrong)).splitlines())
    for tag in found:
        cells = {tag.start + n: (1 << cell_bits(tag.space)) - 1 for n in range(tag.size)}
        value = tag.value(cells) if cell_bits(tag.space) else 1.5
        assert value is not None
        assert tag.measured(value).isprintable()


@pytest.mark.parametrize("address", ["٤٠", "٤٠.١"])
def test_digits_of_other_scripts_are_no_addresses(address):
    (problem,) = problems(f"{HEAD}T1,plc-1,modbus,1,{address},uint16,,,,,\n")
    assert "address" in problem
