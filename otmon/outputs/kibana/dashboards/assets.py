"""What is on the network."""

from typing import Final

from otmon.outputs.kibana.dashboards.shared import NO_ZONE, controls, intro
from otmon.outputs.kibana.panels import (
    ASSETS,
    Bars,
    Dashboard,
    Number,
    Row,
    Table,
    Terms,
    distinct,
    highest,
    latest,
    lowest,
)

_NAMELESS: Final = "NOT _exists_:otmon.asset.name"
_NEW: Final = "event.start:[now-24h TO now]"
_TEXT: Final = """
Everything here was learnt by listening: no device was asked. A **role** comes from behaviour: a *plc* or *rtu*
controls a process, an *hmi* or *scada* shows it to people, an *engineering* station programs controllers. The
**level** follows the Purdue model: 0-1 the process and its controllers, 2-3 supervision, 4-5 the office. **Vendor**,
**model** and **firmware** are what devices said of themselves, or what the MAC address says of the maker. A device
without a name is not in the policy: find out whose it is.
"""
ASSET_INVENTORY: Final = Dashboard(
    "assets",
    "Asset inventory: what is on the network?",
    "Every device, what it is, where it stands, since when it is there",
    "now-30d",
    controls("asset", ("otmon.asset.zone", "Zone"), ("otmon.asset.role", "Role")),
    (
        intro("assets", _TEXT),
        Row(
            5,
            (
                Number(16, "How many devices are there?", "asset", ASSETS),
                Number(16, "How many were first seen in the last 24 hours?", "asset", ASSETS, _NEW),
                Number(16, "How many does the policy not name?", "asset", ASSETS, _NAMELESS),
            ),
        ),
        Row(
            15,
            (
                Table(
                    48,
                    "Which devices, and what are they?",
                    "asset",
                    (Terms("otmon.asset.id", "device", 500),),
                    (
                        highest("event.end", "last seen"),
                        latest("otmon.asset.name", "name"),
                        latest("otmon.asset.address", "address"),
                        latest("otmon.asset.zone", "zone"),
                        latest("otmon.asset.level", "level"),
                        latest("otmon.asset.role", "role"),
                        latest("device.manufacturer", "vendor"),
                        latest("device.model.name", "model"),
                        latest("otmon.asset.firmware", "firmware"),
                        lowest("event.start", "first seen"),
                    ),
                ),
            ),
        ),
        Row(
            10,
            (
                Bars(12, "In which zones?", "asset", ASSETS, Terms("otmon.asset.zone", "zone", 20, none=NO_ZONE)),
                Bars(12, "In which roles?", "asset", ASSETS, Terms("otmon.asset.role", "role")),
                Bars(12, "Of which makers?", "asset", ASSETS, Terms("device.manufacturer", "vendor")),
                Bars(
                    12,
                    "Which control protocols do they answer?",
                    "operation",
                    distinct("destination.address", "devices"),
                    Terms("otmon.operation.protocol", "protocol"),
                    query="otmon.operation.protocol:(modbus OR dnp3 OR s7comm)",
                ),
            ),
        ),
        Row(
            12,
            (
                Table(
                    24,
                    "Which devices are not in the policy?",
                    "asset",
                    (Terms("otmon.asset.id", "device", 100),),
                    (
                        lowest("event.start", "first seen"),
                        latest("otmon.asset.address", "address"),
                        latest("host.mac", "MAC"),
                        latest("device.manufacturer", "vendor"),
                        latest("otmon.asset.role", "role"),
                        latest("otmon.site", "site"),
                    ),
                    _NAMELESS,
                ),
                Table(
                    24,
                    "Which firmware runs where (for vulnerability notices)?",
                    "asset",
                    (
                        Terms("device.manufacturer", "vendor", 20),
                        Terms("otmon.asset.model", "model", 20),
                        Terms("otmon.asset.firmware", "firmware", 20, none="(not said)"),
                    ),
                    (ASSETS, latest("otmon.asset.address", "for example")),
                ),
            ),
        ),
    ),
)
