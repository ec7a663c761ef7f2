"""From a capture to the documents that analysts find, as processes: nothing missing, nothing twice."""

import http.server
import json
import os
import re
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from otmon.alerts.record import as_record
from otmon.delivery.once import deliver_all
from otmon.outputs.elastic.connection import Elastic
from otmon.outputs.elastic.install import Installation
from otmon.outputs.elastic.sink import ElasticSink
from otmon.outputs.elastic.templates import VERSION, templates
from otmon.outputs.folder import undelivered
from otmon.outputs.sink import STREAMS
from otmon.site.part import Part
from otmon.store.sensor import SiteStore
from tests.alerts.stub import Site as StubSite
from tests.alerts.stub import episode, operation
from tests.elastic.server import Node
from tests.elastic.shipping import filled
from tests.site.plant import op

ROOT = Path(__file__).parents[2]
PLANT = ROOT / "captures" / "plant.pcap"
KINDS = {"alert": "alerts.jsonl", "asset": "assets.jsonl", "operation": "operations.jsonl"}


class Done:
    """A command that ran to its end."""

    def __init__(self, *arguments: str | Path, cwd: Path = ROOT, **env: str) -> None:
        found = subprocess.run(
            [sys.executable, "-m", "otmon", *map(str, arguments)],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(ROOT), **env},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        self.code, self.out, self.err = found.returncode, found.stdout, found.stderr


def policy(folder: Path, site: str) -> Path:
    text = (ROOT / "rules" / "plant.yaml").read_text()
    (line,) = [line for line in text.splitlines() if line.startswith("site:")]
    made = folder / f"{site}.yaml"
    made.write_text(text.replace(line, f"site: {site}"))
    return made


def analyze(node_url: str, namespace: str, folder: Path, rules: Path) -> Done:
    return Done(
        *("analyze", PLANT, "--policy", rules, "--out", folder, "--elastic", node_url),
        OTMON_ELASTIC_NAMESPACE=namespace,
    )


def lines(folder: Path, kind: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / KINDS[kind]).read_text().splitlines()]


def stream(kind: str, namespace: str) -> str:
    return f"logs-otmon.{kind}-{namespace}"


def documents(node: Node, namespace: str, kind: str, **terms: Any) -> list[dict[str, Any]]:
    client = node.client()
    client.indices.refresh(index=stream(kind, namespace))
    query = {"bool": {"filter": [{"term": {name.replace("__", "."): value}} for name, value in terms.items()]}}
    hits = client.search(index=stream(kind, namespace), query=query, size=10_000)["hits"]["hits"]
    return [hit["_source"] | {"_id": hit["_id"]} for hit in hits]


def counts(node: Node, namespace: str) -> dict[str, int]:
    return {kind: len(documents(node, namespace, kind)) for kind in KINDS}


def test_everything_that_was_found_is_found_there(elastic: Node, namespace: str, tmp_path: Path) -> None:
    Installation(elastic.client(), namespace).install()
    rules = policy(tmp_path, "north")
    done = analyze(elastic.url, namespace, tmp_path / "out", rules)
    assert done.code == 0, done.err
    assert "delivered to elastic" in done.err
    found = {kind: lines(tmp_path / "out", kind) for kind in KINDS}
    assert counts(elastic, namespace) == {kind: len(records) for kind, records in found.items()}
    assert undelivered(tmp_path / "out") == 0
    status = json.loads(Done("elastic", "status", tmp_path / "out", "--elastic", elastic.url, "--json").out)
    there = {kind: status["elastic"]["documents"][stream(kind, namespace)] for kind in KINDS}
    assert there == {kind: len(records) for kind, records in found.items()}, "the namespace is remembered"

    for alert in found["alert"]:
        (one,) = documents(elastic, namespace, "alert", otmon__alert__id=alert["id"])
        assert one["otmon"]["site"] == "north"
        assert one["message"]
        same = documents(
            elastic,
            namespace,
            "alert",
            source__address=alert["operation"]["client"],
            destination__address=alert["operation"]["server"],
            otmon__alert__kind=alert["kind"],
        )
        assert one["_id"] in {other["_id"] for other in same}
    for asset in found["asset"]:
        assert len(documents(elastic, namespace, "asset", otmon__asset__id=asset["id"])) == 1
    functions: dict[tuple[str, str, str], int] = {}
    for record in found["operation"]:
        operation = record["operation"]
        key = (operation["client"], operation["server"], operation["function"])
        functions[key] = functions.get(key, 0) + 1
    for (client, server, function), number in functions.items():
        terms = {"source__address": client, "destination__address": server, "otmon__operation__function": function}
        assert len(documents(elastic, namespace, "operation", **terms)) == number, terms

    before = counts(elastic, namespace)
    again = analyze(elastic.url, namespace, tmp_path / "out", rules)
    assert again.code == 0, again.err
    assert counts(elastic, namespace) == before, "the same said again is nothing new"
    other = analyze(elastic.url, namespace, tmp_path / "south", policy(tmp_path, "south"))
    assert other.code == 0, other.err
    assert counts(elastic, namespace) == {kind: 2 * number for kind, number in before.items()}
    assert len(documents(elastic, namespace, "asset", otmon__site="south")) == before["asset"]


