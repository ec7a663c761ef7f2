"""Fields that ECS defines (https://www.elastic.co/guide/en/ecs/8.17/), as otmon fills them."""

from typing import Final

from otmon.outputs.elastic.rows import ALERT, ASSET, AUDIT, COUNTED, EVERY, LASTING, PAIR, SENSOR, Row

COMMON: Final = (
    Row("@timestamp", "date", EVERY, "When: the frame's clock; of audit and sensor the machine's. Indexed to the "
        "millisecond; `otmon.ts_ns` has the rest.", "2026-11-22T01:59:11.370455000Z"),
    Row("message", "text", EVERY, "What happened, in one sentence.", "HMI-2 (10.0.2.11, supervision) wrote 900 to …"),
    Row("ecs.version", "keyword", EVERY, "ECS version the document follows.", "8.17.0"),
    Row("event.kind", "keyword", EVERY, "alert, asset, event or metric.", "alert"),
    Row("event.category", "keyword", EVERY, "ECS categories.", ["intrusion_detection", "network"]),
    Row("event.type", "keyword", EVERY, "ECS types. Never `allowed` or `denied`: otmon watches, it stops nothing; see "
        "`otmon.policy.verdict`.", ["info"]),
    Row("event.action", "keyword", EVERY, "What was done: the function; of a finding its reason; of audit what "
        "otmon or a person did.", "write_single_register"),
    Row("event.outcome", "keyword", ("alert", "operation", "audit"), "success: the device accepted; failure: it "
        "rejected; unknown: anything else, see `otmon.outcome`.", "success"),
    Row("event.severity", "long", ALERT, "0-100: info 1, low 21, medium 47, high 73, critical 99, as Elastic Security "
        "maps them.", 73),
    Row("event.id", "keyword", EVERY, "Id of the record, and of the document: the same record of the same sensor has "
        "the same.", "ab8a3c05a35e47395105-1"),
    Row("event.sequence", "long", EVERY, "Counts the records of this stream of this sensor: a gap is a loss; of "
        "alerts perhaps a revision that was passed over for a later one.", 7),
    Row("event.module", "keyword", EVERY, "Always otmon.", "otmon"),
    Row("event.provider", "keyword", EVERY, "Always otmon.", "otmon"),
    Row("event.dataset", "keyword", EVERY, "otmon. and the stream.", "otmon.alert"),
    Row("event.reason", "keyword", ALERT, "What separates it from the nearest row, or why a person must decide.",
        "Row scada-polls-plcs allows 0-100 there."),
    Row("event.start", "date", LASTING, "First occurrence, or begin of the interval.",
        "2026-11-22T01:59:11.370455000Z"),
    Row("event.end", "date", LASTING, "Last occurrence, or end of the interval.", "2026-11-22T01:59:11.370455000Z"),
    Row("event.duration", "long", LASTING, "Between the two, in nanoseconds.", 0),
    Row("rule.id", "keyword", COUNTED, "Policy row that denies or permits; `default-deny` where no row permits; of a "
        "finding its reason.", "default-deny"),
    Row("rule.name", "keyword", ALERT, "The rule, for people.", "No row permits it"),
    Row("rule.ruleset", "keyword", COUNTED, "policy: the plant's own; otmon: built in.", "policy"),
    Row("rule.category", "keyword", ALERT, "Kind of alert, as `otmon.alert.kind`.", "value"),
    Row("rule.description", "keyword", ALERT, "What alerts of this kind mean.",
        "The operation is permitted, the written value is not."),
    Row("source.address", "keyword", PAIR, "The client, who asks, whoever sent the first frame: IP address, or MAC "
        "where there is none.", "10.0.2.11"),
    Row("source.ip", "ip", PAIR, "The client's IP address.", "10.0.2.11"),
    Row("source.mac", "keyword", PAIR, "The client's MAC where it has no IP address.", "00-80-F4-0E-51-1A"),
    Row("source.port", "long", ALERT, "The client's port, of the first evidence.", 49152),
    Row("destination.address", "keyword", PAIR, "The server, who is asked.", "10.0.1.13"),
    Row("destination.ip", "ip", PAIR, "The server's IP address.", "10.0.1.13"),
    Row("destination.mac", "keyword", PAIR, "The server's MAC where it has no IP address.", "00-80-F4-0E-51-1A"),
    Row("destination.port", "long", COUNTED, "The server's TCP or UDP port.", 502),
    Row("network.protocol", "keyword", PAIR, "modbus, dnp3, s7comm; tcp, udp, icmp, ip of a plain connection.",
        "modbus"),
    Row("network.transport", "keyword", COUNTED, "tcp, udp, icmp, ipv6-icmp.", "tcp"),
    Row("network.type", "keyword", PAIR, "ipv4 or ipv6.", "ipv4"),
    Row("network.iana_number", "keyword", COUNTED, "IP protocol number.", "6"),
    Row("network.community_id", "keyword", COUNTED, "Community ID v1, seed 0, of the flow of the first evidence, or of "
        "an IP protocol without ports: the same in Zeek, Suricata and Packetbeat.", "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
    Row("related.ip", "ip", (*PAIR, "asset"), "Every IP address in the document.", ["10.0.1.13", "10.0.2.11"]),
    Row("related.hosts", "keyword", (*COUNTED, "asset"), "Every device's name in the document.", ["HMI-2", "PLC-3"]),
    Row("observer.type", "keyword", EVERY, "Always sensor.", "sensor"),
    Row("observer.vendor", "keyword", EVERY, "Always otmon.", "otmon"),
    Row("observer.product", "keyword", EVERY, "Always otmon.", "otmon"),
    Row("observer.name", "keyword", EVERY, "The sensor, or the machine that analysed a capture.", "sensor-1"),
    Row("observer.version", "keyword", EVERY, "Version of otmon that made the document.", "0.1.0"),
    Row("observer.ingress.interface.name", "keyword", (*SENSOR, *ALERT), "Interfaces it listens on; of a finding the "
        "one it concerns.", ["eth1"]),
    Row("threat.framework", "keyword", ALERT, "Always MITRE ATT&CK, where there are techniques.", "MITRE ATT&CK"),
    Row("threat.technique.id", "keyword", ALERT, "Techniques of ATT&CK for ICS it may be part of, current ids.",
        ["T0836", "T1692"]),
    Row("threat.technique.name", "keyword", ALERT, "Their names.", ["Modify Parameter", "Unauthorized Message"]),
    Row("threat.technique.subtechnique.id", "keyword", ALERT, "Sub-techniques among them.", ["T1692.001"]),
    Row("threat.technique.subtechnique.name", "keyword", ALERT, "Their names.", ["Command Message"]),
    Row("host.id", "keyword", ASSET, "Id of the device, as `otmon.asset.id`.", "5c0a1be2f7d3"),
    Row("host.name", "keyword", ASSET, "Its name, from the policy.", "PLC-3"),
    Row("host.ip", "ip", ASSET, "Its IP addresses.", ["10.0.1.13"]),
    Row("host.mac", "keyword", ASSET, "Its MACs, proved on the link.", ["00-80-F4-0E-11-22"]),
    Row("device.id", "keyword", ASSET, "Id of the device, as `otmon.asset.id`.", "5c0a1be2f7d3"),
    Row("device.manufacturer", "keyword", ASSET, "The likeliest vendor.", "Schneider Electric"),
    Row("device.model.identifier", "keyword", ASSET, "The likeliest order code.", "6ES7 315-2EH14-0AB0"),
    Row("device.model.name", "keyword", ASSET, "The likeliest model.", "BMX P34 2020"),
    Row("error.message", "keyword", AUDIT, "Of something that failed: why.", "plant.yaml:7:3: unknown key"),
)  # fmt: skip
"""In the order of the documentation."""
