"""otmon's own fields, all below `otmon`: what ECS has no name for."""

from typing import Final

from otmon.alerts.advice import ADVICE
from otmon.outputs.elastic.rows import (
    ALERT,
    ASSET,
    AUDIT,
    COUNTED,
    EVERY,
    LASTING,
    OPERATION,
    PAIR,
    POINT,
    SENSOR,
    Row,
)

ADVISED: Final = {
    "process": "What it means for the plant.",
    "security": "What it means for security.",
    "check": "What to look at first.",
    "harmless": "When nothing is wrong.",
}
FRAME_BUCKETS: Final = {
    "ot": "control traffic",
    "tcp_control": "TCP without payload",
    "other_ip": "other IP traffic",
    "non_ip": "no IP",
    "fragment": "parts of IP datagrams",
    "copy": "seen before: a mirror that doubles",
    "malformed": "broken headers",
    "truncated": "cut by the snap length",
    "unsupported": "layers otmon does not look into",
    "shed": "no room in a full table",
    "internal": "a fault in otmon",
}
BYTE_BUCKETS: Final = {
    "seen": "all of it",
    "decoded": "understood",
    "gap": "undecodable because something before was not captured",
    "malformed": "no valid PDU",
    "unrecognised": "not the protocol of its port",
    "encrypted": "encrypted",
    "truncated": "cut by the snap length",
    "copy": "seen before",
    "shed": "no room in a full table",
    "pending": "by how much what waits grew; may be negative",
}
OUTCOMES: Final = {
    "attempted": "all of them",
    "accepted": "the device did it",
    "rejected": "the device refused",
    "partial": "the device did a part",
    "unanswered": "no answer came",
    "unseen": "the answer could not be seen",
    "pending": "the answer may still come",
}
INTERFACE: Final = {
    "received": "Frames put into the ring; with `dropped` all that came.",
    "dropped": "Frames for which the ring had no room.",
    "interface_drops": "Frames the network card or its driver lost.",
    "freezes": "Times the ring was full.",
}
VISIBILITY: Final = {
    "gaps": "Holes in control conversations.",
    "missing_bytes": "Bytes never captured, estimated.",
    "one_sided": "Connections of which one direction was seen; may shrink.",
    "copies": "Frames that came twice.",
}

_COMMON: Final = (
    Row("otmon.site", "keyword", EVERY, "The plant, from the policy.", "water-works-3"),
    Row("otmon.ts_ns", "long", EVERY, "`@timestamp` exactly: nanoseconds since 1970.", 1795312751370455000),
    Row("otmon.first_ts_ns", "long", LASTING, "`event.start` exactly.", 1795312751370455000),
    Row("otmon.last_ts_ns", "long", LASTING, "`event.end` exactly.", 1795312751370455000),
    Row("otmon.sequence", "alias", EVERY, "Another name of `event.sequence`.", "event.sequence"),
    Row("otmon.realm", "keyword", (*PAIR, *ASSET), "Where an address means one thing.", "default"),
    Row("otmon.zone.source", "keyword", COUNTED, "The client's zone, from the policy.", "supervision"),
    Row("otmon.zone.destination", "keyword", COUNTED, "The server's zone.", "control"),
    Row("otmon.name.source", "keyword", COUNTED, "The client's name, from the policy.", "HMI-2"),
    Row("otmon.name.destination", "keyword", COUNTED, "The server's name.", "PLC-3"),
    Row("otmon.role.source", "keyword", COUNTED, "The client's roles.", ["hmi"]),
    Row("otmon.role.destination", "keyword", COUNTED, "The server's roles.", ["plc"]),
    Row("otmon.asset.source", "keyword", COUNTED, "The client's `otmon.asset.id`.", "8ed4aef790ce"),
    Row("otmon.asset.destination", "keyword", COUNTED, "The server's `otmon.asset.id`.", "5c0a1be2f7d3"),
    Row("otmon.policy.verdict", "keyword", COUNTED, "permit or deny.", "deny"),
    Row("otmon.policy.row", "keyword", COUNTED, "The row that denies or permits; missing: denied by default.",
        "historian-only-reads"),
    Row("otmon.outcome", "keyword", COUNTED, "The worst that happened: accepted before partial, unseen, unanswered, "
        "pending, rejected.", "accepted"),
    *(Row(f"otmon.outcomes.{name}", "long", COUNTED, f"Times so far: {about}.", 1) for name, about in OUTCOMES.items()),
)  # fmt: skip

