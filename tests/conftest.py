"""Before any test imports the wire stage: kernels from the cache where `make test` warmed it, else interpreted.

Tests of one file share a worker, and so do all tests on Elasticsearch and all that ask what otmon says of every
capture: what they prepare is prepared once. What takes longest begins first, so that workers end together.
"""

import gc

import hypothesis
import pytest

from otmon.engine import cache

cache.choose([])
hypothesis.settings.register_profile("otmon", deadline=None)  # how long an example takes is the other workers' doing
hypothesis.settings.load_profile("otmon")

FIRST = (
    "elastic", "test_replay", "test_watch", "verify", "test_tshark", "test_jobs", "test_outputs", "test_policy_page",
    "test_owner", "test_dnp3_fuzz", "test_crew", "test_courier", "test_harvest", "test_ageing", "test_metamorphic",
    "test_metamorphic_jobs", "test_ring", "test_floods", "test_evasion", "test_intake",
)  # fmt: skip
"""Groups of more than ten seconds, those that wait for others before those that calculate."""


def group(item: pytest.Item) -> str:
    """Tests that share a worker."""
    if "elastic_recipe" in getattr(item, "fixturenames", ()):
        return "elastic"
    return "verify" if item.path.parent.name == "verify" else item.path.stem


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if hypothesis.is_hypothesis_test(getattr(item, "obj", None)):
            item.add_marker(pytest.mark.property)
        item.add_marker(pytest.mark.xdist_group(group(item)))
    order = {name: number for number, name in enumerate(FIRST)}
    items.sort(key=lambda item: order.get(group(item), len(FIRST)))


def pytest_collection_finish() -> None:
    """Thousands of tests stay until the end: from now on nobody looks through them for garbage."""
    gc.collect()
    gc.freeze()
