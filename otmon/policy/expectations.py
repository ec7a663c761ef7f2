"""Tests of a policy, kept beside it in `*.test.yaml`: operations, and which row decides about each."""

from pathlib import Path as FilePath
from typing import Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from otmon.policy.asked import Asked, permits
from otmon.policy.errors import Path, PolicyError, Problem, did_you_mean, quoted
from otmon.policy.explain import explain, refuse_newer
from otmon.policy.fields import Text
from otmon.policy.judge import Policy
from otmon.policy.load import load_policy
from otmon.policy.optext import parse_operation
from otmon.policy.permits import row_of
from otmon.policy.reader import Document, parse, read_bytes
from otmon.policy.windows import moment_ns
from otmon.policy.words import TextError

SUFFIX: Final = ".test.yaml"
MAX_TESTS: Final = 20_000
PERMIT, DENY = "permit", "deny"
_MISSING: Final = {
    "otmon-test": "the file begins with `otmon-test: 1`",
    "tests": "list the operations under `tests`",
    "operation": 'write it as text: "10.0.2.10 -> 10.0.1.5 modbus unit 1 read_coils 3"',
    "expect": "write the id of the row that decides, `permit` or `deny`",
}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class CaseModel(_Strict):
    """One expectation."""

    operation: Text
    expect: Text = Field(description="id of the row that permits or forbids it, or `permit`, or `deny`")
    at: Text | None = None
    note: Text | None = None


class FileModel(_Strict):
    """A whole file."""

    version: Literal[1] = Field(alias="otmon-test")
    policy: Text | None = Field(default=None, description="the policy, from here; default: the file of the same name")
    at: Text | None = Field(default=None, description="when, in the policy's time zone, unless a test says otherwise")
    tests: list[CaseModel] = Field(max_length=MAX_TESTS)


class Expectation(NamedTuple):
    """One test, ready to be run."""

    line: int
    column: int
    text: str
    asked: Asked
    expect: str
    note: str | None


class Suite(NamedTuple):
    """The tests of one file, and the policy that they are about."""

    path: str
    policy: Policy
    tests: tuple[Expectation, ...]


class Result(NamedTuple):
    """What came out of one test."""

    test: Expectation
    found: str
    """The row that decides, with its ticket; `permit` where there is none, `deny` where no row permits."""
    passed: bool
    why: str
    """What the policy says, for those that failed."""


def find(paths: list[FilePath]) -> list[FilePath]:
    """The test files that are named, or lie below the folders that are."""
    found: dict[FilePath, None] = {}
    for path in paths:
        below = sorted(path.rglob(f"*{SUFFIX}")) if path.is_dir() else [path]
        found.update(dict.fromkeys(below))
    return list(found)


def load_suite(path: FilePath, raw: bytes | None = None, policy: Policy | None = None) -> Suite:
    """The tests in a file. PolicyError: everything that is wrong with it, or with its policy.

    `raw` and `policy`: what the files would hold, before they do.
    """
    document = parse(read_bytes(str(path)) if raw is None else raw, str(path))
    model = _validated(document, str(path))
    named = _policy_of(path, model, document)
    if policy is None:
        policy = load_policy(named)
    elif not named.samefile(policy.path):
        wrong = f"these tests are of {quoted(named)}"
        raise PolicyError(str(path), [document.problem(("policy",), wrong, "move them to a file of that name")])
    problems: list[Problem] = []
    rows = [row for book in (policy.conduits, policy.never) for rule in book.rules for row in rule.rows]
    known = {PERMIT, DENY, *(name for row in rows for name in (row.id, row_of(row.id)))}
    tests = []
    for number, test in enumerate(model.tests):
        at: Path = ("tests", number)
        if test.expect not in known:
            right = did_you_mean(test.expect, known)
            problems.append(document.problem((*at, "expect"), f"no row {quoted(test.expect)} in {policy.path}", right))
        ts_ns = _moment(test.at or model.at, policy)
        if isinstance(ts_ns, str):
            where = (*at, "at") if test.at else ("at",) if model.at else at
            problems.append(document.problem(where, ts_ns, "write 2026-03-02T10:00, in the policy's time zone"))
            continue
        try:
            key, value = parse_operation(test.operation, policy)
        except TextError as error:
            wrong = f"character {error.column}: {error.wrong}"
            problems.append(document.problem((*at, "operation"), wrong, error.right))
            continue
        place = document.places[at]
        tests.append(Expectation(*place, test.operation, Asked(key, ts_ns, value), test.expect, test.note))
    if problems:
        raise PolicyError(str(path), problems)
    return Suite(str(path), policy, tuple(tests))


def _validated(document: Document, path: str) -> FileModel:
    if not isinstance(document.data, dict):
        wrong = "the file is empty" if document.data is None else "not a mapping"
        raise PolicyError(path, [document.problem((), wrong, "a file of tests begins with `otmon-test: 1`")])
    refuse_newer(document, path, "otmon-test", "file of tests")
    try:
        return FileModel.model_validate(document.data, strict=False)
    except ValidationError as error:
        raise PolicyError(path, explain(document, error, _keys, _MISSING)) from None


def _keys(at: Path) -> list[str]:
    model = FileModel if not at else CaseModel
    return [field.alias or name for name, field in model.model_fields.items()]


def _policy_of(path: FilePath, model: FileModel, document: Document) -> FilePath:
    named = path.parent / (model.policy or f"{path.name.removesuffix(SUFFIX)}.yaml")
    if not named.is_file() or named == path:
        right = "name it with `policy:`, or call the tests as the policy is called: plant.yaml, plant.test.yaml"
        where: Path = ("policy",) if model.policy else ()
        raise PolicyError(str(path), [document.problem(where, f"no policy {quoted(named)}", right)])
    return named


def _moment(text: str | None, policy: Policy) -> int | str:
    """Nanoseconds, or what is wrong."""
    if text is None:
        return "missing: the policy has windows of time" if policy.windows else 0
    try:
        return moment_ns(text, policy.zone)
    except ValueError:
        return f"{quoted(text)} is not a time"


def run(suite: Suite) -> list[Result]:
    """Every test of a file."""
    return [_run(suite.policy, test) for test in suite.tests]


def _run(policy: Policy, test: Expectation) -> Result:
    verdict = policy.judge(test.asked.key, test.asked.ts_ns)
    permit = permits(policy, test.asked)
    decides = verdict.row if permit == verdict.permit else None
    word = PERMIT if permit else DENY
    passed = test.expect in (word, decides, decides and row_of(decides))
    return Result(test, decides or word, passed, "" if passed else _why(policy, test, permit))


def _why(policy: Policy, test: Expectation, permit: bool) -> str:
    verdict = policy.judge(test.asked.key, test.asked.ts_ns)
    if permit:
        return f"row {verdict.row} permits it" if verdict.row else "it is permitted without a row"
    if verdict.row is not None and not verdict.permit:
        return f"row {verdict.row} forbids it"
    if verdict.permit:
        return "its value is outside what the rows allow"
    return verdict.separation or "no row permits it, and none comes near"
