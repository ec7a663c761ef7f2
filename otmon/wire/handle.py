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


@lower_getattr_generic(StateType)
def _getattr(context: Any, builder: Any, kind: StateType, pointer: Any, name: str) -> Any:
    found = _array(kind, name)
    assert found is not None
    line, array_type, rows, columns = found
    word = ir.IntType(64)

    def load(column: int) -> Any:
        return _word(builder, pointer, FAR_SLOTS + LINE_WORDS * line + column)

    data_type = context.get_data_type(array_type.dtype).as_pointer()
    size = context.get_abi_sizeof(context.get_data_type(array_type.dtype))
    shape = [word(rows) if rows else load(1)] + ([word(columns)] if columns else [])
    strides = ([word(columns * size)] if columns else []) + [word(size)]
    array = context.make_array(array_type)(context, builder)
    populate_array(
        array,
        data=builder.inttoptr(load(0), data_type),
        shape=cgutils.pack_array(builder, shape),
        strides=cgutils.pack_array(builder, strides),
        itemsize=word(size),
        meminfo=None,
        parent=None,
    )
    return array._getvalue()


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


def far(name: str, signature: str, function: Any) -> Any:
    """`function` (jitted) for compiled code to call through the slot of `name`; see otmon.wire.far."""
    result, _, arguments = signature.rstrip(")").partition("(")
    declared = _LETTERS[result](*(_LETTERS[letter] for letter in arguments))
    FAR[name] = Far(function, declared)
    if "s" not in arguments:
        return function  # without a State there is no table to call through
    slot, state_at = FAR_NAMES.index(name), arguments.index("s")

    def typed(*_: Any) -> Any:
        def codegen(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
            convention = context.call_conv
            kind = convention.get_function_type(declared.return_type, declared.args)
            target = builder.inttoptr(_word(builder, values[state_at], slot), kind.as_pointer())
            status, value = convention.call_function(builder, target, declared.return_type, declared.args, values)
            with cgutils.if_unlikely(builder, status.is_error):
                convention.return_status_propagate(builder, status)
            return value

        return declared, codegen

    # An intrinsic's arguments are read off its signature, so that has to be written out.
    names = ", ".join(f"a{i}" for i in range(len(arguments)))
    scope: dict[str, Any] = {"typed": typed}
    exec(f"def call(context, {names}):\n    return typed({names})", scope)
    return intrinsic(scope["call"])
