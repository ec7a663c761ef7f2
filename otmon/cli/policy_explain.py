"""`otmon policy explain`: why an operation is permitted or denied, and what would permit it."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from otmon.cli.answer import find_alert
from otmon.cli.common import RAN, Stop, data_option, emit, emit_json, open_results
from otmon.cli.policy_diff import load

if TYPE_CHECKING:
    from otmon.policy import Policy
    from otmon.policy.asked import Asked
    from otmon.policy.edit import Edit
    from otmon.policy.why import Why

MAX_TARGETS: Final = 8
"""Of one alert."""


@click.command(
    epilog="\b\nExamples:\n"
    '  otmon policy explain policy.yaml "10.0.2.11 -> 10.0.1.13 modbus unit 1 write_single_register 45 = 900"\n'
    '  otmon policy explain policy.yaml "hmi-1 -> plc-2 s7comm plc_stop" --at 2026-03-02T03:00\n'
    "  otmon policy explain policy.yaml 6d2ea86c --data /var/lib/otmon\n"
)
@click.argument("policy", metavar="POLICY", type=click.Path(path_type=Path))
@click.argument("what", metavar="OPERATION|ALERT-ID")
@data_option
@click.option("--at", "moment", metavar="TIME", help="When; in the policy's time zone. Default: now, or the alert's.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON records.")
def explain(policy: Path, what: str, data: Path | None, moment: str | None, as_json: bool) -> int:
    """Say why an operation is permitted or denied.

    An operation is one line of text; an alert is named by its id, with --data (where permits are kept, too). The answer
    is the row that decides; of what is denied the nearest rows, what they lack, and the smallest edit of the file that
    would permit it.
    """
    loaded = load(policy, data)
    if data is not None:
        # Where there are no results there are no permits either: that is no answer.
        with open_results(data):
            pass
    ts_ns = None if moment is None else _moment(moment, loaded)
    questions = _of_text(what, loaded, ts_ns) if data is None or "->" in what else _of_alert(what, data, ts_ns, loaded)
    from otmon.policy.why import Explainer

    functions = tuple((asked.key.protocol, asked.key[7:10]) for asked in questions)
    explainer = Explainer(loaded, functions)
    answers = [explainer.why(asked) for asked in questions]
    before = policy.read_text(encoding="utf-8-sig")
    edit = _edit(policy, before, loaded, answers)
    if as_json:
        said = {"edit": edit and edit.what, "diff": edit and edit.diff(before, str(policy))}
        emit_json([{**_record(answer), **said} for answer in answers])
        return RAN
    lines = [line for answer in answers for line in _lines(answer)]
    if edit is not None:
        shown = edit.shown(before, str(policy)).rstrip("\n")
        lines += ["", f"The smallest edit that permits it: {edit.what}.", "", shown]
    emit("\n".join(lines) + "\n")
    return RAN


def _moment(text: str, policy: "Policy") -> int:
    from otmon.policy.windows import moment_ns

    try:
        return moment_ns(text, policy.zone)
    except ValueError:
        raise Stop(f"--at: {text!r} is not a time; write 2026-03-02T03:00") from None


def _of_text(text: str, policy: "Policy", ts_ns: int | None) -> "list[Asked]":
    from otmon.policy.asked import Asked
    from otmon.policy.optext import parse_operation
    from otmon.policy.words import TextError

    try:
        key, value = parse_operation(text, policy)
    except TextError as error:
        hint = "" if "->" in text else " (to explain an alert, say where it is: --data DIR)"
        raise Stop(f"operation:{error}{hint}") from None
    return [Asked(key, time.time_ns() if ts_ns is None else ts_ns, value)]


def _of_alert(name: str, data: Path, ts_ns: int | None, policy: "Policy") -> "list[Asked]":
    from otmon.policy.alerted import asked

    with open_results(data) as results:
        record = find_alert(results, data, name)
    found = asked(record, policy.tags)[:MAX_TARGETS]
    if not found:
        raise Stop(f"alert {name} is of kind {record['kind']}: no policy row decides about it")
    return found if ts_ns is None else [item._replace(ts_ns=ts_ns) for item in found]


def _edit(path: Path, text: str, policy: "Policy", answers: "list[Why]") -> "Edit | None":
    """One edit of the file, which has this text, that permits all that is denied and that an edit can permit."""
    from otmon.policy.asked import permits
    from otmon.policy.edit import smallest
    from otmon.policy.load import load_bytes

    edit: Edit | None = None
    what: list[str] = []
    for answer in answers:
        if answer.permit or answer.forbidden or answer.opens is not None or permits(policy, answer.asked):
            continue
        near = answer.near[0] if answer.near else None
        by_permit = near is not None and near.by_permit
        failing = near.failing - ({"time"} if by_permit else set()) if near else frozenset()
        found = smallest(text, str(path), policy, answer.asked, near and near.row, failing, by_permit)
        if found is None:
            continue
        edit, text = found, found.text
        policy = load_bytes(text.encode(), str(path))
        what.append(found.what if permits(policy, answer.asked) else f"{found.what}, and open a permit for it")
    return edit and edit._replace(what=", ".join(dict.fromkeys(what)))


def _lines(answer: "Why") -> list[str]:
    from otmon.policy.optext import operation_text

    asked, verdict = answer.asked, answer.verdict
    lines = [operation_text(asked.key, asked.value)]
    if answer.permit:
        return [*lines, f"permitted. {answer.because}"]
    word = "forbidden" if answer.forbidden else "denied"
    kind = "value" if verdict.permit else f"{verdict.kind}, {verdict.severity}"
    lines.append(f"{word} ({kind}). {answer.because}")
    if answer.forbidden:
        lines.append("No edit is proposed: a `never` row is there on purpose.")
    if verdict.review is not None:
        lines.append(f"It waits for review: {verdict.review}.")
    if answer.opens is not None:
        lines.append(f"A permit opens it, without an edit: otmon permit open {answer.opens}.")
    for near in answer.near:
        lines.append(f"  near: row {near.row.id} ({near.from_text} -> {near.to_text})")
        lines += [f"    {lack.text()}" for lack in near.lacks]
    return lines


def _record(answer: "Why") -> dict[str, Any]:
    from otmon.policy.optext import operation_text

    asked, verdict = answer.asked, answer.verdict
    return {
        "operation": operation_text(asked.key, asked.value),
        "ts_ns": asked.ts_ns,
        "permit": answer.permit,
        "row": verdict.row if answer.permit or answer.forbidden else None,
        "kind": None if answer.permit else "value" if verdict.permit else verdict.kind,
        "because": answer.because,
        "review": verdict.review,
        "permit_opens": answer.opens,
        "near": [
            {
                "row": near.row.id,
                "conduit": near.conduit,
                "from": near.from_text,
                "to": near.to_text,
                "lacks": [lack._asdict() for lack in near.lacks],
            }
            for near in answer.near
        ],
    }
