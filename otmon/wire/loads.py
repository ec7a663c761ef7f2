"""Big- and little-endian loads with one bounds check, and the `jit` every kernel uses.

Kernels are plain Python functions, and run so when interpreted. Compiled they come from the kernel cache as machine
code (otmon.wire.native), and the same functions serve where Python calls a small one itself. Only the compiler's own
processes (OTMON_COMPILE=1, otmon.engine.compiling) import Numba. Either way: signed 64-bit words, IndexError past
the end.
"""

import os
from collections.abc import Callable
from typing import Any, TypeVar

_F = TypeVar("_F", bound=Callable[..., Any])

COMPILING = os.environ.get("OTMON_COMPILE") == "1"
KERNELS = "" if COMPILING or os.environ.get("OTMON_INTERPRET") == "1" else os.environ.get("OTMON_KERNELS", "")
"""File of the compiled kernels to call; set by otmon.engine.cache."""
INTERPRETED = not COMPILING and not KERNELS
_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15

u8: Callable[[Any, int], int]
be16: Callable[[Any, int], int]
be32: Callable[[Any, int], int]
be64: Callable[[Any, int], int]
le16: Callable[[Any, int], int]
le32: Callable[[Any, int], int]
mix: Callable[[int, int], int]
join32: Callable[[int, int], int]
copy: Callable[[Any, int, Any, int, int], None]

if not COMPILING:

    def jit(function: _F) -> _F:
        """The function as it is."""
        return function

    jit_inline = jit
    """For one large function with one caller: handing over its arrays costs more than some of its work (8 ns of 17)."""

    def _load(width: int, order: Any) -> Callable[[Any, int], int]:
        def load(buf: Any, off: int) -> int:
            if off < 0 or off + width > len(buf):
                raise IndexError
            off = int(off)
            return int.from_bytes(buf[off : off + width].tobytes(), order, signed=width == 8)

        return load

    u8, be16, be32, be64 = (_load(width, "big") for width in (1, 2, 4, 8))
    le16, le32 = _load(2, "little"), _load(4, "little")

    def mix(state: int, word: int) -> int:
        """One round of the table hash, signed 64-bit in and out."""
        word = ((int(state) ^ int(word)) & _MASK) * _GOLDEN & _MASK
        word ^= word >> 32
        return word - (1 << 64) if word >> 63 else word

    def join32(high: int, low: int) -> int:
        """`high` << 32 | `low` as a signed word."""
        word = (int(high) & 0xFFFFFFFF) << 32 | (int(low) & 0xFFFFFFFF)
        return word - (1 << 64) if word >> 63 else word

    def copy(target: Any, at: int, source: Any, start: int, length: int) -> None:
        """target[at : at + length] = source[start : start + length]; IndexError past either end."""
        if min(at, start, length) < 0 or at + length > len(target) or start + length > len(source):
            raise IndexError
        target[at : at + length] = source[start : start + length]

else:
    from llvmlite import ir
    from numba import njit, types
    from numba.core import cgutils
    from numba.extending import intrinsic

    # _nrt=False: nested calls that pass arrays pay no reference counting, and a kernel that allocates does not compile.
    # No wrappers: Python never calls a dispatcher.
    _OPTIONS = {"boundscheck": True, "_nrt": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    jit, jit_inline = njit(**_OPTIONS), njit(**_OPTIONS, forceinline=True)

    def _raw(bits: int, swap: bool) -> Any:
        @intrinsic
        def load(_context: Any, arr: Any, off: Any) -> Any:
            if not isinstance(arr, types.Array):
                return None

            def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
                array = context.make_array(signature.args[0])(context, builder, args[0])
                pointer = builder.bitcast(builder.gep(array.data, [args[1]]), ir.IntType(bits).as_pointer())
                value = builder.load(pointer)
                value.align = 1
                if swap:
                    value = builder.bswap(value)
                return builder.zext(value, ir.IntType(64)) if bits < 64 else value

            return types.int64(arr, types.int64), codegen

        return load

    _r8, _r16, _r32, _r64 = _raw(8, False), _raw(16, True), _raw(32, True), _raw(64, True)
    _l16, _l32 = _raw(16, False), _raw(32, False)

    @jit
    def u8(buf: Any, off: int) -> int:
        if off < 0 or off + 1 > len(buf):
            raise IndexError
        return _r8(buf, off)

    @jit
    def be16(buf: Any, off: int) -> int:
        if off < 0 or off + 2 > len(buf):
            raise IndexError
        return _r16(buf, off)

    @jit
    def be32(buf: Any, off: int) -> int:
        if off < 0 or off + 4 > len(buf):
            raise IndexError
        return _r32(buf, off)

    @jit
    def be64(buf: Any, off: int) -> int:
        if off < 0 or off + 8 > len(buf):
            raise IndexError
        return _r64(buf, off)

    @jit
    def le16(buf: Any, off: int) -> int:
        if off < 0 or off + 2 > len(buf):
            raise IndexError
        return _l16(buf, off)

    @jit
    def le32(buf: Any, off: int) -> int:
        if off < 0 or off + 4 > len(buf):
            raise IndexError
        return _l32(buf, off)

    @intrinsic
    def _mix(_context: Any, state: Any, word: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            value = builder.mul(builder.xor(args[0], args[1]), ir.Constant(ir.IntType(64), _GOLDEN))
            return builder.xor(value, builder.lshr(value, ir.Constant(ir.IntType(64), 32)))

        return types.int64(types.int64, types.int64), codegen

    @jit
    def mix(state: int, word: int) -> int:
        return _mix(state, word)

    @jit
    def join32(high: int, low: int) -> int:
        return (high << 32) | (low & 0xFFFFFFFF)

    @intrinsic
    def _move(_context: Any, target: Any, at: Any, source: Any, start: Any, length: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            kinds = signature.args
            to = builder.gep(context.make_array(kinds[0])(context, builder, args[0]).data, [args[1]])
            of = builder.gep(context.make_array(kinds[2])(context, builder, args[2]).data, [args[3]])
            cgutils.raw_memmove(builder, to, of, args[4], 1)
            return context.get_dummy_value()

        return types.void(target, types.int64, source, types.int64, types.int64), codegen

    @jit
    def copy(target: Any, at: int, source: Any, start: int, length: int) -> None:
        if at < 0 or start < 0 or length < 0 or at + length > len(target) or start + length > len(source):
            raise IndexError
        _move(target, at, source, start, length)
