"""The node behaves as delivery needs it: streams, conflicts, rollover, crashes, rights, TLS and limits are real."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from elastic_transport import ConnectionTimeout, TlsError
from elasticsearch import ApiError, AuthenticationException, AuthorizationException, Elasticsearch

from tests.elastic.certificates import Authority
from tests.elastic.recipe import Recipe
from tests.elastic.server import Node

ROOT = Path(__file__).parents[2]


def install(client: Elasticsearch, namespace: str) -> str:
    """A template for one stream, whose name comes back. The codec is the one that wants a library beside the jars."""
    stream = f"logs-otmon.alert-{namespace}"
    client.indices.put_index_template(
        name=namespace,
        index_patterns=[stream],
        data_stream={},
        priority=500,
        template={"settings": {"number_of_replicas": 0, "codec": "best_compression"}},
    )
    return stream


def create(client: Elasticsearch, stream: str, *ids: str, pad: str = "") -> list[tuple[int, str]]:
    """(status, index) of each document, as the bulk response names it."""
    lines = [
        line for id_ in ids for line in ({"create": {"_id": id_}}, {"@timestamp": "2026-11-21", "n": id_, "pad": pad})
    ]
    items = client.bulk(index=stream, operations=lines)["items"]
    return [(item["create"]["status"], item["create"]["_index"]) for item in items]


def backing(client: Elasticsearch, stream: str) -> list[str]:
    return client.indices.resolve_index(name=stream)["data_streams"][0]["backing_indices"]


def statuses(found: list[tuple[int, str]]) -> set[int]:
    return {status for status, _ in found}


def test_a_document_is_created_once_in_one_generation(elastic: Node, namespace: str) -> None:
    client = elastic.client()
    stream = install(client, namespace)
    first = create(client, stream, "a", "b")
    assert statuses(first) == {201}
    assert statuses(create(client, stream, "a", "b")) == {409}
    (index,) = backing(client, stream)
    assert {name for _, name in first} == {index}, "the response names the backing index, not the stream"


def test_a_rollover_between_send_and_retry_would_double(elastic: Node, namespace: str) -> None:
    """The fact on which the check before a resend stands, and the three requests that can tell where documents are."""
    client = elastic.client()
    stream = install(client, namespace)
    create(client, stream, "a")
    client.indices.rollover(alias=stream)
    old, new = backing(client, stream)
    found = client.mget(docs=[{"_index": index, "_id": "a"} for index in (old, new)], source=False)["docs"]
    assert [doc["found"] for doc in found] == [True, False], "before any refresh"
    assert create(client, stream, "a") == [(201, new)]
    client.indices.refresh(index=stream)
    assert client.count(index=stream)["count"] == 2
    assert sorted(client.field_caps(index=stream, fields="@timestamp")["indices"]) == [old, new]
    (described,) = client.indices.get_data_stream(name=stream)["data_streams"]
    assert [index["index_name"] for index in described["indices"]] == [old, new]
    assert described["generation"] == 2


def test_mget_knows_no_streams(elastic: Node, namespace: str) -> None:
    client = elastic.client()
    stream = install(client, namespace)
    create(client, stream, "a")
    (doc,) = client.mget(index=stream, ids=["a"])["docs"]
    assert doc["error"]["type"] == "index_not_found_exception"


def test_an_index_that_cannot_answer_is_named_all_the_same(elastic: Node, namespace: str) -> None:
    """An error in a document's place is not "not found". The same comes while shards are recovered after a crash."""
    client = elastic.client()
    stream = install(client, namespace)
    create(client, stream, "a")
    client.indices.rollover(alias=stream)
    old, new = backing(client, stream)
    client.indices.close(index=old)
    assert backing(client, stream) == [old, new]
    there, elsewhere = client.mget(docs=[{"_index": index, "_id": "a"} for index in (old, new)])["docs"]
    assert there["error"]["type"] == "index_closed_exception"
    assert "found" not in there
    assert elsewhere["found"] is False
    with pytest.raises(ApiError, match="index_closed_exception"):
        client.field_caps(index=stream, fields="@timestamp")
    partly = client.field_caps(index=stream, fields="@timestamp", ignore_unavailable=True)
    assert partly["indices"] == [new], "so it must not be what says where documents may be"


def test_esql(elastic: Node, namespace: str) -> None:
    client = elastic.client()
    stream = install(client, namespace)
    create(client, stream, "a", "b", "c")
    client.indices.refresh(index=stream)
    answer = client.esql.query(query=f'FROM {stream} | WHERE n != "b" | STATS n = COUNT(*) | LIMIT 1')
    assert answer["values"] == [[2]]


def test_a_stream_is_made_and_removed(elastic: Node, namespace: str) -> None:
    client = elastic.client()
    stream = install(client, namespace)
    client.indices.create_data_stream(name=stream)
    assert [found["name"] for found in client.indices.get_data_stream(name=f"*{namespace}")["data_streams"]] == [stream]
    client.indices.delete_data_stream(name=stream)
    with pytest.raises(ApiError, match="index_not_found_exception"):
        client.indices.get_data_stream(name=stream)


@pytest.mark.long
def test_kill_and_restart_keep_what_was_acknowledged(elastic_node: Callable[..., Node], namespace: str) -> None:
    node = elastic_node()
    client = node.client()
    stream = install(client, namespace)
    ids = [str(n) for n in range(200)]
    assert statuses(create(client, stream, *ids)) == {201}
    url, pid = node.url, node.pid
    node.kill()
    node.restart()
    assert node.url == url
    assert node.pid != pid
    assert statuses(create(client, stream, *ids)) == {409}, "the same client goes on"
    client.indices.refresh(index=stream)
    assert client.count(index=stream)["count"] == len(ids)


