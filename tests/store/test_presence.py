"""Who is said never to have been seen is whom a look at every record finds nothing of."""

import random
import sqlite3
from collections import Counter
from fnmatch import fnmatchcase
from typing import NamedTuple

from otmon.model import Counts, HostRecord, OperationKey, OperationRecord
from otmon.policy.pattern import parse_pattern
from otmon.site.part import Part
from otmon.site.site import Site
from otmon.store.database import write_database
from otmon.store.presence import unknown
from tests.store.test_absence import END, S, connection

REALMS = ["default", "east"]


class Sight(NamedTuple):
    """What one record says of who was there."""

    realm: str
    addresses: tuple[str, ...]
    server: str
    unit: int | None
    port: int | None
    first_ts_ns: int
    last_ts_ns: int


class Asked(NamedTuple):
    realm: str | None
    client: str | None
    server: str | None
    unit: int | None
    port: int | None

    @property
    def words(self):
        parts = [f"realm {self.realm}"] if self.realm else []
        parts += [f"{self.client or '*'} -> {self.server or '*'} *"]
        parts += [f"port {self.port}"] if self.port is not None else []
        parts += [f"unit {self.unit}"] if self.unit is not None else []
        return " ".join(parts)


def some(choose):
    """A part of a few records, each of some time and of one of two realms, and what each says."""
    operations, hosts, connections, sights = {}, {}, [], []
    for _ in range(choose.randrange(1, 8)):
        first, last = (at * S for at in sorted(choose.sample(range(END), 2)))
        where = choose.choice(REALMS), f"10.0.2.{choose.randrange(4)}", f"10.0.1.{choose.randrange(4)}"
        port, unit = choose.choice([502, 503]), choose.choice([choose.randrange(4), (9, choose.randrange(4))])
        protocol = "modbus" if isinstance(unit, int) else "dnp3"
        key = OperationKey(*where, "tcp", port, protocol, unit, 3, "read", "read", None)
        operations[key] = OperationRecord(key, Counts(2, 2), 9, first, last, (0, 1), {}, {}, None, None)
    for _ in range(choose.randrange(4)):
        first, last = (at * S for at in sorted(choose.sample(range(END), 2)))
        place = choose.choice(REALMS), f"10.0.3.{choose.randrange(4)}"
        hosts[place] = HostRecord(*place, first, last, 9, (0, 1))
    for n in range(choose.randrange(3)):
        one = connection(*sorted(choose.sample(range(END), 2)), f"10.0.4.{choose.randrange(4)}")
        connections.append(one._replace(realm=choose.choice(REALMS), client_port=n))
    for key, one in operations.items():
        unit = key.unit[1] if isinstance(key.unit, tuple) else key.unit
        sights.append(Sight(key.realm, key[1:3], key.server, unit, key.port, *one[3:5]))
    sights += [
        Sight(one.realm, (one.address,), "", None, None, one.first_ts_ns, one.last_ts_ns) for one in hosts.values()
    ]
    for one in connections:
        sights.append(Sight(one.realm, (one.client, one.server), "", None, None, one.first_ts_ns, one.last_ts_ns))
    return Part(operations=list(operations.values()), connections=connections, hosts=list(hosts.values())), sights


def right(asked, sights, start_ns, end_ns):
    """What is unknown, by a look at each."""
    here = [one for one in sights if asked.realm in (None, one.realm)]
    there = [one for one in here if asked.server is None or fnmatchcase(one.server, asked.server)]
    found = {
        "realm": here if asked.realm else None,
        **{
            side: wanted and [one for one in here if any(fnmatchcase(address, wanted) for address in one.addresses)]
            for side, wanted in (("client", asked.client), ("server", asked.server))
        },
        "unit": None if asked.unit is None else [one for one in there if one.unit == asked.unit],
        "port": None if asked.port is None else [one for one in there if one.port == asked.port],
    }
    out = set()
    for what, known in found.items():
        first = min((one.first_ts_ns for one in known or ()), default=end_ns)
        last = max((one.last_ts_ns for one in known or ()), default=0)
        if known is not None and not (first < end_ns and last >= start_ns):
            out.add(what)
    if "realm" in out:
        return {"realm"}
    return out - {"unit", "port"} if "server" in out else out


def question(choose):
    def address(nets, *more):
        return choose.choice([None, f"10.0.{choose.choice(nets)}.{choose.randrange(5)}", *more])

    return Asked(
        *(choose.choice([None, None, "east", "west"]), address("1234"), address("123", "10.0.1.*")),
        *(choose.choice([None, choose.randrange(5)]), choose.choice([None, 502, 504])),
    )


def test_who_was_never_seen_is_unknown(tmp_path):
    choose = random.Random(12)
    answers = Counter()
    for number in range(60):
        part, sights = some(choose)
        write_database(tmp_path / f"{number}.db", Site(part), [])
        with sqlite3.connect(tmp_path / f"{number}.db") as db:
            for _ in range(20):
                start_ns = choose.randrange(END - 1) * S
                end_ns = start_ns + choose.choice([1, 30, 300]) * S
                asked = question(choose)
                found = unknown(db, parse_pattern(asked.words, {}), start_ns, end_ns)
                assert {one.what for one in found} == right(asked, sights, start_ns, end_ns), (asked, start_ns, end_ns)
                for one in found:
                    never = one.first_ts_ns is None
                    assert never or not (one.first_ts_ns < end_ns and one.last_ts_ns >= start_ns)
                    answers[one.what, never] += 1
                answers["nobody"] += not found
    assert all(answers[what, never] > 9 for what in ("client", "server", "unit", "port") for never in (True, False))
    assert answers["realm", True] > 9
    assert answers["nobody"] > 99


def test_of_many_addresses_those_written_alike_are_near(tmp_path):
    hosts = [
        HostRecord("default", f"10.{a}.{b}.{c}", 0, S, 1, (0, 1)) for a in (0, 7) for b in (1, 2) for c in range(200)
    ]
    write_database(tmp_path / "site.db", Site(Part(hosts=hosts)), [])
    with sqlite3.connect(tmp_path / "site.db") as db:
        ((*_, near),) = unknown(db, parse_pattern("10.0.11.113", {}), 0, S)
    assert "10.0.1.113" in near
