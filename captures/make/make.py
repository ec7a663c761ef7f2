"""Makes every capture of this folder's parent, its labels, its expectations and PROVENANCE.md.

    sudo python3 make.py setup            # virtual environments and the libmodbus client, under /tmp/otmon-captures
    sudo python3 make.py [NAME ...]       # all captures, or those named; then what `labels` does
    python3 make.py labels                # labels, expectations and PROVENANCE.md, from the captures that exist
    sudo python3 make.py obeyed           # what servers do with requests that contradict themselves, for tests/hostile

Needs root, iproute2, ethtool, tcpdump, tshark, openssl and Python 3.11; for `setup` also gcc, libmodbus-dev,
pkg-config and a CPython 3.10 (named by PYTHON310, else python3.10: the opendnp3 wheels end there). No frame leaves
its namespaces.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from counts import count, tshark_version
from lab import Host, Lab, lab
from provenance import write_provenance
from violations import labels

HERE = Path(__file__).resolve().parent
CAPTURES = HERE.parent
ENDPOINTS = HERE / "endpoints"
WORK = Path("/tmp/otmon-captures")
LIBMODBUS = ("libmodbus_tour", "libmodbus_server")
LIBMODBUS_TOUR, LIBMODBUS_SERVER = (WORK / name for name in LIBMODBUS)
OBEYED = HERE.parents[1] / "tests" / "hostile" / "obeyed"

PLANT = [
    Host("plc-1", "10.0.1.11", "00:80:f4:0e:51:1a"),
    Host("plc-2", "10.0.1.12", "28:63:36:a2:07:c4"),
    Host("plc-3", "10.0.1.13", "00:30:de:43:90:2f"),
    Host("rtu-1", "10.0.1.21", "00:30:a7:06:b8:51"),
    Host("hmi-1", "10.0.2.10", "00:d0:c9:d7:22:10"),
    Host("hmi-2", "10.0.2.11", "00:d0:c9:d7:22:4b"),
    Host("scada", "10.0.2.12", "3c:d9:2b:f1:60:0c"),
    Host("historian", "10.0.2.20", "3c:d9:2b:f1:73:e8"),
    Host("engineering", "10.0.2.30", "00:14:22:9a:3d:07"),
    Host("server", "10.0.3.5", "00:25:90:5c:18:e2"),
    Host("workstation", "10.0.3.50", "00:1b:21:b4:66:d9"),
]
PAIR = [Host("client", "10.0.2.10", "00:d0:c9:d7:22:10"), Host("server", "10.0.1.10", "00:80:f4:0e:51:1a")]
SERVER = PAIR[1].ip
SHIFTS = "".join(f"2026-11-{day:02} {crew}\n" for day in range(1, 29) for crew in ("early A", "late B", "night C"))


def python(environment: str) -> Path:
    return WORK / "venvs" / environment / "bin" / "python"


def setup() -> None:
    """Virtual environments with pinned packages, and the compiled libmodbus programs."""
    for requirements in sorted((HERE / "requirements").glob("*.txt")):
        name = requirements.stem
        interpreter = os.environ.get("PYTHON310", "python3.10") if name == "opendnp3" else sys.executable
        subprocess.run([interpreter, "-m", "venv", str(WORK / "venvs" / name)], check=True)
        subprocess.run([str(python(name)), "-m", "pip", "install", "-q", "-r", str(requirements)], check=True)
    libmodbus = ["pkg-config", "--cflags", "--libs", "libmodbus"]
    flags = subprocess.run(libmodbus, check=True, capture_output=True, text=True)
    for name in LIBMODBUS:
        words = ["gcc", "-O2", "-Wall", "-o", str(WORK / name), str(ENDPOINTS / f"{name}.c"), *flags.stdout.split()]
        subprocess.run(words, check=True)


def script(name: str) -> Path:
    return ENDPOINTS / f"{name}.py"


def plant(stage: Lab, capture: Path) -> None:
    """Ordinary operation, permitted office traffic and the violations, about 27 seconds."""
    web = Path(tempfile.mkdtemp(prefix="web-", dir=WORK))
    (web / "index.html").write_text("<!doctype html><title>Office</title><p><a href=shifts.txt>Shift plan</a></p>\n")
    (web / "shifts.txt").write_text(SHIFTS)
    stage.start("plc-1", "plc-1", python("modbus"), script("modbus_server"), "10.0.1.11", "plc-1")
    stage.start("plc-2", "plc-2", python("s7native"), script("s7_server"), "10.0.1.12")
    stage.start("plc-3", "plc-3", python("modbus"), script("modbus_server"), "10.0.1.13", "plc-3")
    stage.start("rtu-1", "rtu-1", python("opendnp3"), script("dnp3_outstation"), "10.0.1.21", "5", "10")
    http = ["-m", "http.server", "80", "--bind", "10.0.3.5", "--directory"]
    stage.start("server", "web", python("modbus"), *http, web)
    stage.start("server", "names", python("modbus"), script("plant_office"), "names", "10.0.3.5")
    for host, port in (("plc-1", 502), ("plc-2", 102), ("plc-3", 502), ("rtu-1", 20000), ("server", 80)):
        stage.wait_for(host, port)
    with stage.capture(capture):
        start = str(time.time() + 1.5)
        clients = [
            stage.start(role, f"{role}-modbus", python("modbus"), script("plant_modbus"), role, start)
            for role in ("hmi-1", "hmi-2", "historian", "engineering")
        ]
        clients += [
            stage.start(role, f"{role}-s7", python("s7native"), script("plant_s7"), role, start)
            for role in ("hmi-1", "historian", "engineering")
        ]
        clients.append(
            stage.start("scada", "scada", python("opendnp3"), script("dnp3_master"), "10.0.1.21", start, "plant")
        )
        clients.append(
            stage.start("workstation", "workstation", python("modbus"), script("plant_office"), "workstation", start)
        )
        stage.finish(clients)


def pair(port: int, server: list[str | Path], client: list[str | Path]) -> Callable[[Lab, Path], None]:
    """A capture of one server and one client."""

    def make(stage: Lab, capture: Path) -> None:
        stage.start("server", f"{capture.stem}-server", *server)
        stage.wait_for("server", port)
        with stage.capture(capture):
            stage.finish([stage.start("client", f"{capture.stem}-client", *client)])

    return make


def values(name: str) -> Path:
    """Where a client puts what it wrote and read."""
    return CAPTURES / f"{name}.values.json"


def modbus_server(*transport: str | Path) -> list[str | Path]:
    return [python("modbus"), script("modbus_server"), SERVER, "tour", *transport]


def certificate(name: str) -> Path:
    """A self-signed certificate with its key."""
    path = WORK / "tls.pem"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subject = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-days", "3650"]
    subprocess.run([*words, *subject, "-keyout", path, "-out", path], check=True, capture_output=True)
    return path


def modbus_every(port: int, transport: str) -> tuple[list[Host], Callable[[Lab, Path], None]]:
    """Every request pymodbus can make, over one transport; the values that were written and read lie beside."""
    client: list[str | Path] = [
        python("modbus"),
        script("modbus_every"),
        SERVER,
        transport,
        values(f"modbus_{transport}"),
    ]

    def make(stage: Lab, capture: Path) -> None:
        files = [certificate("plc.example.invalid")] * 2 if transport == "tls" else []
        pair(port, modbus_server(transport, *files), client)(stage, capture)

    return PAIR, make


def secure(stage: Lab, capture: Path) -> None:
    """Modbus and DNP3 inside TLS, on the ports registered for that: plain on each host, TLS between the two."""
    pem = certificate("rtu.example.invalid")
    servers = {
        802: (502, [python("modbus"), script("modbus_server"), "127.0.0.1", "tour"]),
        19999: (20000, [python("dnp3py"), script("dnp3py_outstation"), "127.0.0.1"]),
    }
    for port, (plain, command) in servers.items():
        stage.start("server", f"secure-{port}", *command)
        gate = [python("modbus"), script("tls_relay")]
        stage.start("server", f"secure-out-{port}", *gate, "out", SERVER, str(port), "127.0.0.1", str(plain), pem)
        stage.start("client", f"secure-in-{port}", *gate, "in", "127.0.0.1", str(plain), SERVER, str(port), pem)
        for host, number in (("server", plain), ("server", port), ("client", plain)):
            stage.wait_for(host, number)
    with stage.capture(capture):
        stage.finish([stage.start("client", "secure-modbus", python("modbus"), script("modbus_tour"), "127.0.0.1")])
        stage.finish([stage.start("client", "secure-dnp3", python("dnp3py"), script("dnp3py_tour"), "127.0.0.1")])


RECIPES: dict[str, tuple[list[Host], Callable[[Lab, Path], None]]] = {
    "plant": (PLANT, plant),
    "modbus_pymodbus": (PAIR, pair(502, modbus_server(), [python("modbus"), script("modbus_tour"), SERVER])),
    "modbus_libmodbus": (PAIR, pair(502, modbus_server(), [LIBMODBUS_TOUR, SERVER])),
    "modbus_tcp": modbus_every(502, "tcp"),
    "modbus_udp": modbus_every(502, "udp"),
    "modbus_rtu": modbus_every(4001, "rtu"),
    "modbus_tls": modbus_every(802, "tls"),
    "s7_snap7": (
        PAIR,
        pair(
            102,
            [python("s7native"), script("s7_server"), SERVER],
            [python("s7native"), script("s7_tour"), SERVER],
        ),
    ),
    "s7_download": (
        PAIR,
        pair(
            102,
            [python("s7pure"), script("s7_server"), SERVER],
            [python("s7pure"), script("s7_program"), SERVER],
        ),
    ),
    "s7_values": (
        PAIR,
        pair(
            102,
            [python("s7native"), script("s7_server"), SERVER],
            [python("s7native"), script("s7_values"), SERVER, values("s7_values")],
        ),
    ),
    "s7_blocks": (
        PAIR,
        pair(
            102,
            [python("s7pure"), script("s7_server"), SERVER],
            [python("s7pure"), script("s7_blocks"), SERVER, values("s7_blocks")],
        ),
    ),
    "s7_plus": (
        PAIR,
        pair(
            102,
            [python("s7plus"), script("s7plus_server"), SERVER],
            [python("s7plus"), script("s7plus_tour"), SERVER, values("s7_plus")],
        ),
    ),
    "s7_plus_tls": (
        PAIR,
        pair(
            102,
            [python("s7plus"), script("s7plus_server"), SERVER, "tls"],
            [python("s7plus"), script("s7plus_tour"), SERVER, "tls"],
        ),
    ),
    "dnp3_opendnp3": (
        PAIR,
        pair(
            20000,
            [python("opendnp3"), script("dnp3_outstation"), SERVER, "1", "3"],
            [python("opendnp3"), script("dnp3_master"), SERVER, "0", "tour"],
        ),
    ),
    "dnp3_points": (
        PAIR,
        pair(
            20000,
            [python("opendnp3"), script("dnp3_points_outstation"), SERVER],
            [python("opendnp3"), script("dnp3_points_master"), SERVER],
        ),
    ),
    "dnp3_dnp3py": (
        PAIR,
        pair(
            20000,
            [python("dnp3py"), script("dnp3py_outstation"), SERVER],
            [python("dnp3py"), script("dnp3py_tour"), SERVER],
        ),
    ),
    "secure": (PAIR, secure),
}


TOLD = WORK / "told"
LIES: dict[str, tuple[int, list[str | Path], list[str | Path]]] = {
    "modbus_libmodbus": (502, [LIBMODBUS_SERVER, SERVER], [script("modbus_lies"), SERVER, "tcp"]),
    "modbus_pymodbus": (502, modbus_server(), [script("modbus_lies"), SERVER, "tcp"]),
    "modbus_pymodbus_udp": (502, modbus_server("udp"), [script("modbus_lies"), SERVER, "udp"]),
    "s7_snap7": (102, [python("s7native"), script("s7_server"), SERVER], [script("s7_lies"), SERVER]),
    "s7_snap7_python": (102, [python("s7pure"), script("s7_server"), SERVER], [script("s7_lies"), SERVER]),
    "dnp3_opendnp3": (
        20000,
        [python("opendnp3"), script("dnp3_obedient"), SERVER, TOLD],
        [script("dnp3_lies"), SERVER, TOLD],
    ),
}
"""Port and server; and the client, which writes down what was obeyed."""


def obey() -> None:
    """Ask each server what contradicts itself, and keep what it did."""
    for name, (port, server, client) in LIES.items():
        TOLD.unlink(missing_ok=True)
        with lab(PAIR, WORK / "logs") as stage:
            stage.start("server", f"obeyed-{name}-server", *server)
            stage.wait_for("server", port)
            words = [python("modbus"), *client, OBEYED / f"{name}.json"]
            stage.finish([stage.start("client", f"obeyed-{name}", *words)], timeout_s=600)


def record(name: str) -> None:
    """Write into the folder what was captured."""
    hosts, make = RECIPES[name]
    with lab(hosts, WORK / "logs") as stage:
        make(stage, CAPTURES / f"{name}.pcap")


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")


def describe() -> None:
    """Labels, expectations and PROVENANCE.md, all from the captures themselves."""
    for name in RECIPES:
        capture = CAPTURES / f"{name}.pcap"
        write_json(capture.with_suffix(".expected.json"), {"tshark": tshark_version(), **count(capture)})
    write_json(CAPTURES / "plant.labels.json", labels(CAPTURES / "plant.pcap"))
    write_provenance(CAPTURES, list(RECIPES))


def main(words: list[str]) -> None:
    WORK.mkdir(parents=True, exist_ok=True)
    if words == ["setup"]:
        setup()
        return
    if words == ["obeyed"]:
        obey()
        return
    if words != ["labels"]:
        for name in words or RECIPES:
            record(name)
    describe()


if __name__ == "__main__":
    main(sys.argv[1:])
