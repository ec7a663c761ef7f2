"""rules.ndjson: each rule has what the detection engine wants, fires on what it is for, and stays quiet otherwise.

What a rule does is done here as the engine documents it, with the query as it stands in the file: the engine itself was
not run.
"""

import json
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import Elasticsearch, helpers

from otmon.alerts.attack import TECHNIQUES
from otmon.outputs.elastic.documents import data_stream, document
from otmon.outputs.elastic.fields import FIELDS
from otmon.outputs.kibana import rules
from otmon.outputs.kibana.write import RULES
from otmon.outputs.sink import Outgoing
from tests.elastic.preview import clear, install
from tests.elastic.sample import HOUR, MINUTE, example
from tests.elastic.server import Node

DAY = 24 * HOUR
RECORDS = [json.loads(line) for line in RULES.read_text().splitlines()]
BY_KEY = {rule.key: record for rule, record in zip(rules.RULES, RECORDS, strict=True)}
DOCS = Path(__file__).parents[2] / "docs"
QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


def test_the_file_is_in_step() -> None:
    assert RULES.read_text() == rules.ndjson(), "run: python -m otmon.outputs.kibana.write"


def test_the_page_names_every_rule() -> None:
    table = (DOCS / "kibana.md").read_text().split("## Rules")[1].split("## ")[0]
    names = re.findall(r"^\| (.+?) \| .+ \| (?:new terms|threshold|ES\\\|QL) \|$", table, re.MULTILINE)
    assert [f"otmon: {name}" for name in names] == [rule.name for rule in rules.RULES]


def test_ids_never_change() -> None:
    assert BY_KEY["critical-alert"]["rule_id"] == "62842365-ac5a-570e-8aa6-276137a2920d"
    assert len({record["rule_id"] for record in RECORDS}) == len(RECORDS)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: str(record["name"]))
def test_a_rule_has_what_the_engine_wants(record: dict[str, Any]) -> None:
    assert record["type"] in ("esql", "new_terms", "threshold")
    assert (record["language"] == "esql") == (record["type"] == "esql")
    assert ("index" in record) == (record["type"] != "esql")
    assert record["risk_score"] == {"medium": 47, "high": 73, "critical": 99}[record["severity"]]
    assert re.fullmatch(r"\d+[mh]", record["interval"])
    assert re.fullmatch(r"now-\d+[mhd]", record["from"])
    assert all(record[name] for name in ("name", "description", "false_positives", "note", "threat", "author", "tags"))
    for threat in record["threat"]:
        assert threat["framework"] == "MITRE ATT&CK"
        for entry in (threat["tactic"], *threat["technique"]):
            assert set(entry) - {"subtechnique"} == {"id", "name", "reference"}
        subs = [sub["id"] for technique in threat["technique"] for sub in technique["subtechnique"]]
        whole = {technique["id"] for technique in threat["technique"]}
        assert all(sub.partition(".")[0] in whole for sub in subs)
        assert all(name in TECHNIQUES for name in subs)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: str(record["name"]))
def test_every_field_is_in_the_table(record: dict[str, Any]) -> None:
    words = QUOTED.sub("", record["query"])
    named = set(re.findall(r"@timestamp|\b[a-z]+(?:\.[a-z_]+)+\b", re.sub(r"(logs|metrics)-otmon\.\w+-\*", "", words)))
    named |= set(record.get("new_terms_fields", [])) | set(record.get("threshold", {}).get("field", []))
    assert named
    assert named <= set(FIELDS)


class Plant:
    """Documents in a namespace of their own."""

    def __init__(self, client: Elasticsearch) -> None:
        self.client, self.namespace, self.now_ns = client, f"rul{secrets.token_hex(4)}", 0
        self.number = 0
        install(client, self.namespace)

    def add(self, stream: str, age_ns: int, site: str = "north", sensor: str = "s1", **changes: Any) -> None:
        self.number += 1
        ts_ns = self.now_ns - age_ns
        sequence = changes.pop("sequence", self.number)
        record = example({"sensor": "health"}.get(stream, stream)) | changes
        record |= {name: ts_ns for name in ("ts_ns", "first_ts_ns", "last_ts_ns") if name in record}
        one = Outgoing(stream, sequence, f"{self.namespace}-{self.number}", ts_ns, site, sensor, record)
        target = data_stream(stream, self.namespace)
        helpers.bulk(self.client, [{"_op_type": "create", "_index": target, "_id": one.id, **document(one)}])

    def esql(self, query: str, since: str, until: str = "now") -> list[dict[str, Any]]:
        self.client.indices.refresh(index=f"*otmon*-{self.namespace}")
        ours = re.sub(r"((?:logs|metrics)-otmon\.\w+-)\*", rf"\g<1>{self.namespace}", query)
        span = {"range": {"@timestamp": {"gte": since, "lte": until}}}
        found = self.client.esql.query(query=f"{ours}\n| LIMIT 1000", filter=span)
        names = [column["name"] for column in found["columns"]]
        return [dict(zip(names, row, strict=True)) for row in found["values"]]

    def fired(self, key: str) -> list[dict[str, Any]]:
        """What the rule would tell now."""
        record = BY_KEY[key]
        query, since = record["query"], record["from"]
        if record["type"] == "esql":
            return self.esql(query, since)
        where = f'FROM {record["index"][0]} | WHERE KQL("""{query}""")'
        if record["type"] == "threshold":
            (field,), limit = record["threshold"]["field"], record["threshold"]["value"]
            (many,) = record["threshold"]["cardinality"]
            counts = f"documents = COUNT(*), values = COUNT_DISTINCT({many['field']})"
            told = f"{where} | STATS {counts} BY {field} | WHERE documents >= {limit} AND values >= {many['value']}"
            return self.esql(told, since)
        (field,) = record["new_terms_fields"]
        by = f"{where} | STATS COUNT(*) BY {field}"
        known = {row[field] for row in self.esql(by, record["history_window_start"], since)}
        return [row for row in self.esql(by, since) if row[field] not in known]


