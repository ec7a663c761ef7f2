"""The live view at the sizes people have, with what hostile networks call themselves."""

import unicodedata
from io import StringIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from otmon.outputs.figures import Delivery, Figures, Interface
from otmon.outputs.view import Conduit, Newcomer, Party, Scene, draw, octets, quantity, rates, status_line
from tests.effort import examples

T0 = 1_793_537_580 * 10**9
BEFORE = Figures(
    100.0,
    interfaces=[Interface("span0", "up", 0, 0, 0, 0, 1_118_000, 121_000_000), Interface("span1", "up", *[0] * 6)],
    pdus={"modbus": 39_000, "s7comm": 1_500},
)
NOW = Figures(
    104.0,
    interfaces=[
        Interface("span0", "up", 1_200_000, 0, 0, 0, 1_200_000, 130_000_000),
        Interface("span1", "gone", 0, 12, 1, 3, 0, 0),
    ],
    frames={"ot": 900_000, "truncated": 3},
    visibility={"missing_bytes": 1460},
    pdus={"modbus": 40_000, "s7comm": 2_000},
    stored={"operations": 431, "connections": 98, "alerts": 9},
    assets=14,
    episodes=6,
    alerts={"critical": 3, "medium": 1},
    database_bytes=1_720_640,
    synchronised=False,
)
LONG = "Row historian-only-reads forbids it: the office can reach the historian, and nobody has asked for that. " * 3


def scene(conduits: int = 8, alerts: int = 6, name: str = "PLC") -> Scene:
    return Scene(
        now=NOW,
        before=BEFORE,
        site="demo plant",
        ts_ns=T0,
        up_s=7423.0,
        conduits=[
            Conduit(Party("10.0.2.12", f"{name} {n}", "supervision"), Party(f"10.0.1.{n}"), "modbus", 100.0 / n, 25.0)
            for n in range(1, conduits + 1)
        ],
        newcomers=[Newcomer(name, "Siemens 315-2", T0)],
        alerts=[
            {"severity": ("medium", "critical")[n % 2], "first_ts_ns": T0 + n * 10**9, "title": f"{n} {name} {LONG}"}
            for n in range(alerts)
        ],
        log=["warning interface_gone: span1 is gone: nothing is seen until it is back"],
    )


def shown(one: Scene, width: int, height: int) -> list[str]:
    out = Console(file=StringIO(), record=True, width=width, height=height, force_terminal=True)
    out.print(draw(one, width, height))
    return out.export_text().splitlines()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (160, 50)])
def test_everything_is_on_the_screen(width: int, height: int) -> None:
    lines = shown(scene(), width, height)
    text = "\n".join(lines)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    for words in ("20.5 k frames/s", "375 OT PDUs/s", "18 Mbit/s", "15 frames lost", "PLC 1", "10.0.1.1", "3 critical",
                  "12 frames of span1", "span1 is gone", "14 assets", "431 operations", "1.6 MiB", "newest: PLC",
                  "up 2:03:43", "q ends"):  # fmt: skip
        assert words in text, words
    first = next(line for line in lines if line.startswith("critical"))
    assert first.split()[2] == "5"  # the worst, and of these the newest
    if width == 160:
        assert "the machine's clock is not synchronised" in text
        assert "10.0.2.12 (supervision)" in text


STOPPED = (
    "HMI-1 (10.0.2.10, supervision) stopped the CPU of PLC-2 (10.0.1.12, control); accepted. "
    "Row engineering-programs-plcs allows it only on mon, tue 08:00-17:00."
)


@pytest.mark.parametrize(("height", "whole"), [(24, 0), (40, 2), (50, 4)])
def test_at_80_columns_sentences_run_over_lines_and_words_stay_whole(height: int, whole: int) -> None:
    one = scene(8, 0)
    one.alerts = [
        {"severity": severity, "first_ts_ns": T0, "title": f"{n}: {STOPPED}"}
        for n, severity in enumerate(("high", "critical", "medium", "medium"))
    ]
    lines = shown(one, 80, height)
    assert len(lines) <= height
    begin = next(n for n, line in enumerate(lines) if line.startswith("alert"))
    end = next(n for n, line in enumerate(lines) if line.startswith("could not be seen"))
    told = [line[20:].strip() for line in lines[begin + 1 : end] if line.strip()]
    assert set(" ".join(told).replace(" …", "").split()) <= {*STOPPED.split(), "0:", "1:", "2:", "3:"}
    text = " ".join(told)
    assert f"1: {STOPPED.partition('; ')[0]}" in text
    assert text.count(STOPPED) == whole
    assert any(line.startswith("PLC 1 (supervision)   ") for line in lines)
    assert not any("operations/s" in line for line in lines)


def test_an_empty_network_looks_like_one() -> None:
    empty = Figures(0.0)
    text = "\n".join(shown(Scene(empty, empty, "default", T0, 3.0), 80, 24))
    for words in ("no policy", "0 frames/s", "nothing lost", "quiet", "none", "nothing: every frame"):
        assert words in text


@given(st.integers(0, 60), st.integers(0, 60), st.integers(40, 200), st.integers(16, 70), st.text(max_size=40))
@settings(max_examples=examples(60), deadline=None)
def test_it_never_leaves_the_screen(conduits: int, alerts: int, width: int, height: int, name: str) -> None:
    lines = shown(scene(conduits, alerts, name), width, height)
    assert len(lines) <= height
    assert not [c for line in lines for c in line if unicodedata.category(c)[0] == "C"]


def test_a_line_for_those_without_a_terminal() -> None:
    assert status_line(scene(name="x\x1b[31m")) == (
        "12:53:00Z  20.5 k frames/s  375 OT PDUs/s  18 Mbit/s  15 frames lost  14 assets"
        "  new alerts: 3 critical, 1 medium  span1 gone"
    )


def test_each_output_has_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    away = Delivery("syslog", "away", 0, 2, 5, 3661.0)
    monkeypatch.setattr(NOW, "delivery", [Delivery("elastic", "well", 12, 0, 0, None), away])
    for width, height in ((80, 24), (160, 50)):
        lines = shown(scene(), width, height)
        assert len(lines) <= height
        assert "to elastic: well, 12 delivered, 0 wait" in map(str.rstrip, lines)
        assert any(
            line.startswith("to syslog: away, 0 delivered, 5 wait, the oldest for 1:01:01, 2 ref") for line in lines
        )
    assert status_line(scene()).endswith("span1 gone  syslog away, 5 wait")


def test_rates_of_one_look_are_nothing() -> None:
    assert tuple(rates(Scene(NOW, NOW, "", T0, 0.0))) == (0.0, 0.0, 0.0)


def test_quantities() -> None:
    values = (0, 0.4, 9.96, 12, 9_999, 10_000, 534_000, 1_250_000, 3.2e9)
    assert [quantity(value) for value in values] == [
        *("0", "0.4", "10.0", "12", "9,999", "10 k", "534 k", "1.25 M", "3.2 G")
    ]
    assert [octets(value) for value in (5, 2048, 5 << 30)] == ["5 B", "2.0 KiB", "5.0 GiB"]
