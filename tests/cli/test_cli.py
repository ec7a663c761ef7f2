"""The command line around a stubbed engine: what it prints where, what it leaves, and how it ends."""

import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest

import otmon.policy.load
from otmon.capture.errors import CaptureError
from otmon.cli import run
from otmon.cli.common import SEVERITIES
from otmon.cli.learn import LIVE_COUNT
from otmon.policy import verdict
from otmon.site.part import Part
from tests.outputs.results import DAMAGED, INPUT, part_with_alerts
from tests.site.plant import Names

ROOT = Path(__file__).parents[2]
HEAVY = ("numpy", "numba", "rich", "pydantic", "networkx", "orjson", "ruamel.yaml", "zstandard", "sqlite3")


@dataclass
class Engine:
    """Stands in for otmon.engine."""

    part: Part = field(default_factory=part_with_alerts)
    inputs: list[Any] = field(default_factory=lambda: [INPUT])
    interrupted: bool = False
    error: BaseException | None = None
    asked: dict[str, Any] = field(default_factory=dict)
    cache: Any = field(default_factory=lambda: SimpleNamespace(choose=lambda paths, notice: None))

    def analyze(self, paths: list[str], **options: Any) -> Any:
        self.asked = {"paths": paths, **options}
        if self.error is not None:
            raise self.error
        if options["messages_path"] is not None:
            options["messages_path"].write_text("")
        self.part.partial = self.interrupted
        return SimpleNamespace(part=self.part, inputs=self.inputs, interrupted=self.interrupted)

    def warm(self) -> str:
        self.asked = {"warm": True}
        return "cache"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Engine:
    stub = Engine()
    monkeypatch.setitem(sys.modules, "otmon.engine", stub)  # type: ignore[arg-type] # a stub
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.pcap").write_bytes(b"x")
    return stub


Ended = tuple[int, str, str]


