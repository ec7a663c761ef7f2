"""Every alert that can be has advice of its own topic, and docs/soc.md shows all of it."""

from pathlib import Path
from typing import get_args

import pytest

from otmon.alerts.advice import ADVICE, advice, topic
from otmon.alerts.visibility import REASONS
from otmon.model import Access
from otmon.policy.verdict import AlertKind

SOC = Path(__file__).parents[2] / "docs" / "soc.md"


@pytest.mark.parametrize("access", get_args(Access))
def test_every_access_class_has_advice(access: str) -> None:
    record = {"kind": "command", "operation": {"access": access, "function": "x"}}
    assert topic(record) == access
    assert advice(record) is ADVICE[access]


@pytest.mark.parametrize("reason", REASONS)
def test_every_finding_has_advice(reason: str) -> None:
    record = {"kind": REASONS[reason][0], "operation": None, "finding": {"reason": reason}}
    assert topic(record) in {"blind", "unreadable", "not_judged", "sensor", "protocol"}
    assert advice(record) is ADVICE[topic(record)]


@pytest.mark.parametrize("kind", get_args(AlertKind))
def test_every_kind_has_advice_whatever_else_it_has(kind: str) -> None:
    for rest in ({}, {"operation": None}, {"operation": {}, "finding": {}}):
        assert topic({"kind": kind} | rest) in ADVICE


def test_a_scan_is_not_a_connection_and_a_conflict_is_no_write() -> None:
    assert topic({"kind": "segmentation", "operation": {"access": "connect", "function": "scan"}}) == "scan"
    assert topic({"kind": "protocol", "operation": {"access": "write", "function": "overlap_conflict"}}) == (
        "overlap_conflict"
    )


def test_all_of_it_is_whole_sentences() -> None:
    for name, found in ADVICE.items():
        for text in found:
            assert text[0].isupper(), (name, text)
            assert text.endswith("."), (name, text)


def test_the_guide_shows_it() -> None:
    text = " ".join(SOC.read_text().split())
    for name, found in ADVICE.items():
        assert f"### {name}" in text, name
        for sentence in found:
            assert sentence in text, (name, sentence)
