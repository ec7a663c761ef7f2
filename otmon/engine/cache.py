"""Where compiled kernels are kept, and whether a run is compiled or interpreted.

The folder's name carries a hash of the sources, of the compiler and of the processor. What lies in it is executable
code: it is made for its owner alone, and one that others could have written into is not used.
"""

import functools
import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from otmon.wire.fields import SYMBOLS

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
def folder() -> Path:
    """The kernel cache: OTMON_CACHE, else the user's cache folder; a subfolder for these sources."""
    base = os.environ.get("OTMON_CACHE") or os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "otmon" / f"kernels-{sources_hash()}"


def is_warm() -> bool:
    """Whether all kernels are there, in a folder that nobody else could have filled."""
    if not (folder() / SYMBOLS).exists():
        return False
    status = folder().stat()
    return status.st_uid in (0, os.geteuid()) and not status.st_mode & 0o022


def warm() -> Path:
    """Compile every kernel, whatever is there; returns the folder."""
    from otmon.engine.compiling import compile_all

    compile_all(folder())
    return folder()


def choose(paths: Sequence[str]) -> None:
    """Set up compiled or interpreted mode for these inputs. Has no effect once the wire stage was imported.

    What is worth compiling and is not compiled yet is compiled first; where the cache cannot be written, the run is
    interpreted.
    """
    if "otmon.wire.loads" in sys.modules or "OTMON_INTERPRET" in os.environ:
        return
    if not is_warm():
        sizes = [os.path.getsize(path) if os.path.isfile(path) else INTERPRET_BYTES for path in paths]
        if sum(sizes) < INTERPRET_BYTES:
            return
        try:
            warm()
        except OSError:
            return
    os.environ["OTMON_KERNELS"] = str(folder())
