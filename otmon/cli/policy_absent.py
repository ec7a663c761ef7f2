"""`otmon policy absent`: proof that something was not seen, or what stands against it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from otmon.cli.common import CHECK_FAILED, RAN, Stop, emit, emit_json, needed_data_option, open_results
from otmon.cli.hunt import asset_names, functions_meant, read_pattern
from otmon.cli.patience import patience
from otmon.cli.policy_diff import load
from otmon.cli.unknown import called, unknown_line

if TYPE_CHECKING:
    from otmon.policy import Policy
    from otmon.policy.intervals import Intervals
    from otmon.store.absence import Absence, Seen

MAX_LISTED: Final = 20
"""Of each list, for people; --json gives all."""


@click.command(
    epilog="\b\nExamples:\n"
    '  otmon policy absent policy.yaml "* -> plc-3 write" --data /var/lib/otmon \\\n'
    "      --from 2026-03-02T02:00 --until 2026-03-02T06:00\n"
)
@click.argument("policy", metavar="POLICY", type=click.Path(path_type=Path))
@click.argument("words", metavar="WORDS")
@needed_data_option
@click.option("--from", "start", metavar="TIME", required=True, help="From when, in the policy's time zone.")
@click.option("--until", "end", metavar="TIME", required=True, help="Until when; that moment is not asked about.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON records.")
def absent(policy: Path, words: str, data: Path, start: str, end: str, as_json: bool) -> int:
    """Prove that something was not seen.

    WORDS as for `otmon hunt`; zones, roles and assets of the policy, `outside` and `any` may stand for hosts. Says
    whether it was seen, when not everything could be seen, and of whom that is asked about nothing at all was seen.
    Exit code 0: it was not seen, nothing was blind, and nobody is unknown; 1: anything else.
    """
    loaded = load(policy)
    start_ns, end_ns = (_moment(name, text, loaded) for name, text in (("--from", start), ("--until", end)))
    if end_ns <= start_ns:
        raise Stop(f"--until: {end!r} is not after {start!r}")
    with open_results(data) as results, patience("looking"):
        pattern = read_pattern(words, asset_names(results), names_of(loaded))
        found = results.absence(pattern, start_ns, end_ns)
    if as_json:
        emit_json([_record(found, words, start_ns, end_ns) | {"functions": pattern.function}])
    else:
        first, *more = _lines(found, words, start_ns, end_ns)
        emit("\n".join([first, *functions_meant(pattern), *more]) + "\n")
    return RAN if found.answer == "none" else CHECK_FAILED


def _moment(option: str, text: str, policy: "Policy") -> int:
    from otmon.policy.windows import moment_ns

    try:
        return moment_ns(text, policy.zone)
    except ValueError:
        raise Stop(f"{option}: {text!r} is not a time; write 2026-03-02T03:00") from None


def names_of(policy: "Policy") -> "dict[str, Intervals]":
    """Whom a policy has a name for."""
    from otmon.policy.zones import OUTSIDE

    sites = policy.sites
    named = {zone.name: zone.hosts.ranges for zone in sites.zones}
    named[OUTSIDE] = _outside(policy)
    named |= {name: hosts.ranges for name, hosts in sites.roles.items()}
    return named | {name: asset.hosts.ranges for asset in sites.assets for name in (asset.name, asset.key)}


def _outside(policy: "Policy") -> "Intervals":
    """All that is in no zone; of a policy with realms, what in some realm is in none."""
    from otmon.policy.addresses import EVERYTHING
    from otmon.policy.intervals import merge, without

    zones = [zone.hosts for zone in policy.sites.zones]
    # Whatever the names: a realm that no zone is of is like one that the policy does not know.
    realms = {hosts.realm for hosts in zones if hosts.realm is not None} | {""}
    inside = [merge(p for hosts in zones if hosts.realm in (None, realm) for p in hosts.ranges) for realm in realms]
    return merge(pair for ranges in inside for pair in without(EVERYTHING, ranges))


_SAID: Final = {
    "none": "Not seen, and nothing was blind",
    "unknown": "Not seen, but nothing is known of {unknown}",
    "blind": "Not seen, but not everything could be seen",
    "perhaps": "It may have been there",
    "seen": "Seen",
}


def _lines(found: "Absence", words: str, start_ns: int, end_ns: int) -> list[str]:
    from otmon.outputs.tables import duration, moment
    from otmon.text import safe_text

    blind = duration(found.blind_ns) if found.blind_ns else "0 s"
    said = _SAID[found.answer].format(unknown=" and ".join(called(one) for one in found.unknown))
    lines = [
        f"{said}: {safe_text(words)}, from {moment(start_ns)} to {moment(end_ns)}.",
        f"Coverage {_percent(found)} ({found.resolution}); blind {blind}.",
    ]
    for title, some in (("seen", found.seen), ("perhaps", found.perhaps)):
        lines += [f"  {title}: {_seen(one)}" for one in some[:MAX_LISTED]]
        lines += [f"  and {len(some) - MAX_LISTED:,} more"] if len(some) > MAX_LISTED else []
    lines += [f"  unknown: {unknown_line(one)}" for one in found.unknown]
    for spell in found.blind[:MAX_LISTED]:
        lasted = duration(spell.last_ts_ns - spell.first_ts_ns)
        lines.append(
            f"  blind: {moment(spell.first_ts_ns)} to {moment(spell.last_ts_ns)} ({lasted}): {safe_text(spell.why)}"
        )
    if len(found.blind) > MAX_LISTED:
        lines.append(f"  and {len(found.blind) - MAX_LISTED:,} more")
    return lines


def _percent(found: "Absence") -> str:
    """Never rounded up to all, or down to nothing."""
    share = 100 * found.coverage
    shown = f"{share:.2f}"
    if found.blind_ns and shown == "100.00":
        return "more than 99.99 %"
    return f"{shown.rstrip('0').rstrip('.') if '.' in shown else shown} %"


def _seen(one: "Seen") -> str:
    from otmon.outputs.tables import moment
    from otmon.policy.optext import operation_text
    from otmon.text import safe_text

    often = "once" if one.times == 1 else f"{one.times:,} times in all"
    times = f"{often}, first {moment(one.first_ts_ns)}, last {moment(one.last_ts_ns)}"
    why = f" ({one.why_unsure})" if one.why_unsure else ""
    return f"{safe_text(operation_text(one.key))}: {times}{why}"


def _record(found: "Absence", words: str, start_ns: int, end_ns: int) -> dict[str, Any]:
    from otmon.policy.optext import operation_text

    def seen(one: "Seen") -> dict[str, Any]:
        return {**one._asdict(), "key": operation_text(one.key)}

    return {
        "answer": found.answer,
        "words": words,
        "first_ts_ns": start_ns,
        "last_ts_ns": end_ns,
        "coverage": found.coverage,
        "blind_ns": found.blind_ns,
        "resolution": found.resolution,
        "operations": found.operations,
        "seen": [seen(one) for one in found.seen],
        "perhaps": [seen(one) for one in found.perhaps],
        "blind": [spell._asdict() for spell in found.blind],
        "unknown": [one._asdict() for one in found.unknown],
    }
