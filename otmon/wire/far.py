"""`far`: compiled once by itself and called through a table (otmon.wire.handle); interpreted, the function as it is."""

from typing import Any

from otmon.wire.loads import INTERPRETED

if INTERPRETED:

    def far(name: str, signature: str, function: Any) -> Any:
        """Interpreted: calls are calls."""
        return function

    def entry(name: str, function: Any) -> Any:
        """Interpreted: the function as it is."""
        return function

    def scope(protocols: str) -> None:
        """Interpreted: nothing is cached."""

    def state_at(address: Any) -> Any:
        """Interpreted: the State is its own address."""
        return address

else:
    from otmon.wire.handle import entry, far, scope, state_at

__all__ = ["entry", "far", "scope", "state_at"]