_OPERATION: Final = (
    Row("otmon.operation.protocol", "keyword", PAIR, "As `network.protocol`.", "modbus"),
    Row("otmon.operation.function", "keyword", COUNTED, "Name in the protocol's function table.",
        "write_single_register"),
    Row("otmon.operation.function_code", "long", COUNTED, "As on the wire.", 6),
    Row("otmon.operation.access", "keyword", PAIR, "read, write, control, program, diagnose, identify, connect.",
        "write"),
    Row("otmon.operation.initiated_by", "keyword", COUNTED, "client; server: sent unasked.", "client"),
    Row("otmon.operation.unit", "long", PAIR, "Modbus unit identifier.", 1),
    Row("otmon.operation.link_source", "long", PAIR, "DNP3: the master's link address.", 1),
    Row("otmon.operation.link_destination", "long", PAIR, "DNP3: the outstation's link address.", 10),
    Row("otmon.operation.target.text", "keyword", PAIR, "What was touched, in words; of an alert all that is listed.",
        ["holding_register 45"]),
    Row("otmon.operation.target.space", "keyword", PAIR, "Address space, or the sort of thing `name` names; of an "
        "alert of its first target.", "holding_register"),
    Row("otmon.operation.target.start", "long", PAIR, "First address, from 0.", 45),
    Row("otmon.operation.target.end", "long", PAIR, "Last address.", 45),
    Row("otmon.operation.target.name", "keyword", PAIR, "Block, service or file.", "OB1"),
    Row("otmon.operation.reason", "keyword", OPERATION, "new: not seen before; summary: figures so far; final: the run "
        "is over.", "new"),
    Row("otmon.operation.bytes", "long", OPERATION, "Bytes of its PDUs so far.", 24576),
    Row("otmon.operation.period_ns", "long", OPERATION, "Median interval.", 1000000000),
    Row("otmon.operation.period_spread_ns", "long", OPERATION, "Interquartile range of the intervals.", 0),
    Row("otmon.operation.response.p50_ns", "long", OPERATION, "Median response time.", 2483000),
    Row("otmon.operation.response.p99_ns", "long", OPERATION, "99th percentile of the response time.", 5931000),
)  # fmt: skip

_ALERT: Final = (
    Row("otmon.alert.id", "keyword", ALERT, "Id of the alert. Count distinct ones: each change is a document.",
        "ab8a3c05a35e47395105"),
    Row("otmon.alert.revision", "long", ALERT, "Grows with each change; the highest is what holds.", 1),
    Row("otmon.alert.kind", "keyword", ALERT, "segmentation, command, value, asset, protocol, visibility.", "value"),
    Row("otmon.alert.severity", "keyword", ALERT, "info, low, medium, high, critical.", "high"),
    Row("otmon.alert.count", "long", ALERT, "Occurrences so far; of a finding gaps, frames or connections.", 1),
    Row("otmon.alert.count_at_least", "boolean", ALERT, "true: the sensor was ended by force meanwhile.", True),
    Row("otmon.alert.review", "keyword", ALERT, "Why a person must decide, from the policy.", "stops are announced"),
    Row("otmon.alert.nearest", "keyword", ALERT, "The row that comes closest.", "scada-polls-plcs"),
    Row("otmon.alert.separation", "keyword", ALERT, "What separates the operation from it.",
        "Row scada-polls-plcs allows 0-100 there."),
    Row("otmon.advice.topic", "keyword", ALERT, "What sort of alert it is, as docs/soc.md has it.", "write"),
    *(Row(f"otmon.advice.{name}", "keyword", ALERT, about, ADVICE["write"][n]) for n, (name, about) in enumerate(
        ADVISED.items())),
    Row("otmon.alert.flags", "keyword", ALERT, "What was odd about the first message.", ["length_mismatch"]),
    Row("otmon.alert.evidence", "keyword", ALERT, "First frames: input number, frame number as in Wireshark.", ["1:7"]),
    Row("otmon.alert.unit", "keyword", ALERT, "Modbus units; DNP3 master and outstation.", ["1", "1-10"]),
    Row("otmon.alert.more_targets", "long", ALERT, "Targets beyond those listed.", 0),
    Row("otmon.alert.targets", "nested", ALERT, "What was touched, neighbours joined.", None),
    Row("otmon.alert.targets.space", "keyword", ALERT, "As `otmon.operation.target.space`.", "holding_register"),
    Row("otmon.alert.targets.start", "long", ALERT, "First address.", 45),
    Row("otmon.alert.targets.end", "long", ALERT, "Last address.", 45),
    Row("otmon.alert.targets.name", "keyword", ALERT, "Block, service or file.", "OB1"),
    *(Row(f"otmon.alert.targets.{name}", "long", ALERT, f"Times: {about}.", 1) for name, about in OUTCOMES.items()),
    Row("otmon.attack.id", "keyword", ALERT, "ATT&CK for ICS, current ids, sub-techniques as they are.",
        ["T0836", "T1692.001"]),
    Row("otmon.attack.older_id", "keyword", ALERT, "Ids of the same until version 18, where they differ.", ["T0855"]),
    Row("otmon.attack.version", "keyword", ALERT, "Version of the current ids.", "19"),
    Row("otmon.visibility.reason", "keyword", ALERT, "Of a finding: what could not be seen or understood, and why.",
        "gap"),
    Row("otmon.visibility.bytes", "long", ALERT, "Of a finding: bytes.", 120),
    Row("otmon.visibility.frames", "long", ALERT, "Of a finding: frames.", 2),
    Row("otmon.visibility.connections", "long", ALERT, "Of a finding: connections.", 1),
)  # fmt: skip