@pytest.fixture
def otmon_(engine: Engine, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    def call(*arguments: str) -> Ended:
        code = run(arguments)
        return code, *capsys.readouterr()

    return call


def test_analyze_leaves_a_folder_and_a_summary(otmon_: Callable[..., Ended], engine: Engine) -> None:
    code, out, err = otmon_("analyze", "a.pcap")
    assert (code, err) == (0, "")
    assert "Results: otmon-out" in out
    assert sorted(os.listdir("otmon-out")) == [
        *("alerts.jsonl", "assets.jsonl", "blocks.jsonl", "graph.graphml", "operations.jsonl"),
        *("run.json", "site.db", "summary.json"),
    ]
    progress = engine.asked.pop("progress")
    assert progress is None, "no bar without a terminal"
    assert callable(engine.asked.pop("notice"))
    assert engine.asked == {"paths": ["a.pcap"], "policy": None, "messages_path": None, "hash_all": False, "jobs": 1}
    assert otmon_("analyze", "a.pcap", "--messages", "--hash", "--jobs", "2")[0] == 0
    assert Path("otmon-out/messages.jsonl").exists()
    assert (engine.asked["hash_all"], engine.asked["jobs"]) == (True, 2)


def test_json_is_the_summary_file_and_nothing_else(otmon_: Callable[..., Ended]) -> None:
    code, out, err = otmon_("analyze", "a.pcap", "--json", "--out", "r")
    assert (code, err) == (0, "")
    assert out == Path("r/summary.json").read_text()


@pytest.mark.parametrize(("severity", "code"), [("info", 1), ("critical", 1), (None, 0)])
def test_fail_on(otmon_: Callable[..., Ended], severity: str | None, code: int) -> None:
    asked = ("--fail-on", severity) if severity else ()
    assert otmon_("analyze", "a.pcap", *asked)[0] == code


def test_fail_on_counts_only_what_is_as_bad(otmon_: Callable[..., Ended], engine: Engine) -> None:
    engine.part.episodes = [e for e in engine.part.episodes if e.verdict.severity == "info"]  # type: ignore[attr-defined] # a stub
    assert otmon_("analyze", "a.pcap", "--fail-on", "low")[0] == 0
    assert otmon_("analyze", "a.pcap", "--fail-on", "info")[0] == 1


def test_damage_is_one_line_and_wins_over_fail_on(otmon_: Callable[..., Ended], engine: Engine) -> None:
    engine.inputs = [INPUT, DAMAGED]
    code, out, err = otmon_("analyze", "a.pcap", "--fail-on", "info")
    without, error = err.splitlines()
    assert (code, error) == (3, "otmon: error: b.pcap: cut short (at byte 24)")
    assert "--fail-on without --policy" in without
    assert "Results" in out


def test_interrupted_results_are_written_and_marked(otmon_: Callable[..., Ended], engine: Engine) -> None:
    engine.interrupted, engine.inputs = True, [INPUT, DAMAGED]
    code, out, err = otmon_("analyze", "a.pcap")
    assert code == 130
    assert "partial results are in otmon-out" in err
    assert "partial" in out
    assert json.loads(Path("otmon-out/summary.json").read_text())["partial"] is True
    assert json.loads(Path("otmon-out/run.json").read_text())["interrupted"] is True


def test_killed_before_there_is_anything(otmon_: Callable[..., Ended], engine: Engine) -> None:
    engine.error = KeyboardInterrupt()
    code, out, err = otmon_("analyze", "a.pcap")
    assert (code, out, err.strip()) == (130, "", "otmon: error: interrupted")
    assert os.listdir() == ["a.pcap"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("analyze",), 2, "Missing argument 'CAPTURE...'"),
        (("analyze", "a.pcap", "nope.pcap"), 2, "nope.pcap: no such file"),
        (("analyze", "."), 2, ".: is a directory"),
        (("analyze", "-", "-"), 2, "only once"),
        (("analyze", "a.pcap", "--jobs", "0"), 2, "--jobs"),
        (("analyze", "a.pcap", "--fail-on", "worst"), 2, "--fail-on"),
        (("analyze", "a.pcap", "--out", "a.pcap"), 2, "a.pcap: is a file"),
        (("analyze", "a.pcap", "--out", "."), 2, ".: is not empty"),
        (("analyze", "no\x1b]0;x\x07pe"), 2, "no\\x1b]0;x\\x07pe: no such file"),
        (("frobnicate",), 2, "No such command 'frobnicate'"),
        (("assets", "nowhere"), 2, "nowhere: no results of otmon there"),
        (("assets", "a.pcap"), 2, "a.pcap: not a site database"),
        (("learn", "a.pcap"), 2, "Missing option '-o'"),
    ],
)
def test_errors_are_one_line(
    otmon_: Callable[..., Ended], engine: Engine, arguments: Any, code: int, words: str
) -> None:
    ended, out, err = otmon_(*arguments)
    assert (ended, out) == (code, "")
    assert err.startswith("otmon: error: ")
    assert err.count("\n") == 1
    assert words in err
    assert engine.asked == {}, "something was run"


def test_an_unreadable_capture_leaves_nothing(otmon_: Callable[..., Ended], engine: Engine) -> None:
    engine.error = CaptureError("a.pcap", 0, "is no capture file")
    assert otmon_("analyze", "a.pcap") == (3, "", "otmon: error: a.pcap: is no capture file\n")
    assert os.listdir() == ["a.pcap"]


