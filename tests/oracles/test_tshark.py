"""Every PDU of every capture, field by field, beside tshark."""

import csv
import shutil
import subprocess

import pytest

from otmon.opinion.table import NOT_COMPARED, TABLE
from tests.oracles.beside_tshark import NAMES, SLICES, compared
from tests.oracles.differences import COLUMNS, known, rows
from tests.oracles.differences import TABLE as DIFFERENCES
from tests.oracles.why import WHY
from tests.verify.captures import LONG

EVERY = [pytest.param(name, marks=[pytest.mark.long] if name in LONG else []) for name in NAMES]
PLUS = {"S7-1200-Uploading-OB1-TIAV12.pcap", "modbusBig.pcap", "s7comm_plus.pcap", "s7_plus.pcap", "s7_plus_tls.pcap"}
"""Captures of S7comm-plus."""


@pytest.mark.parametrize("name", EVERY)
def test_capture_is_decoded_as_by_tshark(name: str) -> None:
    """One test a capture, so that each is read once."""
    found = compared(name)
    table = {field: row for field, (row, _) in known().get(name, {}).items()}
    assert rows(found.differences) == table, "fix otmon, or say why: python -m tests.oracles.differences"
    assert found.counts.unknown == {}, "each field of tshark has a row, or is in NOT_COMPARED with its reason"
    # Of S7comm-plus the COTP is compared, and that is all: Wireshark 4.0 has no dissector for it.
    assert bool(found.counts.plus) == (name in PLUS)
    assert len(set(found.link_frames)) == 1, found.link_frames


def test_every_field_exists() -> None:
    """Names of rows and reasons are names of tshark's fields."""
    if not shutil.which("tshark"):
        pytest.skip("tshark is not installed")
    said = subprocess.run(["tshark", "-G", "fields"], capture_output=True, text=True, check=True).stdout
    fields = {line.split("\t")[2] for line in said.splitlines() if line.startswith("F\t")}
    rows = [row.theirs for rows in TABLE.values() for row in rows]
    assert set(rows) | set(NOT_COMPARED) <= fields
    assert len(rows) == len(set(rows))
    assert not set(rows) & set(NOT_COMPARED)


def test_every_difference_is_explained() -> None:
    with DIFFERENCES.open(newline="") as file:
        reader = csv.DictReader(file, dialect="excel-tab")
        table = list(reader)
    assert tuple(reader.fieldnames or ()) == COLUMNS
    assert {row["why"] for row in table} == set(WHY), "every reason, and none that nobody needs"
    assert {row["capture"] for row in table} <= {*NAMES, *SLICES}
