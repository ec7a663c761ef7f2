"""Loading into Kibana, against a server that answers as Kibana's documentation says. Kibana itself was not run."""

import email
import email.policy
import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from otmon.outputs.kibana.load import IMPORTS, Kibana, KibanaError, Loaded, kibana, load
from otmon.outputs.sink import Refused, SinkError, Unreachable
from tests.elastic.certificates import Authority, available

OBJECTS, RULES = (one.target for one in IMPORTS)


class Server(http.server.ThreadingHTTPServer):
    """Takes imports as Kibana does; `answers` says something else for a path."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.base = ""
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.taken: dict[str, list[dict[str, Any]]] = {}
        self.authorization: str | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}{self.base}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.authorization = self.headers["Authorization"]
        assert self.headers["kbn-xsrf"]
        assert self.path.startswith(self.server.base)
        path = self.path.removeprefix(self.server.base)
        lines = self.form(body)
        if path not in self.server.answers:
            self.server.taken[path] = lines
        told = {
            OBJECTS: {"successCount": len(lines), "success": True, "warnings": [], "successResults": []},
            RULES: {"success": True, "success_count": len(lines), "rules_count": len(lines), "errors": []},
        }
        plain = (200, {"kbn-name": "kibana"}, json.dumps(told[path]).encode())
        status, headers, content = self.server.answers.get(path, plain)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def form(self, body: bytes) -> list[dict[str, Any]]:
        """The lines of the only file, by Python's own reader of multipart."""
        whole = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode() + body
        message = email.message_from_bytes(whole, policy=email.policy.HTTP)
        assert message.get_content_type() == "multipart/form-data"
        (part,) = message.iter_parts()
        assert part.get_content_disposition() == "form-data"
        assert part.get_param("name", header="content-disposition") == "file"
        assert str(part.get_filename()).endswith(".ndjson")
        return [json.loads(line) for line in part.get_payload(decode=True).decode().splitlines()]

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for who in ("KIBANA", "ELASTIC"):
        for last in ("KEY_FILE", "API_KEY", "USER", "CA", "FINGERPRINT"):
            monkeypatch.delenv(f"OTMON_{who}_{last}", raising=False)


def test_both_files_arrive_whole(server: Server) -> None:
    server.base = "/base/s/plant"
    found = load(kibana(server.url))
    assert [(one.what, one.errors) for one in found] == [("dashboards", []), ("rules", [])]
    assert [one.loaded for one in found] == [len(server.taken[OBJECTS]), len(server.taken[RULES])]
    assert {"dashboard", "visualization", "search", "index-pattern"} == {one["type"] for one in server.taken[OBJECTS]}
    assert all(one["rule_id"] for one in server.taken[RULES])
    assert server.authorization is None


def test_what_was_not_taken_is_told(server: Server) -> None:
    missing = {"type": "missing_references", "references": [{"type": "visualization", "id": "otmon-overview-1-1"}]}
    errors: list[Any] = [
        {"id": "otmon-overview", "type": "dashboard", "title": "x", "meta": {}, "error": missing},
        {"id": "otmon-alert", "type": "index-pattern", "error": {"type": "unknown", "message": "too\nnew"}},
        "nonsense",
        {"id": ["x"], "type": {}, "error": {"message": [], "reason": {"a": 1}, "type": "unknown", "references": None}},
    ]
    said = {"success": False, "successCount": 3, "errors": errors}
    server.answers[OBJECTS] = (200, {"kbn-name": "k"}, json.dumps(said).encode())
    rule = {"rule_id": "ab", "error": {"status_code": 400, "message": "no such type"}}
    said = {"success": False, "success_count": 0, "rules_count": 1, "errors": [rule]}
    server.answers[RULES] = (200, {"kbn-name": "k"}, json.dumps(said).encode())
    assert load(kibana(server.url)) == [
        Loaded(
            "dashboards",
            3,
            [
                "dashboard otmon-overview: missing_references (visualization otmon-overview-1-1)",
                "index-pattern otmon-alert: too new",
                "object ?: no reason given",
                "object ?: unknown",
            ],
        ),
        Loaded("rules", 0, ["rule ab: no such type"]),
    ]


