"""Named points in the texts of a policy: operations, differences, explanations, edits."""

from itertools import product
from pathlib import Path

import pytest

from otmon.policy.asked import Asked, measured, permits
from otmon.policy.axes import Axes
from otmon.policy.difference import difference
from otmon.policy.edit import smallest
from otmon.policy.judge import Policy
from otmon.policy.load import load_bytes, load_policy
from otmon.policy.optext import operation_text, parse_operation
from otmon.policy.permitted import permitted
from otmon.policy.phrases import Phrases, joined
from otmon.policy.space import uncovered
from otmon.policy.why import Explainer
from otmon.policy.words import TextError
from tests.policy.policy_kit import NOON

TAGS = """point,asset,protocol,unit,address,type,order,scale,offset,units,label
plc1.T1,plc-1,modbus,1,40,float32,ABCD,,,degC,T1 set-point
plc1.LEVEL,plc-1,modbus,1,50,int16,,0.1,,cm,
plc2.T1,plc-2,modbus,1,40,float32,,,,degC,
rtu.SP,rtu,dnp3,10,g41 3,,,,,bar,
plc3.SP,plc-3,s7comm,,DB10.DBD4,float32,,,,bar,
"""
ROW = "{protocol: modbus, functions: [write_multiple_registers], points: [plc1.T1], values: 20-80, step: 5}"
TEXT = """otmon: 1
tags: tags.csv
zones:
  plant: {hosts: [10.0.0.0/16]}
assets:
  plc-1: {hosts: [10.0.1.1]}
  plc-2: {hosts: [10.0.1.2]}
  plc-3: {hosts: [10.0.1.3]}
  rtu: {hosts: [10.0.1.4]}
  hmi: {hosts: [10.0.2.1]}
conduits:
  - id: sets
    from: hmi
    to: [plc-1, plc-2, plc-3, rtu]
    allow:
      - ROW
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tags.csv").write_text(TAGS)
    return tmp_path


def load(folder: Path, row: str = ROW) -> Policy:
    path = folder / "policy.yaml"
    path.write_text(TEXT.replace("ROW", row))
    return load_policy(path)


def asked(policy: Policy, text: str) -> Asked:
    key, value = parse_operation(text, policy)
    return Asked(key, NOON, value)


@pytest.mark.parametrize(
    ("what", "permit"),
    [
        ("plc1.T1 = 80", True),
        ("plc1.T1 = 80.5 degC", False),
        ("plc1.T1 = 75 -> 80 degC", True),
        ("plc1.T1 = 74 -> 80 degC", False),
        ("plc1.T1", True),
        ("40-41", True),
        ("40-42", False),
        ("plc1.LEVEL = 3", False),
    ],
)
def test_an_operation_names_a_point(folder: Path, what: str, permit: bool) -> None:
    policy = load(folder)
    question = asked(policy, f"hmi -> plc-1 modbus write_multiple_registers {what}")
    assert permits(policy, question._replace(key=question.key._replace(unit=1))) is permit
    text = operation_text(question.key, question.value)
    assert parse_operation(text, policy) == (question.key, question.value), text


def test_a_point_of_another_device_is_an_error(folder: Path) -> None:
    with pytest.raises(TextError, match=r"plc1\.T1 is a point of plc-1"):
        asked(load(folder), "hmi -> plc-2 modbus write_multiple_registers plc1.T1 = 3")


def test_a_raw_value_is_judged_in_the_units_of_its_point(folder: Path) -> None:
    policy = load(folder, "{protocol: modbus, points: [plc1.LEVEL], values: [-0.5..30]}")
    for raw, permit in ((300, True), (301, False), (0xFFFB, True), (0xFFFA, False)):
        assert permits(policy, asked(policy, f"hmi -> plc-1 modbus unit 1 write_single_register 50 = {raw}")) is permit


def test_why_speaks_of_the_point(folder: Path) -> None:
    policy = load(folder)
    question = asked(policy, "hmi -> plc-1 modbus write_multiple_registers plc1.T1 = 74 -> 90 degC")
    why = Explainer(policy).why(question)
    assert not why.permit
    assert why.near[0].row.id == "sets"
    assert [lack.text() for lack in why.near[0].lacks] == [
        "value: allows 20-80 degC, 10 beyond",
        "step: allows up to 5 degC, 11 beyond",
    ]
    text, near = (folder / "policy.yaml").read_text(), why.near[0]
    edit = smallest(text, policy.path, policy, question, near.row, near.failing)
    assert edit is not None
    assert edit.what == "widen row sets"
    assert "values: [20-80, 90], step: 16" in edit.text


def test_an_edit_for_a_point_of_its_own(folder: Path) -> None:
    policy = load(folder)
    question = asked(policy, "hmi -> plc-2 modbus write_multiple_registers plc2.T1 = 21.5")
    edit = smallest((folder / "policy.yaml").read_text(), policy.path, policy, question, None, frozenset())
    assert edit is not None
    assert "points: [plc2.T1], values: 21.5" in edit.text
    assert permits(load_bytes(edit.text.encode(), policy.path), question)


def test_a_difference_of_steps_and_rates_is_one(folder: Path) -> None:
    old, new = load(folder), load(folder, ROW.replace("step: 5", "step: 7, rate: 30/min"))
    found = difference(old, new)
    phrases = Phrases(found.axes, new)
    lines = [(change.allowed, line) for change in found.changes for line in joined(change.boxes, phrases, 9)]
    who = "hmi -> plc-1: modbus write_multiple_registers, unit 1, plc1.T1, values 20-80 degC"
    assert lines == [
        (True, f"{who}, steps above 5 and up to 7 degC, rates up to 0.5 degC per s"),
        (False, f"{who}, steps up to 5 degC, rates above 0.5 degC per s"),
    ]
    same = load(folder, ROW.replace("values: 20-80", "values: [20-60, 60-80]"))
    assert not difference(old, same).changes


def test_never_may_name_points(folder: Path) -> None:
    text = TEXT.replace("conduits:", "never:\n  - {operations: [{protocol: modbus, points: [plc1.T1]}]}\nconduits:")
    (folder / "policy.yaml").write_text(text.replace("ROW", "{protocol: modbus}"))
    policy = load_policy(folder / "policy.yaml")
    assert not permits(policy, asked(policy, "hmi -> plc-1 modbus unit 1 write_single_register 41 = 3"))
    assert permits(policy, asked(policy, "hmi -> plc-1 modbus unit 1 write_single_register 42 = 3"))
    assert permits(policy, asked(policy, "hmi -> plc-2 modbus unit 1 write_single_register 41 = 3"))


def test_boxes_and_verdicts_agree(folder: Path) -> None:
    policy = load(folder)
    axes = Axes([policy])
    boxes = permitted(policy, axes)
    for before, value in product((None, 20, 74, 79), (19.9, 20, 25, 79.5, 80, 81, float("nan"))):
        text = f"plc1.T1 = {value}" if before is None else f"plc1.T1 = {before} -> {value}"
        question = asked(policy, f"hmi -> plc-1 modbus write_multiple_registers {text}")
        box = axes.box(question.key, NOON, *measured(policy, question))
        assert permits(policy, question) is (uncovered(box, [permit.box for permit in boxes.permits]) is None), text
