"""Key and decoder of each protocol on one byte string, guided by coverage: `python -m tests.fuzz.pdus --seconds 600`.

Needs atheris (Apache-2.0). An input is: protocol and way (one byte), length of the request (one byte), request, PDU.
What reaches new code is kept in tests/fuzz/corpus, one line of hex each, which the ordinary tests replay.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import orjson

from otmon.model import Malformed
from otmon.protocols import PROTOCOLS
from tests.fuzz.every import EVERY
from tests.protocols import test_dnp3_fuzz, test_modbus_fuzz, test_s7comm_fuzz

CORPUS = Path(__file__).parent / "corpus"
CHECKS = {"modbus": test_modbus_fuzz, "dnp3": test_dnp3_fuzz, "s7comm": test_s7comm_fuzz}
"""Each has `check(pdu)`, with all that key and decoder owe each other, and `known()`, well-formed PDUs."""
MOST_BYTES = 512
KEPT = Path("out/fuzz")


def try_one(data: bytes) -> None:
    """Raises what a decoder must not: AssertionError, or anything but Malformed."""
    if len(data) < 2:
        return
    protocol = PROTOCOLS[(data[0] >> 1) % len(PROTOCOLS)]
    request, pdu = data[2 : 2 + data[1]], data[2 + data[1] :]
    CHECKS[protocol.name].check(pdu)
    with suppress(Malformed):
        message = protocol.decode(pdu, bool(data[0] & 1), request or None)
        list(protocol.identity(message))
        list(protocol.written(message))
        list(protocol.points(message))
        orjson.dumps([message.body, message.extra, message.flags])


def corpus() -> Iterator[bytes]:
    """What is kept."""
    for path in sorted(CORPUS.glob("*.hex")):
        yield from map(bytes.fromhex, path.read_text().split())


def seeds() -> Iterator[bytes]:
    """Well-formed PDUs, as requests and beside one, and a small one of everything that has a name."""
    for number, protocol in enumerate(PROTOCOLS):
        known = CHECKS[protocol.name].known()[:400]
        for n, pdu in enumerate(known):
            before = known[n - 1][:255] if n % 2 else b""
            yield bytes([number << 1 | n // 2 & 1, len(before)]) + before + pdu
        for n, pdu in enumerate(EVERY[protocol.name]()):
            yield bytes([number << 1 | n & 1, 0]) + pdu


def keep(folder: Path) -> None:
    """Write the inputs of a folder down, by protocol."""
    lines: dict[str, set[str]] = {protocol.name: set() for protocol in PROTOCOLS}
    for path in folder.iterdir():
        if data := path.read_bytes():
            lines[PROTOCOLS[(data[0] >> 1) % len(PROTOCOLS)].name].add(data.hex())
    CORPUS.mkdir(exist_ok=True)
    for name, found in lines.items():
        (CORPUS / f"{name}.hex").write_text("\n".join(sorted(found, key=lambda line: (len(line), line))) + "\n")


def run(*arguments: str) -> None:
    """libFuzzer in a process of its own, interpreted, so that it sees what is reached in `key` too."""
    command = [sys.executable, "-m", "tests.fuzz.guided", f"-max_len={MOST_BYTES}", *arguments]
    environment = {**os.environ, "OTMON_INTERPRET": "1"}
    if subprocess.run(command, env=environment).returncode:
        sys.exit("it broke: the input is in the file that was named above")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--keep", action="store_true", help="write what reaches new code to tests/fuzz/corpus")
    options = parser.parse_args()
    KEPT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        begun, found = Path(scratch, "begun"), Path(scratch, "found")
        for folder, inputs in ((begun, seeds()), (found, corpus())):
            folder.mkdir()
            for number, data in enumerate(inputs):
                (folder / str(number)).write_bytes(data[:MOST_BYTES])
        limits = (f"-max_total_time={options.seconds}", "-timeout=10", "-rss_limit_mb=1024")
        run(*limits, f"-artifact_prefix={KEPT}/", str(found), str(begun))
        if options.keep:
            keep(found)


if __name__ == "__main__":
    main()
