"""An alert that may go on: the smallest addition to a policy that permits it until a day, and the test that says so.

What is added is a conduit of its own: it permits what the alert is about and nothing else, ends by itself, and names
the alert, the ticket and who approved it. A row that is there is not widened, because half a row cannot end.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any, Final, NamedTuple

from ruamel.yaml.comments import CommentedMap, CommentedSeq

from otmon.policy.alerted import asked as asked_of
from otmon.policy.asked import Asked, permits
from otmon.policy.edit import Edit, appended, same_ends
from otmon.policy.edit_rows import exact_conduit, exact_row
from otmon.policy.errors import PolicyError
from otmon.policy.expectations import PERMIT, SUFFIX, Result, load_suite, run
from otmon.policy.functions import reason_not_learned
from otmon.policy.judge import Policy
from otmon.policy.load import load_bytes
from otmon.policy.optext import operation_text
from otmon.policy.permits import row_of
from otmon.policy.reader import parse
from otmon.policy.windows import local_text

ID_DIGITS: Final = 8
"""Of the alert's id, in that of its conduit."""
_ANOTHER_READING: Final = "another_reading"
"""As otmon.engine.readings has it."""


class Refused(Exception):
    """This alert is not accepted so; str() is the reason, one line for people."""


class Approval(NamedTuple):
    """Who accepts, until when, and where it is written down."""

    until: str
    """As `until` of a window: 2026-12-01 (the last day) or 2026-12-01T17:00, in the policy's time zone."""
    ticket: str
    by: str


class Accepted(NamedTuple):
    """Both files as they will be."""

    conduit: str
    policy: Edit
    tests: Edit
    tests_path: FilePath
    before: str | None
    """The tests as they are; None: there is no file yet."""


def accept(
    record: Mapping[str, Any], path: FilePath, text: str, policy: Policy, approval: Approval, *, dangerous: bool
) -> Accepted:
    """What to write so that the alert does not come again. Refused: the reason. `policy` is that of the text."""
    found = _questions(record, policy, dangerous)
    name = f"accepted-{record['id'][:ID_DIGITS]}"
    document = parse(text.encode(), str(path))
    if name in {conduit["id"] for conduit in document.data.get("conduits") or []}:
        raise Refused(f"conduit {name} is there already: change its `until`, or take it out first")
    conduit = _conduit(name, document.data, policy, found, record["id"], approval)
    changed = Edit(same_ends(text, appended(text, document, "conduits", conduit)), f"add conduit {name}")
    try:
        after = load_bytes(changed.text.encode(), str(path))
    except PolicyError as error:
        raise Refused(f"with it the policy would be wrong: {str(error).splitlines()[0]}") from None
    for one in found:
        for ts_ns in (one.ts_ns, record["last_ts_ns"]):
            if not permits(after, one._replace(ts_ns=ts_ns)):
                last = _at(ts_ns, after)
                raise Refused(f"--until {approval.until} is not after the alert, which was last seen at {last}")
    tests_path = path.with_name(f"{path.stem}{SUFFIX}")
    before = tests_path.read_bytes().decode("utf-8-sig") if tests_path.exists() else None
    note = f"accepted alert {record['id']}, {approval.ticket}, {approval.by}"
    tests = _tests(before, policy, [_case(name, one, after, note) for one in found])
    broken = _broken(tests_path, tests, after)
    if broken:
        raise Refused("a test beside the policy says otherwise: " + "; ".join(broken))
    return Accepted(name, changed, Edit(tests, "add its test"), tests_path, before)


def _questions(record: Mapping[str, Any], policy: Policy, dangerous: bool) -> list[Asked]:
    """What the policy is to permit. Refused: none of it is for a row to permit, or not without being told so."""
    name = record["id"]
    found = asked_of(record, policy.tags)
    if not found:
        what = (record.get("finding") or record.get("operation") or {}).get("reason") or record["row"] or record["kind"]
        raise Refused(
            f"alert {name} is of kind {record['kind']} ({what}): no row of a policy decides about it; acknowledge or "
            "close it"
        )
    if _ANOTHER_READING in record["flags"]:
        raise Refused(
            f"alert {name} is of a stream that contradicts itself (docs/evasion.md): a row cannot permit that"
        )
    if record["more_targets"] or len(record["units"]) > 1:
        raise Refused(f"alert {name} touched more than its record lists one by one: write the row by hand")
    for one in found:
        verdict = policy.judge(one.key, one.ts_ns)
        if not verdict.permit and verdict.row is not None:
            because = f": {verdict.because}" if verdict.because else ""
            raise Refused(f"row {verdict.row} forbids it{because}; what is under `never` is changed by hand alone")
        reason = reason_not_learned(one.key)
        if reason is not None and not dangerous:
            raise Refused(f"{operation_text(one.key)}: {reason}; say --dangerous to accept it all the same")
    denied = [one for one in found if not permits(policy, one)]
    if not denied:
        row = policy.judge(found[0].key, found[0].ts_ns).row
        raise Refused(f"the policy permits it already{f' (row {row})' if row else ''}")
    return denied


def _conduit(
    name: str, data: dict[str, Any], policy: Policy, found: Sequence[Asked], alert: str, approval: Approval
) -> CommentedMap:
    conduit = exact_conduit(data, policy, found[0])
    conduit["id"] = name
    conduit["allow"] = CommentedSeq([exact_row(one) for one in found])
    during = CommentedMap(until=approval.until, ticket=approval.ticket, approver=approval.by)
    conduit.insert(list(conduit).index("allow"), "during", during)
    conduit["note"] = f"accepted alert {alert}"
    return conduit


def _case(name: str, one: Asked, after: Policy, note: str) -> CommentedMap:
    """Which row decides is expected, unless rows decide together about a value."""
    row = row_of(after.judge(one.key, one.ts_ns).row or "")
    expect = row if row.split("/")[0] == name else PERMIT
    return CommentedMap(
        operation=operation_text(one.key, one.value), expect=expect, at=_at(one.ts_ns, after), note=note
    )


def _at(ts_ns: int, policy: Policy) -> str:
    return local_text(ts_ns, policy.windows[0].zone)


def _tests(before: str | None, policy: Policy, cases: Iterable[CommentedMap]) -> str:
    text = "otmon-test: 1\n" if before is None else before
    for case in cases:
        if not policy.windows and "at" not in parse(text.encode(), "").data:
            # Until now no test needed a time: whichever is given to them changes nothing.
            text = _with_time(text, case["at"])
        text = same_ends(text, appended(text, parse(text.encode(), ""), "tests", case))
    return text


def _with_time(text: str, at: str) -> str:
    """With a time for all tests that have none, in the line behind the first key."""
    line, column = parse(text.encode(), "").places["otmon-test",]
    lines = text.splitlines(keepends=True)
    if column != 1:
        raise Refused("the tests beside the policy have no `at`, which they need once a row ends: add one")
    end = "\r\n" if lines[line - 1].endswith("\r\n") else "\n"
    lines[line - 1] = lines[line - 1].rstrip("\r\n") + end
    return "".join([*lines[:line], f"at: {at}{end}", *lines[line:]])


def _broken(path: FilePath, text: str, after: Policy) -> list[str]:
    try:
        suite = load_suite(path, text.encode(), after)
    except PolicyError as error:
        raise Refused(f"the tests beside the policy: {str(error).splitlines()[0]}") from None
    return [_said(path, result) for result in run(suite) if not result.passed]


def _said(path: FilePath, result: Result) -> str:
    test = result.test
    return f"{path}:{test.line}: {test.text}: expected {test.expect}" + (f" ({test.note})" if test.note else "")