_ASSET: Final = (
    Row("otmon.asset.id", "keyword", ASSET, "The device, the same for the same site, realm and address.",
        "5c0a1be2f7d3"),
    Row("otmon.asset.name", "keyword", ASSET, "From the policy.", "PLC-3"),
    Row("otmon.asset.address", "keyword", ASSET, "The address it is known by.", "10.0.1.13"),
    Row("otmon.asset.zone", "keyword", ASSET, "From the policy.", "control"),
    Row("otmon.asset.level", "float", ASSET, "Purdue level, from the policy.", 1.0),
    Row("otmon.asset.parent", "keyword", ASSET, "Id of the gateway it sits behind.", "0f1e2d3c4b5a"),
    Row("otmon.asset.role", "keyword", ASSET, "plc, rtu, hmi …: from behaviour and policy.", ["plc"]),
    Row("otmon.asset.protocol", "keyword", ASSET, "Control protocols it was seen with.", ["modbus"]),
    Row("otmon.asset.unit", "long", ASSET, "Modbus units and DNP3 link addresses it answered for or used.", [1]),
    Row("otmon.asset.vendor", "keyword", ASSET, "Every vendor that was said, the likeliest first.",
        ["Schneider Electric", "TELEMECANIQUE ELECTRIQUE"]),
    Row("otmon.asset.model", "keyword", ASSET, "Every model that was said.", ["BMX P34 2020"]),
    Row("otmon.asset.firmware", "keyword", ASSET, "Every firmware that was said.", ["V3.2.6"]),
    Row("otmon.asset.serial", "keyword", ASSET, "Every serial number that was said.", ["S C-C2UR28922012"]),
    Row("otmon.asset.attribute", "nested", ASSET, "Everything the device or its MAC says of it.", None),
    Row("otmon.asset.attribute.name", "keyword", ASSET, "vendor, model, firmware, serial and others.", "model"),
    Row("otmon.asset.attribute.value", "keyword", ASSET, "What was said.", "BMX P34 2020"),
    Row("otmon.asset.attribute.protocol", "keyword", ASSET, "Where; ethernet: registered owner of the MAC's prefix.",
        "modbus"),
    Row("otmon.asset.attribute.confidence", "float", ASSET, "0 to 1.", 0.9),
    Row("otmon.asset.reason", "keyword", ASSET, "new, changed, final.", "new"),
)  # fmt: skip

