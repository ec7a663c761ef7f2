"""Assets and operations as documents."""

from typing import Any, Final

from otmon.outputs.elastic.alert import DEFAULT_DENY
from otmon.outputs.elastic.fields import ip_text
from otmon.outputs.elastic.members import members
from otmon.outputs.elastic.parts import (
    Flat,
    mac_text,
    network,
    outcomes,
    parties,
    related,
    span,
    target,
    target_text,
    what,
)

NAMED: Final = ("vendor", "model", "firmware", "serial")
"""Attributes that have fields of their own."""


def asset(record: dict[str, Any]) -> Flat:
    """A record of docs/records/asset.schema.json, with the `reason` it is told for."""
    endpoints, attributes = record["endpoints"], record["attributes"]
    said = {name: list(dict.fromkeys(one["value"] for one in values)) for name, values in attributes.items()}
    likeliest = {name: values[0] for name, values in said.items()}
    addresses = list(dict.fromkeys(one["address"] for one in endpoints))
    ips = [ip for one in addresses if (ip := ip_text(one)) is not None]
    reason = record.get("reason")
    return {
        "message": _asset_sentence(record, addresses[0], likeliest),
        "event.kind": "asset",
        "event.category": ["host"],
        "event.type": ["info"],
        "event.action": f"asset_{reason or 'seen'}",
        **span(record["first_ts_ns"], record["last_ts_ns"]),
        **related(addresses, [record["name"]]),
        "host.id": record["id"],
        "host.name": record["name"],
        "host.ip": ips,
        "host.mac": [mac_text(mac) for mac in record["macs"]],
        "device.id": record["id"],
        "device.manufacturer": likeliest.get("vendor"),
        "device.model.name": likeliest.get("model"),
        "device.model.identifier": likeliest.get("order_code"),
        "otmon.realm": list(dict.fromkeys(one["realm"] for one in endpoints)),
        "otmon.asset.id": record["id"],
        "otmon.asset.name": record["name"],
        "otmon.asset.address": addresses[0],
        "otmon.asset.zone": record["zone"],
        "otmon.asset.level": record["level"],
        "otmon.asset.parent": record["parent"],
        "otmon.asset.role": record["roles"],
        "otmon.asset.protocol": sorted({one["protocol"] for one in endpoints if one["protocol"] is not None}),
        "otmon.asset.unit": sorted({one["unit"] for one in endpoints if one["unit"] is not None}),
        **{f"otmon.asset.{name}": said.get(name) for name in NAMED},
        "otmon.asset.attribute": members(
            "otmon.asset.attribute",
            (
                {"name": name, **{key: one[key] for key in ("value", "protocol", "confidence")}}
                for name, values in attributes.items()
                for one in values
            ),
        ),
        "otmon.asset.reason": reason,
    }


def _asset_sentence(record: dict[str, Any], address: str, likeliest: dict[str, str]) -> str:
    name = f"{record['name']} ({address})" if record["name"] else address
    made = " ".join(likeliest[one] for one in ("vendor", "model") if one in likeliest)
    where = f"in {record['zone']}" if record["zone"] else ""
    details = [", ".join(record["roles"]), made, where]
    return ": ".join(filter(None, (name, ", ".join(filter(None, details)))))


def operation(record: dict[str, Any]) -> Flat:
    """A record of docs/records/operation.schema.json, with the `reason` it is told for.

    Where the record has `client` and `server` as an alert does, names, zones, roles and assets are in the document.
    """
    op, verdict, row = record["operation"], record["verdict"], record["row"]
    client, server = record.get("client"), record.get("server")
    responses = record["response_ns"] or {}
    names = [who and who["name"] for who in (client, server)]
    touched = target_text(op["target"])
    place = f" {touched}" if touched else ""
    return {
        "message": f"{names[0] or op['client']}: {op['protocol']} {op['function']}{place} of "
        f"{names[1] or op['server']}, {record['attempted']:,} times{', ' + verdict if verdict else ''}",
        "event.kind": "event",
        "event.category": ["network"],
        "event.type": ["connection"] if op["access"] == "connect" else ["protocol"],
        "event.action": op["function"],
        **span(record["first_ts_ns"], record["last_ts_ns"]),
        **outcomes(record),
        "rule.id": row or (DEFAULT_DENY if verdict == "deny" else None),
        "rule.ruleset": verdict and "policy",
        **network(op),
        **what(op),
        **(parties(client, server) if client and server else {}),
        **related([op["client"], op["server"]], names),
        "otmon.policy.verdict": verdict,
        "otmon.policy.row": row,
        "otmon.operation.target.text": touched,
        **target(op["target"]),
        "otmon.operation.reason": record.get("reason"),
        "otmon.operation.bytes": record["bytes"],
        "otmon.operation.period_ns": record["period_ns"],
        "otmon.operation.period_spread_ns": record["period_spread_ns"],
        "otmon.operation.response.p50_ns": responses.get("p50"),
        "otmon.operation.response.p99_ns": responses.get("p99"),
    }
