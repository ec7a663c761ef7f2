"""Names resolved, rows compiled, contradictions found: from the validated file to what judges."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import tzinfo
from typing import Final, TypeVar

from otmon.policy.addresses import EVERYTHING, parse_hosts
from otmon.policy.errors import Path, did_you_mean, quoted
from otmon.policy.functions import groups, is_function, known_functions
from otmon.policy.intervals import merge
from otmon.policy.judge import Rule
from otmon.policy.models import (
    PLAIN_PROTOCOLS,
    AssetModel,
    ConduitModel,
    DuringModel,
    PolicyModel,
    RowModel,
    SelectorModel,
)
from otmon.policy.permits import WorkPermit, told
from otmon.policy.pointed import check_points, split
from otmon.policy.rows import Row, compile_row, every_operation
from otmon.policy.tags import NO_TAGS, TagMap
from otmon.policy.windows import Window, make_window, needing_permit, under_permit
from otmon.policy.zones import OUTSIDE, Asset, Hosts, Realms, Zone, clashes, union
from otmon.text import safe_text

ANY: Final = "any"
MAX_TICKET: Final = 64
"""Characters; it stands in the ids of rows."""
RESERVED: Final = (ANY, OUTSIDE)
Report = Callable[[Path, str, str], None]

_Mark = TypeVar("_Mark", int, str)
_COMMON: Final = frozenset({"id", "protocol", "note", "seen"})
_OT: Final = _COMMON | {"functions", "access", "port", "targets", "values", "points", "step", "rate"}
KEYS_OF: Final = {
    "modbus": _OT | {"units", "addresses"},
    "dnp3": _OT | {"master", "outstation", "objects"},
    "s7comm": _OT | {"items"},
    "tcp": _COMMON | {"functions", "ports"},
    "udp": _COMMON | {"functions", "ports"},
    "icmp": _COMMON,
    "ip": _COMMON | {"functions", "numbers"},
}
"""Keys that say something in a row of a protocol."""
_LAST: Final = {
    "units": 255,
    "addresses": 0xFFFF,
    "master": 0xFFFF,
    "outstation": 0xFFFF,
    "port": 0xFFFF,
    "ports": 0xFFFF,
    "numbers": 255,
}
"""Largest number on the wire: a row beyond it would look right and match nothing."""
_NAMED: Final = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp"}


class Compiler:
    """Does it all at once; what is wrong goes to `report`, and the result is then incomplete."""

    def __init__(
        self,
        model: PolicyModel,
        zone: tzinfo,
        report: Report,
        permits: Sequence[WorkPermit] = (),
        read_tags: Callable[[Mapping[str, Hosts]], TagMap] = lambda assets: NO_TAGS,
    ) -> None:
        self._model = model
        self._permits = permits
        self._zone = zone
        self._report = report
        self.row_paths: dict[str, Path] = {}
        self.realms = self._realms()
        self._asset_hosts = {
            key: self._hosts(asset.hosts, ("assets", key, "hosts"), self._realm(asset.realm, ("assets", key)))
            for key, asset in model.assets.items()
        }
        self.tags = read_tags(self._asset_hosts)
        self.assets = [Asset(key, _label(key, asset), self._asset_hosts[key]) for key, asset in model.assets.items()]
        self.zones = self._zones()
        self.roles = {name: self._role(name, members) for name, members in model.roles.items()}
        self._zone_hosts = {zone.name: zone.hosts for zone in self.zones}
        self.conduits = self._zone_rules() + self._conduits()
        self.with_permit = tuple(c.id for c in model.conduits if c.during is not None and c.during.permit is not None)
        self.never = self._never()
        self.review = self._review()

    # --- names --------------------------------------------------------------------------------------------------------
    def _realms(self) -> Realms:
        vlans: dict[int, str] = {}
        marks: tuple[dict[str, str], dict[str, str]] = ({}, {})
        for name, realm in self._model.realms.items():
            if realm is None:
                continue
            for i, (low, high) in enumerate(realm.vlans):
                if high > 4094:
                    self._report(("realms", name, "vlans", i), f"VLAN {high} does not exist", "VLANs go from 0 to 4094")
                    continue
                for vlan in range(low, high + 1):
                    self._claim(vlans, vlan, name, ("realms", name, "vlans", i), f"VLAN {vlan}")
            for table, key, words in ((marks[0], "interfaces", realm.interfaces), (marks[1], "inputs", realm.inputs)):
                for i, word in enumerate(words):
                    self._claim(table, word, name, ("realms", name, key, i), quoted(word))
        return Realms(tuple(self._model.realms), vlans, *marks)

    def _claim(self, table: dict[_Mark, str], mark: _Mark, name: str, at: Path, text: str) -> None:
        other = table.setdefault(mark, name)
        if other != name:
            self._report(at, f"{text} already belongs to realm {quoted(other)}", "give it to one of the two")

    def _realm(self, name: str | None, at: Path) -> str | None:
        if name is not None and name not in self._model.realms:
            self._report((*at, "realm"), f"unknown realm {quoted(name)}", did_you_mean(name, self._model.realms))
        return name

    def _hosts(self, texts: Sequence[str], at: Path, realm: str | None) -> Hosts:
        ranges = []
        for i, text in enumerate(texts):
            try:
                ranges.append(parse_hosts(text))
            except ValueError as error:
                self._report((*at, i), *error.args)
        return Hosts(merge(ranges), realm)

    def _zones(self) -> list[Zone]:
        out = []
        for name, model in self._model.zones.items():
            at: Path = ("zones", name)
            if name in RESERVED or name in self._model.assets:
                other = "reserved" if name in RESERVED else "also the name of an asset"
                self._report(at, f"the name {quoted(name)} is {other}", "choose another name")
            realm = self._realm(model.realm, at)
            sets = [self._hosts(model.hosts, (*at, "hosts"), realm)]
            for i, asset in enumerate(model.assets):
                if asset not in self._asset_hosts:
                    right = did_you_mean(asset, self._asset_hosts)
                    self._report((*at, "assets", i), f"unknown asset {quoted(asset)}", right)
                    continue
                hosts = self._asset_hosts[asset]
                if hosts.realm != realm and hosts.realm is not None:
                    wrong = f"asset {quoted(asset)} is in realm {quoted(hosts.realm)}"
                    self._report((*at, "assets", i), wrong, f"add `realm: {hosts.realm}` to the zone")
                sets.append(hosts)
            ranges = merge(pair for hosts in sets for pair in hosts.ranges)
            out.append(Zone(name, model.level, Hosts(ranges, realm), model.monitored))
        for first, second, shared in clashes(out):
            wrong = f"shares {shared} with zone {quoted(first.name)}, and neither lies within the other"
            self._report(("zones", second.name), wrong, "give each host to one zone, or let one zone contain the other")
        return out

    def _role(self, name: str, members: Sequence[str]) -> Hosts:
        found = []
        for i, member in enumerate(members):
            at: Path = ("roles", name, i)
            if member in self._asset_hosts:
                found.append(self._asset_hosts[member])
                continue
            try:
                found.append(Hosts((parse_hosts(member),)))
            except ValueError as error:
                right = did_you_mean(member, self._asset_hosts, error.args[1])
                self._report(at, f"{quoted(member)} is neither an asset nor an address", right)
        realms = {hosts.realm for hosts in found}
        if len(realms) > 1:
            self._report(("roles", name), "its members are in different realms", "make a role for each realm")
        return Hosts(merge(pair for hosts in found for pair in hosts.ranges), min(realms, key=str, default=None))

    # --- who ----------------------------------------------------------------------------------------------------------
    def _selected(
        self, selectors: Sequence[SelectorModel] | None, at: Path, realm: str | None
    ) -> tuple[tuple[Hosts, ...], str]:
        """The hosts that are meant and how people call them."""
        if selectors is None:
            return (Hosts(EVERYTHING, realm),), ANY
        found: list[Hosts] = []
        texts: list[str] = []
        tables = (("zone", self._zone_hosts), ("asset", self._asset_hosts), ("role", self.roles))
        for i, selector in enumerate(selectors):
            for key, table in tables:
                for name in getattr(selector, key):
                    if key == "zone" and name == OUTSIDE:
                        found.append(Hosts((), None, outside=True))
                    elif name not in table:
                        self._report((*at, i, key), f"unknown {key} {quoted(name)}", did_you_mean(name, table))
                        continue
                    else:
                        found.append(table[name])
                    texts.append(f"role {name}" if key == "role" else name)
            for name in selector.host:
                hosts = self._named(name, (*at, i))
                if hosts is not None:
                    found.append(hosts)
                    texts.append(quoted(name)[1:-1])
            if not (selector.zone or selector.asset or selector.role or selector.host):
                self._report((*at, i), "selects nobody", "write a zone, {role: name}, {asset: name} or {host: address}")
        if realm is not None:
            found = [hosts._replace(realm=realm) for hosts in found if hosts.realm in (None, realm)]
            if not found and texts:
                self._report(at, f"nobody there is in realm {quoted(realm)}", "take the realm out or name hosts of it")
        return tuple(union(found)), ", ".join(texts)

    def _named(self, name: str, at: Path) -> Hosts | None:
        if name == ANY:
            return Hosts(EVERYTHING)
        if name == OUTSIDE:
            return Hosts((), None, outside=True)
        if name in self._zone_hosts:
            return self._zone_hosts[name]
        if name in self._asset_hosts:
            return self._asset_hosts[name]
        try:
            return Hosts((parse_hosts(name),))
        except ValueError as error:
            if name in self.roles:
                right = f"write {{role: {name}}}"
            elif name[:1].isdigit() or ":" in name or "/" in name:
                self._report(at, *error.args)
                return None
            else:
                right = did_you_mean(name, [*self._zone_hosts, *self._asset_hosts, *RESERVED])
            self._report(at, f"{quoted(name)} is no zone, asset or address", right)
            return None

    # --- rows ---------------------------------------------------------------------------------------------------------
    def _window(self, model: DuringModel | None, at: Path) -> Window | None:
        if model is None:
            return None
        if "timezone" not in self._model.model_fields_set and model.model_fields_set - {"ticket", "approver"}:
            right = "add `timezone: Europe/Vienna` (or another IANA name) at the top"
            self._report((*at, "during"), "of which time zone? The policy has no `timezone`", right)
        days, ticket, approver = (frozenset(model.days) if model.days else None), model.ticket, model.approver
        since, until = model.from_, model.until
        if since is not None and until is not None and until <= since:
            self._report((*at, "during", "until"), "not after `from`", "write the later moment under `until`")
        return make_window(
            *(self._zone, days, model.hours, until, ticket and safe_text(ticket, MAX_TICKET)),
            *(since, approver and safe_text(approver, MAX_TICKET)),
        )

    def _zone_rules(self) -> list[Rule]:
        out: list[Rule] = []
        for name, model in self._model.zones.items():
            if model.allow:
                hosts = (self._zone_hosts[name],)
                who = Rule(hosts, hosts, name, name, (), name)
                out += self._rules(who, model.allow, ("zones", name, "allow"), name, None)
        return out

    def _conduits(self) -> list[Rule]:
        out: list[Rule] = []
        seen: dict[str, int] = {}
        for i, model in enumerate(self._model.conduits):
            at: Path = ("conduits", i)
            if seen.setdefault(model.id, i) != i:
                self._report(
                    (*at, "id"), f"the id {quoted(model.id)} is taken by conduits[{seen[model.id]}]", "ids are unique"
                )
            realm = self._realm(model.realm, at)
            from_hosts, from_text = self._selected(model.from_, (*at, "from"), realm)
            to_hosts, to_text = self._selected(model.to, (*at, "to"), realm)
            window = self._window(model.during, at)
            who = Rule(from_hosts, to_hosts, from_text, to_text, (), model.id)
            for rule in self._rules(who, model.allow, (*at, "allow"), model.id, window):
                out += [rule._replace(rows=found) for found in self._opened(model, rule.rows, window)]
        return out

    def _opened(self, model: ConduitModel, rows: tuple[Row, ...], window: Window | None) -> Iterator[tuple[Row, ...]]:
        """The rows of a conduit, under each of its tickets, the latest first."""
        if model.during is None or window is None or model.during.permit is None:
            ticket = window.ticket if window is not None else None
            yield tuple(row._replace(id=told(row.id, ticket)) for row in rows)
            return
        for permit in reversed(self._permits):
            if permit.conduit == model.id:
                opened = under_permit(window, permit.ticket, permit.by, permit.since_ns, permit.until_ns)
                yield tuple(row._replace(id=told(row.id, permit.ticket), window=opened) for row in rows)
        yield tuple(row._replace(window=needing_permit(window)) for row in rows)

    def _never(self) -> list[Rule]:
        out: list[Rule] = []
        for i, model in enumerate(self._model.never):
            at: Path = ("never", i)
            realm = self._realm(model.realm, at)
            from_hosts, from_text = self._selected(model.from_, (*at, "from"), realm)
            to_hosts, to_text = self._selected(model.to, (*at, "to"), realm)
            name, window = model.id or f"never/{i + 1}", self._window(model.during, at)
            if model.during is not None and model.during.permit is not None:
                self._report((*at, "during", "permit"), "`permit` does not go with `never`", "take it out")
            who = Rule(from_hosts, to_hosts, from_text, to_text, ())
            if model.operations is None:
                self._take_id(name, at)
                out.append(who._replace(rows=(every_operation(name, window, model.because),)))
                continue
            for n, row in enumerate(model.operations):
                for key in ("values", "step", "rate"):
                    if getattr(row, key) is not None:
                        where = (*at, "operations", n, key)
                        right = "permit the values that are right in a conduit"
                        self._report(where, f"`{key}` does not go with `never`", right)
            out += self._rules(who, model.operations, (*at, "operations"), name, window, model.because)
        return out

    def _review(self) -> list[Rule]:
        out: list[Rule] = []
        for i, model in enumerate(self._model.review):
            at: Path = ("review", i)
            realm = self._realm(model.realm, at)
            from_hosts, from_text = self._selected(model.from_, (*at, "from"), realm)
            to_hosts, to_text = self._selected(model.to, (*at, "to"), realm)
            who = Rule(from_hosts, to_hosts, from_text, to_text, ())
            title = model.id or f"review/{i + 1}"
            out += self._rules(who, model.operations, (*at, "operations"), title, None, model.reason)
        return out

    def _rules(
        self,
        who: Rule,
        models: Sequence[RowModel],
        at: Path,
        title: str,
        window: Window | None,
        note: str | None = None,
    ) -> list[Rule]:
        """The rule with its rows, then one for each device of which rows name points."""
        plain: list[Row] = []
        pointed: list[Rule] = []
        for i, model in enumerate(models):
            self._check_row(model, (*at, i))
            row_id = model.id or (title if len(models) == 1 else f"{title}/{i + 1}")
            self._take_id(row_id, (*at, i))
            row = compile_row(model, row_id, model.id or title, window, note)
            if model.points is None:
                plain.append(row)
                continue
            tags = check_points(model, (*at, i), self.tags, self._report)
            pointed += split(who, row, model, tags, (*at, i), self._report)
        return [who._replace(rows=tuple(plain)), *pointed] if plain or not pointed else pointed

    def _take_id(self, row_id: str, at: Path) -> None:
        if self.row_paths.setdefault(row_id, at) != at:
            self._report(
                (*at, "id"), f"the row id {quoted(row_id)} is taken", "ids are unique over conduits, zones and rows"
            )

    def _check_row(self, model: RowModel, at: Path) -> None:
        for key in ("step", "rate"):
            if getattr(model, key) is not None and model.points is None:
                self._report((*at, key), f"`{key}` needs to know of which points", "add `points: [...]`")
        for key in sorted(model.model_fields_set - KEYS_OF[model.protocol]):
            self._report((*at, key), f"{quoted(key)} says nothing of {model.protocol}", _right_key(key, model.protocol))
        for key, last in _LAST.items():
            for i, (_, high) in enumerate(getattr(model, key) or ()):
                if high > last:
                    self._report((*at, key, i), f"{high} cannot occur in `{key}`", f"they go from 0 to {last}")
        for i, (low, high) in enumerate(model.numbers or ()):
            if low == high and low in _NAMED:
                right = f"write `protocol: {_NAMED[low]}`"
                self._report((*at, "numbers", i), f"`ip` is every other protocol, {low} is {_NAMED[low]}", right)
        for i, name in enumerate(model.functions or ()):
            if isinstance(name, int):
                if model.protocol in PLAIN_PROTOCOLS:
                    self._report((*at, "functions", i), "a code says nothing here", "write connect or scan")
            elif name not in groups(model.protocol) and not is_function(model.protocol, name):
                known: Iterable[str] = known_functions(model.protocol) | set(groups(model.protocol))
                self._report(
                    (*at, "functions", i), f"{model.protocol} has no function {quoted(name)}", did_you_mean(name, known)
                )


def _label(key: str, asset: AssetModel) -> str:
    return quoted(asset.name, 128)[1:-1] if asset.name else key


def _right_key(key: str, protocol: str) -> str:
    renamed = {
        "port": "ports",
        "ports": "numbers" if protocol == "ip" else "port",
        "numbers": "ports",
        "addresses": "items",
        "items": "addresses",
        "units": "outstation",
    }
    known = KEYS_OF[protocol]
    if renamed.get(key) in known:
        return f"write `{renamed[key]}`"
    return "keys of its rows: " + ", ".join(sorted(known - _COMMON))
