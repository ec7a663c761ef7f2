"""One fixture: the name of a capture. Tests of one capture run together, so that it is read once."""

import pytest

from tests.verify.captures import LONG, PATHS


@pytest.fixture(
    scope="session",
    params=[pytest.param(name, marks=[pytest.mark.long] if name in LONG else []) for name in PATHS],
)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)
