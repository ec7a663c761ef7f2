"""messages.jsonl in the order of frames, with the frame of the request that a response answers."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import orjson


class Records:
    """The messages of one capture; 16 bytes of memory each."""

    def __init__(self, path: Path) -> None:
        frames: list[int] = []
        starts: list[int] = []
        self.servers: set[tuple[str, str, int]] = set()
        """Protocol (and framing, if it has several), transport and port of each server seen."""
        self._file = path.open("rb")
        at = 0
        for line in self._file:
            record = orjson.loads(line)
            frames.append(record["frames"][-1][1])
            starts.append(at)
            at += len(line)
            port = record["dst" if record["from_client"] else "src"][1]
            if port is not None:
                framing = record[record["protocol"]].get("framing")
                name = f"{record['protocol']} {framing}" if framing else record["protocol"]
                self.servers.add((name, record["transport"], port))
        self._frames, self._starts = np.array(frames, np.int64), np.array(starts, np.int64)

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def last_frame(self) -> int:
        """The last frame with a message, 0 if there is none."""
        return int(self._frames.max(initial=0))

    def close(self) -> None:
        """All was read."""
        self._file.close()

    def by_frame(self) -> Iterator[tuple[int, list[dict[str, Any]]]]:
        """Each frame with messages that end in it, and these in the order in which they stand there."""
        for frame, group in groupby(np.argsort(self._frames, kind="stable").tolist(), self._frames.__getitem__):
            yield int(frame), [self._read(i) for i in group]

    def _read(self, i: int) -> dict[str, Any]:
        self._file.seek(self._starts[i])
        record: dict[str, Any] = orjson.loads(self._file.readline())
        if record["request_n"]:
            record["request_frame"] = int(self._frames[record["request_n"] - 1])
        return record
