"""Calls compiled kernels out of the kernel cache: no Numba, whose import and loading cost more than a small capture.

Their calling convention is Numba's: a status comes back; pointers to the result and to the reason of an error go in,
then the arguments, each array as its words.
"""

import ctypes
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import llvmlite.binding as llvm
import numpy as np

from otmon.wire.kernelfile import symbol, unpack
from otmon.wire.loads import KERNELS

_ARRAYS: Final = {"b": (np.uint8, 1), "h": (np.int32, 1), "w": (np.int64, 1), "r": (np.int64, 2)}
_RESULTS: Final = {"v": "None", "i": "result[0]", "p": "(result[0], result[1])", "t": "tuple(result[:3])"}


@functools.cache
def _engine() -> Any:
    """LLVM's loader with every object file in it."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(jit=True)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    for code in unpack(Path(KERNELS).read_bytes()).values():
        engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return engine


def address(name: str) -> int:
    """Where a far function is in memory. Raises KeyError if there is none of that name."""
    found = int(_engine().get_function_address(symbol(name)))
    if not found:
        raise KeyError(name)
    return found


def _place(array: Any) -> int:
    """Where an array begins in memory."""
    try:
        return ctypes.addressof(ctypes.c_char.from_buffer(array))
    except (TypeError, ValueError):  # it cannot be written to, or is empty: this takes four times as long
        place: int = array.__array_interface__["data"][0]
        return place


def _words(dtype: Any, dimensions: int) -> Callable[[Any], tuple[int, ...]]:
    """An array as compiled code takes it: of bytes (otmon.wire.handle) address and length; else Numba's words: no
    owner, no parent, size, bytes an item, address, shape, strides.
    """
    last: Any = None
    words: tuple[int, ...] = ()

    def words_of(array: Any) -> tuple[int, ...]:
        nonlocal last, words
        if array is not last:  # a batch is gone through in many calls
            if array.dtype != dtype or array.ndim != dimensions or not array.flags.c_contiguous:
                raise TypeError(f"{array.dtype}{array.shape} is not what the kernel takes")
            place = _place(array)
            last = array
            if dtype is np.uint8:
                words = place, array.size
            else:
                words = (0, 0, array.size, array.itemsize, place, *array.shape, *array.strides)
        return words

    return words_of


def caller(name: str, signature: str) -> Callable[..., Any]:
    """A Python function that calls the far function `name`; see otmon.wire.far for signatures.

    Raises IndexError where the kernel did.
    """
    result, _, letters = signature.rstrip(")").partition("(")
    types: list[Any] = [ctypes.c_void_p, ctypes.c_void_p]
    words = []
    scope: dict[str, Any] = {}
    for n, letter in enumerate(letters):
        if letter in _ARRAYS:
            types += [ctypes.c_int64] * (2 if letter == "b" else 5 + 2 * _ARRAYS[letter][1])
            scope[f"words{n}"] = _words(*_ARRAYS[letter])
            words.append(f"*words{n}(a{n})")
        else:
            types.append(ctypes.c_int64)
            words.append(f"a{n}.address" if letter == "s" else f"int(a{n})")
    buffer, reason = (ctypes.c_int64 * 4)(), ctypes.c_void_p()
    scope |= {
        "kernel": ctypes.CFUNCTYPE(ctypes.c_int32, *types)(address(name)),
        "result": buffer,
        "to": ctypes.addressof(buffer),
        "why": ctypes.addressof(reason),
        "keep": reason,
    }
    arguments = ", ".join(f"a{n}" for n in range(len(letters)))
    exec(
        f"def {name}({arguments}):\n"
        f"    if kernel(to, why, {', '.join(words)}):\n"
        f"        raise IndexError({name!r})\n"
        f"    return {_RESULTS[result]}",
        scope,
    )
    function: Callable[..., Any] = scope[name]
    return function
