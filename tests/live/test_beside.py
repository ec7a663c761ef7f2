"""What runs beside the watch works after privileges were dropped: metrics, the log in JSON, a configuration file."""

import json
import socket

import pytest

from tests.live.lab import MONITOR, lab, skip_reason
from tests.live.sensor import ROOT, Watching, data_folder, until
from tests.sensor.feed import frames_of

pytestmark = pytest.mark.skipif(bool(skip_reason()), reason=str(skip_reason()))


def scrape(plant, port: int) -> str:
    with plant.inside("monitor"):
        client = socket.socket()
    with client:
        client.settimeout(5)
        client.connect(("127.0.0.1", port))
        client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        got = b""
        while more := client.recv(65536):
            got += more
    return got.decode()


def test_metrics_log_and_configuration():
    frames = [frame.data for frame in frames_of("plant.pcap")]
    with data_folder() as data, lab() as plant:
        config = data.parent / "sensor.yaml"
        config.write_text(
            f"interfaces: {MONITOR}\ndata: data\npolicy: {ROOT / 'rules' / 'plant.yaml'}\nmetrics: 9105\nlog: json\n"
        )
        watching = Watching(plant, "--config", config)
        plant.inject(frames)
        until(lambda: f'otmon_interface_frames_total{{interface="{MONITOR}"}} {len(frames)}.0' in scrape(plant, 9105))
        page = scrape(plant, 9105)
        assert 'otmon_alerts_total{severity="critical"} 3.0' in page
        assert "process_resident_memory_bytes" in page
        assert watching.end() == 0
    assert watching.said.count(f"watching {MONITOR}") == 1
    said = [json.loads(line) for line in watching.said if line.startswith("{")]
    assert sum(record["event"] == "alert" and record["severity"] == "critical" for record in said) == 3
