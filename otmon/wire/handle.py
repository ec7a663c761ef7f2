"""Lets compiled code read `state.flows` of a `State`: one pointer is passed, not forty arrays.

Arrays passed by value cost their 7 words at every call that the compiler does not inline; a state of forty arrays made
the loop ten times slower and its compilation four times longer. Here a `State` is, for Numba, a pointer to a table of
(address, rows), one line a field; reading a field builds the array from its line. The lines do not change
while a kernel runs, so the loads are marked invariant and the compiler keeps them in registers.
"""

from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.core.typing.templates import AttributeTemplate
from numba.extending import (
    infer_getattr,
    intrinsic,
    lower_getattr_generic,
    register_model,
)
from numba.np.arrayobj import populate_array

from otmon.wire.fields import FAR_NAMES, FAR_SLOTS, FIELDS, LINE_WORDS
from otmon.wire.loads import jit


class StateType(types.Type):  # type: ignore[misc] # Numba's classes are Any here
    """Numba's view of a State whose fields are `fields`: (name, element type name, rows or 0, columns or 0)."""

    def __init__(self, fields: tuple[tuple[str, str, int, int], ...]) -> None:
        self.fields = fields
        super().__init__(name="State")


@register_model(StateType)
class _Model(models.PrimitiveModel):  # type: ignore[misc] # Numba's classes are Any here
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, ir.IntType(64).as_pointer())


def _array(kind: StateType, name: str) -> tuple[int, Any, int, int] | None:
    for line, (field, dtype, rows, columns) in enumerate(kind.fields):
        if field == name:
            return line, types.Array(getattr(types, dtype), 2 if columns else 1, "C"), rows, columns
    return None


@infer_getattr
class _Attributes(AttributeTemplate):  # type: ignore[misc] # Numba's classes are Any here
    key = StateType

    def generic_resolve(self, kind: StateType, name: str) -> Any:
        found = _array(kind, name)
        return found[1] if found else None


def _word(builder: Any, pointer: Any, index: int) -> Any:
    """One word of the table; it does not change while a kernel runs."""
    value = builder.load(builder.gep(pointer, [ir.IntType(64)(index)]))
    value.set_metadata("invariant.load", builder.module.add_metadata([]))
    return value


def _array_of(context: Any, builder: Any, kind: Any, address: Any, rows: Any, columns: Any) -> Any:
    """The array at an address; `columns`: [] for one dimension, else their number."""
    data_type = context.get_data_type(kind.dtype)
    size = ir.IntType(64)(context.get_abi_sizeof(data_type))
    array = context.make_array(kind)(context, builder)
    populate_array(
        array,
        data=builder.inttoptr(address, data_type.as_pointer()),
        shape=cgutils.pack_array(builder, rows + columns),
        strides=cgutils.pack_array(builder, [builder.mul(size, number) for number in columns] + [size]),
        itemsize=size,
        meminfo=None,
        parent=None,
    )
    return array._getvalue()


@lower_getattr_generic(StateType)
def _getattr(context: Any, builder: Any, kind: StateType, pointer: Any, name: str) -> Any:
    found = _array(kind, name)
    assert found is not None
    line, array_type, rows, columns = found
    word = ir.IntType(64)

    def load(column: int) -> Any:
        return _word(builder, pointer, FAR_SLOTS + LINE_WORDS * line + column)

    columns_of = [word(columns)] if columns else []
    return _array_of(context, builder, array_type, load(0), [word(rows) if rows else load(1)], columns_of)


STATE = StateType(tuple((name, *rest) for name, rest in FIELDS.items()))


# --- far calls -----------------------------------------------------------------------------------------------------
# Numba optimises a function together with everything it calls, at every level of calls anew: a deep program is compiled
# many times over. A far function is compiled once by itself; callers jump through addresses in front of the fields'
# lines. That costs about 2 ns a call, so it is for what is large or rare.


class Far(NamedTuple):
    """A function called through the table: its dispatcher and signature."""

    function: Any
    signature: Any


FAR: dict[str, Far] = {}


_LETTERS = {
    "i": types.int64,
    "s": STATE,
    "b": types.Array(types.uint8, 1, "C"),
    "h": types.Array(types.int32, 1, "C"),
    "w": types.Array(types.int64, 1, "C"),
    "r": types.Array(types.int64, 2, "C"),
    "v": types.none,
    "p": types.UniTuple(types.int64, 2),
    "t": types.UniTuple(types.int64, 3),
}


_BYTES = _LETTERS["b"]


@intrinsic
def _bytes_at(_context: Any, address: Any, length: Any) -> Any:
    """The array of `length` bytes at `address`."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return _array_of(context, builder, _BYTES, values[0], [values[1]], [])

    return _BYTES(types.int64, types.int64), codegen


def _flat(context: Any, builder: Any, kinds: Any, values: Any) -> Any:
    """Arguments of a far call: of bytes only their address and length, which is a third of an array's words."""
    for kind, value in zip(kinds, values, strict=True):
        if kind == _BYTES:
            array = context.make_array(kind)(context, builder, value)
            yield builder.ptrtoint(array.data, ir.IntType(64))
            yield array.nitems
        else:
            yield value


def far(name: str, signature: str, function: Any) -> Any:
    """`function` (jitted) for compiled code to call through the slot of `name`; see otmon.wire.far."""
    result, _, letters = signature.rstrip(")").partition("(")
    kinds = [_LETTERS[letter] for letter in letters]
    declared = _LETTERS[result](*kinds)
    flat = _LETTERS[result](*(kind for k in kinds for kind in ([types.int64] * 2 if k == _BYTES else [k])))
    parameters = ", ".join(f"a{i}, n{i}" if letter == "b" else f"a{i}" for i, letter in enumerate(letters))
    arguments = ", ".join(f"bytes_at(a{i}, n{i})" if letter == "b" else f"a{i}" for i, letter in enumerate(letters))
    scope: dict[str, Any] = {"function": function, "bytes_at": _bytes_at}
    exec(f"def {name}({parameters}):\n    return function({arguments})", scope)
    FAR[name] = Far(jit(scope[name]), flat)
    if "s" not in letters:
        return function  # without a State there is no table to call through
    slot, state_at = FAR_NAMES.index(name), letters.index("s")

    def typed(*_: Any) -> Any:
        def codegen(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
            convention = context.call_conv
            kind = convention.get_function_type(flat.return_type, flat.args)
            target = builder.inttoptr(_word(builder, values[state_at], slot), kind.as_pointer())
            given = list(_flat(context, builder, kinds, values))
            status, value = convention.call_function(builder, target, flat.return_type, flat.args, given)
            with cgutils.if_unlikely(builder, status.is_error):
                convention.return_status_propagate(builder, status)
            return value

        return declared, codegen

    # An intrinsic's arguments are read off its signature, so that has to be written out.
    names = ", ".join(f"a{i}" for i in range(len(letters)))
    scope["typed"] = typed
    exec(f"def call(context, {names}):\n    return typed({names})", scope)
    return intrinsic(scope["call"])
