"""Records as sensors and `analyze` deliver them: of the demo, of real captures, examples of what only a sensor says.

Times are moved so that everything happened within the last hours: dashboards look at what is recent.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from otmon.alerts.record import as_record
from otmon.engine import analyze
from otmon.outputs.sink import Outgoing
from otmon.policy.load import load_policy
from otmon.site.site import Site
from otmon.store.spool import operation_entry

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("OTMON_SHARED", ROOT.parent / "shared" / "captures"))
RECORDS = ROOT / "docs" / "records"
OURS = ("modbus_pymodbus", "dnp3_opendnp3", "s7_snap7", "s7_download")
REAL = (
    "zeek__zeek/dnp3.pcap",
    "zeek__zeek/fuzz-72.pcap",
    "zeek__zeek/modbus-and-non-modbus-p502.pcap",
    "digitalbond__Quickdraw-Snort/modbus_test_data_part1.pcap",
    "cisagov__icsnpp-s7comm/s7ident.pcap",
)
"""Small ones, where they are there (tests/verify looks at all)."""
MINUTE = 60_000_000_000
HOUR = 60 * MINUTE


def sample(now_ns: int) -> list[Outgoing]:
    """All of it, numbered as each sensor would."""
    counts: Counter[tuple[str, str]] = Counter()
    found = []
    for sensor, site, stream, name, ts_ns, record in (*_plant(now_ns), *_labs(now_ns), *_sensors(now_ns)):
        counts[sensor, stream] += 1
        found.append(Outgoing(stream, counts[sensor, stream], name, ts_ns, site, sensor, record))
    return found


Said = tuple[str, str, str, str, int, dict[str, Any]]
"""Sensor, site, stream, id, time, record."""


def _plant(now_ns: int) -> Iterator[Said]:
    yield from captured(ROOT / "captures/plant.pcap", "sensor-1", "water-works-3", now_ns - HOUR, "rules/plant.yaml")


def _labs(now_ns: int) -> Iterator[Said]:
    paths = [ROOT / f"captures/{name}.pcap" for name in OURS] + [SHARED / name for name in REAL]
    for number, path in enumerate(path for path in paths if path.is_file()):
        yield from captured(path, "analyst-pc", "lab", now_ns - (2 + number) * HOUR)


def captured(path: Path, sensor: str, site_name: str, end_ns: int, policy_path: str | None = None) -> Iterator[Said]:
    """What a capture says, moved to end at a time. Alerts come twice: as they began, and as they ended."""
    policy = load_policy(ROOT / policy_path) if policy_path else None
    site = Site(analyze([str(path)], policy=policy).part, policy)
    alerts = [as_record(episode, site) for episode in site.part.episodes]
    assets = [asset.as_record() for asset in site.assets]
    entries = [operation_entry(site_name, operation, "final") for operation in site.operations]
    last = max([one["last_ts_ns"] for one in (*alerts, *assets)] + [entry.ts_ns for entry in entries])
    move = end_ns - last

    for alert in alerts:
        moved = _moved({**alert, "site": site_name}, move)
        begun = {**moved, "count": min(1, moved["count"]), "last_ts_ns": moved["first_ts_ns"]}
        for revision, record in enumerate((begun, moved), 1):
            name = f"{alert['id']}-{revision}"
            yield sensor, site_name, "alert", name, record["last_ts_ns"], record | {"revision": revision}
    for asset in assets:
        record = _moved(asset, move)
        yield sensor, site_name, "asset", f"{site_name}-{path.stem}-{asset['id']}", record["last_ts_ns"], record
    for entry in entries:
        record = _moved(dict(entry.record), move)
        said = record["operation"]
        both = {side: _party(site, said["realm"], said[side]) for side in ("client", "server")}
        yield sensor, site_name, "operation", f"{path.stem}-{entry.id}", entry.ts_ns + move, record | both


def _moved(record: dict[str, Any], move: int) -> dict[str, Any]:
    return record | {name: record[name] + move for name in ("first_ts_ns", "last_ts_ns") if record[name]}


def _party(site: Site, realm: str, address: str) -> dict[str, Any]:
    who = site.who(realm, address)
    return {
        "endpoint": address,
        "asset": who["asset"],
        "name": who["name"],
        "zone": who["zone"],
        "roles": list(who["roles"]),
    }


def example(kind: str) -> dict[str, Any]:
    """Of docs/records."""
    found: dict[str, Any] = json.loads((RECORDS / f"{kind}.example.json").read_text())
    return found


def _sensors(now_ns: int) -> Iterator[Said]:
    """Two sensors for an hour: one is well; the other loses frames, has gaps, an interface down and no right time."""
    site, health = "water-works-3", example("health")
    ill = {
        "clock": {**health["clock"], "synchronised": False, "source": "adjtimex", "max_error_ns": 16_000_000_000},
        "interfaces": [
            {**health["interfaces"][0], "interface": "eth1", "dropped": 37, "interface_drops": 2},
            {**health["interfaces"][0], "interface": "eth2", "state": "down", "frames": 0, "received": 0},
        ],
        "ot_bytes": {"seen": 41250, "decoded": 40000, "gap": 1000, "encrypted": 250},
        "visibility": {"gaps": 3, "missing_bytes": 2048, "one_sided": 1, "copies": 12},
    }
    for minute in range(60, 0, -1):
        ts_ns = now_ns - minute * MINUTE
        for sensor, rest in (("sensor-1", {}), ("sensor-2", ill)):
            record = health | rest | {"ts_ns": ts_ns, "first_ts_ns": ts_ns - MINUTE}
            yield sensor, site, "sensor", f"{sensor}-{ts_ns}", ts_ns, record
    point = example("point")
    for minute, value in enumerate((71, 72.5, 70)):
        for start in (10, 12, 45):
            ts_ns = now_ns - (10 - minute) * MINUTE + start
            said = {"ts_ns": ts_ns, "value": value + start, "target": {**point["target"], "start": start, "end": start}}
            yield "sensor-1", site, "point", f"point-{ts_ns}", ts_ns, point | said
    audit = example("audit")
    message = "rules/plant.yaml:7:3: unknown key; the policy before stays in force."
    broken = {"action": "policy_broken", "message": message}
    for hours, rest in ((3, {}), (2, broken)):
        ts_ns = now_ns - hours * HOUR
        yield "sensor-1", site, "audit", f"audit-{ts_ns}", ts_ns, audit | rest | {"ts_ns": ts_ns}
