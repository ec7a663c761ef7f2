"""Every capture there is, and what otmon says of it; it is asked once in a session."""

import contextlib
import io
import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from otmon.cli import run
from otmon.engine import run as engine_run
from otmon.engine.events import words_of
from otmon.engine.messages import MessageWriter
from otmon.engine.names import Pair
from otmon.model import Malformed, Message
from otmon.protocols import PROTOCOLS
from otmon.wire import columns as c
from otmon.wire.contract import AFTER_DAMAGE
from tests.protocols.segments import CAPTURES

OWN = Path(__file__).parents[2] / "captures"
LONG = {
    "channel_4d_12s.pcap",
    "characterization_modbus_6RTU_with_operate.pcap",
    "right.pcap",
    "s7comm_varservice_libnodavedemo_bench.pcap",
}
"""Thousands of messages like those of other captures: `make test-long`."""

SHARED = (
    "ITI__ICS-Security-Tools/DNP3-Malformed.pcap",
    "ITI__ICS-Security-Tools/S7-1200-Uploading-OB1-TIAV12.pcap",
    "ITI__ICS-Security-Tools/modbus_test_2.pcap",
    "ITI__ICS-Security-Tools/s7comm_reading_setting_plc_time.pcap",
    "ITI__ICS-Security-Tools/s7comm_varservice_libnodavedemo_bench.pcap",
    "OISF__suricata-verify/bittorrent-dht.pcap",
    "OISF__suricata-verify/dnp3-eve.pcap",
    "OISF__suricata-verify/dnp3-flood.pcap",
    "OISF__suricata-verify/dnp3-too-long-reassembly-request.pcap",
    "antoine-lemay__Modbus_dataset/channel_4d_12s.pcap",
    "antoine-lemay__Modbus_dataset/characterization_modbus_6RTU_with_operate.pcap",
    "antoine-lemay__Modbus_dataset/send_a_fake_command_modbus_6RTU_with_operate.pcap",
    "cisagov__icsnpp-bacnet/bacnet_services.pcap",
    "cisagov__icsnpp-dnp3/dnp3_example.pcap",
    "cisagov__icsnpp-enip/enip_cip_example.pcap",
    "cisagov__icsnpp-hart-ip/hart-ip_all_types_and_commands_sent.pcapng",
    "cisagov__icsnpp-modbus/modbus_example.pcap",
    "cisagov__icsnpp-profinet-io-cm/profinet_io_cm_mixed_1.pcap",
    "cisagov__icsnpp-s7comm/s7comm_plus.pcap",
    "cisagov__icsnpp-s7comm/s7ident.pcap",
    "cisagov__icsnpp-s7comm/snap7.pcap",
    "digitalbond__Quickdraw-Snort/modbus_test_data_part1.pcap",
    "digitalbond__Quickdraw-Snort/modbus_test_data_part2.pcap",
    "digitalbond__Quickdraw-Snort/modicon_test.pcap",
    "gymgit__s7-pcaps/snap7_s300_stop.pcapng",
    "gymgit__s7-pcaps/step7_s300_download.pcapng",
    "gymgit__s7-pcaps/wincc_s400_production.pcapng",
    "piercema__icsnpp-omron-fins/omron.pcap",
    "westermo__network-traffic-dataset/right.pcap",
    "zeek__zeek/4SICS-GeekLounge-151022-min.pcap",
    "zeek__zeek/dnp3-flowbuffer-overflow-assert.pcap",
    "zeek__zeek/dnp3.pcap",
    "zeek__zeek/dnp3_read_p20001.pcap",
    "zeek__zeek/dnp3_udp_select_operate.pcap",
    "zeek__zeek/fuzz-72.pcap",
    "zeek__zeek/modbus-and-non-modbus-p502.pcap",
    "zeek__zeek/modbus-eit.pcap",
    "zeek__zeek/modbusBig.pcap",
    "zeek__zeek/modbusSmall.pcap",
    "zeek__zeek/rdp-proprietary-encryption.pcap",
)
PATHS = {path.name: path for path in [*(CAPTURES / name for name in SHARED), *sorted(OWN.glob("*.pcap"))]}


