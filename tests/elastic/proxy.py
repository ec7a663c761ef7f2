"""Stands between a client and a node and is in the way: cuts, delays, doubles and garbles what passes, by a seed."""

import random
import socket
import threading
import time
from collections import Counter
from contextlib import suppress
from typing import Self

_CHUNK = 65_536
_TO_NODE, _TO_CLIENT = 0, 1


class Proxy:
    """`faults`: of those named in `_spoil`, one for a connection in two; none: everything passes.

    `swallow`: of so many answers nothing is passed on, though the node has done what was asked.
    """

    def __init__(self, port: int, faults: tuple[str, ...] = (), seed: int = 0) -> None:
        self.faults, self.swallow = faults, 0
        self.done: Counter[str] = Counter()
        """How often each fault came about."""
        self._rng, self._node_port = random.Random(seed), port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                with suppress(OSError):
                    node = socket.create_connection(("127.0.0.1", self._node_port), timeout=5)
                    node.settimeout(None)
                    for way, pair in enumerate(((client, node), (node, client))):
                        threading.Thread(target=self._pump, args=(*pair, way), daemon=True).start()

    def _next(self) -> int:
        """Bytes until the next fault."""
        return int(2 ** self._rng.uniform(9, 16)) if self.faults else 1 << 60

    def _pump(self, source: socket.socket, target: socket.socket, way: int) -> None:
        after, goes_on = self._next(), True
        with suppress(OSError):
            while goes_on and (data := source.recv(_CHUNK)):
                if way == _TO_CLIENT and self.swallow:
                    self.swallow -= 1
                    self.done["swallow"] += 1
                    break
                if after < len(data):
                    data, goes_on = self._spoil(self._rng.choice(self.faults), data, after)
                    after = self._next()
                else:
                    after -= len(data)
                target.sendall(data)
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _spoil(self, fault: str, data: bytes, at: int) -> tuple[bytes, bool]:
        """What is passed on of these bytes, and whether the connection lives on."""
        self.done[fault] += 1
        match fault:
            case "cut":
                return data[:at], False
            case "delay":
                time.sleep(self._rng.uniform(0.05, 0.5))
                return data, True
            case "double":
                return data + data, True
            case _:
                return data[:at] + bytes([data[at] ^ self._rng.randint(1, 255)]) + data[at + 1 :], True