def test_a_node_that_is_away(elastic: Node, namespace: str, tmp_path: Path) -> None:
    Installation(elastic.client(), namespace).install()
    rules, out = policy(tmp_path, "west"), tmp_path / "out"
    nowhere = "http://127.0.0.1:1"
    done = analyze(nowhere, namespace, out, rules)
    waiting = undelivered(out)
    assert waiting == sum(len(lines(out, kind)) for kind in KINDS)
    (said,) = [line for line in done.err.splitlines() if "error" in line]
    assert f"{waiting:,} records wait in {out} for elastic" in said
    assert f"`otmon deliver {out}` tries again" in said
    assert len(done.err.splitlines()) == 1, done.err

    refused = analyze(nowhere, namespace, out, rules)
    assert refused.code == 2
    assert f"{waiting:,} records there wait to be delivered" in refused.err
    status = Done("elastic", "status", out, "--json")
    assert json.loads(status.out)["sinks"][0]["waiting"] == waiting
    done = Done("deliver", out, "--elastic", elastic.url)  # the folder remembers its namespace
    assert done.code == 0
    assert re.fullmatch(r"otmon: note: \d+ records delivered to elastic", done.err.strip())
    assert sum(counts(elastic, namespace).values()) == waiting
    assert analyze(elastic.url, namespace, out, rules).code == 0
    assert sum(counts(elastic, namespace).values()) == waiting


def test_what_two_sensors_see_alike_is_found_twice(elastic: Node, namespace: str, tmp_path: Path) -> None:
    """And said again by either it is nothing new."""
    Installation(elastic.client(), namespace).install()
    one = episode(operation())
    one.keep_name()
    alert = as_record(one, StubSite())
    for number, sensor in enumerate(("north", "south", "north")):
        folder = tmp_path / str(number)
        folder.mkdir()
        with SiteStore(folder / "site.db", "plant", spooled=STREAMS, sensor=sensor) as store:
            store.alerts([one], [alert])
            store.add(Part(operations=[op()]))
        sink = ElasticSink(Elastic(elastic.url, namespace))
        assert deliver_all(folder, [sink], "not asked for") == {"elastic": 0}
        sink.close()
    for stream in ("alert", "operation"):
        found = documents(elastic, namespace, stream)
        assert sorted(hit["observer"]["name"] for hit in found) == ["north", "south"], stream
    assert {hit["otmon"]["alert"]["id"] for hit in documents(elastic, namespace, "alert")} == {one.id}


def everything(node: Node, namespace: str) -> dict[str, Any]:
    """What setting up is about, as it stands."""
    client = node.client()
    found: dict[str, Any] = {
        one["name"]: one["component_template"]
        for one in client.cluster.get_component_template(name="otmon*")["component_templates"]
    }
    index = client.indices.get_index_template(name="*otmon*")["index_templates"]
    found |= {one["name"]: one["index_template"] for one in index}
    streams = client.indices.get_data_stream(name=f"*otmon*-{namespace}")["data_streams"]
    return found | {one["name"]: one["generation"] for one in streams}


def set_up(node: Node, namespace: str, *more: str, **env: str) -> Done:
    return Done("elastic", "setup", "--elastic", node.url, *more, OTMON_ELASTIC_NAMESPACE=namespace, **env)


