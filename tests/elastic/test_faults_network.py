"""A network that cuts, delays, doubles and garbles; a bulk whose answer is lost before a rollover."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from otmon.delivery.ledger import NAME, Ledger
from otmon.store import spool
from tests.elastic.proxy import Proxy
from tests.elastic.server import Node
from tests.elastic.shipping import Target, deliver, filled, forked, state, until

SEEDS = [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 12))]
FAULTS = ("cut", "delay", "double", "garble")


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same waits, shorter."""
    monkeypatch.setattr("otmon.outputs.elastic.connection.client.__defaults__", (3.0,))
    monkeypatch.setattr("otmon.delivery.shipper.FIRST_BACKOFF_S", 0.05)
    monkeypatch.setattr("otmon.delivery.shipper.MAX_BACKOFF_S", 0.5)
    monkeypatch.setattr("otmon.delivery.shipper.STOPPED_S", 0.2)
    monkeypatch.setattr("otmon.delivery.shipper.MAX_BATCH_RECORDS", 100)


@pytest.fixture
def proxy(elastic: Node) -> Iterator[Proxy]:
    with Proxy(int(elastic.url.rpartition(":")[2])) as made:
        yield made


def through(target: Target, proxy: Proxy, folder: Path) -> int:
    """Deliver all of it; how often it was begun again, since the other end seemed to be none that will have us."""
    url = f"{target.settings.url.rpartition(':')[0]}:{proxy.port}"
    for begun in range(200):
        if not deliver(folder, target.sink(url=url))["elastic"]:
            return begun
        target.rollover()
    raise AssertionError(f"never whole: {state(folder)}")


def letters(folder: Path) -> list[str]:
    with Ledger(folder / NAME, spool.FINAL, readonly=True) as ledger:
        return [letter.id for letter in ledger.dead()]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.usefixtures("hurried")
def test_a_network_that_spoils_everything(
    elastic: Node, proxy: Proxy, namespace: str, tmp_path: Path, seed: int
) -> None:
    """Without TLS what is garbled shows by the checksum of gzip."""
    target = Target(elastic, namespace)
    proxy._rng.seed(seed)
    proxy.faults = FAULTS
    made = filled(tmp_path, 5_000)
    begun = through(target, proxy, tmp_path)
    print(f"seed {seed}: {dict(proxy.done)}, begun again {begun} times")
    assert sum(proxy.done.values()) >= 5
    assert target.ids() == sorted(made.ids["audit"])
    assert letters(tmp_path) == []
    assert made.there() == set()


@pytest.mark.parametrize("killed", [False, True])
def test_a_rollover_between_send_and_retry(
    elastic: Node, proxy: Proxy, namespace: str, tmp_path: Path, killed: bool
) -> None:
    """Its answer is lost, and whoever sent it tries again or is killed before it can."""
    target = Target(elastic, namespace)
    made = filled(tmp_path, 200)  # one request
    proxy.swallow = 1
    sink = target.sink(url=f"http://127.0.0.1:{proxy.port}")
    if killed:
        elastic.freeze()
        try:
            pid, pipe = forked(lambda _: deliver(tmp_path, sink))
            until(lambda: sent(tmp_path) == 200)
        finally:
            elastic.thaw()
        until(lambda: proxy.done["swallow"])
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(pipe)
    else:
        assert deliver(tmp_path, sink, patience_s=0) == {"elastic": 200}
        assert state(tmp_path)[0] == "away"
    until(lambda: len(target.ids()) == 200)
    target.rollover()
    assert deliver(tmp_path, target.sink()) == {"elastic": 0}
    assert target.ids() == sorted(made.ids["audit"])


def sent(folder: Path) -> int:
    if not (folder / NAME).exists():
        return 0
    with Ledger(folder / NAME, spool.FINAL, readonly=True) as ledger:
        return ledger.cursor("elastic", "audit").sent