JSON = {"kbn-name": "kibana", "Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("status", "headers", "body", "kind", "words"),
    [
        (401, JSON, b'{"message":"Unauthorized"}', Refused, "does not know us: say OTMON_KIBANA_API_KEY"),
        (403, JSON, b'{"statusCode":403,"message":"Unable to bulk_create"}', Refused, "rights"),
        (404, JSON, b'{"statusCode":404,"message":"Not Found"}', Refused, "no such API"),
        (400, JSON, b'{"message":"more recent version"}', Refused, "400 to the dashboards (more recent"),
        (503, JSON, b"Kibana server is not ready yet", Unreachable, "not ready"),
        (503, JSON, b'{"message":"License not available"}', Unreachable, "License not available"),
        (302, {"Location": "/abc/app/home"}, b"", Refused, "redirects to /abc/app/home"),
        (200, {}, b"<html>", Refused, "nothing that Kibana would say"),
        (200, JSON, b'{"hello": 1}', Refused, "nothing that Kibana would say"),
        (200, JSON, b"[]", Refused, "nothing that Kibana would say"),
        (200, JSON, b"[" * 200_000, Refused, "nothing that Kibana would say"),
        (200, JSON, b'{"message":' + b"[" * 900 + b"]" * 900 + b"}", Refused, "nothing that Kibana would say"),
        (405, {"X-elastic-product": "Elasticsearch"}, b'{"error":"x"}', Refused, "is Elasticsearch, not Kibana"),
    ],
)  # fmt: skip
def test_errors_are_one_clear_line(
    server: Server, status: int, headers: dict[str, str], body: bytes, kind: type[SinkError], words: str
) -> None:
    server.answers[OBJECTS] = (status, headers, body)
    with pytest.raises(kind) as caught:
        load(kibana(server.url))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert RULES not in server.taken


def test_nobody_answers(server: Server) -> None:
    url = server.url
    server.shutdown()
    server.server_close()
    with pytest.raises(Unreachable, match="cannot be reached"):
        load(kibana(url))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("kibana:5601", "not the address of a Kibana"),
        ("http://kibana.example:5601", "plain http only reaches this machine"),
        ("https://user:pass@kibana.example", "would show it to everybody"),
        ("https://kibana.example:99999", "not a URL"),
        ("https://kibana.example/?x=1", "not the address"),
        ("https://kibana.example/\r\nX: y", "not the address"),
    ],
)
def test_an_address_that_cannot_be(url: str, words: str) -> None:
    with pytest.raises(KibanaError) as caught:
        kibana(url)
    assert words in str(caught.value)
    assert "pass@" not in str(caught.value)


def test_who_we_are(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def known_as() -> str | None:
        settings = kibana(server.url)
        assert "sekret" not in repr(settings)
        load(settings)
        return server.authorization

    file = tmp_path / "key"
    file.write_text("sekret-in-file\n")
    file.chmod(0o600)
    monkeypatch.setenv("OTMON_ELASTIC_KEY_FILE", str(file))
    assert known_as() == "ApiKey sekret-in-file"
    monkeypatch.setenv("OTMON_KIBANA_USER", "anna:sekret")
    assert known_as() == "Basic YW5uYTpzZWtyZXQ="
    monkeypatch.delenv("OTMON_KIBANA_USER")
    monkeypatch.delenv("OTMON_ELASTIC_KEY_FILE")
    monkeypatch.setenv("OTMON_KIBANA_API_KEY", "sekret-said")
    assert known_as() == "ApiKey sekret-said"
    file.chmod(0o644)
    monkeypatch.setenv("OTMON_KIBANA_KEY_FILE", str(file))
    with pytest.raises(KibanaError, match="open to others"):
        known_as()
    monkeypatch.setenv("OTMON_KIBANA_FINGERPRINT", "12")
    monkeypatch.delenv("OTMON_KIBANA_KEY_FILE")
    with pytest.raises(KibanaError, match="64 hexadecimal digits"):
        known_as()


@pytest.mark.skipif(not available(), reason="no openssl (Debian: openssl)")
def test_certificates_are_verified(server: Server, tmp_path: Path) -> None:
    certificate = Authority(tmp_path / "right").server()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.cert, certificate.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    url = server.url.replace("http:", "https:")
    assert load(Kibana(url, key="k", ca=certificate.ca))[0].loaded
    assert load(Kibana(url, fingerprint=certificate.fingerprint.upper()))[0].loaded
    server.authorization = None
    for wrong in (Kibana(url, key="k"), Kibana(url, key="k", fingerprint="0" * 64)):
        with pytest.raises(Refused, match="certificate"):
            load(wrong)
    assert server.authorization is None