@pytest.mark.long
def test_a_node_ends_with_its_starter(elastic_recipe: Recipe, tmp_path: Path) -> None:
    code = (
        "import sys, pathlib\nfrom tests.elastic.recipe import prepare\nfrom tests.elastic.server import Node\n"
        "node = Node(prepare(), pathlib.Path(sys.argv[1])).start()\nprint(node.pid, flush=True)\nsys.stdin.read()"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "node")], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert starter.stdout
        pid = int(starter.stdout.readline())
    finally:
        starter.kill()
        starter.communicate()
    until = time.monotonic() + 30
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.1)
    assert not alive(pid)


def alive(pid: int) -> bool:
    """Whether it runs; a zombie that nobody has collected yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


def key(node: Node, stream: str, *privileges: str, cluster: tuple[str, ...] = ()) -> Elasticsearch:
    role = {"cluster": list(cluster), "indices": [{"names": [stream], "privileges": list(privileges)}]}
    made = node.client().security.create_api_key(name="shipper", role_descriptors={"otmon": role})
    return node.client(api_key=made["encoded"])


def test_a_key_that_only_creates(elastic_secure: Node, namespace: str) -> None:
    stream = install(elastic_secure.client(), namespace)
    client = key(elastic_secure, stream, "create_doc")
    assert create(client, stream, "a") == [(403, stream)], "a stream that is not there yet needs auto_configure"
    assert statuses(create(key(elastic_secure, stream, "create_doc", "auto_configure"), stream, "a")) == {201}
    assert statuses(create(client, stream, "b")) == {201}
    assert statuses(create(client, stream, "b")) == {409}
    for forbidden in (
        client.info,
        lambda: client.search(index=stream),
        lambda: client.mget(docs=[{"_index": stream, "_id": "a"}]),
        lambda: client.indices.resolve_index(name=stream),
        lambda: client.indices.get_data_stream(name=stream),
        lambda: client.indices.put_index_template(name="other", index_patterns=["other"]),
        lambda: client.delete(index=backing(elastic_secure.client(), stream)[0], id="a"),
    ):
        with pytest.raises(AuthorizationException):
            forbidden()


def test_a_key_that_may_look_before_it_sends_again(elastic_secure: Node, namespace: str) -> None:
    """`read` on the stream is enough to name its backing indices and ask them for ids; it does not describe streams."""
    admin = elastic_secure.client()
    stream = install(admin, namespace)
    create(admin, stream, "a")
    admin.indices.rollover(alias=stream)
    client = key(elastic_secure, stream, "create_doc", "read")
    indices = backing(client, stream)
    assert indices == backing(admin, stream)
    assert len(indices) == 2
    assert sorted(client.field_caps(index=stream, fields="@timestamp")["indices"]) == indices
    found = client.mget(docs=[{"_index": index, "_id": "a"} for index in indices], source=False)["docs"]
    assert [doc["found"] for doc in found] == [True, False]
    with pytest.raises(AuthorizationException, match="view_index_metadata"):
        client.indices.get_data_stream(name=stream)
    described = key(elastic_secure, stream, "view_index_metadata").indices.get_data_stream(name="*")["data_streams"]
    assert [found["name"] for found in described] == [stream], "a pattern finds what the key may see"
    assert key(elastic_secure, stream, "read", cluster=("monitor",)).info()["version"]["number"].startswith("8.19.")


def test_who_is_not_let_in(elastic_secure: Node, namespace: str) -> None:
    admin = elastic_secure.client()
    stream = install(admin, namespace)
    made = admin.security.create_api_key(name="short lived")
    client = elastic_secure.client(api_key=made["encoded"])
    assert statuses(create(client, stream, "a")) == {201}
    admin.security.invalidate_api_key(ids=[made["id"]])
    for refused in (client, elastic_secure.client(basic_auth=("admin", "wrong")), Elasticsearch(elastic_secure.url)):
        with pytest.raises(AuthenticationException):
            create(refused, stream, "b")


@pytest.mark.long
def test_tls(elastic_node: Callable[..., Node], authority: Authority, wrong_authority: Authority) -> None:
    certificate = authority.server()
    node = elastic_node(users={"admin": "secret"}, tls=certificate)
    assert node.url.startswith("https://")
    assert node.client().info()["tagline"] == "You Know, for Search"
    assert node.client(ssl_assert_fingerprint=certificate.fingerprint).info()
    wrong = wrong_authority.server()
    for refused in ({"ca_certs": str(wrong.ca)}, {"ssl_assert_fingerprint": wrong.fingerprint}, {"verify_certs": True}):
        with pytest.raises(TlsError):
            node.client(max_retries=0, **refused).info()


@pytest.mark.long
def test_limits(elastic_node: Callable[..., Node], namespace: str) -> None:
    node = elastic_node({"indexing_pressure.memory.limit": "64kb", "http.max_content_length": "1mb"})
    client = node.client(max_retries=0)
    stream = install(client, namespace)
    for size, status in ((100_000, 429), (2_000_000, 413)):
        with pytest.raises(ApiError) as refused:
            create(client, stream, "a", pad="x" * size)
        assert refused.value.status_code == status
    assert statuses(create(client, stream, "a")) == {201}


def test_a_node_that_hangs(elastic: Node) -> None:
    client = elastic.client(max_retries=0, request_timeout=0.5)
    elastic.freeze()
    try:
        with pytest.raises(ConnectionTimeout):
            client.info()
    finally:
        elastic.thaw()
    assert client.options(request_timeout=30).info()
