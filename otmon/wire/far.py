"""`far`: compiled once by itself and called through a table (otmon.wire.handle); interpreted, the function as it is."""

from typing import Any

from otmon.wire.loads import INTERPRETED

if INTERPRETED:

    def far(name: str, signature: str, function: Any) -> Any:
        """Interpreted: calls are calls."""
        return function

    def state_at(address: Any) -> Any:
        """Interpreted: the State is its own address."""
        return address

else:
    from otmon.wire.handle import far, state_at

__all__ = ["far", "state_at"]
