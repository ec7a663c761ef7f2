"""What a sensor forgets, in which order, and that the file gives the room back."""

from pathlib import Path

import pytest

from otmon.limits import EPISODE_QUIET_NS
from otmon.model import Binding, Fact, HostRecord, OperationRecord
from otmon.site.part import Part
from otmon.store.retention import Forgotten, Retention, used_bytes
from otmon.store.sensor import SiteStore
from tests.alerts.stub import episode, operation
from tests.site.plant import T0, S, connection, op

DAY = 86_400 * S
NOW = T0 + 1000 * DAY
EVER = Retention(keep_ns=1 << 62)


def seen(number: int, last_ts_ns: int) -> OperationRecord:
    return op(client=f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", first=last_ts_ns, accepted=1)


def put_alert(store: SiteStore, number: int, last_ts_ns: int) -> None:
    one = episode(operation(client=f"10.3.{number >> 8}.{number & 255}"))
    one.last_ts_ns = last_ts_ns
    record = {"id": one.id, "last_ts_ns": last_ts_ns, "title": "x" * 500}
    store.alerts([one], [record])


def left(store: SiteStore) -> tuple[int, int, int]:
    part = store.part()
    (alerts,) = store._db.execute("SELECT count(*) FROM alerts").fetchone()
    assert alerts == len(part.episodes)
    return len(part.connections), alerts, len(part.operations)


def test_by_age(tmp_path: Path) -> None:
    with SiteStore(tmp_path / "site.db", "default", keep=Retention(keep_ns=30 * DAY)) as store:
        for number, age in enumerate((0, 29 * DAY, 31 * DAY, 300 * DAY)):
            put_alert(store, number, NOW - age)
            times = {"first_ts_ns": T0, "last_ts_ns": NOW - age}
            store.add(Part(operations=[seen(number, NOW - age)], connections=[connection(client_port=number, **times)]))
        assert store.forget(NOW) == Forgotten(2, 2, 2)
        assert left(store) == (2, 2, 2)
        assert store.forget(NOW) == Forgotten()
        assert store.forget(NOW + 2 * DAY) == Forgotten(1, 1, 1)
        assert store.forgotten == Forgotten(3, 3, 3)
    with SiteStore(tmp_path / "site.db", "default") as store:
        assert store.forgotten == Forgotten(3, 3, 3)


def test_connections_beyond_their_number(tmp_path: Path) -> None:
    with SiteStore(tmp_path / "site.db", "default", keep=Retention(keep_ns=1 << 62, max_connections=30)) as store:
        many = [connection(client_port=n, last_ts_ns=T0 + (n * 7) % 100) for n in range(100)]
        store.add(Part(connections=many))
        assert store.forget(NOW) == Forgotten(connections=70)
        assert sorted(c.last_ts_ns - T0 for c in store.part().connections) == list(range(70, 100))


def full(store: SiteStore) -> int:
    store.add(
        Part(
            operations=[seen(n, T0 + n) for n in range(3000)],
            connections=[connection(client_port=n, first_ts_ns=T0 + n, last_ts_ns=T0 + n) for n in range(3000)],
        )
    )
    for n in range(100):
        put_alert(store, n, NOW if n < 10 else T0 + n)
    return used_bytes(store._db)


@pytest.mark.parametrize(
    ("share", "whole"),
    [(0.8, (None, 100, 3000)), (0.6, (0, None, 3000)), (0.3, (0, 10, None)), (0.0, (0, 10, 0))],
    ids=str,
)
def test_by_size_the_least_valuable_goes_first(
    tmp_path: Path, share: float, whole: tuple[int | None, int | None, int | None]
) -> None:
    path = tmp_path / "site.db"
    with SiteStore(path, "default", keep=EVER) as store:
        size = full(store)
        assert store.forget(NOW) == Forgotten()
        store.keep = Retention(keep_ns=1 << 62, max_bytes=int(size * share))
        gone = store.forget(NOW)
        kept = left(store)
        assert tuple(number + more for number, more in zip(kept, gone[:3], strict=True)) == (3000, 100, 3000)
        for number, expected in zip(kept, whole, strict=True):
            assert number == expected or (expected is None and number > 0)
        if share:
            assert used_bytes(store._db) <= size * share
            newest = max(op.last_ts_ns for op in store.operations())
            assert newest == T0 + 2999, "the oldest go first"
        assert path.stat().st_size < size * max(share, 0.2) + 8192, "the file shrinks"


def test_an_alert_that_goes_on_stays(tmp_path: Path) -> None:
    with SiteStore(tmp_path / "site.db", "default", keep=Retention(keep_ns=0, max_bytes=0)) as store:
        put_alert(store, 1, NOW - EPISODE_QUIET_NS)
        put_alert(store, 2, NOW - EPISODE_QUIET_NS - 1)
        assert store.forget(NOW) == Forgotten(alerts=1)


def test_forged_addresses_do_not_fill_the_disk(tmp_path: Path) -> None:
    with SiteStore(tmp_path / "site.db", "default", keep=Retention(keep_ns=1 << 62, max_hosts=50)) as store:
        hosts = [HostRecord("default", f"10.0.{n >> 8}.{n & 255}", T0, T0 + n, 1, (0, 1)) for n in range(300)]
        store.add(Part(hosts=hosts))
        assert store.forget(NOW).hosts == 250
        assert {host.last_ts_ns for host in store.part().hosts} == {T0 + n for n in range(250, 300)}


def test_what_is_known_of_an_address_goes_with_it(tmp_path: Path) -> None:
    hosts = [HostRecord("default", f"10.0.0.{n}", T0, T0 + n * DAY, 1, (0, 1)) for n in range(10)]
    facts = [Fact("default", h.address, None, "model", "X", "modbus", (0, 1), T0, 0.9) for h in hosts]
    bindings = [Binding("default", f"02:00:00:00:00:0{n}", f"10.0.0.{n}", 0x806, True, T0, (0, 1)) for n in range(10)]
    with SiteStore(tmp_path / "site.db", "default", keep=Retention(keep_ns=5 * DAY)) as store:
        store.add(Part(hosts=hosts, facts=facts, bindings=bindings))
        assert store.forget(T0 + 10 * DAY) == Forgotten(hosts=5, bindings=5, facts=5)
        part = store.part()
    kept = {f"10.0.0.{n}" for n in range(5, 10)}
    assert {fact.address for fact in part.facts} == {binding.address for binding in part.bindings} == kept


def test_invented_identities_do_not_fill_the_disk(tmp_path: Path) -> None:
    keep = Retention(keep_ns=1 << 62, max_facts=50, max_bindings=20)
    with SiteStore(tmp_path / "site.db", "default", keep=keep) as store:
        facts = [Fact("default", "10.0.0.1", None, "model", f"{n}", "modbus", (0, 1), T0 + n, 0.9) for n in range(300)]
        bindings = [
            Binding("default", f"02:00:00:00:{n >> 8:02x}:{n & 255:02x}", "10.0.0.1", 0x806, True, T0 + n, (0, 1))
            for n in range(300)
        ]
        store.add(Part(facts=facts, bindings=bindings))
        assert store.forget(NOW) == Forgotten(bindings=280, facts=250)
        part = store.part()
    assert {fact.ts_ns - T0 for fact in part.facts} == set(range(250, 300))
    assert {binding.first_ts_ns - T0 for binding in part.bindings} == set(range(280, 300))
