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

| file | made by | frames | bytes | sha256 |
| --- | --- | --- | --- | --- |
"""

MADE_BY = {
    "plant": "pymodbus 3.16.1, python-snap7 2.0.2 (native Snap7), dnp3-python 0.3.0b2 (opendnp3), Python's http.server",
    "modbus_pymodbus": "pymodbus 3.16.1 client and server, two units: 17 functions, exceptions, an unknown unit",
    "modbus_libmodbus": "libmodbus 3.1.6 client (Debian 12), pymodbus 3.16.1 server; function 90 (UMAS) refused",
    "s7_snap7": "python-snap7 2.0.2 client and server, both native Snap7: areas, SZL, blocks, password, stop and start",
    "s7_download": "python-snap7 3.3.0 client and server (pure Python): a whole upload and a whole download of DB1",
    "dnp3_opendnp3": "dnp3-python 0.3.0b2 (opendnp3) master and outstation: 25 functions, unsolicited, restarts",
    "dnp3_dnp3py": "dnp3py 0.6.0 master and outstation: link reset, polls, select and operate, direct operate",
}

TAIL = """
## What is odd in them, and true

- `s7_download.pcap`: the server starts jobs of its own towards the client during the download (0x1b, 0x1c), as PLCs
  do.
- `s7_snap7.pcap`: Snap7's server refuses upload and download; the requests are on the wire.
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
