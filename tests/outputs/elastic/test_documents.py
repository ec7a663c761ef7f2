"""Every record becomes a document that names only fields of the table, each as its type wants it."""

import ipaddress
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otmon.cli import run
from otmon.outputs.elastic.documents import BUILDERS, document
from otmon.outputs.elastic.fielddocs import RECORDS as RECORD_OF
from otmon.outputs.elastic.fields import FIELDS, of_stream
from otmon.outputs.sink import STREAMS, Outgoing
from tests.effort import examples
from tests.outputs.elastic.schemas import example, records

ROOT = Path(__file__).parents[3]
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")
RIGHT = {
    "boolean": lambda value: isinstance(value, bool),
    "date": lambda value: DATE.fullmatch(value),
    "double": lambda value: isinstance(value, float) and math.isfinite(value),
    "float": lambda value: isinstance(value, float) and abs(value) < 3.5e38,
    "ip": lambda value: ipaddress.ip_address(value),
    "keyword": lambda value: isinstance(value, str) and len(value.encode("utf-16-le")) <= 2048,
    "long": lambda value: type(value) is int and -(2**63) <= value < 2**63,
    "text": lambda value: isinstance(value, str) and len(value) <= 8192,
}
ALWAYS = {field.name for field in of_stream("alert") if field.streams == frozenset(STREAMS)} - {"otmon.sequence"}


def sent(stream: str, record: dict[str, Any], ts_ns: int = 1_795_312_751_370_455_000) -> dict[str, Any]:
    return document(Outgoing(stream, 7, "id-1", ts_ns, "plant", "sensor-1", record))