def test_setting_up(elastic: Node, namespace: str, tmp_path: Path) -> None:
    Installation(elastic.client(), f"{namespace}.other").install()
    before = everything(elastic, namespace)
    dry = set_up(elastic, namespace, "--dry-run")
    assert dry.code == 0
    assert "would be done" in dry.out
    assert everything(elastic, namespace) == before
    done = set_up(elastic, namespace, "--key-file", str(tmp_path / "key"))
    assert done.code == 0, done.err
    assert "no API keys" in done.err
    assert not (tmp_path / "key").exists()
    after = everything(elastic, namespace)
    assert len(after) == len(before) + 6
    again = set_up(elastic, namespace)
    assert again.out.startswith("0 changes done")
    assert everything(elastic, namespace) == after
    gone = Done("elastic", "remove", "--elastic", elastic.url, OTMON_ELASTIC_NAMESPACE=namespace)
    assert gone.code == 2
    assert "--data removes both" in gone.err
    assert everything(elastic, namespace) == after


def test_what_a_newer_otmon_set_up_is_left_alone(elastic: Node, namespace: str) -> None:
    client = elastic.client()
    Installation(client, namespace).install()
    ours = next(one for one in templates() if one.name == "otmon.alert@mappings")
    try:
        client.cluster.put_component_template(name=ours.name, **{**ours.body, "version": VERSION + 1})
        before = everything(elastic, f"{namespace}.new")
        done = set_up(elastic, f"{namespace}.new")
        assert done.code == 2
        assert "set up by a newer otmon" in done.err
        assert len(done.err.splitlines()) == 1
        assert everything(elastic, f"{namespace}.new") == before
    finally:
        client.cluster.put_component_template(name=ours.name, **ours.body)


def test_an_older_one_is_brought_up_to_date(elastic: Node, namespace: str) -> None:
    client = elastic.client()
    Installation(client, namespace).install()
    ours = next(one for one in templates() if one.name == "otmon.alert@mappings")
    client.cluster.put_component_template(name=ours.name, **{**ours.body, "version": 0})
    done = set_up(elastic, namespace)
    assert done.code == 0, done.err
    assert "version 0 to" in done.out
    generation = everything(elastic, namespace)[stream("alert", namespace)]
    assert generation == 2, "new mappings hold from the next backing index on"


@pytest.mark.parametrize(
    "lacks", ["manage_index_templates", "create_index", "manage"], ids=["templates", "streams", "rollover"]
)
def test_setting_up_that_fails_half_way_is_taken_back(elastic_secure: Node, namespace: str, lacks: str) -> None:
    """A user who may do the first steps and not the rest."""
    admin = elastic_secure.client()
    Installation(admin, f"{namespace}.other").install()
    mapping = next(one for one in templates() if one.name == "otmon.point@mappings")
    if lacks == "create_index":  # the last two of the streams
        names = [f"logs-otmon.{kind}-{namespace}" for kind in ("alert", "audit", "asset", "operation")]
    else:
        names = [f"*-otmon.*-{namespace}"]
        Installation(admin, namespace).install()
    admin.cluster.put_component_template(name=mapping.name, **{**mapping.body, "version": 0})
    cluster = ["monitor", *([] if lacks == "manage_index_templates" else ["manage_index_templates"])]
    rights = {"names": names, "privileges": ["manage", "read"] if lacks == "create_index" else ["read", "monitor"]}
    views = {"names": [f"*-otmon.*-{namespace}"], "privileges": ["view_index_metadata", "read"]}
    made = admin.security.create_api_key(
        name="half", role_descriptors={"half": {"cluster": cluster, "indices": [rights, views]}}
    )
    before = everything(elastic_secure, namespace)
    done = set_up(elastic_secure, namespace, OTMON_ELASTIC_API_KEY=made["encoded"])
    try:
        assert done.code == 2, done.out
        assert "lacks rights" in done.err
        assert len(done.err.splitlines()) == 1
        assert everything(elastic_secure, namespace) == before
    finally:
        admin.cluster.put_component_template(name=mapping.name, **mapping.body)


