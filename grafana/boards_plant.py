"""Dashboards of the plant: devices, who speaks with whom, what is done, and each protocol."""

from typing import Final

from grafana.panels import (
    ASSET_ZONE,
    GOOD_AT_ZERO,
    SENSOR,
    SITE,
    ZONE,
    Board,
    course,
    figure,
    listing,
    matrix,
    ranking,
    table,
    words,
)
from grafana.queries import (
    ALERT,
    ALERTS,
    ASSET,
    DEVICES,
    FIRST,
    JUDGED,
    LAST,
    OPERATION,
    OPERATIONS,
    SCOPE,
    By,
    Metric,
    where,
)

_ALERT = ALERT.replace(" AND otmon.alert.severity:($severity)", "")
_FROM = By("source.address", "From", 30)
_FROM_NAME = By("otmon.name.source", "Name", 3, missing=True)
_TO = By("destination.address", "To", 20)
_TO_NAME = By("otmon.name.destination", "Its name", 3, missing=True)
_FROM_ZONE = By("otmon.zone.source", "From zone", 20, missing=True)
_TO_ZONE = By("otmon.zone.destination", "To zone", 20, missing=True)
_PROTOCOL = By("network.protocol", "Protocol", 10)
_FUNCTION = By("event.action", "Function", 20)
_TARGET = By("otmon.operation.target.text", "What is touched", 30, missing=True)
_VERDICT = By("otmon.policy.verdict", "Policy", 3, missing=True)
_TIMES = Metric("max", "otmon.outcomes.attempted", "Times so far")
_CHANGES = "otmon.operation.access:(write OR control OR program)"

ASSETS: Final = Board(
    "assets",
    "asset inventory",
    "Which devices are there, what they are, and where. Known from the traffic alone and from the policy's names.",
    (SITE, SENSOR, ASSET_ZONE),
    (
        [
            figure("How many devices?", "Different devices told of in this period.", "asset", ASSET, DEVICES, w=6),
            figure("How many has nobody named?", "Devices without a name in the policy: somebody should know them.",
                   "asset", where(ASSET, "NOT _exists_:otmon.asset.name"), DEVICES, GOOD_AT_ZERO, w=6),
            figure("How many are controllers?", "PLCs and remote terminal units: what moves things.", "asset",
                   where(ASSET, "otmon.asset.role:(plc OR rtu)"), DEVICES, w=6),
            figure("How many are new?", "First seen in this period.", "asset",
                   where(ASSET, "event.start:[$__from TO $__to]"), DEVICES, GOOD_AT_ZERO, w=6),
        ],
        [
            listing("Which devices are there?", "The newest word on each device.", "asset", ASSET, {
                        "otmon.asset.id": "Device",
                        "otmon.asset.address": "Address",
                        "otmon.asset.name": "Name",
                        "otmon.asset.zone": "Zone",
                        "otmon.asset.level": "Purdue level",
                        "otmon.asset.role": "Role",
                        "device.manufacturer": "Vendor",
                        "device.model.name": "Model",
                        "otmon.asset.firmware": "Firmware",
                        "otmon.asset.protocol": "Speaks",
                        "event.start": "First seen",
                        "@timestamp": "Last told",
                    }, latest_of="otmon.asset.id", size=1000, h=12),
        ],
        [
            ranking("In which zones?", "Devices in each zone of the policy.", "asset", ASSET,
                    By("otmon.asset.zone", "Zone"), DEVICES, w=6),
            ranking("What are they?", "Roles by behaviour and policy. A device may have several.", "asset", ASSET,
                    By("otmon.asset.role", "Role"), DEVICES, w=6),
            ranking("Who made them?", "The likeliest vendor, as the device or its MAC address says.", "asset", ASSET,
                    By("device.manufacturer", "Vendor"), DEVICES, w=6),
            ranking("Which control protocols do they speak?", "A device may speak several.", "asset", ASSET,
                    By("otmon.asset.protocol", "Protocol"), DEVICES, w=6),
        ],
        [
            course("When did the inventory change?", "Devices told of because they are new or something about them "
                   "changed.", "asset", ASSET, [DEVICES], By("otmon.asset.reason", "Reason"), bars=True, w=8),
            table("Which firmware runs?", "For comparison with security advisories.", "asset", ASSET,
                   (By("device.manufacturer", "Vendor", missing=True), By("device.model.name", "Model", missing=True),
                    By("otmon.asset.firmware", "Firmware")), (DEVICES,), w=8),
            table("What do devices say of themselves?", "Everything that was said, by kind and protocol; `ethernet` is "
                   "the owner of the MAC address's prefix.", "asset", ASSET,
                   (By("otmon.asset.attribute.name", "Kind"), By("otmon.asset.attribute.value", "What was said", 30),
                    By("otmon.asset.attribute.protocol", "By")),
                   (Metric("count", "", "Times told"),), nested="otmon.asset.attribute", w=8),
        ],
    ),
    since="now-30d",
)  # fmt: skip

