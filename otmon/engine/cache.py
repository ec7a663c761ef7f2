"""Where compiled kernels are kept, and whether a run is compiled or interpreted.

The file's name carries a hash of the sources, of the compiler and of the processor. What is in it is executable code:
it is made for its owner alone, and one that others could have written is not used.
"""

import atexit
import errno
import functools
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from otmon.wire.kernelfile import CompileError, pack, unpack

Notice = Callable[[str], None]
INTERPRET_BYTES = 2 * 1024 * 1024
"""With a cold cache, inputs up to this size are sooner interpreted than the loop is compiled."""
_PARTS = ("limits.py", "capture", "wire", "protocols")


def sources_hash() -> str:
    """Hash of everything that compiled code depends on."""
    import llvmlite
    from llvmlite import binding

    features = binding.get_host_cpu_features().flatten()
    digest = hashlib.sha256(f"{llvmlite.__version__} {binding.get_host_cpu_name()} {features}".encode())
    root = Path(__file__).parent.parent
    files = [p for part in _PARTS for p in ([root / part] if part.endswith(".py") else (root / part).rglob("*.py"))]
    for path in sorted(files):
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@functools.cache
def kernels() -> Path:
    """The file of compiled kernels for these sources: in OTMON_CACHE, else in the user's cache folder."""
    base = os.environ.get("OTMON_CACHE") or os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "otmon" / f"kernels-{sources_hash()}"


def _private(path: Path) -> bool:
    """Whether nobody but this user and root can have written it. Raises OSError."""
    status = path.stat()
    return status.st_uid in (0, os.geteuid()) and not status.st_mode & 0o022


def is_warm() -> bool:
    """Whether all kernels are there, whole, and nobody else could have put them there."""
    path = kernels()
    try:
        if not (_private(path.parent) and _private(path)):
            return False
        unpack(path.read_bytes())
    except (OSError, ValueError):
        return False
    return True


def _compile(path: Path) -> None:
    """Write the file, whole or not at all. Raises OSError before anything is compiled, or CompileError."""
    from otmon.engine.compiling import compile_all

    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not _private(path.parent):
        raise PermissionError(errno.EPERM, "others can write there", str(path.parent))
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f"{path.name}-", delete=False) as file:
        try:
            file.write(pack(compile_all()))
            file.close()
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


def warm() -> Path:
    """Compile every kernel, whatever is there; returns the file. Raises OSError or CompileError."""
    _compile(kernels())
    return kernels()


def choose(paths: Sequence[str], notice: Notice | None = None) -> None:
    """Set up compiled or interpreted mode for these inputs. Has no effect once the wire stage was imported.

    What is worth compiling and is not compiled yet is compiled first: for this run alone where the cache cannot be
    used. `notice` is told.
    """
    if "otmon.wire.loads" in sys.modules or os.environ.get("OTMON_INTERPRET") == "1" or "OTMON_KERNELS" in os.environ:
        return
    if is_warm():
        os.environ["OTMON_KERNELS"] = str(kernels())
        return
    sizes = [os.path.getsize(path) if os.path.isfile(path) else INTERPRET_BYTES for path in paths]
    if sum(sizes) >= INTERPRET_BYTES:
        _make_warm(notice or (lambda text: None))


def _make_warm(notice: Notice) -> None:
    path = kernels()
    notice("compiling the packet engine, once; this takes up to a minute")
    try:
        try:
            _compile(path)
        except OSError as error:
            notice(f"cannot keep what is compiled: {error.filename or path}: {error.strerror or error}")
            folder = tempfile.mkdtemp()
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
            path = Path(folder, "kernels")
            _compile(path)
    except CompileError as error:
        notice(f"cannot compile the packet engine, which is slow now: {error}")
        return
    os.environ["OTMON_KERNELS"] = str(path)
