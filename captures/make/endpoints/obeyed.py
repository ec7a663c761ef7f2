"""What the scripts that send contradicting requests share: a connection for each, and a file of what was obeyed."""

import json
import socket
from collections.abc import Callable, Iterable, Iterator
from itertools import count, islice
from pathlib import Path

PATIENCE_S = 5.0
Lie = tuple[str, list[bytes]]
"""Its name, and the segments that it comes in."""
Places = dict[str, list[int]]


def each(lies: Callable[[int], Iterator[Lie]], value: Callable[[int], int]) -> Iterator[Lie]:
    """The nth lie with the nth value, so that each writes what is nowhere yet."""
    for number in count():
        lie = next(islice(lies(value(number)), number, None), None)
        if lie is None:
            return
        yield lie


def converse(
    place: tuple[str, int],
    port: int,
    segments: Iterable[bytes],
    quiet_s: float,
    kind: socket.SocketKind = socket.SOCK_STREAM,
    setup: tuple[bytes, ...] = (),
) -> list[bytes]:
    """Send them from a port (0: any), each after what came back on the one before; all that came back.

    `setup`: segments that are answered at once; else the answer ends when nothing came for `quiet_s`.
    """
    with socket.socket(socket.AF_INET, kind) as here:
        here.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        here.bind(("", port))
        here.settimeout(PATIENCE_S)
        here.connect(place)
        answers = []
        for segment in segments:
            here.settimeout(PATIENCE_S if segment in setup else quiet_s)
            answers.append(b"")
            try:
                here.send(segment)
                while more := here.recv(65536):
                    answers[-1] += more
                    if segment in setup:
                        break
            except OSError:
                pass
        return answers


def changes(memory: Callable[[], Places]) -> Callable[[], Places]:
    """What is other than at the last call, of a memory that is read whole: space -> places."""
    before = memory()

    def changed() -> Places:
        nonlocal before
        was, before = before, memory()
        found = {
            space: [n for n, pair in enumerate(zip(was[space], before[space], strict=True)) if pair[0] != pair[1]]
            for space in was
        }
        return {space: places for space, places in found.items() if places}

    return changed


def tell(
    path: str,
    first_port: int,
    lies: Iterable[Lie],
    ask: Callable[[int, list[bytes]], list[bytes]],
    changed: Callable[[], Places],
) -> None:
    """Ask each lie from a port of its own; write down those after which something changed."""
    obeyed = []
    for port, (name, segments) in enumerate(lies, first_port):
        answers = [answer.hex() for answer in ask(port, segments)]
        if places := changed():
            sent = [segment.hex() for segment in segments]
            obeyed.append({"name": name, "port": port, "sent": sent, "answered": answers, "changed": places})
    Path(path).write_text("[\n" + ",\n".join(map(json.dumps, obeyed)) + "\n]\n")
