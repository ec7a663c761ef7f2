"""Far functions: compiled once by themselves, called by compiled code and by Python; interpreted, just called."""

from typing import Any

from otmon.wire.loads import COMPILING, KERNELS

if COMPILING:
    from otmon.wire.handle import far
elif KERNELS:
    from otmon.wire.native import caller

    def far(name: str, signature: str, function: Any) -> Any:
        """The compiled function, for Python to call."""
        return caller(name, signature)

else:

    def far(name: str, signature: str, function: Any) -> Any:
        """The function as it is.

        `signature`: result and arguments as letters, "i(sbi)": i int64, s the State, v nothing, p and t two and three
        int64; arrays: b uint8, h int32, w int64, r int64 in two dimensions.
        """
        return function


__all__ = ["far"]
