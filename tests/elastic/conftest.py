"""Nodes for tests: `elastic` and `elastic_secure`, one each for all of a worker's tests; `elastic_node` makes others.

Where no node can be started these tests are skipped and say why; with OTMON_REQUIRE_ELASTIC=1, as in CI, they fail.

Each worker of pytest-xdist has its own: a few seconds and 300 MB are cheaper than counting who still uses a node
of all, and tests can be stolen freely. Tests on it must not be in each other's way: each writes only to streams
and templates with its own `namespace` in their names, and whoever changes settings of the whole node takes another one.
"""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import NoReturn

import pytest

from tests.elastic.certificates import Authority, available
from tests.elastic.recipe import Missing, Recipe, prepare
from tests.elastic.server import Node

REQUIRED = "OTMON_REQUIRE_ELASTIC"


def lacking(why: str) -> NoReturn:
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(f"{REQUIRED}=1, and no Elasticsearch here: {why}")
    pytest.skip(f"no Elasticsearch here: {why}")


@pytest.fixture(scope="session")
def elastic_recipe() -> Recipe:
    try:
        return prepare()
    except Missing as missing:
        why = str(missing)
    lacking(why)


@pytest.fixture(scope="session")
def new_node(elastic_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Node]:
    """One that is not started yet, in a folder of its own; for fixtures, which say when it stops."""
    return lambda *arguments, **keywords: Node(
        elastic_recipe, tmp_path_factory.mktemp("elastic") / "node", *arguments, **keywords
    )


@pytest.fixture(scope="session")
def elastic(new_node: Callable[..., Node]) -> Iterator[Node]:
    """Without security, over plain HTTP."""
    with new_node() as node:
        yield node


@pytest.fixture(scope="session")
def elastic_secure(new_node: Callable[..., Node]) -> Iterator[Node]:
    """With security and one superuser, over plain HTTP; shared as `elastic` is."""
    with new_node(users={"admin": "secret"}) as node:
        yield node


@pytest.fixture
def elastic_node(new_node: Callable[..., Node]) -> Iterator[Callable[..., Node]]:
    """`elastic_node(settings, users=, tls=, heap=)`: a node of the test's own, started, and stopped at its end."""
    with ExitStack() as stack:
        yield lambda *arguments, **keywords: stack.enter_context(new_node(*arguments, **keywords))


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """What signs the certificates of nodes with TLS."""
    if not available():
        lacking("no openssl (Debian: openssl)")
    return Authority(tmp_path_factory.mktemp("authority") / "right")


@pytest.fixture(scope="session")
def wrong_authority(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Of the same name, with another key."""
    return Authority(tmp_path_factory.mktemp("authority") / "wrong")


@pytest.fixture
def namespace() -> str:
    """A word that no other test uses."""
    return f"t{secrets.token_hex(4)}"