def test_policy_reaches_engine_names_and_summary(
    otmon_: Callable[..., Ended], engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = Names()
    monkeypatch.setattr(otmon.policy.load, "load_policy", lambda path: policy)
    code, out, _ = otmon_("analyze", "a.pcap", "--policy", "p.yaml")
    assert code == 0
    assert engine.asked["policy"] is policy
    assert "PLC-3" in out
    assert json.loads(Path("otmon-out/summary.json").read_text())["policy"] == {"path": "p.yaml", "sha256": "ab" * 32}


FORMS: dict[str, tuple[str, ...]] = {
    "assets": ("assets",),
    "operations": ("operations",),
    "blocks": ("blocks",),
    "alerts": ("alerts", "list"),
}


@pytest.mark.parametrize("name", FORMS)
def test_records_of_a_folder_in_three_forms(otmon_: Callable[..., Ended], name: str) -> None:
    otmon_("analyze", "a.pcap")
    kind = name.removesuffix("s")
    schema = json.loads((ROOT / "docs" / "records" / f"{kind}.schema.json").read_text())
    code, out, err = otmon_(*FORMS[name], "--json")
    records = json.loads(out)
    assert (code, err) == (0, "")
    assert records == [json.loads(line) for line in Path(f"otmon-out/{name}.jsonl").read_text().splitlines()]
    for record in records:
        jsonschema.Draft202012Validator(schema).validate(record)
    code, out, err = otmon_(*FORMS[name], "otmon-out/site.db", "--csv")
    rows = list(csv.DictReader(io.StringIO(out, newline="")))
    assert (code, err, len(rows)) == (0, "", len(records))
    assert all(None not in row and None not in row.values() for row in rows)
    code, out, err = otmon_(*FORMS[name])
    assert (code, err) == (0, "")
    assert name in out.lower()


def test_alerts_by_severity(otmon_: Callable[..., Ended]) -> None:
    otmon_("analyze", "a.pcap")
    found = json.loads(otmon_("alerts", "list", "--severity", "high", "--json")[1])
    assert sorted(alert["severity"] for alert in found) == ["critical", "high"]


def test_graph_in_every_form(otmon_: Callable[..., Ended]) -> None:
    otmon_("analyze", "a.pcap")
    assert otmon_("graph", "--format", "graphml")[1] == Path("otmon-out/graph.graphml").read_text()
    assert otmon_("graph", "--format", "dot")[1].startswith("digraph")
    assert "<gexf" in otmon_("graph", "--format", "gexf")[1]
    edges = json.loads(otmon_("graph", "--json")[1])["edges"]
    assert len(list(csv.DictReader(io.StringIO(otmon_("graph", "--csv")[1], newline="")))) == len(edges) == 9
    assert "Busiest conduits" in otmon_("graph")[1]


def test_learn_writes_the_policy(otmon_: Callable[..., Ended], engine: Engine) -> None:
    code, out, err = otmon_("learn", "a.pcap", "-o", "b.yaml")
    assert code == 0
    assert "Learning is not complete." in out
    assert re.fullmatch(
        r"otmon: note: b.yaml permits what was seen: \d+ rows in \d+ conduits, \d zones; "
        r"for review, and denied: \d+ rows?\n",
        err,
    )
    text = Path("b.yaml").read_text()
    assert text.startswith("# Learned by otmon")
    code, out, err = otmon_("learn", "a.pcap", "-o", "-")
    assert (code, out) == (0, text)
    assert err.startswith("otmon: note: the policy permits")
    assert otmon_("learn", "a.pcap", "-o", "no/b.yaml")[0] == 2
    engine.inputs = [DAMAGED]
    assert otmon_("learn", "a.pcap", "-o", "b.yaml", "--force")[0] == 3
    engine.interrupted = True
    assert otmon_("learn", "a.pcap", "-o", "b.yaml", "--force")[0] == 130
    assert Path("b.yaml").read_text().startswith("# Partial")


def test_learn_adds_to_a_policy(otmon_: Callable[..., Ended], engine: Engine) -> None:
    otmon_("learn", "a.pcap", "-o", "b.yaml")
    text = "# ours\n" + Path("b.yaml").read_text()
    Path("b.yaml").write_text(text)
    code, out, err = otmon_("learn", "a.pcap", "-o", "b.yaml", "--json")
    assert (code, Path("b.yaml").read_text()) == (0, text)
    assert "added 0 rows" in err
    first, *rest = json.loads(out)
    assert first == {
        "added": {"conduits": 0, "review": 0, "rows": 0, "zones": 0},
        "complete": False,
        "kind": "policy",
    }
    assert {record["kind"] for record in rest} == {"conduit", "todo"}
    Path("b.learned.yaml").unlink()
    assert "cannot be told from what is new" in otmon_("learn", "a.pcap", "-o", "b.yaml")[2]
    assert otmon_("learn", "a.pcap", "-o", "b.yaml", "--force")[0] == 0
    assert Path("b.yaml").read_text() == text.removeprefix("# ours\n")


def test_a_name_of_a_file_stays_in_its_comment(otmon_: Callable[..., Ended], engine: Engine) -> None:
    Path("a\n  - id: evil.pcap").write_bytes(b"x")
    assert otmon_("learn", "a\n  - id: evil.pcap", "-o", "b.yaml")[0] == 0
    text = Path("b.yaml").read_text()
    assert "evil" in text
    assert all("# seen" in line for line in text.splitlines() if "evil" in line)


def test_learn_from_results(otmon_: Callable[..., Ended], engine: Engine) -> None:
    otmon_("analyze", "a.pcap")
    asked = engine.asked
    assert otmon_("learn", "--data", "otmon-out", "-o", "b.yaml")[0] == 0
    assert engine.asked is asked
    otmon_("learn", "a.pcap", "-o", "c.yaml")
    comments = re.compile(r"^ *# seen .*\n", re.MULTILINE)
    assert comments.sub("", Path("b.yaml").read_text()) == comments.sub("", Path("c.yaml").read_text())
    assert "in the data of otmon-out\n" in Path("b.yaml").read_text()
    assert otmon_("learn", "--data", "nowhere", "-o", "d.yaml")[0] == 2


def test_learning_ends_by_itself(otmon_: Callable[..., Ended], engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("ENOUGH_NS", 0), ("ENOUGH_QUIET", 0), ("ENOUGH_MASS", 1)):
        monkeypatch.setattr(f"otmon.policy.progress.{name}", value)
    assert "Learning is complete enough" in otmon_("learn", "a.pcap", "-o", "b.yaml")[1]
    text = Path("b.yaml").read_text()
    assert re.search(r"^# Learning ended 2\d{3}-.*Z, complete enough", text, re.MULTILINE)
    known = engine.part.operations
    engine.part.operations = [known[0]._replace(key=known[0].key._replace(client="10.99.0.1")), *known]
    assert (
        "added 0 rows in 0 conduits, 1 zone; for review, and denied: 1 row\n"
        in otmon_("learn", "a.pcap", "-o", "b.yaml")[2]
    )
    assert "reason: it was first seen after learning had ended" in Path("b.yaml").read_text()


def test_a_sensor_must_have_seen_more(
    otmon_: Callable[..., Ended], engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rows(*more: str) -> list[dict[str, int]]:
        return json.loads(otmon_("learn", "--data", "otmon-out", "-o", "b.yaml", "--force", "--json", *more)[1])[0][
            "added"
        ]

    otmon_("analyze", "a.pcap")
    often = 10**9  # so often that nothing here was
    once, never = rows(), rows("--min-count", str(often))
    assert never["rows"] == 0 < once["rows"]
    assert LIVE_COUNT == 3
    monkeypatch.setattr(sys.modules["otmon.cli.learn"], "LIVE_COUNT", often)
    assert rows() == once
    monkeypatch.setattr("otmon.store.database.SiteDatabase.health", [{}])
    assert rows() == never
    assert rows("--min-count", "1") == once


@pytest.mark.parametrize(
    "asked", [(), ("a.pcap", "--data", "x"), ("a.pcap", "--min-count", "0"), ("a.pcap", "-o", "-", "--json")]
)
def test_learn_wants_one_input(otmon_: Callable[..., Ended], asked: tuple[str, ...]) -> None:
    assert otmon_("learn", "-o", "b.yaml", *asked)[0] == 2
    assert not Path("b.yaml").exists()


def test_learn_replaces_nothing_but_a_policy(otmon_: Callable[..., Ended], engine: Engine) -> None:
    Path("notes.txt").write_text("precious")
    code, _, err = otmon_("learn", "a.pcap", "-o", "notes.txt")
    assert (code, Path("notes.txt").read_text()) == (2, "precious")
    assert "is no policy" in err
    Path("same.pcap").symlink_to("a.pcap")
    code, _, err = otmon_("learn", "a.pcap", "-o", "same.pcap")
    assert (code, Path("a.pcap").read_bytes()) == (2, b"x")
    assert "one of the captures" in err
    Path("b.yaml").write_text("otmon: 1\nzone: {}\n# by hand\n")
    code, _, err = otmon_("learn", "a.pcap", "-o", "b.yaml")
    assert (code, Path("b.yaml").read_text()) == (2, "otmon: 1\nzone: {}\n# by hand\n")
    assert "b.yaml:2:1: zone:" in err
    assert otmon_("learn", "a.pcap", "-o", "notes.txt", "--force")[0] == 2
    assert engine.asked == {}


def test_warm(otmon_: Callable[..., Ended], engine: Engine) -> None:
    code, out, err = otmon_("warm")
    assert (code, err, engine.asked) == (0, "", {"warm": True})
    assert "compiled" in out


def test_severities_are_those_of_the_policy() -> None:
    assert SEVERITIES == verdict.SEVERITIES


def commands() -> list[tuple[str, ...]]:
    one = [
        (name,) for name in ("analyze", "learn", "policy", "assets", "operations", "blocks", "graph", "alerts", "warm")
    ]
    return [(), *one, ("policy", "check"), ("alerts", "list")]


def test_help_imports_nothing_heavy() -> None:
    """Every help page, in one process: what makes start-up slow must not have been imported."""
    script = (
        "import sys\nfrom otmon.cli import run\n"
        f"codes = [run([*c, '--help']) for c in {commands()!r}]\n"
        f"found = [m for m in {HEAVY!r} if m in sys.modules]\n"
        "print(codes, found, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == f"{[0] * len(commands())} []\n"
    assert done.stdout.count("Usage: ") == len(commands())


def test_module_and_version() -> None:
    done = subprocess.run([sys.executable, "-m", "otmon", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"otmon {otmon.__version__}\n"


def test_a_closed_pipe_is_no_error(otmon_: Callable[..., Ended], tmp_path: Path) -> None:
    otmon_("analyze", "a.pcap")
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as gone:
        command = [sys.executable, "-m", "otmon", "operations", "--json"]
        done = subprocess.run(command, stdout=gone, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_policy_check(otmon_: Callable[..., Ended], tmp_path: Path) -> None:
    Path("good.yaml").write_text("otmon: 1\nsite: water-works-3\n")
    Path("bad.yaml").write_text("otmon: 1\nsite: x\nzoness: {}\n")
    code, out, err = otmon_("policy", "check", "good.yaml")
    assert (code, err) == (0, "")
    assert out.startswith("good.yaml:1:1: warning: No zone is monitored")
    assert "\ngood.yaml: right (0 zones, 0 assets, 0 conduits" in out
    code, out, err = otmon_("policy", "check", "bad.yaml")
    assert (code, out) == (2, "")
    assert err.startswith("otmon: error: bad.yaml:3:1: zoness: ")
    assert otmon_("policy", "check", "none.yaml")[0] == 2
    assert otmon_("analyze", "a.pcap", "--policy", "bad.yaml")[0] == 2
    assert not Path("otmon-out").exists(), "nothing was run"
