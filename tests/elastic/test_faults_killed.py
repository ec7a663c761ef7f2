"""kill -9 at random moments: of whoever delivers, and of the node. Nothing is lost and nothing doubled."""

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from otmon.delivery import once
from otmon.delivery.ledger import NAME, Ledger
from otmon.store import spool
from tests.elastic.server import Node
from tests.elastic.shipping import Delivery, Target, deliver, done, filled, forked, state, until


@pytest.mark.parametrize("kills", [20, pytest.param(100, marks=pytest.mark.long)])
def test_the_shipper_is_killed(
    elastic: Node, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kills: int
) -> None:
    """Small batches, so that there are many moments; rolled over while nobody looks, so that a repeat would double."""
    monkeypatch.setattr("otmon.delivery.shipper.MAX_BATCH_RECORDS", 25)
    target, rng = Target(elastic, namespace), random.Random(kills)
    made = filled(tmp_path, 2_000)
    shipper = once.Shipper

    def ship(begun: Callable[[], None]) -> None:
        def said(*arguments: object, **named: object) -> object:
            begun()
            return shipper(*arguments, **named)  # type: ignore[arg-type]  # whatever Shipper takes is handed on

        monkeypatch.setattr("otmon.delivery.once.Shipper", said)
        deliver(tmp_path, target.sink())

    midway = 0
    for number in range(kills):
        if made.made - done(tmp_path) < 1_000:
            made.append("audit", 2_000)
        pid, pipe = forked(ship)
        assert os.read(pipe, 1)
        time.sleep(rng.uniform(0.005, 0.08))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(pipe)
        with Ledger(tmp_path / NAME, spool.FINAL, readonly=True) as ledger:
            cursor = ledger.cursor("elastic", "audit")
        midway += cursor.sent > cursor.done
        if number % 5 == 0:
            target.rollover()
    print(f"{kills} kills, {midway} of them between sending and answer, {made.made} records")
    assert midway >= kills / 4
    assert deliver(tmp_path, target.sink()) == {"elastic": 0}
    assert target.ids() == sorted(made.ids["audit"])
    assert made.there() == set()


@pytest.mark.long
@pytest.mark.parametrize(("kills", "backlog"), [(1, 2_000), (4, 50_000)])
def test_the_node_is_killed_in_a_bulk(
    elastic_node: Callable[..., Node],
    namespace: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kills: int,
    backlog: int,
) -> None:
    """And stays away while more is spooled than a sensor says in an hour."""
    monkeypatch.setattr("otmon.delivery.shipper.MAX_BACKOFF_S", 1.0)
    node = elastic_node()
    target = Target(node, namespace)
    made = filled(tmp_path, 3_000 * (kills + 1), pad=300)
    delivery = Delivery(tmp_path, target.sink(), patience_s=120)
    for _ in range(kills):
        before = done(tmp_path)
        until(lambda before=before: done(tmp_path) >= before + 1_000)  # type: ignore[misc]  # bound now; mypy infers no lambda with a default
        node.kill()
        assert done(tmp_path) < made.made
        until(lambda: state(tmp_path)[0] == "away")
        node.start()
        target.rollover()
    node.kill()
    made.append("audit", backlog, pad=300)
    until(lambda: state(tmp_path)[0] == "away")
    assert delivery.left is None, "it goes on trying"
    node.start()
    assert delivery.whole(240) == {"elastic": 0}
    assert target.ids() == sorted(made.ids["audit"])
