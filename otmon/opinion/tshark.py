"""tshark, run once over a capture: every message it dissects, with all fields, in the order of frames.

`-T json` keeps repeated fields, nesting and order; it is read packet by packet: memory does not grow with the capture.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from otmon.text import safe_text

Fields = dict[str, list[str]]
BEGINS: Final = {"mbtcp": "modbus", "mbudp": "modbus", "mbrtu": "modbus", "dnp3": "dnp3", "cotp": "s7comm"}
"""Layer with which a message begins -> protocol in otmon's terms."""
CONTINUES: Final = {"modbus": "modbus", "s7comm": "s7comm", "cotp.segments": "s7comm"}
DISSECTOR: Final = {
    ("modbus", "tcp"): "mbtcp",
    ("modbus", "udp"): "mbudp",
    ("modbus rtu", "tcp"): "mbrtu",
    ("dnp3", "tcp"): "dnp3",
    ("dnp3", "udp"): "dnp3",
    ("s7comm", "tcp"): "tpkt",
}
KNOWN: Final = {("mbtcp", 502), ("mbudp", 502), ("dnp3", 20000), ("tpkt", 102)}
"""Where tshark looks for these dissectors by itself."""
SIDED: Final = {"mbtcp": "mbtcp.tcp.port", "mbudp": "mbudp.udp.port", "mbrtu": "mbrtu.tcp.port"}
"""Dissectors that tell a request from a response by the ports in this preference alone."""
PREFIXES: Final = ("mbtcp.", "mbudp.", "mbrtu.", "modbus.", "dnp3.", "cotp.", "s7comm.")
MALFORMED: Final = "_ws.malformed"
_LAYERS: Final = "frame mbtcp mbudp mbrtu modbus dnp3 cotp s7comm"
_FILTER: Final = "mbtcp || mbudp || mbrtu || dnp3 || cotp"
_ENDS: Final = (b"  },\n", b"  }\n")
_TREE: Final = "_tree"


class TsharkError(Exception):
    """tshark is not there, or could not read a capture; says so in one line."""


class Shown(NamedTuple):
    """One message as tshark dissects it."""

    frame: int
    protocol: str
    fields: Fields


def find() -> str:
    """Where tshark is. Raises TsharkError."""
    found = shutil.which("tshark")
    if found is None:
        raise TsharkError("tshark is not installed; on Debian or Ubuntu: apt install tshark")
    return found


def version() -> str:
    """What it calls itself, like `TShark (Wireshark) 4.0.17`. Raises TsharkError."""
    done = subprocess.run([find(), "--version"], capture_output=True, text=True, errors="replace", check=False)
    return safe_text(done.stdout.partition("\n")[0].partition(" (Git")[0].rstrip("."), 80)


def decode_as(servers: Iterable[tuple[str, str, int]]) -> list[str]:
    """Options for servers (protocol, transport, port) on ports where tshark would not look."""
    options: list[str] = []
    sides: defaultdict[str, list[int]] = defaultdict(list)
    for protocol, transport, port in sorted(set(servers)):
        dissector = DISSECTOR.get((protocol, transport))
        if dissector is not None and (dissector, port) not in KNOWN:
            options += ["-d", f"{transport}.port=={port},{dissector}"]
            if dissector in SIDED:
                sides[dissector].append(port)
    for dissector, ports in sides.items():
        by_itself = [port for name, port in KNOWN if name == dissector]
        options += ["-o", f"{SIDED[dissector]}:{','.join(map(str, [*by_itself, *ports]))}"]
    return options


class Reading:
    """tshark on one capture; iterate once for every message.

    It runs with no preferences but its own: a user's register formats or ports do not change the comparison.
    """

    def __init__(self, capture: Path, options: Sequence[str] = ()) -> None:
        """`options`: see `decode_as`. Raises TsharkError if tshark is not there."""
        self._command = [find(), "-n", "-r", str(capture), *options, "-Y", _FILTER, "-T", "json", "-J", _LAYERS]
        self.parts: Counter[str] = Counter()
        """Protocol -> link frames or COTP units that carry a part of a message which ends later, or never."""
        self.error = ""
        """Once all was read: why tshark stopped before the end, in one line."""

    def __iter__(self) -> Iterator[Shown]:
        with tempfile.TemporaryDirectory() as empty, tempfile.TemporaryFile() as said:
            environment = os.environ | {"WIRESHARK_CONFIG_DIR": empty, "TZ": "UTC", "LC_ALL": "C.UTF-8"}
            process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=said, env=environment)
            try:
                if process.stdout is not None:
                    for packet in _packets(process.stdout):
                        for unit in units(packet):
                            if _complete(unit.fields):
                                yield unit
                            else:
                                self.parts[unit.protocol] += 1
                code = process.wait()
            finally:
                process.kill()
                process.wait()
            if code:
                said.seek(0)
                lines = said.read(4096).decode(errors="replace").splitlines()
                self.error = safe_text(" ".join(line for line in lines if "Running as" not in line), 300)
                self.error = self.error or f"tshark ended with exit code {code}"


def _packets(stream: Iterable[bytes]) -> Iterator[Any]:
    """Each packet of the JSON array, as nested lists of (key, value)."""
    lines: list[bytes] = []
    for line in stream:
        if lines or line.startswith(b"  {"):
            lines.append(line)
        if line in _ENDS:
            text = b"".join(lines).rstrip(b",\n").decode(errors="replace")
            yield json.loads(text, object_pairs_hook=list, strict=False)
            lines.clear()


def units(packet: Any) -> Iterator[Shown]:
    """The messages of one packet, and parts of messages."""
    layers = dict(dict(packet)["_source"])["layers"]
    frame, protocol = 0, ""
    fields: Fields = {}
    for name, content in layers:
        if name == "frame":
            frame = int(dict(content)["frame.number"])
        elif name in BEGINS:
            if fields:
                yield Shown(frame, protocol, fields)
            protocol, fields = BEGINS[name], {}
        if protocol and (BEGINS.get(name) or CONTINUES.get(name)) == protocol:
            _collect(content, fields)
        elif protocol and name == MALFORMED:
            fields.setdefault(MALFORMED, []).append("")
    if fields:
        yield Shown(frame, protocol, fields)


def _complete(fields: Fields) -> bool:
    """Whether this is a message, and no link frame or COTP unit of one that ends later."""
    if "dnp3.tr.ctl" in fields:
        return "dnp3.al.func" in fields
    return not ("cotp.segment_data" in fields and fields["cotp.eot"] in (["0"], ["False"]))


def _collect(content: Any, fields: Fields) -> None:
    if not isinstance(content, list):
        return
    for key, value in content:
        if isinstance(value, list):
            if value and not isinstance(value[0], tuple):
                continue
            _collect(value, fields)
        elif key.startswith(PREFIXES) and not key.endswith(_TREE):
            fields.setdefault(key, []).append(value)
        elif key == MALFORMED:
            fields.setdefault(MALFORMED, []).append("")
