"""Runs the engine over frames and tells everything it found, in a form that two runs can be compared in.

`python -m tests.engine.world FILE...` prints a digest of each file, for runs in another mode.
"""

import atexit
import contextlib
import ctypes
import hashlib
import json
import struct
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from otmon.engine import analyze
from otmon.site.site import Site

with contextlib.suppress(OSError, AttributeError):
    # glibc: large arrays always fresh from the system, which gives zeroed pages only where they are touched. Otherwise
    # the hundreds of runs of one test spend most of their time on clearing tables.
    ctypes.CDLL(None).mallopt(-3, 128 * 1024)

START_NS = 1_700_000_000 * 10**9
"""2023-11-14T22:13:20Z, a Tuesday."""


class Frame(NamedTuple):
    """What a capture file holds of one frame; `cut`: bytes the snap length left of it, None: all."""

    ts_ns: int
    data: bytes
    cut: int | None = None


@dataclass
class Seen:
    """Everything a run says, `frames` and `ot_bytes` apart for the sums."""

    picture: dict[str, Any]
    lines: bytes
    """What it wrote of messages."""

    @cached_property
    def messages(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.lines.splitlines()]

    @property
    def frames(self) -> dict[str, int]:
        return self.picture["frames"]

    @property
    def ot_bytes(self) -> dict[str, int]:
        return self.picture["ot_bytes"]

    def alerts(self, *kinds: str) -> list[dict[str, Any]]:
        return [alert for alert in self.picture["alerts"] if not kinds or alert["kind"] in kinds]

    def policy_alerts(self) -> list[dict[str, Any]]:
        return self.alerts("command", "segmentation", "value", "asset")


def write(path: Path, frames: Iterable[Frame | bytes]) -> Path:
    """Nanosecond pcap, Ethernet; bare frames are a millisecond apart."""
    out = [struct.pack("<IHHIIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, 1)]
    for number, item in enumerate(frames):
        ts_ns, data, cut = item if isinstance(item, Frame) else Frame(START_NS + number * 1_000_000, item)
        kept = data if cut is None else data[:cut]
        out.append(struct.pack("<IIII", *divmod(ts_ns, 10**9), len(kept), len(data)) + kept)
    path.write_bytes(b"".join(out))
    return path


ATOMS = frozenset([type(None), bool, int, float, str])


def plain(value: Any) -> Any:
    """JSON-ready and in one order: sets and dicts sorted, tuples as lists, anything else by its slots."""
    if type(value) in ATOMS:
        return value
    if isinstance(value, dict):
        if all(isinstance(key, str) for key in value):
            return {key: plain(value[key]) for key in sorted(value)}
        return sorted(([plain(k), plain(v)] for k, v in value.items()), key=repr)
    if isinstance(value, set | frozenset):
        return sorted(map(plain, value), key=repr)
    if isinstance(value, list | tuple):
        return [item if type(item) in ATOMS else plain(item) for item in value]
    if isinstance(value, str | int | float):
        return value
    return {name: plain(getattr(value, name)) for name in sorted(value.__slots__) if name != "_room"}


@cache
def scratch() -> Path:
    """One folder for all runs of this process: making and removing thousands takes longer than the runs."""
    folder = tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
    atexit.register(folder.cleanup)
    return Path(folder.name)


def see_files(paths: Sequence[Path], policy: Any = None, messages: bool = True, **options: Any) -> Seen:
    """Analyze captures; sums are checked and the bucket `internal` must be empty."""
    target = scratch() / "messages.jsonl" if messages else None
    result = analyze([str(path) for path in paths], policy=policy, messages_path=target, **options)
    lines = target.read_bytes() if target else b""
    check_sums(result.part.frames, result.part.ot_bytes)
    assert result.part.frames["captured"] == sum(i.frames for i in result.inputs)
    picture = {**picture_of(result.part, policy), "messages": hashlib.sha256(lines).hexdigest()}
    return Seen(picture, lines)


def picture_of(part: Any, policy: Any) -> dict[str, Any]:
    """All that a part says, in plain values."""
    site = Site(part, policy)
    return {
        "frames": part.frames,
        "ot_bytes": part.ot_bytes,
        "visibility": part.visibility,
        "unsupported": part.unsupported,
        "protocols": part.protocols,
        "connections": plain([c._asdict() for c in part.connections]),
        "operations": plain([o._asdict() for o in part.operations]),
        "hosts": plain([h._asdict() for h in part.hosts]),
        "bindings": plain([b._asdict() for b in part.bindings]),
        "facts": plain([f._asdict() for f in part.facts]),
        "blocks": plain([b._asdict() for b in part.blocks]),
        "habits": plain([h._asdict() for h in part.habits]),
        "episodes": plain(part.episodes),
        "alerts": [episode.as_record(site) for episode in part.episodes],
        "assets": [asset.as_record() for asset in site.assets],
    }


def see(frames: Iterable[Frame | bytes], policy: Any = None, messages: bool = True, **options: Any) -> Seen:
    """The same for frames of one capture."""
    return see_files([write(scratch() / "a.pcap", frames)], policy, messages, **options)


def check_sums(frames: dict[str, int], ot_bytes: dict[str, int]) -> None:
    """What must hold of every run, whatever it was given."""
    assert frames["internal"] == 0
    assert min(frames.values()) >= 0
    assert min(ot_bytes.values()) >= 0
    assert frames["captured"] == sum(frames.values()) - frames["captured"], frames
    assert ot_bytes["seen"] == sum(ot_bytes.values()) - ot_bytes["seen"], ot_bytes


def difference(a: Any, b: Any, at: str = "") -> str | None:
    """Where two plain values first differ."""
    if type(a) is type(b) and isinstance(a, dict) and a.keys() == b.keys():
        return next((found for key in a if (found := difference(a[key], b[key], f"{at}.{key}"))), None)
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return next((found for i in range(len(a)) if (found := difference(a[i], b[i], f"{at}[{i}]"))), None)
    return None if a == b else f"{at}: {str(a)[:600]} became {str(b)[:600]}"


def same(a: Seen, b: Seen, way: str) -> None:
    """Fails with the first thing that differs; `way` says what was done to `b`."""
    for name, value in a.picture.items():
        if name != "messages" and value != b.picture[name]:
            raise AssertionError(f"{way}: {difference(value, b.picture[name], name)}")
    if a.lines != b.lines:
        raise AssertionError(f"{way}: {difference(a.messages, b.messages, 'messages')}")


def digest(seen: Seen) -> str:
    return hashlib.sha256(json.dumps(seen.picture, sort_keys=True).encode()).hexdigest()


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(digest(see_files([Path(name)])))
