"""Lets compiled code read `state.flows` of a `State`: one pointer is passed, not forty arrays.

Arrays passed by value cost their 7 words at every call that the compiler does not inline; a state of forty arrays made
the loop ten times slower and its compilation four times longer. Here a `State` is, for Numba, a pointer to a table of
(address, rows), one line a field; reading a field builds the array from its line. The lines do not change
while a kernel runs, so the loads are marked invariant and the compiler keeps them in registers.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.core.typing.templates import AttributeTemplate
from numba.extending import (
    NativeValue, infer_getattr, lower_getattr_generic, register_model, typeof_impl, unbox,
)  # fmt: skip
from numba.np.arrayobj import populate_array

LINE_WORDS = 2


class StateType(types.Type):  # type: ignore[misc]
    """Numba's view of a State whose fields are `fields`: (name, element type name, rows or 0, columns or 0)."""

    def __init__(self, fields: tuple[tuple[str, str, int, int], ...]) -> None:
        self.fields = fields
        super().__init__(name=f"otmon.State{fields}")


@register_model(StateType)
class _Model(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, ir.IntType(64).as_pointer())


def _array(kind: StateType, name: str) -> tuple[int, Any, int, int] | None:
    for line, (field, dtype, rows, columns) in enumerate(kind.fields):
        if field == name:
            return line, types.Array(getattr(types, dtype), 2 if columns else 1, "C"), rows, columns
    return None


@infer_getattr
class _Attributes(AttributeTemplate):  # type: ignore[misc]
    key = StateType

    def generic_resolve(self, kind: StateType, name: str) -> Any:
        found = _array(kind, name)
        return found[1] if found else None


@lower_getattr_generic(StateType)
def _getattr(context: Any, builder: Any, kind: StateType, pointer: Any, name: str) -> Any:
    found = _array(kind, name)
    assert found is not None
    line, array_type, rows, columns = found
    word = ir.IntType(64)
    invariant = builder.module.add_metadata([])

    def load(column: int) -> Any:
        value = builder.load(builder.gep(pointer, [word(LINE_WORDS * line + column)]))
        value.set_metadata("invariant.load", invariant)
        return value

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


def register(cls: type, fields: tuple[tuple[str, str, int, int], ...]) -> None:
    """Make Numba take objects of `cls`, whose `address` is that of its table, as a StateType."""
    kind = StateType(fields)

    @typeof_impl.register(cls)
    def _typeof(value: Any, context: Any) -> StateType:
        return kind


@unbox(StateType)
def _unbox(kind: StateType, obj: Any, c: Any) -> Any:
    address = c.pyapi.object_getattr_string(obj, "address")
    number = c.pyapi.long_as_longlong(address)
    c.pyapi.decref(address)
    return NativeValue(c.builder.inttoptr(number, ir.IntType(64).as_pointer()))
