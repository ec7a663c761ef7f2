"""Learning on with bounds: they grow with what was written, in any order of days, but for those that a person set."""

import struct
from itertools import permutations
from pathlib import Path

import pytest

from otmon.policy.learn import Draft, blank, update
from otmon.policy.learn_file import ended
from otmon.policy.listen import Listener
from otmon.policy.load import load_bytes
from otmon.policy.zones import Realms
from tests.policy.policy_kit import op, registers
from tests.policy.test_policy_learn import record
from tests.policy.test_policy_learn_captures import ANOTHER_READING, ROOT, policy_alerts, run

HMI, PLC = "10.0.2.10", "10.0.1.11"
WRITE = op(HMI, PLC, "modbus", "write_single_register", "write", target=registers(40, 41), function_code=6)
SEEN = [record(WRITE, 3)]
QUICK = {"plant", "modbus_udp"}


def parts(path: Path, folder: Path, number: int) -> list[Path]:
    """A capture cut into so many."""
    raw, at, records = path.read_bytes(), 24, list[bytes]()
    while at < len(raw):
        (size,) = struct.unpack("<I" if raw[:1] in b"\xd4\x4d" else ">I", raw[at + 8 : at + 12])
        records.append(raw[at : at + 16 + size])
        at += 16 + size
    out = []
    for n in range(number):
        mine = records[len(records) * n // number : len(records) * (n + 1) // number]
        out.append(folder / f"{path.stem}.{n}.pcap")
        out[-1].write_bytes(raw[:24] + b"".join(mine))
    return out


@pytest.mark.parametrize("mode", ["ranges", "functions"])
@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=() if path.stem in QUICK else pytest.mark.long, id=path.stem)
        for path in sorted((ROOT / "captures").glob("*.pcap"))
    ],
)
def test_day_by_day_in_any_order_nothing_that_was_written_is_denied(path: Path, mode: str, tmp_path: Path) -> None:
    days, heard = parts(path, tmp_path, 2), {}
    for day in days:
        listener = Listener(Realms())
        heard[day] = run(day, listener).operations, listener.values
    for order in permutations(days):
        draft: Draft | None = None
        for day in order:
            operations, values = heard[day]
            before = (draft.text, draft.memory) if draft else (blank(operations), None)
            draft = update(before[0], "p", operations, source=day.name, mode=mode, values=values, memory=before[1])
        assert draft is not None
        policy = load_bytes(draft.text.encode(), "p")
        for day in days:
            alerts = [alert for alert in policy_alerts(run(day, policy)) if ANOTHER_READING not in alert.flags]
            assert [(alert.key, alert.verdict.separation) for alert in alerts if alert.verdict.review is None] == []
            operations, values = heard[day]
            again = update(draft.text, "p", operations, source="s", mode=mode, values=values, memory=draft.memory)
            assert (said(again.text), again.memory, again.wider) == (said(draft.text), draft.memory, 0)


def said(text: str) -> list[str]:
    """The lines that mean something."""
    return [line for line in text.splitlines() if not line.strip().startswith("# seen")]


def learned(text: str, memory: str | None, low: float, high: float) -> Draft:
    return update(text, "p", SEEN, source="s", mode="ranges", values={WRITE: (low, high)}, memory=memory)


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (20, 50, "values: 20-50"),
        (0, 200, "values: 0-200"),
        (60, 300, "values: 20-300"),
        (-5, -2, 'values: "-5..50"'),
        (30, 40, "values: 20-50"),
    ],
)
def test_bounds_that_learning_wrote_hold_what_it_sees_later(low: float, high: float, said: str) -> None:
    first = learned(blank(SEEN), None, 20, 50)
    edited = first.text.replace("values: 20-50", "values: 20-50   # as in the manual").replace("\n", "\r\n")
    again = learned(edited, first.memory, low, high)
    new, old = ([line for line in text.splitlines() if "values" in line] for text in (again.text, edited))
    assert [line.replace('"', "").strip() for line in new] == [f"{said}   # as in the manual".replace('"', "")]
    assert again.text.replace(new[0], old[0]) == edited
    assert again.wider == (new != old)
    assert learned(again.text, again.memory, low, high)[:2] == again[:2]
    assert again.memory.count("values") == 1


@pytest.mark.parametrize(
    "theirs", ["values: 20-45", "values: 20-400", "values: [20, 50]", "values:\n          - 20-49"]
)
def test_bounds_that_a_person_set_stay(theirs: str) -> None:
    first = learned(blank(SEEN), None, 20, 50)
    edited = first.text.replace("values: 20-50", theirs)
    assert edited != first.text
    again = learned(edited, first.memory, 0, 60)
    assert (again.text, again.memory, again.wider) == (edited, first.memory, 0)


def test_without_its_memory_or_after_its_end_learning_widens_nothing() -> None:
    first = learned(blank(SEEN), None, 20, 50)
    assert learned(first.text, None, 0, 60).wider == 0
    assert learned(ended(first.text, 10**18), first.memory, 0, 60).wider == 0


def test_a_row_in_one_line_is_widened_in_its_place() -> None:
    first = learned(blank(SEEN), None, 20, 50)
    start, end = first.text.index("      - protocol: modbus\n        # seen"), first.text.index("\nreview:")
    row = "      - {protocol: modbus, functions: [write_single_register], units: [1], addresses: 40-41, values: 20-50}"
    again = learned(first.text[:start] + row + first.text[end:], first.memory, 10, 50)
    assert "addresses: 40-41, values: 10-50}" in again.text
