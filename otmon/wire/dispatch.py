"""The PROTOCOLS tuple as compiled dispatch: chains of closures, which the compiler inlines into branches."""

from collections.abc import Sequence
from typing import Any

from otmon.wire.contract import Protocol
from otmon.wire.loads import jit


def chain(functions: Sequence[Any], nothing: Any) -> Any:
    """`f(i, ...)` that calls functions[i](...): a chain of closures that the compiler inlines."""
    if not functions:
        return nothing
    head, rest = functions[0], chain(functions[1:], nothing)

    @jit
    def chosen(index: int, *args: Any) -> Any:
        return head(*args) if index == 0 else rest(index - 1, *args)

    return chosen


def constants(values: Sequence[int]) -> Any:
    """`f(i)` that gives values[i], 0 outside."""
    if not values:

        @jit
        def zero(index: int) -> int:
            return 0

        return zero
    head, rest = int(values[0]), constants(values[1:])

    @jit
    def value(index: int) -> int:
        return head if index == 0 else rest(index - 1)

    return value


def ports(protocols: Sequence[Protocol]) -> Any:
    """`f(port)`: index of the protocol registered for it, or -1."""

    @jit
    def none(port: int) -> int:
        return -1

    chosen = none
    for index, protocol in enumerate(protocols):
        for number in protocol.ports + protocol.secured:
            chosen = _port(chosen, number, index)
    return chosen


def _port(rest: Any, number: int, index: int) -> Any:
    @jit
    def chosen(port: int) -> int:
        return index if port == number else rest(port)

    return chosen


@jit
def no_frame(index: int, buf: Any, a: int, e: int) -> int:
    """End of a chain of `frame`."""
    return -1


@jit
def no_unwrap(index: int, buf: Any, a: int, e: int, asm: Any, fill: int) -> tuple[int, int, int]:
    """End of a chain of `unwrap`."""
    return 0, 0, 0


@jit
def no_key(index: int, buf: Any, x: int, y: int, from_client: int, out: Any) -> int:
    """End of a chain of `key`."""
    return -1
