"""Metrics: every figure is there, documented, readable by Prometheus; the page never holds up the sensor."""

import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from otmon.outputs import pageserver
from otmon.outputs.figures import Delivery, Figures, Interface, Spooled
from otmon.outputs.metrics import NAMES, Metrics
from otmon.outputs.pageserver import MAX_CLIENTS, MAX_REQUEST_BYTES, PATIENCE_S, PageServer
from tests.grafana.tools import promtool

FIGURES = Figures(
    1.0,
    interfaces=[Interface("eth1", "up", 10, 1, 2, 3, 4, 500), Interface("eth2", "gone", 0, 0, 0, 0, 0, 0)],
    frames={"ot": 7, "copy": 2},
    ot_bytes={"decoded": 70},
    pdus={"modbus": 5},
    visibility={"missing_bytes": 9},
    stored={"operations": 3, "alerts": 2},
    alerts={"high": 1},
    synchronised=None,
    clock_offset_ns=-1_500_000,
    delivery=[Delivery("elastic", "well", 12, 1, 0, None), Delivery("syslog", "away", 0, 0, 5, 61.5)],
    spool=[Spooled("alert", 5, 2048, 0), Spooled("operation", 0, 0, 9)],
)


def samples(figures: Figures) -> dict[str, float]:
    text = Metrics(lambda: figures).page().decode()
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sample.labels.items())
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def test_figures_are_metrics() -> None:
    found = samples(FIGURES)
    expected = {
        "otmon_interface_ring_dropped_total{interface=eth1}": 1,
        "otmon_interface_bytes_total{interface=eth1}": 500,
        "otmon_interface_up{interface=eth1}": 1,
        "otmon_interface_up{interface=eth2}": 0,
        "otmon_frames_total{bucket=ot}": 7,
        "otmon_ot_bytes_total{bucket=decoded}": 70,
        "otmon_pdus_total{protocol=modbus}": 5,
        "otmon_alerts_total{severity=high}": 1,
        "otmon_alerts_total{severity=critical}": 0,
        "otmon_missing_bytes_total": 9,
        "otmon_copies_total": 2,
        "otmon_operations": 3,
        "otmon_clock_offset_seconds": -0.0015,
        "otmon_delivery_up{sink=elastic}": 1,
        "otmon_delivery_up{sink=syslog}": 0,
        "otmon_delivery_delivered_total{sink=elastic}": 12,
        "otmon_delivery_refused_total{sink=elastic}": 1,
        "otmon_delivery_waiting{sink=syslog}": 5,
        "otmon_delivery_behind_seconds{sink=syslog}": 61.5,
        "otmon_delivery_behind_seconds{sink=elastic}": 0,
        "otmon_spool_bytes{stream=alert}": 2048,
        "otmon_spool_shed_total{stream=operation}": 9,
    }
    assert {name: found.get(name) for name in expected} == expected
    assert "otmon_clock_synchronised" not in found  # not known
    assert found["process_cpu_seconds_total"] > 0


def test_every_metric_is_named_and_has_labels_of_the_sensor_alone() -> None:
    FIGURES.synchronised = True
    found = samples(FIGURES)
    mine = {name.partition("{")[0] for name in found if name.startswith("otmon_")}
    assert mine == set(NAMES)
    labels = {match for name in found for match in re.findall(r"[{,](\w+)=", name)}
    assert labels == {"interface", "bucket", "protocol", "severity", "version", "sink", "stream"}


def test_every_metric_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "sensor.md").read_text()
    assert set(re.findall(r"^\| `(otmon_\w+)`", text, re.MULTILINE)) == set(NAMES)


def test_promtool_finds_nothing_to_say_of_the_page() -> None:
    page = Metrics(lambda: FIGURES).page()
    done = subprocess.run([promtool(), "check", "metrics"], input=page, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


# --- the page --------------------------------------------------------------------------------------------------------


class Turning:
    def __init__(self) -> None:
        self.now_s, self.made = 0.0, 0

    def __call__(self) -> float:
        return self.now_s

    def page(self) -> bytes:
        self.made += 1
        return b"x" * 300_000


@pytest.fixture
def clock() -> Turning:
    return Turning()


@pytest.fixture
def server(clock: Turning) -> Iterator[PageServer]:
    with closing(PageServer("127.0.0.1", 0, "/metrics", "text/plain", clock.page, clock)) as made:
        yield made


def connect(server: PageServer) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", server.port))
    client.settimeout(5)
    return client


def answer(server: PageServer, client: socket.socket) -> bytes:
    """All that comes, while the server is called as the sensor's loop does."""
    client.setblocking(False)
    got = b""
    for _ in range(1000):
        server.serve()
        try:
            more = client.recv(65536)
        except BlockingIOError:
            continue
        if not more:
            return got
        got += more
    raise AssertionError("no end")


def ask(server: PageServer, request: bytes) -> bytes:
    with connect(server) as client:
        client.sendall(request)
        return answer(server, client)


def test_the_page_is_served(server: PageServer) -> None:
    head, _, body = ask(server, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Content-Length: 300000" in head
    assert body == b"x" * 300_000
    assert ask(server, b"HEAD /metrics HTTP/1.0\r\n\r\n").endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"404"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", b"405"),
        (b"\r\n\r\n", b"405"),
        (b"\x00\xff GET\r\n\r\n", b"405"),
    ],
)
def test_nothing_else_is(server: PageServer, request_: bytes, status: bytes, clock: Turning) -> None:
    assert ask(server, request_).startswith(b"HTTP/1.1 " + status)
    assert clock.made == 0


def test_whoever_asks_without_end_gets_the_same_page(server: PageServer, clock: Turning) -> None:
    for _ in range(5):
        ask(server, b"GET /metrics HTTP/1.1\r\n\r\n")
    assert clock.made == 1
    clock.now_s += 1
    ask(server, b"GET /metrics HTTP/1.1\r\n\r\n")
    assert clock.made == 2


def test_slow_and_greedy_clients_are_dropped(server: PageServer, clock: Turning) -> None:
    with connect(server) as slow, connect(server) as greedy, connect(server) as gone:
        slow.sendall(b"GET /met")
        greedy.sendall(b"x" * (2 * MAX_REQUEST_BYTES))
        gone.close()
        for _ in range(3):
            server.serve()
        clock.now_s += PATIENCE_S + 1
        server.serve()
        assert slow.recv(10) == b""
        with suppress(ConnectionResetError):  # what it sent was not all read
            assert greedy.recv(10) == b""
    assert ask(server, b"GET /metrics HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 200")


def test_a_client_that_does_not_read_costs_nothing(server: PageServer, clock: Turning) -> None:
    with connect(server) as deaf:
        deaf.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        for _ in range(50):
            server.serve()
        assert ask(server, b"GET /metrics HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 200")


def test_more_clients_than_there_is_room_for(server: PageServer, clock: Turning) -> None:
    idle = []
    for _ in range(MAX_CLIENTS + 4):
        idle.append(connect(server))
        server.serve()
    clock.now_s += PATIENCE_S + 1
    server.serve()
    assert ask(server, b"GET /metrics HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 200")
    for client in idle:
        client.close()


def test_an_address_that_is_taken(server: PageServer) -> None:
    with pytest.raises(OSError, match="in use"):
        pageserver.PageServer("127.0.0.1", server.port, "/metrics", "text/plain", bytes)
