"""Every row of `docs/evasion.md`: H12-H51, and what else a stream does to hide."""

import ast
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from tests.hostile.evasion import Case, judge
from tests.hostile.table import CASES, page

HERE = Path(__file__).parent
WANTED = {f"H{n}" for n in range(12, 52)}


def _parameter(case: Case) -> ParameterSet:
    marks = [pytest.mark.xfail(strict=True, reason=case.owed)] if case.owed else []
    return pytest.param(case, id=case.id, marks=marks)


@pytest.mark.parametrize("case", [_parameter(case) for case in CASES])
def test_case(case: Case) -> None:
    judge(case)


def test_every_hostile_input_has_a_case() -> None:
    assert len({case.id for case in CASES}) == len(CASES)
    assert {case.id.split("-")[0] for case in CASES} >= WANTED


def test_what_is_named_beside_a_case_exists() -> None:
    for name in {case.more for case in CASES if case.more}:
        file, test = name.split("::")
        tree = ast.parse((HERE / file).read_text())
        assert test in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, name


def test_the_page_is_what_the_run_says() -> None:
    assert (HERE.parents[1] / "docs" / "evasion.md").read_text() == page()
