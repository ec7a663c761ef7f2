"""Numba as a compiler ahead of time: one far function in, one object file out.

Numba makes machine code of every function it meets, and optimises each together with all that it calls, at every level
of calls anew. Here helpers stay intermediate code that is linked into those that call them, and only far functions are
optimised and become machine code. That is less than half the work. It takes the place of private methods of Numba,
which is one more reason to pin its minor version.
"""

from typing import Any

from numba import _dynfunc
from numba.core import cpu
from numba.core.codegen import JITCodeLibrary

from otmon.wire.handle import FAR
from otmon.wire.kernelfile import symbol


def _link(library: Any) -> None:
    """In place of `finalize`: the function with everything it calls, as intermediate code."""
    for used in dict.fromkeys(library._linking_libraries):
        library._final_module.link_in(used._get_module_for_linking(), preserve=True)
    library._finalized = True


def _name_only(_context: Any, library: Any, described: Any, environment: Any) -> Any:
    """In place of `get_executable`: what stands for the function among compiled ones; nobody calls it."""
    return _dynfunc.make_function(described.lookup_module(), described.qualname, "", 0, environment, (library,))


JITCodeLibrary.finalize = _link
cpu.CPUContext.get_executable = _name_only


def compiled(name: str) -> bytes:
    """An object file that defines the far function `name`, as `symbol(name)`.

    Raises TypeError if it does not return what it declares.
    """
    function, signature = FAR[name]
    function.compile(signature)
    done = function.overloads[signature.args]
    if done.signature.return_type != signature.return_type:
        raise TypeError(f"{name} returns {done.signature.return_type}, not {signature.return_type}")
    library = done.library
    library._ensure_finalized()
    # Helpers are this object's own. Numba tells closures apart by the order in which a process met them: two objects
    # may mean different ones by one name. And what only one function calls is not handed words that it does not use.
    for helper in library._final_module.functions:
        if not helper.is_declaration and helper.name != done.fndesc.llvm_func_name:
            helper.linkage = "internal"
    library._final_module.get_function(done.fndesc.llvm_func_name).name = symbol(name)
    library._optimize_final_module()
    library._final_module.verify()
    code: bytes = library._codegen._tm.emit_object(library._final_module)
    return code