def find(name: str) -> Path:
    """Where a capture lies; skips if it is not here."""
    if not PATHS[name].exists():
        pytest.skip(f"no {PATHS[name]}")
    return PATHS[name]


class Entry(NamedTuple):
    """A PDU as the engine accounts for it."""

    n: int
    request_n: int
    ts_ns: int
    outcome: int
    shape: int
    """Row of the shape it was counted under, -1: none."""
    from_client: bool
    ends: Pair
    """Client, server."""
    protocol: str
    message: Message | None
    unread: bool
    """Whether it answers what could not be read."""


class Ledger(MessageWriter):
    """The engine's message writer, which notes what it was given."""

    def __init__(self, entries: list[Entry], path: Path, state: Any, names: Any) -> None:
        super().__init__(path, state, names)
        self._entries = entries

    def write(self, event: list[int]) -> None:
        super().write(event)
        conn, from_client = event[c.E_CONN], event[c.E_FROM_CLIENT] == 1
        client = max(int(self._state.conns[conn, c.C_CLIENT]), 0)
        protocol = PROTOCOLS[int(self._state.conns[conn, c.C_PROTO])]
        pdu = bytes(self._state.ev_bytes[event[c.E_OFF] : event[c.E_OFF] + event[c.E_LEN]])
        decoded = None
        with contextlib.suppress(Malformed):
            decoded = protocol.decode(pdu, from_client, None)
        self._entries.append(
            Entry(
                event[c.E_N], event[c.E_REQUEST], event[c.E_TS], event[c.E_OUTCOME], event[c.E_SHAPE], from_client,
                self._names.flow(2 * conn + client), protocol.name, decoded, self._unread(event[c.E_SHAPE]),
            )
        )  # fmt: skip

    def _unread(self, shape: int) -> bool:
        words = words_of(self._state, shape)[1] if shape >= 0 else None
        return bool(words) and words[0] & AFTER_DAMAGE != 0


class Seen(NamedTuple):
    """What `otmon analyze --messages` wrote."""

    code: int
    stderr: str
    summary: dict[str, Any]
    messages: list[dict[str, Any]]
    operations: list[dict[str, Any]]
    alerts: list[dict[str, Any]]
    assets: list[dict[str, Any]]
    ledger: list[Entry]

    def of(self, protocol: str) -> list[dict[str, Any]]:
        return [record for record in self.messages if record["protocol"] == protocol]


@cache
def seen(name: str) -> Seen:
    """otmon on a capture, once."""
    path, ledger = find(name), []
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine_run, "MessageWriter", lambda *args: Ledger(ledger, *args))
        out, stdout, stderr = Path(folder) / "out", io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
            code = run(["analyze", str(path), "--out", str(out), "--messages", "--json"])
        records = {
            kind: [json.loads(line) for line in (out / f"{kind}.jsonl").read_text().splitlines()]
            for kind in ("messages", "operations", "alerts", "assets")
        }
        summary = json.loads((out / "summary.json").read_text())
        return Seen(code, stderr.getvalue(), summary, **records, ledger=ledger)


def message(record: dict[str, Any]) -> Message:
    """A record as the decoder's message, so that what compares messages compares records."""
    known = ("kind", "unit", "function_code", "function", "access", "flags", "outcome", record["protocol"])
    unit = record.get("unit")
    if "link_source" in record:
        ends = record["link_source"], record["link_destination"]
        unit = ends if record["dnp3"]["link"]["from_master"] else ends[::-1]
    extra = {key: value for key, value in record.items() if key not in known}
    return Message(
        record["kind"], unit, record["function_code"], record["function"], record["access"], tuple(record["flags"]),
        record[record["protocol"]], (), extra,
    )  # fmt: skip
