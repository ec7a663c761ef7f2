"""`otmon hunt`: was this ever here, when, and by whom."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from otmon.cli.common import RAN, Stop, emit, emit_json, emit_rich, needed_data_option, open_results
from otmon.cli.patience import patience
from otmon.cli.unknown import unknown_line

if TYPE_CHECKING:
    from otmon.model import Fact, HostRecord
    from otmon.outputs.fitted import Fitted
    from otmon.policy.intervals import Intervals
    from otmon.policy.pattern import Pattern
    from otmon.store.database import SiteDatabase
    from otmon.store.hunt import Found

ROWS: Final = 200
"""Of a table for people; --json gives all."""


@click.command(
    epilog="\b\nExamples:\n"
    "  otmon hunt --data /var/lib/otmon 10.0.2.66                       was this address ever here\n"
    '  otmon hunt --data /var/lib/otmon "* -> plc-3 write"              who ever wrote to it\n'
    '  otmon hunt --data /var/lib/otmon "modbus unit 1 write* 40-50"    to these registers\n'
    '  otmon hunt --data /var/lib/otmon "* -> * s7comm * block OB*"     which blocks were moved\n'
    "  otmon hunt --data /var/lib/otmon sweep                           who asked many units or ports\n"
    '  otmon hunt --data /var/lib/otmon "fact rack_slot 0/2"            what devices said of themselves\n'
)
@click.argument("words", metavar="WORDS")
@needed_data_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON records.")
def hunt(words: str, data: Path, as_json: bool) -> int:
    """Ask everything that is remembered.

    WORDS are an operation, or a part of one, with * for what may be anything:

    \b
    [realm NAME] [CLIENT -> SERVER | HOST] [PROTOCOL] [udp] [port N] [unit N]
    [master N] [outstation N] [FUNCTION | ACCESS] [TARGET] [sweep]
    """
    facts, hosts, found = list["Fact"](), list["HostRecord"](), list["Found"]()
    with open_results(data) as results, patience("hunting"):
        if words.split()[:1] == ["fact"]:
            facts, nothing = _facts(words, results)
        else:
            pattern = read_pattern(words, asset_names(results))
            found = results.hunt(pattern)
            if _asks_host(pattern) and pattern.either is not None:
                hosts = results.hosts_of(pattern.either)
                there = {host.address for host in hosts}
                facts = [fact for fact in results.facts_of("*", "*") if fact.address in there] if there else []
            nothing = "" if found or hosts else _nothing(results, pattern)
    if as_json:
        emit_json([*map(_host_record, hosts), *map(_fact_record, facts), *map(_record, found)])
    elif nothing:
        emit(nothing)
    else:
        emit_rich(lambda out: out.print(*_tables(hosts, facts, found)))
    return RAN


def asset_names(results: "SiteDatabase") -> "dict[str, Intervals]":
    """Names and ids of devices -> their addresses; in small letters too, which then mean all that are called so."""
    from otmon.policy.addresses import point
    from otmon.policy.intervals import merge

    found: dict[str, list[tuple[int, int]]] = {}
    for asset in results.assets:
        places = [point(endpoint.address) for endpoint in asset.endpoints]
        for name in filter(None, (asset.id, asset.name)):
            for called in {name, name.casefold()}:
                found.setdefault(called, []).extend((at, at) for at in places if at >= 0)
    return {name: merge(places) for name, places in found.items() if places}


def read_pattern(
    text: str, names: "dict[str, Intervals]", declared: "Mapping[str, Intervals] | None" = None
) -> "Pattern":
    """The pattern; `names`: of devices, `declared`: of a policy, which come first. Raises Stop."""
    from otmon.policy.pattern import parse_pattern
    from otmon.policy.words import TextError

    try:
        return parse_pattern(text, {**names, **(declared or {})}, declared or ())
    except TextError as error:
        raise Stop(f"words:{error}") from None


def _asks_host(pattern: "Pattern") -> bool:
    from otmon.policy.pattern import Pattern

    return pattern == Pattern(either=pattern.either)


def _facts(text: str, results: "SiteDatabase") -> "tuple[list[Fact], str]":
    """What fits, and what is said if nothing does."""
    from fnmatch import fnmatchcase

    from otmon.policy.errors import did_you_mean, quoted
    from otmon.policy.facts import FACTS

    words = text.split(maxsplit=2)
    if len(words) == 1:
        raise Stop("words:5: the name of the fact is missing; write: fact NAME [VALUE], as in: fact firmware V3*")
    every = results.facts_of("*", "*")
    known = {*FACTS, *(fact.name for fact in every)}
    if not any(fnmatchcase(name, words[1].replace("[", "[[]")) for name in known):
        raise Stop(f"words:6: {quoted(words[1])} is nothing that devices say; {did_you_mean(words[1], known)}")
    found = results.facts_of(words[1], words[2] if len(words) > 2 else "*")
    times = [fact.ts_ns for fact in every]
    return found, "" if found else _never("fact", len(every), min(times, default=None), max(times, default=None))


def _nothing(results: "SiteDatabase", pattern: "Pattern") -> str:
    lines = [*functions_meant(pattern), *(f"  unknown: {unknown_line(one)}" for one in results.unknown(pattern))]
    return _never("operation", *results.remembered()) + "".join(f"{line}\n" for line in lines)


def functions_meant(pattern: "Pattern") -> list[str]:
    """A line that says what a group of functions stands for; none without one."""
    from otmon.policy.wording import listed

    meant = pattern.function or ()
    return [f"Asked about {listed(meant, str)}."] if len(meant) > 1 else []


def _never(what: str, count: int, first_ns: int | None, last_ns: int | None) -> str:
    from otmon.alerts.sentence import plural
    from otmon.outputs.tables import moment

    span = f", from {moment(first_ns)} to {moment(last_ns)}" if first_ns is not None and last_ns is not None else ""
    return f"Never seen: nothing of {plural(count, what)} that {'is' if count == 1 else 'are'} remembered fits{span}.\n"


# --- tables ----------------------------------------------------------------------------------------------------------
def _tables(hosts: "list[HostRecord]", facts: "list[Fact]", found: "list[Found]") -> "Iterator[Fitted]":
    from otmon.outputs.tables import cell, moment, new_table, number

    if hosts:
        table = new_table("Hosts", "address", "frames", "first seen", "last seen", right=("frames",))
        for host in hosts[:ROWS]:
            table.add_row(cell(host.address), number(host.frames), moment(host.first_ts_ns), moment(host.last_ts_ns))
        yield _capped(table, len(hosts))
    if facts:
        table = new_table("Known of them", "address", "what", "value", "by", "when")
        for fact in facts[:ROWS]:
            table.add_row(*map(cell, (fact.address, fact.name, fact.value, fact.protocol, moment(fact.ts_ns))))
        yield _capped(table, len(facts))
    if found:
        columns = ("client", "server", "what", "units", "targets", "times", "accepted", "denied", "first", "last")
        right = ("times", "accepted", "denied")
        table = new_table("Operations", *columns, right=right, spare=("denied", "accepted", "units", "times", "first"))
        for one in found[:ROWS]:
            table.add_row(
                *(cell(text) for text in (one.client, one.server, f"{one.protocol} {one.function}", _links(one))),
                cell(targets_text(one)),
                *(number(one.times), number(one.accepted), cell(_denied(one))),
                *(cell(moment(ts_ns)) for ts_ns in (one.first_ts_ns, one.last_ts_ns)),
            )
        yield _capped(table, len(found))


def _capped(table: "Fitted", total: int) -> "Fitted":
    if total > ROWS:
        table.caption = f"… and {total - ROWS:,} more (all of them with --json)"
    return table


def _denied(one: "Found") -> str:
    """Not how many times: operations are counted."""
    if one.denied in (0, one.operations):
        return "all" if one.denied else ""
    return f"{one.denied:,} of {one.operations:,}"


def _links(one: "Found") -> str:
    from otmon.policy.wording import ranges_text

    return ", ".join(ranges_text(ranges) for ranges in (one.masters, one.units) if ranges) or (
        "" if one.port is None or one.function != "connect" else f"port {one.port}"
    )


def targets_text(one: "Found") -> str:
    """`coil 0-3`; with the number of operations, if they are more than one."""
    if one.space is None:
        return ""
    names = "" if one.first_name is None else f" {one.first_name}"
    names += "" if one.first_name == one.last_name else f" … {one.last_name}"
    numbers = "" if one.start is None else f" {one.start}" + ("" if one.end == one.start else f"-{one.end}")
    many = "" if one.operations == 1 else f" ({one.operations:,})"
    return f"{one.space}{names}{numbers}{many}"


# --- records ---------------------------------------------------------------------------------------------------------
def _record(one: "Found") -> dict[str, Any]:
    return {"kind": "operations", **one._asdict()}


def _host_record(host: "HostRecord") -> dict[str, Any]:
    return {"kind": "host", **host._asdict()}


def _fact_record(fact: "Fact") -> dict[str, Any]:
    return {"kind": "fact", **fact._asdict()}
