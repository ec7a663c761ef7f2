"""`one_process`: the jobs of a run one after the other in this process. Real ones take a second each to start."""

import multiprocessing
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest


class Here:
    """A context of processes that are all this one, and a pool of it."""

    Event = threading.Event

    @contextmanager
    def Pool(self, *_: Any) -> Iterator[Any]:
        yield self

    def apply_async(self, function: Any, args: Any) -> Any:
        return SimpleNamespace(get=lambda: function(*args))


@pytest.fixture
def one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """test_metamorphic_jobs.py shows that real ones give the same."""
    monkeypatch.setattr(multiprocessing, "get_context", lambda _: Here())
