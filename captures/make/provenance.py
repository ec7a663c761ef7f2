"""PROVENANCE.md: what made each capture, with which versions, and its hash."""

from __future__ import annotations

import hashlib
from pathlib import Path

HEAD = """# Where these captures come from

All traffic here is our own: real protocol stacks talking to each other inside network namespaces on one machine,
recorded at a bridge that shows each frame once, with offloads off. Made by `captures/make/make.py`; licence
Apache-2.0, as the rest of this repository. The addresses are private, the MAC addresses invented under real vendor
prefixes (IEEE OUI), so that vendor look-up has something to find; no such device took part.

`plant.labels.json` says which frames of `plant.pcap` are which violation (`frames`: the request first, then its
answer; numbers from 1, as in Wireshark); whatever is not labelled is permitted by `rules/plant.yaml`.
`*.expected.json` holds what tshark counts in each capture. Both are computed from the captures, by `make.py labels`.
`*.values.json` is what the client program noted that it wrote and read, while the capture was made.

| file | made by | frames | bytes | sha256 |
| --- | --- | --- | --- | --- |
"""

MADE_BY = {
    "plant": "pymodbus 3.16.1, python-snap7 2.0.2 (native Snap7), dnp3-python 0.3.0b2 (opendnp3), Python's http.server",
    "modbus_pymodbus": "pymodbus 3.16.1 client and server, two units: 17 functions, exceptions, an unknown unit",
    "modbus_libmodbus": "libmodbus 3.1.6 client (Debian 12), pymodbus 3.16.1 server; function 90 (UMAS) refused",
    "modbus_tcp": "pymodbus 3.16.1 client and server: every request the client can make",
    "modbus_udp": "the same over UDP",
    "modbus_rtu": "the same as RTU frames over TCP, port 4001",
    "modbus_tls": "the same over TLS (Modbus Security), port 802",
    "s7_snap7": "python-snap7 2.0.2 client and server, both native Snap7: areas, SZL, blocks, password, stop and start",
    "s7_download": "python-snap7 3.3.0 client and server (pure Python): a whole upload and a whole download of DB1",
    "s7_values": "python-snap7 2.0.2 client and server (native Snap7): values of every kind, services, password",
    "s7_blocks": "python-snap7 3.3.0 client and server (pure Python): uploads and downloads of two blocks",
    "s7_plus": "s7commplus 0.3.0 client and server: S7comm-plus V1 in clear, objects and data blocks",
    "s7_plus_tls": "s7commplus 0.3.0 client and server: an engineering session inside TLS 1.3 that sends a lot",
    "dnp3_opendnp3": "dnp3-python 0.3.0b2 (opendnp3) master and outstation: 25 functions, unsolicited, restarts",
    "dnp3_points": "dnp3-python 0.3.0b2 (opendnp3) master and outstation: points, variations, commands of all kinds",
    "dnp3_dnp3py": "dnp3py 0.6.0 master and outstation: link reset, polls, select and operate, direct operate",
    "secure": "pymodbus 3.16.1 and dnp3py 0.6.0 inside TLS (Python's ssl, OpenSSL) on ports 802 and 19999",
}

TAIL = """
## What is odd in them, and true

- `s7_download.pcap`: the server starts jobs of its own towards the client during the download (0x1b, 0x1c), as PLCs
  do.
- `s7_snap7.pcap`: Snap7's server refuses upload and download; the requests are on the wire.
- `s7_values.pcap`: the password of the session is `secret7!`, in the encoding that anybody can turn back; no record of
  otmon shows it. Values are in `s7_values.values.json`, as those of the other S7 captures are in theirs.
- `s7_blocks.pcap`: the blocks are bytes without the header of a real block.
- `s7_plus.pcap`, `s7_plus_tls.pcap`: an emulator, not a controller: no order number, no digests.
- `modbus_pymodbus.pcap`: "force listen only" (8/4) is not answered, as the standard says.
- `modbus_libmodbus.pcap`: pymodbus answers the unknown function 90 with function byte 0x80; tshark counts function 0.
- `dnp3_opendnp3.pcap`: functions the outstation does not support get an error in IIN2; some requests carry no
  object where the standard wants one (open file, delete file, authentication): the stack sends them so, and tshark
  calls two of them malformed.
"""


def frames_in(capture: Path) -> int:
    """Frames of a classic little-endian pcap, by its record headers."""
    data, position, frames = capture.read_bytes(), 24, 0
    while position < len(data):
        position += 16 + int.from_bytes(data[position + 8 : position + 12], "little")
        frames += 1
    return frames


def write_provenance(folder: Path, names: list[str]) -> None:
    lines = []
    for name in names:
        capture = folder / f"{name}.pcap"
        data = capture.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        lines.append(f"| {capture.name} | {MADE_BY[name]} | {frames_in(capture)} | {len(data)} | `{digest}` |\n")
    (folder / "PROVENANCE.md").write_text(HEAD + "".join(lines) + TAIL)
