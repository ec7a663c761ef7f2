"""The documentation says what the program does: commands, output, links, buckets, alerts, dependencies."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import click
import pytest

from otmon.alerts.visibility import REASONS
from otmon.cli import cli
from otmon.policy.verdict import AlertKind
from otmon.sensor.span import WORDS
from otmon.wire.columns import BYTE_BUCKETS, FRAME_BUCKETS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
COMMANDS = (ROOT / "docs" / "commands.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(p for d in ("docs", "rules", "captures", "grafana") for p in
         sorted((ROOT / d).rglob("*.md")))]  # fmt: skip
MARKED = re.compile(r"^<!-- (runs, exit code|output of:) (.+?) -->\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)
BLOCKS = [match.groups() for match in MARKED.finditer(README)]


def table(page: str, heading: str) -> dict[str, list[str]]:
    """Rows of the tables under a heading: first cell without backticks -> the others."""
    text = (ROOT / "docs" / page).read_text()
    assert text.count(f"\n## {heading}\n") == 1
    section = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    return {row[0].replace("`", ""): row[1:] for row in rows if not set("".join(row)) <= set("- ")}


def commands(group: click.Command, path: str = "otmon") -> Iterator[tuple[str, click.Command]]:
    if isinstance(group, click.Group):
        for name, command in group.commands.items():
            yield from commands(command, f"{path} {name}")
    else:
        yield path, group


@pytest.mark.parametrize(
    ("path", "command"), list(commands(cli)), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_command_is_documented_and_explains_itself(path: str, command: click.Command) -> None:
    assert f"| `{path}` |" in COMMANDS
    assert command.help
    assert all(option.help for option in command.params if isinstance(option, click.Option))


def test_the_readme_names_no_command_that_is_not_there() -> None:
    known = dict(commands(cli))
    for name in re.findall(r"^\| `(otmon .+?)` \|", README + COMMANDS, re.MULTILINE):
        assert name in known


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder with the project's captures and rules in it, and an `otmon` to call."""
    folder = tmp_path_factory.mktemp("newcomer")
    for name in ("captures", "rules"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "bin").mkdir()
    command = folder / "bin" / "otmon"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m otmon "$@"\n')
    command.chmod(0o755)
    return folder


def shell(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    return subprocess.run(["sh", "-e", "-c", script], cwd=folder, env=env, capture_output=True, text=True, check=False)


def test_there_are_marked_blocks() -> None:
    assert sorted(kind for kind, _, _ in BLOCKS) == ["output of:", *["runs, exit code"] * 3]
    assert len(re.findall(r"^```sh$", README, re.MULTILINE)) == 3


@pytest.mark.parametrize(("code", "script"), [(code, text) for kind, code, text in BLOCKS if kind[:4] == "runs"])
def test_what_the_readme_says_to_run_runs(newcomer: Path, code: str, script: str) -> None:
    done = shell(newcomer, script)
    said = [line for line in done.stderr.splitlines() if f"\n{line}\n" not in README]
    assert (done.returncode, said) == (int(code), []), "what it says on stderr stands in the README"


@pytest.mark.parametrize(("script", "shown"), [(c, text) for kind, c, text in BLOCKS if kind[:6] == "output"])
def test_the_output_in_the_readme_is_real(newcomer: Path, script: str, shown: str) -> None:
    done = shell(newcomer, script)
    assert done.returncode == 0
    real = iter([line.rstrip() for line in done.stdout.splitlines()])
    for line in shown.splitlines():
        assert line == "…" or line in real, line  # in this order; only what stands between may be left out


def test_every_demo_target_runs_what_the_readme_shows() -> None:
    (script,) = [script for kind, script, _ in BLOCKS if kind == "output of:"]
    assert script.removeprefix("otmon ") in (ROOT / "Makefile").read_text()


def slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
            assert anchor in map(slug, headings), link


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    for page in (ROOT / "docs").rglob("*.md"):
        name = page.relative_to(ROOT / "docs").as_posix()
        assert name == "README.md" or f"({name})" in index, name


@pytest.mark.parametrize(
    ("heading", "buckets"),
    [
        ("Frames: each in exactly one bucket", FRAME_BUCKETS),
        ("Bytes: each in exactly one bucket", [name for name in BYTE_BUCKETS if name != "seen"]),
    ],
)
def test_every_bucket_is_explained(heading: str, buckets: list[str]) -> None:
    assert set(table("engine.md", heading)) - {"bucket"} == set(buckets)


def test_every_kind_of_alert_is_explained() -> None:
    assert set(table("alerts.md", "Kinds")) - {"kind"} == set(get_args(AlertKind))


def test_every_reason_is_explained_with_its_kind_and_severity() -> None:
    rows = table("alerts.md", "What could not be seen, or not understood")
    assert {name: tuple(cells[:2]) for name, cells in rows.items() if name != "reason"} == REASONS


def test_every_field_of_an_alert_is_explained() -> None:
    rows = table("alerts.md", "Fields")
    explained = {name for cell in rows for name in cell.split(", ")} - {"field"}
    schema = json.loads((ROOT / "docs" / "records" / "alert.schema.json").read_text())
    assert explained == set(schema["properties"])


def test_every_dependency_has_a_line() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(p for extra in project["optional-dependencies"].values() for p in extra)]
    names = {re.split(r"[\[<>=]", wish)[0] for wish in wanted} - {"otmon"}
    text = (ROOT / "docs" / "dependencies.md").read_text()
    rows = {name.strip() for line in text.splitlines() if line[:1] == "|" for name in re.split(r"[|,]", line)}
    assert {name for name in names if name not in rows and f"{name} (with llvmlite)" not in rows} == set()
    assert project["readme"] == "README.md"


def test_nothing_in_the_tree_speaks_of_one_machine() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout: no list of tracked files")
    words = [word.encode() for word in ("sub" + "agent", "/wo" + "rk/", "hel" + "per-", "/ro" + "ot/")]
    for name in filter(None, listed.stdout.decode().split("\0")):
        path = ROOT / name
        if path.is_file():
            text = path.read_bytes()
            assert not [word for word in words if word in text], name


def test_every_fault_of_a_mirror_is_explained_with_its_level() -> None:
    rows = table("span.md", "What the verdict means")
    assert {name: cells[0] for name, cells in rows.items() if name != "fault"} == {
        name: words[1] for name, words in WORDS.items()
    }