CONDUITS: Final = Board(
    "conduits",
    "conduits between zones",
    "Which zones speak with which, and whether the policy allows it (IEC 62443 calls such a connection a conduit).",
    (SITE, SENSOR, ZONE),
    (
        [
            matrix("Which zones speak with which?", "Rows begin, columns answer. The number: operations told for the "
                   "first time, an operation being one function on one target between two devices.", "operation",
                   where(OPERATION, FIRST), _FROM_ZONE, _TO_ZONE, OPERATIONS),
            matrix("Where does the policy say no?", "The same, alerts only. Every number here is something the plant "
                   "has not allowed.", "alert", where(_ALERT, JUDGED), _FROM_ZONE, _TO_ZONE, ALERTS),
        ],
        [
            table("What goes through each conduit?", "By protocol, kind of access and the policy's verdict; without a "
                   "policy the verdict is –.", "operation", where(OPERATION, FIRST),
                   (_FROM_ZONE, _TO_ZONE, _PROTOCOL, By("otmon.operation.access", "Access", 8), _VERDICT),
                   (OPERATIONS,), h=10),
            table("Which alerts does each conduit have?", "By kind and severity.", "alert", where(_ALERT, JUDGED),
                   (_FROM_ZONE, _TO_ZONE, By("otmon.alert.kind", "Kind"), By("otmon.alert.severity", "Severity")),
                   (ALERTS, LAST), h=10),
        ],
        [
            course("How much is allowed and denied?", "Operations told for the first time.", "operation",
                   where(OPERATION, FIRST), [OPERATIONS], _VERDICT, bars=True),
            table("Which rules are used?", "Rows of the policy that permit, or deny. A row that is never here may be "
                   "one too many.", "operation", where(OPERATION, FIRST), (By("rule.id", "Rule", 50), _VERDICT),
                   (OPERATIONS, LAST)),
        ],
        [
            table("Which pairs of devices speak across zones?", "Most operations first.", "operation",
                   where(OPERATION, FIRST), (_FROM, _FROM_NAME, _TO, _TO_NAME, _PROTOCOL),
                   (OPERATIONS, LAST), w=24, h=10),
        ],
    ),
)  # fmt: skip

OPERATIONS_BOARD: Final = Board(
    "operations",
    "operations and baseline",
    "What is done in the plant, and what is new of it. A plant repeats itself: what was never there before matters.",
    (SITE, SENSOR, ZONE),
    (
        [
            figure("How many operations are new?", "Operations whose first occurrence is in this period.", "operation",
                   where(OPERATION, FIRST, "event.start:[$__from TO $__to]"), OPERATIONS, w=6),
            figure("How many of them change something?", "New writes, switching, and programming.", "operation",
                   where(OPERATION, FIRST, _CHANGES, "event.start:[$__from TO $__to]"), OPERATIONS, GOOD_AT_ZERO, w=6),
            figure("How many are denied?", "Operations that the policy does not allow.", "operation",
                   where(OPERATION, FIRST, "otmon.policy.verdict:deny"), OPERATIONS, GOOD_AT_ZERO, w=6),
            figure("How many devices begin something?", "Different clients.", "operation", OPERATION,
                   Metric("cardinality", "source.address", "Devices"), w=6),
        ],
        [
            table("What is new today?", "First seen in this period. Choose another with the clock above. Reads of a "
                   "panel that was added are harmless; a new device that writes is not.", "operation",
                   where(OPERATION, FIRST, "event.start:[$__from TO $__to]"),
                   (_FROM, _FROM_NAME, _TO, _TO_NAME, _PROTOCOL, _FUNCTION, _TARGET, _VERDICT),
                   (_TIMES, LAST), w=24, h=12),
        ],
        [
            course("When did new operations come?", "In steady work this is flat at zero.", "operation",
                   where(OPERATION, FIRST), [OPERATIONS], By("otmon.operation.access", "Access", 8), bars=True, w=12),
            ranking("What kinds of access?", "read and connect look; write and control change the process; program "
                    "changes the controller; diagnose and identify ask.", "operation", where(OPERATION, FIRST),
                    By("otmon.operation.access", "Access", 8), OPERATIONS, w=6),
            ranking("How did devices answer?", "accepted: done. rejected: refused. unanswered: no answer came. unseen: "
                    "the answer could not be seen.", "operation", where(OPERATION, FIRST),
                    By("otmon.outcome", "Outcome"), OPERATIONS, w=6),
        ],
        [
            table("Who changes something?", "Writes, switching and programming, most operations first.", "operation",
                   where(OPERATION, FIRST, _CHANGES), (_FROM, _FROM_NAME, _TO, _TO_NAME, _FUNCTION),
                   (OPERATIONS, _TIMES, LAST), h=10),
            table("What do devices refuse?", "Somebody asks for what is not there or not allowed: a wrong setting, or "
                   "somebody who looks around.", "operation", where(OPERATION, "otmon.outcomes.rejected:>0"),
                   (_FROM, _TO, _PROTOCOL, _FUNCTION),
                   (Metric("max", "otmon.outcomes.rejected", "Refused"), LAST), h=10),
        ],
        [
            table("What has a rhythm?", "Operations that repeat, with their median interval and how much it varies. A "
                   "rhythm that changes means that somebody changed a program.", "operation",
                   where(OPERATION, "_exists_:otmon.operation.period_ns"), (_FROM, _TO, _FUNCTION, _TARGET),
                   (Metric("max", "otmon.operation.period_ns", "Interval", "ns"),
                    Metric("max", "otmon.operation.period_spread_ns", "Varies by", "ns"), _TIMES), w=12),
            table("How fast do devices answer?", "Median and slowest hundredth of the answers. Slower than usual: "
                   "overload, or somebody in between.", "operation",
                   where(OPERATION, "_exists_:otmon.operation.response.p50_ns"), (_TO, _TO_NAME, _PROTOCOL),
                   (Metric("avg", "otmon.operation.response.p50_ns", "Usually", "ns"),
                    Metric("max", "otmon.operation.response.p99_ns", "Slowest", "ns")), w=12),
        ],
    ),
)  # fmt: skip


