"""What the tests of delivery share: a namespace set up on a node, a folder to deliver from, what arrived."""

import os
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from elasticsearch import Elasticsearch, helpers

from otmon.delivery import once
from otmon.delivery.ledger import NAME, Ledger
from otmon.outputs.elastic.connection import Elastic, checked
from otmon.outputs.elastic.documents import data_stream
from otmon.outputs.elastic.install import Installation
from otmon.outputs.elastic.sink import ElasticSink
from otmon.store import spool
from tests.delivery.kit import SENSOR, Spool
from tests.elastic.server import Node


class Target:
    """A namespace of a node, with templates and data streams; `url` if it is reached another way."""

    def __init__(self, node: Node, namespace: str, **settings: Any) -> None:
        self.node, self.namespace = node, namespace
        self.admin: Elasticsearch = node.client()
        self.settings = checked(Elastic(node.url, namespace, **settings))
        Installation(self.admin, namespace).install()

    def sink(self, **changed: Any) -> ElasticSink:
        return ElasticSink(checked(replace(self.settings, **changed)))

    def stream(self, stream: str = "audit") -> str:
        return data_stream(stream, self.namespace)

    def rollover(self, stream: str = "audit") -> None:
        """When the node has done what it was asked: what overtakes a rollover is beyond us (docs/elastic.md)."""
        until(lambda: not any(self._bulks() for _ in range(2)))
        self.admin.indices.rollover(alias=self.stream(stream))

    def _bulks(self) -> int:
        time.sleep(0.03)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the client says that this request may change one day
            nodes = self.admin.tasks.list(actions="indices:data/write/bulk*")["nodes"].values()
        return sum(len(node["tasks"]) for node in nodes)

    def ids(self, stream: str = "audit") -> list[str]:
        """Of every document in every backing index, sorted: what is there twice is named twice."""
        self.admin.indices.refresh(index=self.stream(stream))
        hits = helpers.scan(self.admin, index=self.stream(stream), size=5_000, _source=False)
        return sorted(hit["_id"] for hit in hits)


def filled(folder: Path, number: int, stream: str = "audit", **more: Any) -> Spool:
    folder.mkdir(parents=True, exist_ok=True)
    made = Spool(folder, spool.FINAL)
    made.append(stream, number, **more)
    return made


def deliver(folder: Path, *sinks: ElasticSink, patience_s: float = 60.0) -> dict[str, int]:
    try:
        return once.deliver_all(folder, sinks, SENSOR, patience_s=patience_s)
    finally:
        for sink in sinks:
            sink.close()


class Delivery(threading.Thread):
    """`deliver` meanwhile."""

    def __init__(self, folder: Path, sink: ElasticSink, patience_s: float = 60.0) -> None:
        super().__init__(daemon=True)
        self._given = folder, sink, patience_s
        self.left: dict[str, int] | None = None
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        folder, sink, patience_s = self._given
        try:
            self.left = deliver(folder, sink, patience_s=patience_s)
        except BaseException as error:
            self.error = error

    def whole(self, timeout_s: float = 90.0) -> dict[str, int]:
        self.join(timeout_s)
        assert self.error is None, self.error
        assert self.left is not None, "it is not done"
        return self.left


def until(true: Callable[[], Any], timeout_s: float = 60.0) -> None:
    end_s = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < end_s, "it never came to be"
        time.sleep(0.01)


def done(folder: Path, stream: str = "audit") -> int:
    """How far delivery from there has come."""
    if not (folder / NAME).exists():
        return 0
    with Ledger(folder / NAME, spool.FINAL, readonly=True) as ledger:
        return ledger.cursor("elastic", stream).done


def state(folder: Path) -> tuple[str, str]:
    found = once.states(folder).get("elastic")
    return ("", "") if found is None else (found.state, found.reason)


def forked(work: Callable[[Callable[[], None]], object]) -> tuple[int, int]:
    """(process, pipe): `work` in a process of its own, which may be killed; it says by a byte that it has begun."""
    read, write = os.pipe()
    pid = os.fork()
    if pid:
        os.close(write)
        return pid, read
    code = 1
    try:
        os.close(read)
        work(lambda: void(os.write(write, b"b")))
        code = 0
    finally:
        os._exit(code)


def void(_: object) -> None:
    """Takes anything and gives nothing."""
