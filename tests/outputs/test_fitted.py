"""Tables on a narrow terminal: what is least important goes, words stay whole."""

from io import StringIO

import pytest
from rich.console import Console

from otmon.outputs.tables import new_table

WORDS = ("10.0.1.11:502", "read_holding_registers", "permit", "historian")


def shown(width: int) -> str:
    table = new_table("Operations", "server", "function", "verdict", "period", right=["period"], spare=["period"])
    table.add_row("10.0.1.11:502", "read_holding_registers", "permit", "1.5 s historian")
    table.caption = "… and 7 more"
    out = Console(file=StringIO(), width=width)
    out.print(table)
    return out.file.getvalue()  # type: ignore[attr-defined] # a StringIO


def test_a_wide_one_shows_all() -> None:
    text = shown(100)
    assert all(word in text for word in (*WORDS, "Operations", "period", "… and 7 more"))
    assert "Not shown" not in text


def test_a_narrow_one_leaves_out_and_says_so() -> None:
    text = shown(52)
    assert all(word in text for word in WORDS[:3])
    assert "historian" not in text
    assert "Not shown for want of room: period" in text
    assert max(map(len, text.splitlines())) <= 52


@pytest.mark.parametrize("width", range(30, 120, 7))
def test_sentences_are_not_squeezed_to_a_word_a_line(width: int) -> None:
    sentence = "10.0.1.11 -> 10.0.2.22 read DB1 0-9"
    table = new_table("", "row", "kind", "such as", spare=["kind", "such as"], least={"such as": 22})
    table.add_row("a-rather-long-name", "segmentation", sentence)
    out = Console(file=StringIO(), width=width)
    out.print(table)
    lines = out.file.getvalue().splitlines()  # type: ignore[attr-defined] # a StringIO
    assert max(map(len, lines)) <= width
    assert any("10.0.1.11 -> 10.0.2.22" in line for line in lines) == (width >= 44)
    assert any("segmentation" in line for line in lines) == (width >= 62)


def test_nothing_is_lost_where_even_that_does_not_fit() -> None:
    assert "verdict" in shown(30)


@pytest.mark.parametrize("width", range(49, 76))
def test_no_word_is_broken_where_all_fit(width: int) -> None:
    table = new_table("", "row", "said", "outcome")
    table.add_row("engineering-programs-plc-2", "a sentence of many short words", "ended (closed by B. Huber)")
    out = Console(file=StringIO(), width=width)
    out.print(table)
    text = out.file.getvalue()  # type: ignore[attr-defined] # a StringIO
    assert all(word in text for word in ("engineering-programs-plc-2", "sentence", "(closed"))
    assert max(map(len, text.splitlines())) <= width