_SENSOR: Final = (
    *(Row(f"otmon.sensor.{name}", "long", SENSOR, f"All interfaces: {about}", 0) for name, about in INTERFACE.items()),
    Row("otmon.sensor.processed", "long", SENSOR, "Frames read and processed.", 2851),
    Row("otmon.sensor.shed", "long", SENSOR, "Frames, messages and alerts that found no room.", 0),
    Row("otmon.sensor.connections", "long", SENSOR, "Connections that were new or grew.", 14),
    Row("otmon.sensor.interfaces_up", "long", SENSOR, "Interfaces that are up.", 1),
    Row("otmon.sensor.interfaces_down", "long", SENSOR, "Interfaces that are down or gone.", 0),
    Row("otmon.sensor.interface", "nested", SENSOR, "Each interface.", None),
    Row("otmon.sensor.interface.name", "keyword", SENSOR, "Name.", "eth1"),
    Row("otmon.sensor.interface.state", "keyword", SENSOR, "up, down, gone.", "up"),
    *(Row(f"otmon.sensor.interface.{name}", "long", SENSOR, about, 0) for name, about in INTERFACE.items()),
    Row("otmon.sensor.interface.processed", "long", SENSOR, "Frames read and processed.", 2851),
    Row("otmon.sensor.waiting", "long", SENSOR, "Records that wait for outputs, of all of them.", 0),
    Row("otmon.sensor.behind_s", "double", SENSOR, "Age of the oldest record that waits for one, in seconds.", 12.5),
    Row("otmon.sensor.outputs_down", "long", SENSOR, "Outputs that do not take what they are sent.", 0),
    Row("otmon.sensor.delivery", "nested", SENSOR, "Each output.", None),
    Row("otmon.sensor.delivery.sink", "keyword", SENSOR, "elastic, syslog, webhook, lines.", "syslog"),
    Row("otmon.sensor.delivery.state", "keyword", SENSOR,
        "well, away (it is tried again), stopped (somebody must mend something), ended (nobody delivers).", "well"),
    Row("otmon.sensor.delivery.waiting", "long", SENSOR, "Records that wait for it.", 0),
    Row("otmon.sensor.delivery.behind_s", "double", SENSOR, "Age of the oldest of them, in seconds.", 12.5),
    Row("otmon.sensor.delivery.dead", "long", SENSOR, "Records it will never take, ever.", 0),
    Row("otmon.sensor.late_frames", "long", SENSOR, "Taps: frames given after a later one of the other side.", 0),
    Row("otmon.sensor.skew_ns", "long", SENSOR, "Taps: by how much the second sides are stamped later.", [1200]),
    Row("otmon.sensor.clock.source", "keyword", SENSOR, "Who was asked about the clock.", "adjtimex"),
    Row("otmon.sensor.clock.synchronised", "boolean", SENSOR, "Whether it is.", True),
    Row("otmon.sensor.clock.offset_ns", "long", SENSOR, "Last known offset.", -41250),
    Row("otmon.sensor.clock.max_error_ns", "long", SENSOR, "As the kernel estimates it.", 21500000),
    Row("otmon.sensor.clock.steps", "long", SENSOR, "Times the clock was set.", 0),
    Row("otmon.sensor.privileges.uid", "long", SENSOR, "User it runs as; in the first record of a run.", 991),
    Row("otmon.sensor.privileges.kept", "keyword", SENSOR, "Measures that could not be taken.", ["seccomp"]),
    *(Row(f"otmon.frames.{name}", "long", SENSOR, f"Frames: {about}.", 0) for name, about in FRAME_BUCKETS.items()),
    *(Row(f"otmon.bytes.{name}", "long", SENSOR, f"Bytes of control traffic: {about}.", 0)
      for name, about in BYTE_BUCKETS.items()),
    *(Row(f"otmon.visibility.{name}", "long", (*SENSOR, *ALERT) if name == "gaps" else SENSOR, about, 0)
      for name, about in VISIBILITY.items()),
)  # fmt: skip

_POINT: Final = (
    Row("otmon.point.name", "keyword", POINT, "Server, protocol, unit and target: one name for one point.",
        "10.0.1.13 modbus 1 holding_register 45"),
    Row("otmon.point.value", "double", POINT, "The last value seen.", 71.5),
    Row("otmon.point.text", "keyword", POINT, "The last value, where it is no number.", "NaN"),
    Row("otmon.point.count", "long", POINT, "Values seen since the sample before.", 60),
)  # fmt: skip

_AUDIT: Final = (
    Row("otmon.audit.detail", "flattened", AUDIT, "Particulars, by name.", {"path": "rules/plant.yaml"}),
)  # fmt: skip

OTMON: Final = (*_COMMON, *_OPERATION, *_ALERT, *_ASSET, *_SENSOR, *_POINT, *_AUDIT)
"""In the order of the documentation."""
