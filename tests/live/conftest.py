"""A lab for each file, a data folder for each test."""

import pytest

from tests.live.lab import lab
from tests.live.sensor import data_folder


@pytest.fixture(scope="module")
def plant():
    with lab() as made:
        yield made


@pytest.fixture
def data():
    with data_folder() as made:
        yield made
