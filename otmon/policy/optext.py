"""Operations as one line of text: `10.0.2.10 -> 10.0.1.5 modbus unit 1 write_single_register 45 = 900`."""

import re
from typing import Final, NamedTuple, get_args

from otmon.model import Access, OperationKey, Target, Unit
from otmon.policy.addresses import point, range_text
from otmon.policy.effects import Effect, Last
from otmon.policy.errors import did_you_mean, quoted
from otmon.policy.fields import parse_item
from otmon.policy.functions import REGISTERED_PORTS, Triple, is_function, known_functions, triples
from otmon.policy.judge import Policy
from otmon.policy.models import PLAIN_PROTOCOLS
from otmon.policy.rows import DATA_SPACES
from otmon.policy.tags import Tag, cell_bits
from otmon.policy.words import PROTOCOLS, Words
from otmon.protocols.modbus.tables import SPACES
from otmon.text import safe_text

FORM: Final = "write: CLIENT -> SERVER PROTOCOL [port N] [unit N] FUNCTION [TARGET] [= VALUE]"
_WORD: Final = re.compile(r'"(?:[^"\\]|\\.)*"|->|=|(?:(?!->)[^\s=])+')
_RANGE: Final = re.compile(r"(\d{1,19})(?:(?:-|\.\.)(\d{1,19}))?\Z", re.ASCII)
_PREFERRED: Final = ("write", "control", "read")
"""Of a function that has two halves, the one that is meant unless the text says so."""


class Operation(NamedTuple):
    """What the text says."""

    key: OperationKey
    value: float | Effect | None
    """An Effect where it names a point of the tag map."""


def parse_operation(text: str, policy: Policy) -> Operation:
    """The operation that the text names; assets of the policy may stand for their address. Raises TextError."""
    return _Parser(text, policy).parse()


