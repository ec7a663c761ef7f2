"""The summary on the terminal: everything is there, and nothing in the data is obeyed."""

import io
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from otmon.model import Target
from otmon.outputs.console import BLIND, console, missed, show_summary
from otmon.outputs.summary import summary_record
from otmon.outputs.tables import duration, moment, target_text
from otmon.site.part import Part
from otmon.site.site import Site
from tests.outputs.results import DAMAGED, INPUT, alerts_of, part_with_alerts
from tests.site.plant import FRAMES, HOSTILE, OT_BYTES, Names
from tests.site.test_graph import HostileNames


def shown(part: Part, policy: Any = None, folder: str = "out") -> str:
    site = Site(part, policy)
    alerts = alerts_of(site)
    summary = summary_record(site, [INPUT, DAMAGED], alerts, {"path": "p.yaml", "sha256": "0" * 64} if policy else None)
    out = io.StringIO()
    show_summary(console(out), site, summary, alerts, Path(folder))
    return out.getvalue()


def test_what_a_newcomer_reads() -> None:
    text = shown(part_with_alerts(), Names())
    for word in (
        *("site water-works", "policy p.yaml", "30 frames", "read_holding_registers", "PLC-3", "supervision"),
        *("1 critical, 1 high, 1 info", "1 connection of which only one direction", "b.pcap: cut short (at byte 24)"),
        *("historian", "Results: out", "write_single_register", "Schneider Electric"),
    ):
        assert word in text, word
    assert text.index("critical  ") < text.index("high  ") < text.index("info  ")
    assert "\x1b" not in text, "colour without a terminal"


def test_nothing_at_all() -> None:
    part = Part(frames=dict.fromkeys(FRAMES, 0), ot_bytes=dict.fromkeys(OT_BYTES, 0))
    part.visibility = dict.fromkeys(("missing_bytes", "one_sided", "gaps", "copies"), 0)
    assert "No control protocol was seen." in shown(part)
    assert "No alerts." in shown(part, Names())
    assert "No alerts: without --policy" in shown(part)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_shown_not_obeyed(name: str) -> None:
    text = shown(
        part_with_alerts((name,)), HostileNames(name), name.replace("\0", "")[:100].encode("utf-8", "replace").decode()
    )
    bad = [c for c in text if c != "\n" and unicodedata.category(c)[0] in "CM"]
    assert not bad


def test_one_is_not_many() -> None:
    for _, _, sentence in BLIND:
        few, many = missed(sentence, 1), missed(sentence, 2)
        assert few.startswith(("1 frame ", "1 byte ", "1 gap ", "1 connection "))
        assert many.startswith(("2 frames ", "2 bytes ", "2 gaps ", "2 connections "))
        assert not {"are", "were", "copies"} & set(few.split())
    assert missed("{:,} frame{s} {were} {copies} made by the mirror", 1) == "1 frame was a copy made by the mirror"


def test_markup_links_and_emoji_stay_text_on_a_terminal() -> None:
    out = io.StringIO()
    terminal = Console(file=out, force_terminal=True, width=200, highlight=False, markup=False, emoji=False)
    site = Site(part_with_alerts(("[bold red]x[/bold red] :smile: http://x",)))
    show_summary(terminal, site, summary_record(site, [INPUT], alerts_of(site)), alerts_of(site), Path("out"))
    assert "\x1b]8;" not in out.getvalue(), "a link was made"


def test_small_words() -> None:
    times = (1500, 20_000_000, 999_700_000, 1_500_000_000, 7200 * 10**9)
    assert [duration(ns) for ns in times] == ["1.5 µs", "20 ms", "1 s", "1.5 s", "2 h"]
    hours = (23.5, 24, 36, 8760, 23_976, 24_000, 87_600)
    assert [duration(int(3600e9 * h)) for h in hours] == [
        "23.5 h",
        "1 d",
        "1.5 d",
        "365 d",
        "999 d",
        "1,000 d",
        "3,650 d",
    ]
    assert moment(1_700_000_000 * 10**9) == "2023-11-14 22:13:20Z"
    assert moment(-(2**63))
    assert target_text(Target("holding_register", 0, 9)) == "holding_register 0-9"
    assert target_text(Target("block", name="DB10")) == "block DB10"
    assert target_text(None) == ""