def values(node: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Every field of a document with each of its values; nested ones and their members."""
    for name, value in node.items():
        field = FIELDS.get(above + name)
        if field is None:
            assert isinstance(value, dict), f"{above}{name} is not in the table"
            assert value, f"{above}{name} is empty"
            yield from values(value, f"{above}{name}.")
        elif field.type == "nested":
            yield field.name, None
            for one in value:
                yield from values(one, f"{field.name}.")
        else:
            assert value != [], field
            yield from ((field.name, one) for one in (value if isinstance(value, list) else [value]))


def check(stream: str, made: dict[str, Any]) -> set[str]:
    """Gives the names of its fields."""
    names = set()
    for name, value in values(made):
        field = FIELDS[name]
        names.add(name)
        assert stream in field.streams, (stream, name)
        if field.type == "flattened":
            assert all(RIGHT["keyword"](one) and "." not in key for key, one in value.items())
        elif field.type != "nested":
            assert RIGHT[field.type](value), (name, value)
    assert names >= ALWAYS
    assert len(orjson.dumps(made, option=orjson.OPT_NON_STR_KEYS)) < 4_000_000
    return names


@pytest.mark.parametrize("stream", STREAMS)
@settings(
    deadline=None, max_examples=examples(60), suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(st.data())
def test_whatever_a_schema_allows_is_a_document_the_templates_take(stream: str, data: Any) -> None:
    record = data.draw(records(RECORD_OF[stream]))
    before = json.dumps(record, default=str)
    check(stream, sent(stream, record, data.draw(st.integers(0, 2**64))))
    assert json.dumps(record, default=str) == before


def test_streams_and_builders_are_the_same() -> None:
    assert tuple(sorted(BUILDERS)) == tuple(sorted(STREAMS))


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("plant") / "out"
    policy = str(ROOT / "rules" / "plant.yaml")
    assert run(["analyze", str(ROOT / "captures" / "plant.pcap"), "--policy", policy, "--out", str(out)]) == 0
    return out


def told(plant: Path, stream: str) -> list[dict[str, Any]]:
    return [sent(stream, json.loads(text)) for text in (plant / f"{stream}s.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("stream", ["alert", "asset", "operation"])
def test_everything_of_the_plant_is_told(plant: Path, stream: str) -> None:
    made = told(plant, stream)
    assert made
    for one in made:
        check(stream, one)


def test_alerts_of_the_plant_have_the_community_id_that_wireshark_gives_their_evidence(plant: Path) -> None:
    # tshark --enable-protocol communityid -T fields -e frame.number -e communityid
    found = {one["otmon"]["alert"]["evidence"][0]: one["network"]["community_id"] for one in told(plant, "alert")}
    assert {frame: found[frame] for frame in ("1:449", "1:752", "1:839")} == {
        "1:449": "1:Dl8Dq9N6ya/Nprf0ldGfF5Yt1VM=",
        "1:752": "1:GYyWBRlCet92Qgw2/PB0kbauCq8=",
        "1:839": "1:z1UjZmucEhWsE0VsKZIgjrt/wUM=",
    }


def test_the_example_alert() -> None:
    made = sent("alert", example("alert") | {"revision": 3})
    assert made["@timestamp"] == "2026-11-22T01:59:11.370455000Z"
    assert made["message"].startswith("HMI-2 (10.0.2.11, supervision) wrote 900")
    event = made["event"]
    assert (event["kind"], event["severity"], event["outcome"], event["sequence"]) == ("alert", 73, "success", 7)
    assert made["source"] == {"address": "10.0.2.11", "ip": "10.0.2.11", "port": 49152}
    assert made["network"]["community_id"].startswith("1:")
    assert made["threat"]["technique"] == {
        "id": ["T0836", "T1692"],
        "name": ["Modify Parameter", "Unauthorized Message"],
        "subtechnique": {"id": ["T1692.001"], "name": ["Command Message"]},
    }
    assert made["otmon"]["attack"] == {"id": ["T0836", "T1692.001"], "older_id": ["T0855"], "version": "19"}
    assert made["otmon"]["zone"] == {"source": "supervision", "destination": "control"}
    assert made["otmon"]["alert"]["revision"] == 3
    assert made["otmon"]["operation"]["target"]["text"] == ["holding_register 45"]


def test_an_id_that_was_split_is_not_its_own_parent() -> None:
    made = sent("alert", example("alert") | {"attack": ["T0846", "T0846.001"]})
    assert made["otmon"]["attack"] == {"id": ["T0846.001"], "older_id": ["T0846"], "version": "19"}
    assert made["threat"]["technique"]["id"] == ["T0846"]
    assert "threat" not in sent("alert", example("alert") | {"attack": []})


FINDING = {
    "reason": "dropped",
    "protocol": None,
    "interface": "eth1",
    "bytes": 0,
    "connections": 0,
    "frames": 5,
    "gaps": 0,
}
NOBODY = {"asset": None, "endpoint": "*", "name": None, "roles": [], "zone": None}
DNP3 = {"protocol": "dnp3", "transport": "udp", "link_source": 1, "link_destination": 10, "unit": None}
MAC = "00:80:f4:0e:11:22"


def more() -> Iterator[tuple[str, dict[str, Any]]]:
    """What the examples in docs/records leave out."""
    alert, operation, point = example("alert"), example("operation"), example("point")
    finding = {
        "kind": "visibility",
        "operation": None,
        "finding": FINDING,
        "attack": [],
        "targets": [],
        "outcome": None,
        "outcomes": dict.fromkeys(alert["outcomes"], 0),
    }
    yield "alert", alert | finding | {"client": NOBODY, "server": NOBODY, "row": None, "count_at_least": True}
    yield (
        "alert",
        alert
        | {
            "revision": 2,
            "review": "stops are announced",
            "row": "never-1",
            "flags": ["odd"],
            "units": [[1, 10]],
            "client": alert["client"] | {"endpoint": MAC},
            "server": alert["server"] | {"endpoint": MAC},
            "operation": alert["operation"] | DNP3 | {"client": MAC, "server": MAC},
            "targets": [alert["targets"][0] | {"target": {"space": "block", "name": "OB1"}}],
        },
    )
    yield "asset", example("asset") | {
        "parent": "0f1e2d3c4b5a", "reason": "new",
        "attributes": {name: [{"value": name, "protocol": "s7comm", "frame": [1, 2], "ts_ns": 1, "confidence": 0.5}]
                       for name in ("vendor", "model", "firmware", "serial", "order_code")},
    }  # fmt: skip
    parties = {"client": alert["client"], "server": alert["server"], "reason": "new"}
    mac = {"client": MAC, "server": MAC, "transport": "ip", "port": 50, "target": {"space": "block", "name": "OB1"}}
    esp = {"client": "10.0.0.1", "server": "10.0.0.2", "transport": "ip", "port": 50}
    yield "operation", operation | parties | {"operation": operation["operation"] | DNP3 | mac}
    yield "operation", operation | {"operation": operation["operation"] | esp}
    yield "point", point | {"value": None, "text": "NaN", "unit": [1, 10], "target": {"space": "block", "name": "OB1"}}
    yield "point", point | {"client": MAC, "server": MAC}
    yield "audit", example("audit") | {"action": "policy_broken", "message": "plant.yaml:7:3: unknown key"}
    yield (
        "sensor",
        example("health")
        | {
            "privileges": {"uid": 991, "gid": 991, "measures": {"seccomp": {"ok": False, "detail": "no"}}},
            "taps": [{"interfaces": ["a", "b"], "late_frames": 1, "skew_ns": 9}],
        },
    )


def test_there_is_no_field_that_nothing_fills() -> None:
    given = [*((stream, example(RECORD_OF[stream])) for stream in STREAMS), *more()]
    filled = {(stream, name) for stream, record in given for name in check(stream, sent(stream, record))}
    table = {(stream, name) for name, field in FIELDS.items() for stream in field.streams if field.type != "alias"}
    assert table - filled == set()


def test_a_finding_of_the_sensor_has_neither_source_nor_destination() -> None:
    made = sent("alert", next(more())[1])
    assert not made.keys() & {"source", "destination", "threat"}
    assert made["rule"]["id"] == made["otmon"]["visibility"]["reason"] == made["event"]["action"] == "dropped"
    assert made["event"]["outcome"] == "unknown"
    assert "verdict" not in made["otmon"].get("policy", {})
    assert made["observer"]["ingress"]["interface"]["name"] == "eth1"


def test_a_mac_is_no_ip_and_is_written_as_ecs_does() -> None:
    made = sent("operation", example("operation") | {"operation": example("operation")["operation"] | {"client": MAC}})
    assert made["source"] == {"address": MAC, "mac": "00-80-F4-0E-11-22"}
    assert made["related"]["ip"] == ["10.0.1.13"]


def test_an_ip_protocol_without_ports_has_a_community_id_as_an_operation() -> None:
    esp = {"client": "10.1.24.4", "server": "10.1.12.1", "transport": "ip", "port": 46, "protocol": "ip"}
    made = sent("operation", example("operation") | {"operation": example("operation")["operation"] | esp})
    assert made["network"]["community_id"] == "1:/nQI4Rh/TtY3mf0R2gJFBkVlgS4="
    assert "port" not in made["destination"]
    assert "community_id" not in sent("operation", example("operation"))["network"]


def test_hostile_names_of_details_are_left_out() -> None:
    detail = {"path": "a", "a.b": "b", "": "c", "x" * 80: "d", "\0": "e"}
    assert sent("audit", example("audit") | {"detail": detail})["otmon"]["audit"]["detail"] == {"path": "a"}
