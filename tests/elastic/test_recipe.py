"""What a node is started from is made once, by whoever comes first, and what lacks is said in one line."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.elastic import recipe
from tests.elastic.conftest import REQUIRED, lacking

ROOT = Path(__file__).parents[2]


def script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A JDK and a Maven that only pretend, and note each run in `runs`; nothing else on the path."""
    script(tmp_path / "jdk/bin/java", "echo 'openjdk version \"21.0.1\"' >&2")
    script(tmp_path / "jdk/bin/javac", f"echo javac >>{tmp_path}/runs")
    fetch = f'for a; do case $a in -Dmdep.outputFile=*) printf %s {tmp_path}/jar >"${{a#*=}}";; esac; done'
    script(tmp_path / "bin/mvn", f"echo mvn >>{tmp_path}/runs; sleep 0.5\n{fetch}")
    (tmp_path / "jar").touch()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("ES_JAVA_HOME", str(tmp_path / "jdk"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def runs(tools: Path) -> list[str]:
    return (tools / "runs").read_text().split()


def test_two_at_once_make_it_once(tools: Path) -> None:
    command = [sys.executable, "-c", "from tests.elastic.recipe import prepare; print(prepare())"]
    both = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) for _ in range(2)]
    said = [process.communicate(timeout=60)[0] for process in both]
    assert said[0] == said[1] != b""
    assert runs(tools) == ["mvn", "javac"]


def test_jars_that_went_away_are_fetched_again(tools: Path) -> None:
    recipe.prepare()
    recipe.prepare()
    assert runs(tools) == ["mvn", "javac"]
    (tools / "jar").unlink()
    recipe.prepare()
    assert runs(tools) == ["mvn", "javac"] * 2


def test_maven_says_why(tools: Path) -> None:
    script(tools / "bin/mvn", "echo starting; printf '\\033[m[ERROR] Unknown host\\n'; echo more; exit 1")
    with pytest.raises(recipe.Missing, match=r"^Maven could not fetch Elasticsearch: \[ERROR\] Unknown host$"):
        recipe.prepare()
    assert not list((tools / "cache").rglob("classpath")), "nothing half made is left"


def test_a_jdk_that_is_too_old_is_named(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "_homes", lambda: iter([tools / "jdk", tools / "none"]))
    script(tools / "jdk/bin/java", "echo 'openjdk version \"11.0.2\"' >&2")
    with pytest.raises(recipe.Missing, match=r"^no JDK 17 or later \(only older ones: .*jdk; Debian: openjdk-17"):
        recipe.prepare()


def test_lacking_skips_unless_it_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(REQUIRED, raising=False)
    with pytest.raises(pytest.skip.Exception, match="no Elasticsearch here: why"):
        lacking("why")
    monkeypatch.setenv(REQUIRED, "1")
    with pytest.raises(pytest.fail.Exception, match="no Elasticsearch here: why"):
        lacking("why")