@pytest.fixture(scope="module")
def installed(elastic: Node) -> Iterator[Plant]:
    with elastic.client() as client:
        found = Plant(client)
        yield found
        clear(client, found.namespace)


@pytest.fixture
def plant(installed: Plant) -> Iterator[Plant]:
    """Without documents; installing takes longer than any of these tests."""
    installed.now_ns = time.time_ns()
    yield installed
    installed.client.indices.delete_data_stream(name=f"*otmon*-{installed.namespace}")


def named(name: str, revision: int = 1, **changes: Any) -> dict[str, Any]:
    return {"id": name, "revision": revision, **changes}


def test_a_critical_alert_is_told_once(plant: Plant) -> None:
    plant.add("alert", MINUTE, **named("harmless", severity="high"))
    assert plant.fired("critical-alert") == []
    plant.add("alert", 2 * MINUTE, **named("a", severity="critical"))
    plant.add("alert", MINUTE, **named("a", 2, severity="critical"))
    plant.add("alert", HOUR, **named("known", severity="critical"))
    plant.add("alert", MINUTE, **named("known", 2, severity="critical"))
    assert [row["otmon.alert.id"] for row in plant.fired("critical-alert")] == ["a"]


def test_a_forbidden_change_counts_once_it_was_accepted(plant: Plant) -> None:
    write = example("alert")["operation"]
    assert write["access"] == "write"
    refused = example("alert")["outcomes"] | {"accepted": 0, "rejected": 1}
    plant.add("alert", MINUTE, **named("refused", outcomes=refused))
    plant.add("alert", MINUTE, **named("read", operation=write | {"access": "read"}))
    plant.add("alert", MINUTE, **named("unseen", kind="visibility"))
    assert plant.fired("accepted-change") == []
    plant.add("alert", MINUTE, **named("refused", 2, outcomes=refused | {"accepted": 1}))
    assert [row["otmon.alert.id"] for row in plant.fired("accepted-change")] == ["refused"]


def test_one_card_at_two_sites(plant: Plant) -> None:
    for site in ("north", "south"):
        plant.add("asset", HOUR, site, macs=["00:00:5e:00:01:07", f"00:80:f4:00:00:{site == 'north':02x}"])
    plant.add("asset", HOUR, "north", macs=["00:80:f4:0e:51:1a"], id="aaaaaaaaaaaa")
    plant.add("asset", 30 * HOUR, "south", macs=["00:80:f4:0e:51:1a"], id="bbbbbbbbbbbb")
    assert plant.fired("asset-at-two-sites") == []
    plant.add(
        "asset", MINUTE, "south", macs=["00:80:f4:0e:51:1a", "00:80:f4:0e:51:1b"], id="bbbbbbbbbbbb", name="LAPTOP"
    )
    (row,) = plant.fired("asset-at-two-sites")
    assert row["host.mac"] == "00-80-F4-0E-51-1A"
    assert set(row["otmon.site"]) == {"north", "south"}


def contact(server: int) -> dict[str, Any]:
    said = example("operation")["operation"] | {"client": "10.0.9.9", "server": f"10.0.1.{server}"}
    return {"operation": said, "reason": "new"}


def test_a_client_that_spreads(plant: Plant) -> None:
    for server in range(5):
        plant.add("operation", 2 * DAY, **contact(server))
        plant.add("operation", MINUTE, **contact(server))  # another operation of the same pair
    for server in range(5, 9):
        plant.add("operation", MINUTE, **contact(server))
    assert plant.fired("spreading-client") == []
    plant.add("operation", MINUTE, **contact(9))
    (row,) = plant.fired("spreading-client")
    assert (row["source.address"], row["servers"]) == ("10.0.9.9", 5)


def test_a_sensor_that_fell_silent(plant: Plant) -> None:
    for minutes in range(1, 6):
        plant.add("sensor", minutes * MINUTE, sensor="well")
    plant.add("sensor", 15 * MINUTE, sensor="slow")
    plant.add("sensor", 3 * HOUR, sensor="known to be silent")
    assert plant.fired("silent-sensor") == []
    plant.add("sensor", 25 * MINUTE, sensor="silent")
    assert [row["observer.name"] for row in plant.fired("silent-sensor")] == ["silent"]


def test_a_storm_of_alerts(plant: Plant) -> None:
    for number in range(49):
        plant.add("alert", MINUTE, **named(f"a{number}"))
    for revision in range(2, 30):
        plant.add("alert", MINUTE, **named("a0", revision))
    plant.add("alert", MINUTE, "south", **named("elsewhere"))
    plant.add("alert", MINUTE, **named("blind", kind="visibility"))
    assert plant.fired("alert-storm") == []
    plant.add("alert", MINUTE, **named("a49"))
    (row,) = plant.fired("alert-storm")
    assert (row["otmon.site"], row["values"]) == ("north", 50)


def test_records_that_never_came(plant: Plant) -> None:
    for sequence in (7, 8, 9):
        plant.add("sensor", (20 - sequence) * MINUTE, sequence=sequence)
    assert plant.fired("missing-records") == []
    plant.add("sensor", MINUTE, sequence=12)
    (row,) = plant.fired("missing-records")
    assert (row["missing"], row["observer.name"]) == (2, "s1")
