"""The kernel cache: whole or not used, private or not used, and a run goes on without it."""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from otmon.engine import cache
from otmon.wire.fields import FAR_NAMES, FAR_SLOTS
from otmon.wire.kernelfile import pack, symbol, unpack

ROOT = Path(__file__).parents[2]
CAPTURE = str(ROOT / "captures" / "modbus_pymodbus.pcap")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the cache's file would be, in a folder of its own; holds a copy of the real one if that is there."""
    there = cache.is_warm() and cache.kernels()
    monkeypatch.setenv("OTMON_CACHE", str(tmp_path))
    cache.kernels.cache_clear()
    path = cache.kernels()
    path.parent.mkdir(mode=0o700)
    if there:
        shutil.copy(there, path)
    yield path
    monkeypatch.undo()
    cache.kernels.cache_clear()


def test_what_is_packed_is_unpacked() -> None:
    kernels = {"a": b"\0" * 9, "b": b"", "ü": b"x"}
    assert unpack(pack(kernels)) == kernels


def test_no_byte_may_be_missing_or_other() -> None:
    raw = pack({"a": b"code", "b": b"more"})
    for cut in range(len(raw)):
        with pytest.raises(ValueError, match="damaged"):
            unpack(raw[:cut])
    for at in range(len(raw)):
        with pytest.raises(ValueError, match="damaged"):
            unpack(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])


def test_every_far_function_has_a_slot() -> None:
    assert len(set(FAR_NAMES)) == len(FAR_NAMES) <= FAR_SLOTS


def test_a_whole_private_file_is_warm(place: Path) -> None:
    place.write_bytes(pack({"a": b"code"}))
    place.chmod(0o600)
    assert cache.is_warm()


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_file_others_can_write_is_not_used(place: Path, mode: int) -> None:
    place.write_bytes(pack({"a": b"code"}))
    place.chmod(mode)
    assert not cache.is_warm()


@pytest.mark.parametrize("mode", [0o770, 0o703])
def test_a_folder_others_can_write_is_not_used(place: Path, mode: int) -> None:
    place.write_bytes(pack({"a": b"code"}))
    place.chmod(0o600)
    place.parent.chmod(mode)
    assert not cache.is_warm()
    with pytest.raises(PermissionError):
        cache.warm()


def test_a_damaged_file_is_not_used(place: Path) -> None:
    for raw in (b"", b"x" * 100, pack({})[:-1]):
        place.write_bytes(raw)
        assert not cache.is_warm()


def run(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.engine.world", CAPTURE]
    env = {k: v for k, v in os.environ.items() if k not in ("OTMON_INTERPRET", "OTMON_KERNELS")} | environment
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)


def test_a_small_capture_is_interpreted_when_the_file_is_damaged(place: Path) -> None:
    place.write_bytes(b"damaged")
    assert run({"OTMON_CACHE": str(place.parents[1])}).stdout == run({"OTMON_INTERPRET": "1"}).stdout
    assert place.read_bytes() == b"damaged"


def test_a_compiled_run_imports_no_numba(place: Path) -> None:
    if not cache.is_warm():
        pytest.skip("the kernel cache is cold: run `otmon warm`")
    program = (
        f"import sys; from otmon.engine import analyze; analyze([{CAPTURE!r}]);"
        "from otmon.wire.loads import KERNELS; assert KERNELS; assert 'numba' not in sys.modules"
    )
    env = {k: v for k, v in os.environ.items() if k not in ("OTMON_INTERPRET", "OTMON_KERNELS")}
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=env, check=True)


def test_what_is_compiled_is_for_its_owner_alone() -> None:
    if not cache.is_warm():
        pytest.skip("the kernel cache is cold: run `otmon warm`")
    assert stat.S_IMODE(cache.kernels().stat().st_mode) == 0o600
    assert set(unpack(cache.kernels().read_bytes())) == set(FAR_NAMES)


@pytest.mark.skipif(shutil.which("nm") is None, reason="nm is not installed")
def test_an_object_file_shows_its_own_function_and_no_helper(tmp_path: Path) -> None:
    """Helpers of one name may differ from object to object; the loader would take the first."""
    if not cache.is_warm():
        pytest.skip("the kernel cache is cold: run `otmon warm`")
    for name, code in unpack(cache.kernels().read_bytes()).items():
        file = tmp_path / f"{name}.o"
        file.write_bytes(code)
        command = ["nm", "--defined-only", "--extern-only", str(file)]
        words = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        shown = {line.split()[2] for line in words if line.split()[1] in "TWVtwv"}
        assert shown == {symbol(name)}
