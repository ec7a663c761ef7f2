"""`otmon policy test`: what people expect of a policy, kept in files beside it, and run."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from otmon.cli.common import CHECK_FAILED, RAN, Stop, emit, emit_json

if TYPE_CHECKING:
    from otmon.policy.expectations import Result, Suite

    Ran = list[tuple[Suite, list[Result]]]


@click.command(
    "test",
    epilog="\b\nExamples:\n  otmon policy test\n  otmon policy test policies --junit report.xml\n"
    "  otmon policy test policies/plant.test.yaml --github\n",
)
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--junit", metavar="FILE", type=click.Path(path_type=Path), help="Write a report as JUnit XML too.")
@click.option("--github", is_flag=True, help="Print failures as annotations of GitHub Actions.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON records.")
def run_tests(paths: tuple[Path, ...], junit: Path | None, github: bool, as_json: bool) -> int:
    """Run the tests that lie beside policies.

    PATH is a file or a folder, in which every *.test.yaml is run; default: this folder. Each test is an operation and
    the id of the row that decides about it, or `permit`, or `deny`.

    Exit code 1: a test failed; 2: a file is wrong, and nothing was run.
    """
    from otmon.policy.errors import PolicyError
    from otmon.policy.expectations import SUFFIX, find, load_suite, run

    named = list(paths) or [Path()]
    missing = [str(path) for path in named if not path.exists()]
    if missing:
        raise Stop("\n".join(f"{path}: no such file" for path in missing))
    suites, errors = [], []
    for path in find(named):
        try:
            suites.append(load_suite(path))
        except PolicyError as error:
            errors.append(str(error))
    if errors:
        raise Stop("\n".join(errors))
    if not suites:
        raise Stop(f"no tests there: a file of tests is called *{SUFFIX}")
    ran = [(suite, run(suite)) for suite in suites]
    if junit is not None:
        junit.write_text(_junit(ran), encoding="utf-8")
    failed = sum(not result.passed for _, results in ran for result in results)
    if as_json:
        emit_json(_records(ran))
    else:
        emit("".join(f"{line}\n" for line in (_annotations(ran) if github else _text(ran))))
    return CHECK_FAILED if failed else RAN


def _failures(ran: "Ran") -> "Iterable[tuple[Suite, Result]]":
    return ((suite, result) for suite, results in ran for result in results if not result.passed)


def _message(result: "Result") -> str:
    return f"expected {result.test.expect}, found {result.found}: {result.why.rstrip('.')}"


def _text(ran: "Ran") -> Iterable[str]:
    from otmon.text import safe_text

    for suite, result in _failures(ran):
        test = result.test
        yield f"{safe_text(suite.path)}:{test.line}:{test.column}: {safe_text(test.text, 400)}"
        yield f"    {_message(result)}" + (f" ({safe_text(test.note, 400)})" if test.note else "")
    tests, failed = sum(len(results) for _, results in ran), sum(1 for _ in _failures(ran))
    yield f"{tests} test{'' if tests == 1 else 's'} in {len(ran)} file{'' if len(ran) == 1 else 's'}: {failed} failed"


def _annotations(ran: "Ran") -> Iterable[str]:
    """Workflow commands of GitHub Actions: data and properties are escaped differently."""
    from otmon.text import safe_text

    for suite, result in _failures(ran):
        test = result.test
        message = safe_text(f"{test.text}: {_message(result)}", 1200).replace("%", "%25")
        path = safe_text(suite.path).replace("%", "%25").replace(",", "%2C").replace(":", "%3A")
        yield f"::error file={path},line={test.line},col={test.column},title=policy test::{message}"


def _records(ran: "Ran") -> Iterable[dict[str, object]]:
    for suite, results in ran:
        for result in results:
            test = result.test
            yield {
                "file": suite.path,
                "line": test.line,
                "operation": test.text,
                "expect": test.expect,
                "found": result.found,
                "passed": result.passed,
                "why": result.why or None,
            }


def _junit(ran: "Ran") -> str:
    """The form that CI servers read (testsuites, testsuite, testcase, failure)."""
    from xml.etree.ElementTree import Element, SubElement, indent, tostring

    from otmon.text import safe_text

    root = Element("testsuites")
    for suite, results in ran:
        failures, path = str(sum(not result.passed for result in results)), safe_text(suite.path)
        group = SubElement(root, "testsuite", name=path, tests=str(len(results)), failures=failures)
        for result in results:
            test = result.test
            name = safe_text(test.text, 400)
            case = SubElement(group, "testcase", classname=path, name=name, file=path, line=str(test.line))
            if not result.passed:
                SubElement(case, "failure", message=safe_text(_message(result), 800))
    indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + tostring(root, encoding="unicode") + "\n"
