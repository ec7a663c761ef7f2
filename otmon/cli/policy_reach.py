"""`otmon policy reach`: who can get at what, what to close between two zones, and what that would break."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from otmon.cli.common import RAN, Stop, data_option, emit, emit_json, open_results
from otmon.cli.hunt import asset_names, read_pattern
from otmon.cli.patience import patience
from otmon.cli.policy_absent import names_of
from otmon.cli.policy_diff import load
from otmon.cli.unknown import unknown_line

if TYPE_CHECKING:
    from otmon.policy import Policy
    from otmon.policy.intervals import Intervals
    from otmon.policy.pattern import Pattern
    from otmon.policy.phrases import Phrases
    from otmon.policy.reach import Reached
    from otmon.policy.replay import Tally
    from otmon.store.database import SiteDatabase
    from otmon.store.hunt import Found
    from otmon.store.presence import Unknown

MAX_LISTED: Final = 20
"""Of each list, for people; --json gives all."""


@click.command(
    epilog="\b\nExamples:\n"
    "  otmon policy reach policy.yaml plc-3 --data /var/lib/otmon       who can write to it, or program it\n"
    '  otmon policy reach policy.yaml "* -> plc-3 modbus 45"            who can write this register\n'
    "  otmon policy reach policy.yaml --separate office control         which conduits to close\n"
    "  otmon policy reach policy.yaml --close historian-reads --data D  and what would break\n"
)
@click.argument("policy", metavar="POLICY", type=click.Path(path_type=Path))
@click.argument("words", metavar="[WORDS]", required=False)
@click.option("--separate", metavar="FROM TO", nargs=2, help="The fewest conduits that separate two zones.")
@click.option(
    "--close", metavar="CONDUIT", multiple=True, help="What closing it would break (several times: together)."
)
@data_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON records.")
def reach(
    policy: Path, words: str | None, separate: tuple[str, str] | None, close: tuple[str, ...], data: Path | None,
    as_json: bool,
) -> int:  # fmt: skip
    """Say who can get at what.

    WORDS as for `otmon hunt`: an asset, or a point of it. Who can write to it or program it: directly, and by stepping
    through hosts that may be logged on to (a plain connection that a row names) or programmed. With --data: who did.
    """
    loaded = load(policy)
    if sum(map(bool, (words, separate, close))) != 1:
        raise Stop("one of these is needed: WORDS, --separate FROM TO, --close CONDUIT")
    if words:
        _who(loaded, words, data, as_json)
    elif separate:
        _cut(loaded, *separate, data, as_json)
    else:
        known = [rule.name for rule in loaded.conduits.rules]
        for name in close:
            if name not in known:
                from otmon.policy.errors import did_you_mean

                raise Stop(f"--close: no conduit {name!r}; {did_you_mean(name, known)}")
        if data is None:
            raise Stop("--close: what would break is counted in what was seen: say where it is with --data DIR")
        broken = _broken(loaded, close, data)
        if as_json:
            emit_json(_broken_records(broken))
        else:
            emit("\n".join(_broken_lines(broken)) + "\n")
    return RAN


# --- who can ---------------------------------------------------------------------------------------------------------
def _who(policy: "Policy", words: str, data: Path | None, as_json: bool) -> None:
    from otmon.policy.phrases import Phrases
    from otmon.policy.reach import CHANGING, Map, seen_steps

    names = names_of(policy)
    found: list[Found] = []
    unknown: list[Unknown] = []
    levels: list[list[tuple[str, str]]] = []
    if data is None:
        pattern = read_pattern(words, {}, names)
    else:
        with open_results(data) as results:
            pattern = read_pattern(words, asset_names(results), names)
            for access in CHANGING if pattern.access is None and pattern.function is None else (pattern.access,):
                found += results.hunt(_at(pattern)._replace(access=access))
            unknown = results.unknown(_at(pattern))
            levels = seen_steps(_entered(results), {one.client for one in found})
    try:
        with patience("looking"):
            joined = Map(policy)
            reached = joined.reached(joined.box(pattern))
    except ValueError as error:
        raise Stop(f"words: {error}") from None
    phrases = Phrases(joined.axes, policy)
    if as_json:
        emit_json(
            [
                *_reached_records(reached, phrases),
                *_observed_records(found, reached, levels),
                *({"kind": "unknown", **one._asdict()} for one in unknown),
            ]
        )
        return
    lines = [*_who_lines(words, reached, phrases)]
    if data is not None:
        lines += [*_observed_lines(found, reached, levels), *(f"  unknown: {unknown_line(one)}" for one in unknown)]
    emit("\n".join(lines) + "\n")


def _at(pattern: "Pattern") -> "Pattern":
    """A host alone is meant as a server."""
    return pattern if pattern.either is None else pattern._replace(either=None, server=pattern.either)


def _entered(results: "SiteDatabase") -> "Iterator[tuple[str, str]]":
    """(client, server) of what was seen and gets one into a host: plain connections, and programming."""
    from otmon.policy.functions import REGISTERED_PORTS
    from otmon.policy.pattern import Pattern

    plain = [one for name in ("tcp", "udp") for one in results.hunt(Pattern(protocol=name, function=("connect",)))]
    yield from ((one.client, one.server) for one in plain if one.port not in REGISTERED_PORTS.values())
    yield from ((one.client, one.server) for one in results.hunt(Pattern(access="program")))


def _may(one: "Found", reached: "list[Reached]") -> bool:
    """Its client is one of those that can do it directly."""
    from otmon.policy.addresses import point
    from otmon.policy.intervals import covers

    at = point(one.client)
    return any(covers(join.client, at, at) for found in reached for join in found.direct)


def _who_lines(words: str, reached: "list[Reached]", phrases: "Phrases") -> Iterator[str]:
    from otmon.text import safe_text

    if not reached:
        yield f"By the policy nobody can: {safe_text(words)}."
    for one in reached:
        where = f" in realm {one.realm}" if one.realm else ""
        yield f"By the policy{where}, directly:"
        yield from _some(
            f"  {join.row or 'not monitored'}: {phrases.sentence(join.side, join.window)}" for join in one.direct
        )
        for number, level in enumerate(one.steps, 1):
            yield f"By the policy{where}, over {number} other host{'' if number == 1 else 's'}:"
            yield from _some(
                f"  {phrases.hosts(step.hosts)} through {phrases.hosts(step.over)}"
                f" ({step.join.row or 'not monitored'}: {phrases.functions(step.join.side.function)}"
                f"{phrases.when(step.join.side, step.join.window)})"
                for step in level
            )


def _observed_lines(
    found: "list[Found]", reached: "list[Reached]", levels: list[list[tuple[str, str]]]
) -> Iterator[str]:
    from otmon.alerts.sentence import plural
    from otmon.cli.hunt import targets_text
    from otmon.outputs.tables import moment
    from otmon.text import safe_text

    yield "Seen:" if found else "Seen: nobody."
    unlike = "; by the policy this client can do nothing of it"
    yield from _some(
        f"  {safe_text(one.client)} -> {safe_text(one.server)}: "
        f"{safe_text(' '.join(filter(None, (one.protocol, one.function, targets_text(one)))))}, "
        f"{plural(one.times, 'time')}, last {moment(one.last_ts_ns)}{'' if _may(one, reached) else unlike}"
        for one in found
    )
    for number, hosts in enumerate(levels, 1):
        yield f"Seen, over {number} other host{'' if number == 1 else 's'}:"
        yield from _some(f"  {safe_text(host)} through {safe_text(over)}" for host, over in hosts)


def _some(lines: Iterable[str]) -> Iterator[str]:
    every = list(lines)
    yield from every[:MAX_LISTED]
    if len(every) > MAX_LISTED:
        yield f"  and {len(every) - MAX_LISTED:,} more (all of them with --json)"


def _reached_records(reached: "list[Reached]", phrases: "Phrases") -> Iterator[dict[str, Any]]:
    for one in reached:
        for join in one.direct:
            ways = {"realm": one.realm or None, "conduit": join.conduit, "row": join.row}
            yield {"kind": "direct", "hosts_between": 0, **ways, **phrases.record(join.side, join.window)}
        for number, level in enumerate(one.steps, 1):
            for step in level:
                ways = {"realm": one.realm or None, "conduit": step.join.conduit, "row": step.join.row}
                who = {"from": phrases.hosts(step.hosts), "through": phrases.hosts(step.over)}
                when = phrases.record(step.join.side, step.join.window).get("when")
                yield {"kind": "step", "hosts_between": number, **ways, **who, "when": when}


def _observed_records(
    found: "list[Found]", reached: "list[Reached]", levels: list[list[tuple[str, str]]]
) -> Iterator[dict[str, Any]]:
    for one in found:
        yield {"kind": "seen", "permitted_client": _may(one, reached), **one._asdict()}
    for number, hosts in enumerate(levels, 1):
        for host, over in hosts:
            yield {"kind": "seen_step", "hosts_between": number, "from": host, "through": over}


# --- what to close ---------------------------------------------------------------------------------------------------
def _cut(policy: "Policy", source: str, target: str, data: Path | None, as_json: bool) -> None:
    from otmon.policy.reach import Map
    from otmon.policy.separate import Ways

    joined: Map = Map(policy)
    cut = Ways(joined, _hosts(policy, source), _hosts(policy, target)).cut()
    broken = None if data is None or not cut.conduits else _broken(policy, cut.conduits, data)
    if as_json:
        record = {"kind": "cut", "conduits": cut.conduits, "smallest": cut.smallest}
        emit_json([record, *(_broken_records(broken) if broken else ())])
        return
    if cut.conduits is None:
        text = "No conduit decides that: they share hosts, or hosts that are not monitored are the way."
    elif not cut.conduits:
        text = f"By the policy they are separate: no row leads from {source} to {target}."
    else:
        word = "The fewest" if cut.smallest else "Few enough (fewer are not ruled out)"
        rules = {rule.name: rule for rule in policy.conduits.rules}
        lines = [f"  {name} ({rules[name].from_text} -> {rules[name].to_text})" for name in cut.conduits]
        text = "\n".join([f"{word} conduits to close between {source} and {target}: {len(lines)}", *lines])
    emit("\n".join([text, *(_broken_lines(broken) if broken is not None else ())]) + "\n")


def _hosts(policy: "Policy", name: str) -> "Intervals":
    from otmon.policy.addresses import parse_hosts
    from otmon.policy.errors import did_you_mean

    names = names_of(policy)
    if name in names:
        return names[name]
    try:
        return (parse_hosts(name),)
    except ValueError:
        right = did_you_mean(name, names, "name a zone, a role, an asset or an address")
        raise Stop(f"--separate: {name!r} is not in the policy; {right}") from None


@patience("replaying")
def _broken(policy: "Policy", conduits: Iterable[str], data: Path) -> "dict[str, Tally]":
    """Row -> operations that it permits and that were seen, and that nothing would permit any more."""
    from otmon.policy.replay import Replay, Tally, compare

    with open_results(data) as results:
        changes = compare(Replay(policy), Replay(policy.without(frozenset(conduits))), results.groups())
    out: dict[str, Tally] = {}
    for change, tally in changes.items():
        whole = out.setdefault(change.row, Tally(tally.example))
        whole.operations += tally.operations
        whole.times += tally.times
    return out


def _broken_lines(broken: "dict[str, Tally]") -> Iterator[str]:
    from otmon.alerts.sentence import plural
    from otmon.policy.optext import operation_text
    from otmon.text import safe_text

    operations, times = (sum(getattr(tally, name) for tally in broken.values()) for name in ("operations", "times"))
    end = ":" if broken else "."
    verb = "was" if operations == 1 else "were"
    yield f"That would break {plural(operations, 'permitted operation')} that {verb} seen, {plural(times, 'time')}{end}"
    yield from _some(
        f"  {row}: {plural(tally.operations, 'operation')}, {plural(tally.times, 'time')}: "
        f"{safe_text(operation_text(tally.example))}"
        for row, tally in sorted(broken.items(), key=lambda item: (-item[1].times, item[0]))
    )


def _broken_records(broken: "dict[str, Tally]") -> Iterator[dict[str, Any]]:
    from otmon.policy.optext import operation_text

    for row, tally in sorted(broken.items()):
        figures = {"operations": tally.operations, "times": tally.times}
        yield {"kind": "broken", "row": row, **figures, "example": operation_text(tally.example)}
