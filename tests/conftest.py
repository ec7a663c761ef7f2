"""Before any test imports the wire stage: kernels from the cache where `make test` warmed it, else interpreted.

Tests of one file share a worker, and so do all tests on Elasticsearch: what they prepare is prepared once.
"""

import hypothesis
import pytest

from otmon.engine import cache

cache.choose([])


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if hypothesis.is_hypothesis_test(getattr(item, "obj", None)):
            item.add_marker(pytest.mark.property)
        on_elastic = "elastic_recipe" in getattr(item, "fixturenames", ())
        item.add_marker(pytest.mark.xdist_group("elastic" if on_elastic else item.path.stem))
