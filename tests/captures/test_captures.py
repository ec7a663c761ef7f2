"""The captures are those that PROVENANCE.md names, and their labels and expectations say what is in them."""

import hashlib
import json
import re
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CAPTURES = ROOT / "captures"
sys.path.insert(0, str(CAPTURES / "make"))

from counts import count, frames, tshark_version  # noqa: E402 # its folder is put on the path above
from violations import VIOLATIONS, labels  # noqa: E402 # its folder is put on the path above

NAMES = sorted(path.stem for path in CAPTURES.glob("*.pcap"))
LABELS = json.loads((CAPTURES / "plant.labels.json").read_text())
needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed: apt install tshark")


def ipv4_frames(capture: Path) -> list[tuple[str, str] | None]:
    """Source and destination of each frame of a little-endian Ethernet pcap; None for what is not IPv4."""
    data = capture.read_bytes()
    assert data[:4] == b"\xd4\xc3\xb2\xa1"
    found: list[tuple[str, str] | None] = []
    position = 24
    while position < len(data):
        length = int.from_bytes(data[position + 8 : position + 12], "little")
        frame = data[position + 16 : position + 16 + length]
        position += 16 + length
        addresses = [".".join(str(octet) for octet in frame[at : at + 4]) for at in (26, 30)]
        found.append((addresses[0], addresses[1]) if frame[12:14] == b"\x08\x00" else None)
    assert position == len(data)
    return found


def test_provenance_names_every_capture_with_its_hash() -> None:
    table = re.findall(r"^\| (\S+)\.pcap \| .* \| (\d+) \| (\d+) \| `([0-9a-f]{64})` \|$", provenance(), re.M)
    stored = []
    for name in NAMES:
        data = (CAPTURES / f"{name}.pcap").read_bytes()
        frames = len(ipv4_frames(CAPTURES / f"{name}.pcap"))
        stored.append((name, str(frames), str(len(data)), hashlib.sha256(data).hexdigest()))
    assert sorted(table) == stored


def test_provenance_names_the_pinned_versions() -> None:
    for requirements in (CAPTURES / "make" / "requirements").glob("*.txt"):
        package, version = requirements.read_text().strip().split("==")
        assert f"{package} {version}" in provenance()


def test_captures_are_small() -> None:
    sizes = {name: (CAPTURES / f"{name}.pcap").stat().st_size for name in NAMES}
    assert sizes.pop("plant") <= 300_000
    assert max(sizes.values()) <= 100_000


def test_labels_name_frames_between_their_hosts() -> None:
    frames = ipv4_frames(CAPTURES / "plant.pcap")
    assert len(LABELS) == len(VIOLATIONS)
    for label in LABELS:
        request, *answers = (frames[number - 1] for number in label["frames"])
        assert request == (label["client"], label["server"])
        assert answers
        assert set(answers) <= {(label["server"], label["client"]), (label["client"], label["server"])}


@needs_tshark
def test_labels_are_what_tshark_finds() -> None:
    assert labels(CAPTURES / "plant.pcap") == LABELS


@needs_tshark
@pytest.mark.parametrize("name", NAMES)
def test_each_frame_was_captured_once(name: str) -> None:
    """A mirror that shows frames twice would look like retransmission to tshark."""
    doubled = [f"tcp.analysis.{what}" for what in ("retransmission", "duplicate_ack", "lost_segment")]
    assert not [row for row in frames(CAPTURES / f"{name}.pcap") if any(row[field] for field in doubled)]


@needs_tshark
@pytest.mark.parametrize("name", NAMES)
def test_tshark_counts_what_is_expected(name: str) -> None:
    expected = json.loads((CAPTURES / f"{name}.expected.json").read_text())
    by = expected.pop("tshark")
    assert count(CAPTURES / f"{name}.pcap") == expected, f"expected by tshark {by}, counted by {tshark_version()}"


def provenance() -> str:
    return (CAPTURES / "PROVENANCE.md").read_text()