def _protocol(name: str, field: str, title: str, about: str, address: By, extra: str) -> Board:
    """The same questions for every control protocol."""
    of = f"network.protocol:{field}"
    operations, changes = where(OPERATION, FIRST, of), where(OPERATION, FIRST, of, _CHANGES)
    return Board(
        name,
        title,
        about,
        (SITE, SENSOR, ZONE),
        (
            [words("Words of this protocol", extra)],
            [
                ranking("Which functions are used?", "Operations of each function.", "operation", operations, _FUNCTION,
                        OPERATIONS),
                ranking("Which devices are asked?", "Operations on each device.", "operation", operations,
                        By("destination.address", "Device"), OPERATIONS),
                ranking("Who asks?", "Operations of each client.", "operation", operations,
                        By("source.address", "Client"), OPERATIONS),
            ],
            [
                table("Who changes something, and where?", "Writes, switching, programming.", "operation", changes,
                       (_FROM, _TO, address, _FUNCTION, _TARGET, _VERDICT), (_TIMES, LAST), w=24, h=9),
            ],
            [
                table("What is read?", "Ordinary polling. Look for clients that should not be here.", "operation",
                       where(operations, "otmon.operation.access:read"), (_FROM, _TO, address, _FUNCTION, _TARGET),
                       (_TIMES, LAST), w=12, h=9),
                listing("What is not allowed?", "The newest state of each alert of this protocol.", "alert",
                        where(_ALERT, of), {
                            "@timestamp": "Last change",
                            "otmon.alert.severity": "Severity",
                            "message": "What happened",
                            "otmon.alert.id": "Alert",
                        }, latest_of="otmon.alert.id", size=500, w=12),
            ],
            [
                course("How did values go?", "Mean of the values seen on the wire, of the ten points most often seen.",
                       "point", where(SCOPE, f"otmon.operation.protocol:{field}"),
                       [Metric("avg", "otmon.point.value", "Value")], By("otmon.point.name", "Point", 10), w=12),
                table("Between which limits?", "Lowest and highest value of each point, and how often it was seen.",
                       "point", where(SCOPE, f"otmon.operation.protocol:{field}"),
                       (By("otmon.point.name", "Point", 50),),
                       (Metric("min", "otmon.point.value", "Lowest"), Metric("max", "otmon.point.value", "Highest"),
                        Metric("sum", "otmon.point.count", "Seen")), w=12),
            ],
        ),
    )  # fmt: skip


MODBUS: Final = _protocol(
    "modbus", "modbus", "Modbus", "Simple controllers, drives and meters: numbered switches and numbers.",
    By("otmon.operation.unit", "Unit", 20),
    "A **coil** is a switch that can be turned on and off, a **discrete input** one that can only be looked at. A "
    "**holding register** is a number that can be set (a setpoint, a mode), an **input register** one that is only "
    "measured. A **unit** is a device behind the address, often behind a gateway. Modbus has no passwords: whoever can "
    "connect can write.",
)  # fmt: skip
DNP3: Final = _protocol(
    "dnp3", "dnp3", "DNP3", "Substations, water and pipelines: a master and its outstations.",
    By("otmon.operation.link_destination", "Outstation", 20),
    "A **master** asks, an **outstation** answers and may report by itself (**unsolicited**). **Select** and "
    "**operate** switch a breaker or valve, in two steps so that nothing switches by mistake; **direct operate** does "
    "it in one. **Cold restart** switches an outstation off and on. **Binary** points are on or off, **analog** points "
    "are numbers.",
)  # fmt: skip
S7: Final = _protocol(
    "s7", "s7comm", "S7", "Siemens S7 controllers.",
    By("otmon.operation.target.space", "Where", 20),
    "**read_var** and **write_var** look at and set memory: **DB** is a data block, **M** flags, **I** inputs, **Q** "
    "outputs. **Download** puts program blocks (OB, FB, FC) into the controller, **upload** takes them out. "
    "**plc_stop** stops it. Only the engineering station should download or stop, and only when work is announced.",
)  # fmt: skip
