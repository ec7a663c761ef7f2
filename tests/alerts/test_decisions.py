"""The file of decisions: what is signed is taken as it was signed, and nothing else is."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otmon.alerts.decisions import (
    CLOCKS_NS,
    MAX_AGE_NS,
    MAX_BYTES,
    MAX_DECISIONS,
    Decision,
    DecisionError,
    parse,
    sign,
    verify,
)

NOW_NS = 1_795_338_000 * 10**9  # 2026-11-22T09:00:00Z
KEY, NONCE = b"k" * 64, "0f" * 16
ALERT = "ab8a3c05a35e47395105"
ONE: dict[str, Any] = {
    "decision": "acknowledge",
    "alert": ALERT,
    "by": "A. Mayer",
    "ts": "2026-11-22T09:00:00Z",
    "site": "plant",
}


def raw(*decisions: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in decisions)


def signed(*decisions: dict[str, Any], now_ns: int = NOW_NS) -> bytes:
    return sign(raw(*decisions), KEY, now_ns, NONCE)


def refused(data: bytes, now_ns: int = NOW_NS) -> str:
    with pytest.raises(DecisionError) as error:
        verify(data, KEY, now_ns)
    said = str(error.value)
    assert said.isprintable()
    return said


def test_what_was_signed_comes_out() -> None:
    second = {**ONE, "decision": "accept", "ts": "2026-11-22T10:00:00+01:00", "until": "2027-01-01T00:00:00Z",
              "ticket": "OT-1", "note": "as\nagreed"}  # fmt: skip
    found = verify(signed(ONE, second), KEY, NOW_NS)
    assert found.signed == NOW_NS
    assert found.decisions == (
        Decision(ALERT, "A. Mayer", "acknowledge", "plant", NOW_NS),
        Decision(ALERT, "A. Mayer", "accept", "plant", NOW_NS, "as\\x0aagreed", "OT-1", 1_798_761_600 * 10**9),
    )
    assert parse(signed(ONE, second)) == found


def test_the_same_twice_is_another_file_only_by_its_nonce() -> None:
    assert signed(ONE) == signed(ONE)
    assert verify(sign(raw(ONE), KEY, NOW_NS, "1f" * 16), KEY, NOW_NS).digest != verify(signed(ONE), KEY, NOW_NS).digest


@given(st.data())
def test_any_change_of_any_byte_is_noticed(data: st.DataObject) -> None:
    whole = signed(ONE)
    at = data.draw(st.integers(0, len(whole) - 2))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != whole[at]))
    changed = whole[:at] + bytes([byte]) + whole[at + 1 :]
    try:
        found = verify(changed, KEY, NOW_NS)
    except DecisionError:
        return
    assert found == verify(whole, KEY, NOW_NS)  # a space or the like in the last line


def test_what_is_cut_or_joined_is_refused() -> None:
    whole = signed(ONE, ONE)
    lines = whole.splitlines(keepends=True)
    for wrong in (b"".join(lines[:-1]), b"".join(lines[1:]), b"".join([*lines[:1], *lines[2:]]), whole + lines[1], b"",
                  b"\n", raw(ONE), whole + whole):  # fmt: skip
        assert refused(wrong).startswith(("the signature is wrong", "it is not signed"))
    with pytest.raises(DecisionError, match="the signature is wrong"):
        verify(whole, b"x" * 64, NOW_NS)


def test_times() -> None:
    assert refused(signed(ONE, now_ns=NOW_NS + CLOCKS_NS + 10**9)).startswith("it was signed in the future")
    verify(signed(ONE), KEY, NOW_NS - CLOCKS_NS)
    verify(signed(ONE), KEY, NOW_NS + MAX_AGE_NS)
    assert refused(signed(ONE), NOW_NS + MAX_AGE_NS + 10**9).startswith("it was signed more than 30 days ago")
    until = {**ONE, "until": "2026-11-23T09:00:00Z"}
    assert refused(signed(until), NOW_NS + 86_400 * 10**9) == "line 2: until has passed: it would not hold any more"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ts": "2026-11-22T09:10:00Z"}, "line 1: ts is in the future"),
        ({"until": "2026-11-22T09:00:00Z"}, "line 1: until has passed"),
        ({"decision": "delete"}, "line 1: decision: not known; write acknowledge or close or accept"),
        ({"alert": "AB" * 10}, "line 1: alert: not 20 hexadecimal digits"),
        ({"by": ""}, "line 1: by: not a text of 1 to 100 characters"),
        ({"note": "x" * 1001}, "line 1: note: not a text of 0 to 1,000 characters"),
        ({"ts": "2026-11-22T09:00:00"}, "line 1: ts: not a time with a zone"),
        ({"ts": 1}, "line 1: ts: not a time with a zone"),
        ({"ticket": None}, "line 1: ticket: not a text"),
        ({"severity\x1b": "low"}, r"line 1: severity\x1b: unknown"),
    ],
)
def test_what_would_be_refused_is_not_signed(change: dict[str, Any], said: str) -> None:
    with pytest.raises(DecisionError) as error:
        signed({**ONE, **change})
    assert str(error.value).startswith(said)


@pytest.mark.parametrize(
    "change", [{"until": "9999-12-31T00:00:00Z"}, {"ts": "1677-01-01T00:00:00Z"}, {"until": "2262-04-12T00:00:00Z"}]
)
def test_times_that_no_database_takes(change: dict[str, Any]) -> None:
    with pytest.raises(DecisionError, match=r"line 1: (until|ts): not a time between 1678 and 2262"):
        signed({**ONE, **change})


def test_more_that_is_not_signed() -> None:
    for wrong, said in (
        (b"", "no decision in it"),
        (b"{", "line 1: not JSON"),
        (b"[]", "line 1: not an object"),
        (raw(ONE, {k: v for k, v in ONE.items() if k != "site"}), "line 2: site is missing"),
        (raw(ONE) * (MAX_DECISIONS + 1), "more than 10,000 decisions"),
        (raw({**ONE, "note": "x" * 900}) * 5000, "more than 4 MiB"),
    ):
        with pytest.raises(DecisionError) as error:
            sign(wrong, KEY, NOW_NS, NONCE)
        assert str(error.value).startswith(said)
    assert refused(b"x" * (MAX_BYTES + 1)).startswith("more than 4 MiB")


def test_the_example_of_the_page_is_taken() -> None:
    page = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text()
    shown = page.split("<!-- decisions -->\n```json\n")[1].split("```")[0]
    assert len(verify(sign(shown.encode(), KEY, NOW_NS, NONCE), KEY, NOW_NS).decisions) == 2