class _Parser(Words):
    def __init__(self, text: str, policy: Policy) -> None:
        super().__init__(text, _WORD, FORM)
        self._policy = policy

    def parse(self) -> Operation:
        realm = self._next("a client") if self._take("realm") else "default"
        client = self._host("a client")
        if not self._take("->"):
            raise self._wrong("an arrow is missing", FORM)
        server = self._host("a server")
        protocol = self._protocol()
        transport = protocol if protocol in PLAIN_PROTOCOLS else "tcp"
        port = REGISTERED_PORTS.get(protocol)
        unit: Unit = None
        while self._peek() in ("port", "unit", "master", "outstation", "udp", "over"):
            word = self._next("a word")
            if word in ("udp", "over"):
                transport = "udp" if word == "udp" else self._next("tcp or udp")
            elif word == "port":
                port = self._number("a port", 0xFFFF)
            elif word == "unit":
                unit = self._number("a unit identifier", 255)
            elif word == "master":
                master = self._number("a link address", 0xFFFF)
                if not self._take("outstation"):
                    raise self._wrong("the outstation is missing", "write: master 1 outstation 10")
                unit = master, self._number("a link address", 0xFFFF)
            else:
                raise self._wrong("the master is missing", "write: master 1 outstation 10", before=True)
        code, function, access = self._function(protocol)
        if protocol in ("tcp", "udp", "ip") and function == "connect" and port is None and self._peek():
            port = self._number("a port", 0xFFFF)
        tag = self._point(realm, server, protocol)
        value: float | Effect | None
        if tag is None:
            target = self._target(protocol, code)
            value = self._value(target)
        else:
            target, value = tag.target, self._change(tag)
            unit = tag.unit if unit is None and protocol == "modbus" else unit
        self._ended()
        key = OperationKey(realm, client, server, transport, port, protocol, unit, code, function, access, target)
        return Operation(key, value)

    def _number(self, what: str, last: int) -> int:
        word = self._next(what)
        if not word.isascii() or not word.isdigit() or len(word) > 19 or int(word) > last:
            raise self._wrong(f"{quoted(word)} is not {what}", f"write a number from 0 to {last}", before=True)
        return int(word)

    # --- parts ------------------------------------------------------------------------------------------------------
    def _host(self, what: str) -> str:
        word = self._next(what)
        if point(word) >= 0:
            return word
        assets = {asset.key: asset.hosts.ranges for asset in self._policy.sites.assets}
        ranges = assets.get(word)
        if ranges is None:
            right = did_you_mean(word, assets, "write an address or an asset of the policy")
            raise self._wrong(f"{quoted(word)} is neither an address nor an asset", right, before=True)
        if len(ranges) != 1 or ranges[0][0] != ranges[0][1]:
            raise self._wrong(f"asset {quoted(word)} has several addresses", "write one of them", before=True)
        return range_text(*ranges[0])

    def _protocol(self) -> str:
        word = self._next("a protocol")
        if word not in PROTOCOLS:
            raise self._wrong(f"unknown protocol {quoted(word)}", did_you_mean(word, PROTOCOLS), before=True)
        return word

    def _function(self, protocol: str) -> Triple:
        if protocol in PLAIN_PROTOCOLS and self._peek() not in ("connect", "scan"):
            return None, "connect", "connect"
        word = self._next("a function")
        name, _, access = word.partition("/")
        if access and access not in get_args(Access):
            raise self._wrong(f"unknown access {quoted(access)}", did_you_mean(access, get_args(Access)), before=True)
        found = [
            triple
            for triple in sorted(triples(protocol), key=str)
            if name in (triple[1], str(triple[0])) and access in ("", triple[2])
        ]
        if not found and not access and is_function(protocol, name):
            return None, name, "control"
        if not found:
            right = did_you_mean(name, known_functions(protocol))
            raise self._wrong(f"{protocol} has no function {quoted(word)}", right, before=True)
        order = {access: number for number, access in enumerate(_PREFERRED)}
        return min(found, key=lambda triple: order.get(triple[2], len(order)))

    def _target(self, protocol: str, code: int | None) -> Target | None:
        word = self._peek()
        if word in ("", "="):
            return None
        self._at += 1
        numbers = _RANGE.match(word)
        if numbers:
            space = SPACES.get(code or 0)
            if protocol != "modbus" or space is None:
                raise self._wrong(f"{quoted(word)}: of which address space?", "write its name before it", before=True)
            return self._possible(Target(space, *self._range(word)))
        if protocol == "s7comm" and not _RANGE.match(self._peek()):
            try:
                space, ranges, _ = parse_item(word)
            except ValueError:
                pass  # a block, a service: no item
            else:
                return Target(space, *(ranges[0] if ranges else (None, None)))
        start = end = name = None
        if _RANGE.match(self._peek()):
            start, end = self._range(self._next(""))
        if self._peek() not in ("", "="):
            name = self._next("")
            name = re.sub(r"\\(.)", r"\1", name[1:-1]) if name[:1] == '"' else name
        return self._possible(Target(safe_text(word), start, end, name))

    def _possible(self, target: Target) -> Target:
        """PDU addresses of Modbus have 16 bits (Modbus Application Protocol V1.1b3, 4.4)."""
        if target.space in DATA_SPACES and (target.end or 0) > 0xFFFF:
            raise self._wrong(f"no {target.space} has PDU address {target.end}", "write 0 to 65535", before=True)
        return target

    def _point(self, realm: str, server: str, protocol: str) -> Tag | None:
        """The point that the next word names, if it is one."""
        tag = self._policy.tags.by_name.get(self._peek())
        if tag is None or tag.protocol != protocol:
            return None
        self._at += 1
        if not tag.hosts.holds(realm, point(server)):
            raise self._wrong(f"{tag.name} is a point of {tag.asset}", "name the device that has it", before=True)
        return tag

    def _change(self, tag: Tag) -> Effect | None:
        """`= 55 -> 90 degC`: the value before and the units may be left out."""
        value = self._value()
        if value is None:
            return None
        before = None
        if self._take("->"):
            # Of how long ago nothing is said: no rate is too high.
            before, value = Last(value, 0, "before", 0), self._number_of()
        if tag.units and self._peek() == tag.units:
            self._at += 1
        return Effect(tag, before, (value,), tuple(range(tag.start, tag.start + tag.size)))

    def _range(self, word: str) -> tuple[int, int]:
        match = _RANGE.match(word)
        assert match is not None
        low, high = int(match[1]), int(match[2] or match[1])
        if low > high:
            raise self._wrong(f"{quoted(word)} is an empty range", f"write {high}-{low}", before=True)
        return low, high

    def _value(self, target: Target | None = None) -> float | None:
        if not self._take("="):
            return None
        value = self._number_of()
        last = (1 << cell_bits(target.space)) - 1 if target is not None and target.space in DATA_SPACES else None
        if last is not None and value not in range(last + 1):
            right = f"write a whole number from 0 to {last}, as it stands in the PDU"
            raise self._wrong(f"{value:.15g} does not fit into a {target and target.space}", right, before=True)
        return value

    def _number_of(self) -> float:
        word = self._next("a value")
        try:
            return int(word) if re.fullmatch(r"[-+]?\d{1,40}", word) else float(word)
        except ValueError:
            raise self._wrong(f"{quoted(word)} is not a number", "write a number", before=True) from None


def operation_text(key: OperationKey, value: float | Effect | None = None) -> str:
    """The text of an operation, which `parse_operation` reads; what no policy asks for (who began) is left out."""
    words = [] if key.realm == "default" else ["realm", key.realm]
    words += [key.client, "->", key.server, key.protocol]
    if key.protocol not in PLAIN_PROTOCOLS:
        words += ["udp"] if key.transport == "udp" else []
        words += [] if key.port in (None, REGISTERED_PORTS.get(key.protocol)) else ["port", str(key.port)]
        if isinstance(key.unit, tuple):
            words += ["master", str(key.unit[0]), "outstation", str(key.unit[1])]
        elif key.unit is not None:
            words += ["unit", str(key.unit)]
        halves = {access for _, name, access in triples(key.protocol) if name == key.function}
        words.append(f"{key.function}/{key.access}" if len(halves) > 1 else key.function)
        words += [value.tag.name] if isinstance(value, Effect) else _target_words(key.target, key.function_code)
    else:
        words.append(key.function)
        words += [] if key.port is None else [str(key.port)]
    if isinstance(value, Effect):
        before = "" if value.before is None else f"{value.tag.text(value.before.value)} -> "
        return f"{' '.join(words)} = {before}{value.tag.measured(value.after[0])}"
    return " ".join(words) + ("" if value is None else f" = {value:.15g}")


def _target_words(target: Target | None, code: int | None) -> list[str]:
    if target is None:
        return []
    space, start, end, name = target
    words = [] if start is not None and name is None and SPACES.get(code or 0) == space else [space]
    if start is not None:
        words.append(str(start) if end in (None, start) else f"{start}-{end}")
    if name is not None:
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        words.append(f'"{escaped}"')
    return words
