"""A stage imports only what stands to its left (DESIGN 2); files are short; packages say what they are."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "otmon"
FILES = sorted(ROOT.rglob("*.py"))
ORDER = (
    "capture",
    "wire",
    "stream",
    "protocols",
    "site",
    "policy",
    "alerts",
    "store",
    "outputs",
    "delivery",
    "engine",
    "sensor",
    "opinion",
    "cli",
)
SIDE_BY_SIDE = {frozenset({"store", "engine"}), frozenset({"outputs", "engine"}), frozenset({"delivery", "engine"})}
"""Sinks do not know the engine, and it does not know them; the command line brings them together."""
EVERYWHERE = ("otmon.model", "otmon.limits", "otmon.text", "otmon.policy.verdict", "otmon.wire.loads", "otmon.wire.far")
"""What all stages share: verdicts are plain values; `loads` and `far` say how kernels run, compiled or not."""
MAX_LINES = 400


def module(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def stage(name: str) -> str | None:
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in ORDER else None


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """(line, module or name) of every import, inside functions too."""
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports name the whole package"
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"


def allowed(here: str | None, target: str) -> bool:
    there = stage(target)
    if there is None or there == here or target.startswith(tuple(f"{name}" for name in EVERYWHERE)):
        return True
    if here is None or frozenset({here, there}) in SIDE_BY_SIDE:
        return False
    return ORDER.index(there) < ORDER.index(here)


def test_stages_import_to_the_left() -> None:
    wrong = [
        f"{path.relative_to(ROOT.parent)}:{line}: {name}"
        for path in FILES
        if path.parent != ROOT or path.stem != "__main__"
        for line, name in imported(path)
        if name.startswith("otmon.") and not allowed(stage(module(path)), name)
    ]
    assert not wrong, "\n".join(wrong)


def test_every_folder_is_a_known_stage() -> None:
    assert {path.parent.name for path in ROOT.glob("*/__init__.py")} == set(ORDER)


def test_the_check_would_find_something() -> None:
    assert not allowed("wire", "otmon.stream.slow.SlowPath")
    assert not allowed("site", "otmon.alerts.episodes.Episode")
    assert not allowed("engine", "otmon.outputs.summary")
    assert not allowed(None, "otmon.wire.loop")
    assert allowed("capture", "otmon.wire.loads.jit")
    assert allowed("site", "otmon.policy.verdict.Verdict")
    assert allowed("cli", "otmon.engine.analyze")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_short_and_says_what_it_is(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= MAX_LINES
    if path.name != "__main__.py":
        assert ast.get_docstring(ast.parse(text)), "a module says what it is"