def test_the_key_of_a_sensor(elastic_secure: Node, namespace: str, tmp_path: Path) -> None:
    key, user = tmp_path / "key", {"OTMON_ELASTIC_USER": "admin:secret"}
    done = set_up(elastic_secure, namespace, "--key-file", str(key), **user)
    assert done.code == 0, done.err
    assert key.stat().st_mode & 0o777 == 0o600
    secret = key.read_text().strip()
    assert secret not in done.out + done.err
    assert "is there already" in set_up(elastic_secure, namespace, "--key-file", str(key), **user).err
    known = {"OTMON_ELASTIC_NAMESPACE": namespace, "OTMON_ELASTIC_KEY_FILE": str(key)}
    done = Done(
        *("analyze", PLANT, "--policy", policy(tmp_path, "east"), "--out", tmp_path / "out"),
        *("--elastic", elastic_secure.url),
        **known,
    )
    assert done.code == 0, done.err
    assert secret not in done.out + done.err
    assert counts(elastic_secure, namespace) == {kind: len(lines(tmp_path / "out", kind)) for kind in KINDS}
    refused = Done("elastic", "setup", "--elastic", elastic_secure.url, **known)
    assert refused.code == 2
    assert "lacks rights" in refused.err
    assert len(refused.err.splitlines()) == 1
    nobody = set_up(elastic_secure, namespace)
    assert nobody.code == 2
    assert "does not know us" in nobody.err


class Page(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


class Fake(http.server.BaseHTTPRequestHandler):
    """Answers JSON, as servers do that look like Elasticsearch."""

    status, header, body = 200, False, {}

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        raw = json.dumps(self.body).encode()
        self.send_response(self.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(raw)))
        if self.header:
            self.send_header("x-elastic-product", "Elasticsearch")
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_POST = do_PUT = do_HEAD = _answer

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(handler: type[http.server.BaseHTTPRequestHandler], tls: ssl.SSLContext | None = None) -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_port}"
        server.shutdown()


OPENSEARCH = {"version": {"distribution": "opensearch", "number": "2.19.0"}, "tagline": "The OpenSearch Project"}
OLD = {"version": {"number": "7.17.28"}, "tagline": "You Know, for Search"}
MEDIA = {"error": {"type": "media_type_header_exception", "reason": "Invalid media-type value on headers [Accept]"}}
OTHERS: dict[str, tuple[type[http.server.BaseHTTPRequestHandler], str]] = {
    "page": (Page, "not Elasticsearch"),
    "opensearch": (type("Open", (Fake,), {"body": OPENSEARCH}), "not Elasticsearch"),
    "nothing there": (type("None", (Fake,), {"status": 404}), "not Elasticsearch"),
    "old": (type("Old", (Fake,), {"body": OLD, "header": True}), "7.17.28 is too old"),
    "old and strict": (type("Strict", (Fake,), {"body": MEDIA, "header": True, "status": 400}), "is too old"),
    "gateway": (type("Bad", (Fake,), {"status": 502}), "502"),
}


@pytest.mark.parametrize("other", OTHERS)
def test_what_is_no_elasticsearch_of_ours(other: str) -> None:
    handler, said = OTHERS[other]
    with serving(handler) as url:
        done = Done("elastic", "setup", "--elastic", url)
    assert done.code == 2
    assert said in done.err
    assert len(done.err.splitlines()) == 1
    assert len(done.err) < 400


@pytest.mark.parametrize("other", ["page", "opensearch"])
def test_nothing_is_delivered_to_what_is_no_elasticsearch(other: str, tmp_path: Path) -> None:
    filled(tmp_path, 3)
    with serving(OTHERS[other][0]) as url:
        done = Done("deliver", tmp_path, "--elastic", url)
    assert done.code == 1
    assert "3 records wait" in done.err
    assert "not Elasticsearch" in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:1", "not reached"),
        ("https://no-such-host.invalid:9200", "not reached"),
        ("http://elastic.example:9200", "plain http only reaches this machine"),
        ("https://user:secret@elastic.example:9200", "put an API key into a file"),
        ("ftp://elastic.example", "not the address of an Elasticsearch"),
        ("elastic.example", "not the address of an Elasticsearch"),
        ("https://elastic.example:port", "not a URL"),
    ],
)
def test_wrong_addresses(url: str, said: str) -> None:
    done = Done("elastic", "setup", "--elastic", url)
    assert done.code == 2
    assert said in done.err
    assert "secret" not in done.err
    assert len(done.err.splitlines()) == 1
