"""The quick reader beside the full parser: it gives the same, or gives up."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.policies import policy_text
from otmon.policy import plain
from otmon.policy.errors import PolicyError
from otmon.policy.reader import MAX_DEPTH, MAX_NODES, parse_fully
from tests.policy.test_policy_check import ALL_WRONG
from tests.policy.test_policy_verdicts import WATER

ROOT = Path(__file__).parents[2]
FILES = [*sorted((ROOT / "rules").glob("*.yaml")), ROOT / "benchmarks" / "policy.yaml"]
SHAPES = """\
# what people write
otmon: 1
"site": 'it is'
zones: # hosts
  a:
    hosts: [10.0.0.0/24, fe80::1, 02:00:00:00:00:01]
    level: .5

  b: {hosts: [
      10.1.0.0/16,
      10.2.0.0/16 ], level: 2, "x y": "a: b # c", e: ''}
empty:
none: {}
lists:
- a
- - b
  - c: d
    e: -5..5
- {f: [], g: 08:00-17:00}
- notes: agreed (with Bob), 2026-02-11; a=b & c* 100 % "so" it's
more:
    - 0o17
    - 0x1F
    - 1e3
    - yes
    - null
"""
SEEDS = [
    ALL_WRONG,
    WATER,
    SHAPES,
    policy_text(25, 1),
    json.dumps({"otmon": 1, "zones": {"a": {"hosts": ["x"]}}, "b": [1]}),
]
SEEDS += [FILES[0].read_text(encoding="utf-8")[:2500], FILES[1].read_text(encoding="utf-8")]
TOKENS = [
    *" \n:#-,[]{}'\"|>&*!%@`?=~<\\\t\r.+0a",
    *("  ", "- ", ": ", " #", "\n  ", "\n    ", "\n- ", "---", "...", "---\n", "\n...\n"),
    *("<<: ", "*a", "&a ", "!!str ", "|#", "|\n", ">-\n"),
    *("%YAML 1.1\n", "\r\n", "\ufeff", "\x85", "\u2028", "\xa0", "\u3000", "\x00", "\x7f", "\ud7ff"),
    *("\U0001f600", "ä", "٣"),
    *("a: b\n", "? a\n", "- a\n", "''", '""', "'a", '"a', "a:", ":a", ": :", "[" * 17, "{a: {b: "),
    *(", ]", "[]: x", "{}", "1:2", "a:b", "::1", "a::b"),
    *("-\n", "- - ", "-a", "- # c\n", "key:#c", "key: #c\n", "otmon: 1\n", "\n\n", "\n \n"),
    *("   # c\n", "\\n", "0", "~", "null"),
]  # fmt: skip


def same(text):
    """Whether the quick reader took it."""
    quick = plain.read(text, MAX_DEPTH, MAX_NODES)
    if quick is None:
        return False
    full = parse_fully(text, "p")
    assert repr(quick[0]) == repr(full.data)
    assert quick[1] == full.places
    return True


@st.composite
def spoilt(draw):
    text = draw(st.sampled_from(SEEDS))
    lines = text.splitlines(keepends=True)
    if len(lines) > 30:
        start = draw(st.integers(0, len(lines) - 30))
        text = "".join(lines[start : start + 30])
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(text)))
        cut = draw(st.sampled_from([0, 0, 0, 1, 2, 5, 40]))
        text = text[:at] + draw(st.sampled_from(["", *TOKENS])) + text[at + cut :]
    return text


@settings(max_examples=250, deadline=None)
@given(spoilt())
def test_what_is_read_quickly_is_what_the_parser_reads(text):
    same(text)


@settings(max_examples=250, deadline=None)
@given(st.lists(st.sampled_from(TOKENS), max_size=12).map("".join))
def test_heaps_of_notation_too(text):
    same(text)


@pytest.mark.parametrize(
    "text", [path.read_text(encoding="utf-8") for path in FILES], ids=[path.name for path in FILES]
)
def test_our_own_files_are_plain(text):
    assert same(text)
    assert same(text.replace("\n", "\r\n"))


def test_what_people_write_is_plain():
    assert all(map(same, SEEDS[2:5]))
    assert same(policy_text(300, 1))
    assert same(json.dumps(json.loads(SEEDS[4]), indent=2))


@pytest.mark.parametrize(
    "text",
    [
        *("a: *x", "a: &x 1", "a: !!str 1", "a: |\n  x\n", "a: >#\n", "%YAML 1.2\n---\na: 1", "a: b\n  c"),
        *('a: "\\x41"', "a:\tb", "? a\n: b", "{a: 1, a: 2}", "a: [b, ]", "a: b: c", "a:\n- b\nc", "<<: {a: b}"),
        *("a: 1\na: 2", "a: 1\n---\nb: 2", "\ufeffa: 1", "a: \x07", "[" * 17 + "]" * 17, ""),
        *("# nothing", "a", "a: 'it''s'"),
    ],
)  # fmt: skip
def test_everything_else_is_left_to_the_parser(text):
    assert plain.read(text, MAX_DEPTH, MAX_NODES) is None


def test_the_bounds_are_those_of_the_parser():
    for depth in (15, 16):
        assert same("a: " + "[" * (depth - 1) + "]" * (depth - 1))
        nested = "".join(" " * n + f"k{n}:\n" for n in range(depth)) + " " * depth + "k: v\n"
        assert same(nested) == (depth < 16)
    text = "a: [" + ", ".join("1" * 997) + "]"  # the mapping, its key, the list, 997 items
    assert plain.read(text, 16, 1000) is not None
    assert plain.read(text, 16, 999) is None
    with pytest.raises(PolicyError, match="nested deeper"):
        parse_fully("[" * 17 + "]" * 17, "p")
