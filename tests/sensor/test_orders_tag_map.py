"""A changed tag map alone is taken over, as a changed policy is; a broken one is told until it is mended."""

import os
from itertools import count
from pathlib import Path

import pytest

from otmon.policy.load import load_policy
from otmon.sensor.orders import Orders

POLICY = """otmon: 1
tags: %s
zones: {plant: {hosts: [10.0.0.0/16]}}
conduits:
  - {id: sets, from: 10.0.2.1, to: 10.0.1.1, allow: [{protocol: modbus, points: [T1], values: 0-10}]}
"""
TAGS = "point,asset,protocol,address,type,units\nT1,10.0.1.1,modbus,40,int16,%s\n"
_TIMES = count(1_700_000_000)


def write(path: Path, text: str) -> None:
    path.write_text(text)
    now = next(_TIMES)
    os.utime(path, (now, now))  # a clock with coarse ticks would show two changes as one


def taken(orders: Orders) -> str | None:
    """The units of T1 in a policy that is to be taken over."""
    fresh = orders.fresh()
    if fresh is not None:
        orders.policy = fresh
    return None if fresh is None else fresh.tags.by_name["T1"].units


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "plant.yaml", POLICY % "tags.csv")
    write(tmp_path / "tags.csv", TAGS % "degC")
    return tmp_path


def test_a_tag_map_is_watched(folder: Path) -> None:
    orders = Orders(folder / "plant.yaml", load_policy(folder / "plant.yaml"))
    assert taken(orders) is None
    write(folder / "tags.csv", TAGS % "K")
    assert (taken(orders), taken(orders)) == ("K", None)
    write(folder / "tags.csv", TAGS[: len(TAGS) // 2])
    assert taken(orders) is None
    assert orders.broken is not None
    assert orders.broken.startswith(f"{folder}/tags.csv:1:")
    write(folder / "tags.csv", TAGS % "F")
    assert (taken(orders), taken(orders), orders.broken) == ("F", None, None)


def test_another_tag_map_is_watched_too_before_it_is_sound(folder: Path) -> None:
    orders = Orders(folder / "plant.yaml", load_policy(folder / "plant.yaml"))
    write(folder / "plant.yaml", POLICY % "other.csv")
    assert taken(orders) is None
    assert orders.broken is not None
    write(folder / "other.csv", "")
    assert taken(orders) is None
    write(folder / "other.csv", TAGS % "Pa")
    assert (taken(orders), taken(orders), orders.broken) == ("Pa", None, None)
    write(folder / "tags.csv", TAGS % "K")
    assert taken(orders) is None, "nobody names it any more"
