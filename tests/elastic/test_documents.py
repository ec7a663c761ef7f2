"""What the table of fields promises, a real node keeps: every document is taken, all of it searchable."""

from typing import Any

import pytest
from elasticsearch import BadRequestError, Elasticsearch, helpers
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from otmon.outputs.elastic.documents import data_stream
from otmon.outputs.elastic.fielddocs import RECORDS
from otmon.outputs.elastic.templates import templates
from otmon.outputs.sink import STREAMS
from tests.elastic.server import Node
from tests.outputs.elastic.schemas import example, records
from tests.outputs.elastic.test_documents import more, sent

LAST = "otmon.alert.targets.end"


@pytest.fixture
def client(elastic: Node, namespace: str) -> Elasticsearch:
    """With the templates of a namespace, put twice: the second time changes nothing."""
    made = elastic.client()
    for one in 2 * templates(namespace):
        put = made.cluster.put_component_template if one.kind == "component" else made.indices.put_index_template
        put(name=one.name, **{key.lstrip("_"): value for key, value in one.body.items()})
    return made


def drawn(stream: str, number: int) -> list[dict[str, Any]]:
    """Documents of records that the stream's schema allows, the same in every run."""
    found = []

    @settings(deadline=None, database=None, derandomize=True, max_examples=number, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(records(RECORDS[stream]), st.integers(0, 2**64))
    def collect(record: dict[str, Any], ts_ns: int) -> None:
        found.append(sent(stream, record, ts_ns))

    collect()
    return found


def test_every_document_is_taken_whole(client: Elasticsearch, namespace: str) -> None:
    made = [(stream, one) for stream in STREAMS for one in drawn(stream, 60)]
    made += [(stream, sent(stream, record)) for stream, record in more()]
    made += [(stream, sent(stream, example(RECORDS[stream]))) for stream in STREAMS]
    actions = [
        {"_op_type": "create", "_index": data_stream(stream, namespace), "_id": str(number), **one}
        for number, (stream, one) in enumerate(made)
    ]
    refused = [item for ok, item in helpers.streaming_bulk(client, actions, raise_on_error=False) if not ok]
    assert refused == []
    everywhere = ",".join(data_stream(stream, namespace) for stream in STREAMS)
    client.indices.refresh(index=everywhere)
    assert client.count(index=everywhere)["count"] == len(made)
    ignored = client.search(index=everywhere, query={"exists": {"field": "_ignored"}})
    assert [hit["_ignored"] for hit in ignored["hits"]["hits"]] == []


def test_below_otmon_a_field_that_is_not_in_the_table_is_refused(client: Elasticsearch, namespace: str) -> None:
    stream, now = data_stream("alert", namespace), {"@timestamp": "2026-11-22T01:59:11Z"}
    for surprise in ({"new": 1}, {"alert": {"new": 1}}, {"alert": {"targets": [{"new": 1}]}}):
        with pytest.raises(BadRequestError, match="strict_dynamic_mapping_exception"):
            client.index(index=stream, op_type="create", document=now | {"otmon": surprise})
    client.index(index=stream, op_type="create", document=now | {"geo": {"name": "x"}, "event": {"enriched": "y"}})


def test_what_dashboards_ask(client: Elasticsearch, namespace: str) -> None:
    stream = data_stream("alert", namespace)
    for revision in (1, 2):
        record = example("alert") | {"revision": revision}
        client.index(index=stream, id=f"a-{revision}", op_type="create", document=sent("alert", record), refresh=True)
    query = f"FROM {stream} | STATS n = COUNT_DISTINCT(otmon.alert.id) BY otmon.zone.source, otmon.alert.severity"
    assert client.esql.query(query=query + " | LIMIT 9")["values"] == [[1, "supervision", "high"]]
    found = client.search(
        index=stream,
        query={"query_string": {"query": 'source.ip:"10.0.2.0/24" AND otmon.sequence:7'}},
        aggs={
            "t": {
                "nested": {"path": "otmon.alert.targets"},
                "aggs": {"of": {"max": {"field": "otmon.alert.targets.end"}}},
            }
        },
    )
    assert found["hits"]["total"]["value"] == 2
    assert found["aggregations"]["t"]["of"]["value"] == 45


def test_documents_are_kept_as_long_as_the_table_says(client: Elasticsearch, namespace: str) -> None:
    stream = data_stream("point", namespace)
    found = client.indices.simulate_index_template(name=stream)
    assert found["template"]["lifecycle"]["data_retention"] == "30d"
    assert found["overlapping"] == [{"name": "metrics-otmon.point", "index_patterns": ["metrics-otmon.point-*"]}] or (
        found["overlapping"] == []
    )
