"""Many operations as one line of text: as one operation is written (otmon.policy.optext), in part and with `*`.

[realm NAME] [CLIENT -> SERVER | HOST] [PROTOCOL] [udp] [port N] [unit N] [FUNCTION | ACCESS] [TARGET] [sweep]
"""

import re
from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from typing import Final, NamedTuple, get_args

from otmon.model import Access, OperationKey
from otmon.policy.addresses import hosts_text, parse_hosts, point
from otmon.policy.errors import did_you_mean, quoted
from otmon.policy.fields import parse_item
from otmon.policy.functions import groups, known_functions
from otmon.policy.intervals import Intervals, covers, merge
from otmon.policy.rows import DATA_SPACES, span
from otmon.policy.words import PROTOCOLS, TextError, Words
from otmon.text import safe_text

FORM: Final = "write: [CLIENT -> SERVER] [PROTOCOL] [unit N] [FUNCTION] [TARGET], with * for any"
ANY: Final = "*"
MAX_NAMED: Final = 3
"""Addresses of a name that are shown with it."""
EVERYBODY: Final = "any"
"""As policies write it."""
_WORD: Final = re.compile(r'"(?:[^"\\]|\\.)*"|->|(?:(?!->)[^\s])+')
_RANGE: Final = re.compile(r"(\d{1,18})(?:(?:-|\.\.)(\d{1,18}))?\Z", re.ASCII)
_HOSTS: Final = re.compile(r"[0-9a-fA-F*]+[.:][0-9a-fA-F.:/*]*\Z")
_OF_ADDRESSES: Final = re.compile(r"[0-9a-fA-F.:*]+\Z")
_GROUP: Final = re.compile(r"g\d{1,3}\Z", re.ASCII)
_NUMBERS: Final = {"port": "ports", "unit": "units", "master": "masters", "outstation": "units"}
_SPACES: Final = frozenset(
    {
        *(*DATA_SPACES, "address", "block", "block_type", "fifo", "file", "file_record", "pi_service"),
        *("service", "szl", "unparsed"),
    }
)
"""Those that have a word for a name. A word that is none is an error: it would never be found."""


class Hosts(NamedTuple):
    """One side: a glob over the text of addresses, or a set of addresses."""

    glob: str = ANY
    ranges: Intervals | None = None
    word: str = ANY
    """What was written."""

    def has(self, address: str) -> bool:
        """The address is meant."""
        if self.ranges is not None:
            at = point(address)
            return covers(self.ranges, at, at)
        return self.glob == ANY or fnmatchcase(address, self.glob)

    @property
    def anybody(self) -> bool:
        """Every address."""
        return self.ranges is None and self.glob == ANY

    @property
    def text(self) -> str:
        """What was written, and of a name with few addresses these."""
        known = hosts_text(self.ranges) if self.ranges is not None and len(self.ranges) <= MAX_NAMED else []
        return f"{self.word} ({', '.join(known)})" if known and known != [self.word] else self.word


ANYBODY: Final = Hosts()


class Pattern(NamedTuple):
    """What is looked for. None: anything."""

    realm: str | None = None
    client: Hosts = ANYBODY
    server: Hosts = ANYBODY
    either: Hosts | None = None
    """On one of the two sides."""
    protocol: str | None = None
    transport: str | None = None
    ports: tuple[int, int] | None = None
    units: tuple[int, int] | None = None
    """Modbus unit identifiers, or link addresses of outstations."""
    masters: tuple[int, int] | None = None
    function: tuple[str, ...] | None = None
    """Globs, one of which it fits: of a group of functions there are several."""
    access: str | None = None
    space: str | None = None
    """A glob."""
    target: tuple[int, int] | None = None
    name: str | None = None
    """A glob."""
    sweep: bool = False

    def speaks_of(self, client: str, server: str) -> bool:
        """Two hosts that it is about."""
        if self.either is not None:
            return self.either.has(client) or self.either.has(server)
        return self.client.has(client) and self.server.has(server)

    @property
    def limits_target(self) -> bool:
        """Some targets are not meant."""
        return any(wanted is not None for wanted in (self.space, self.target, self.name))

    def names_function(self, function: str) -> bool:
        """The function is meant."""
        return self.function is None or any(fnmatchcase(function, glob) for glob in self.function)

    def has(self, key: OperationKey) -> bool:
        """The operation is meant. One whose target is not known is no answer to a question about targets."""
        unit = key.unit[1] if isinstance(key.unit, tuple) else key.unit
        master = key.unit[0] if isinstance(key.unit, tuple) else None
        if not self.speaks_of(key.client, key.server):
            return False
        if any(
            wanted is not None and not (number is not None and wanted[0] <= number <= wanted[1])
            for wanted, number in ((self.ports, key.port), (self.units, unit), (self.masters, master))
        ):
            return False
        texts = (
            (self.realm, key.realm),
            (self.protocol, key.protocol),
            (self.transport, key.transport),
            (self.access, key.access),
        )
        if any(wanted is not None and wanted != text for wanted, text in texts):
            return False
        if not self.names_function(key.function):
            return False
        return not self.limits_target or (key.target is not None and self._touches(key))

    def _touches(self, key: OperationKey) -> bool:
        target = key.target
        assert target is not None
        if self.space is not None and not fnmatchcase(target.space, self.space):
            return False
        if self.name is not None and (target.name is None or not fnmatchcase(target.name, self.name)):
            return False
        if self.target is None:
            return True
        if target.start is None:
            return False
        low, high = span(target)
        return low <= self.target[1] and high >= self.target[0]


def parse_pattern(text: str, names: Mapping[str, Intervals], declared: Collection[str] = ()) -> Pattern:
    """The pattern of a text; `names`: what hosts may be called. Raises TextError.

    What devices call themselves takes no word away; a name that was `declared` must not be mistaken for one either.
    """
    return _Parser(text, names, declared).parse()


class _Parser(Words):
    def __init__(self, text: str, names: Mapping[str, Intervals], declared: Collection[str]) -> None:
        super().__init__(text, _WORD, FORM)
        self._names = names
        self._declared = declared
        self._found: dict[str, object] = {}

    def parse(self) -> Pattern:
        if not self._words:
            raise TextError(1, "nothing is asked for", FORM)
        if self._take("realm"):
            self._found["realm"] = self._next("a realm")
        self._hosts()
        if self._peek() in (*PROTOCOLS, ANY):
            word = self._next("")
            self._found["protocol"] = None if word == ANY else word
        while self._peek() in (*_NUMBERS, "udp"):
            word = self._next("")
            if word == "udp":
                self._found["transport"] = "udp"
            else:
                self._found[_NUMBERS[word]] = self._range(f"a number, or a range, of {word}s")
        self._function()
        self._target()
        self._found["sweep"] = self._take("sweep")
        self._ended()
        return Pattern(**self._found)  # type: ignore[arg-type]  # values of several types by name

    def _range(self, what: str) -> tuple[int, int] | None:
        word = self._next(what)
        if word == ANY:
            return None
        match = _RANGE.match(word)
        if match is None or int(match[1]) > int(match[2] or match[1]):
            raise self._wrong(f"{quoted(word)} is not {what}", "write 1, 1-10 or *", before=True)
        return int(match[1]), int(match[2] or match[1])

    # --- parts -------------------------------------------------------------------------------------------------------
    def _hosts(self) -> None:
        if self._peek(1) == "->":
            self._found["client"] = self._host("a client")
            self._take("->")
            self._found["server"] = self._host("a server")
        elif (word := self._peek()) in self._declared and word in _own_words():
            right = f"write '* -> {word}' for the hosts, '* -> * {word}' for what is done"
            raise self._wrong(f"{quoted(word)} is a name in the policy and a word for what is done", right)
        elif self._peek() and self._is_host(self._peek()):
            self._found["either"] = self._host("a host")

    def _is_host(self, word: str) -> bool:
        if point(word) >= 0 or word == EVERYBODY:
            return True
        if self._called(_unquoted(word)) is not None:
            # Devices name themselves: what has a meaning of its own keeps it.
            return not any(fnmatchcase(own, _glob(word)) for own in _own_words())
        return _item(word) is None and _HOSTS.match(word) is not None

    def _called(self, word: str) -> Intervals | None:
        """Who is called so; of a glob, all of them."""
        if word in self._names:
            return self._names[word]
        if "*" not in word or _OF_ADDRESSES.match(word):
            return None
        found = [ranges for name, ranges in self._names.items() if fnmatchcase(name, _glob(word))]
        return merge(pair for ranges in found for pair in ranges) or None

    def _written(self) -> list[str]:
        """Names as they have to be written here."""
        return [f'"{name}"' if " " in name else name for name in self._names]

    def _host(self, what: str) -> Hosts:
        word = _unquoted(self._next(what))
        if word in (ANY, EVERYBODY):
            return ANYBODY
        # Addresses first: devices name themselves.
        if point(word) < 0 and (called := self._called(word)) is not None:
            return Hosts(ranges=called, word=word)
        if _OF_ADDRESSES.match(word) and "*" in word:
            return Hosts(glob=_glob(word), word=word)
        try:
            return Hosts(ranges=(parse_hosts(word),), word=word)
        except ValueError:
            right = did_you_mean(
                word, self._written(), "write an address, a network, 10.0.1.*, * or the name of an asset"
            )
            raise self._wrong(f"{quoted(word)} is neither an address nor an asset", right, before=True) from None

    def _protocols(self) -> Sequence[str]:
        protocol = self._found.get("protocol")
        return (protocol,) if isinstance(protocol, str) else PROTOCOLS

    def _function(self) -> None:
        word, _, access = self._peek().partition("/")
        accesses = get_args(Access)
        protocols = tuple(self._protocols())
        known, grouped = functions_of(protocols), groups_of(protocols)
        if access and access not in accesses:
            return
        if word in accesses and not access:
            self._found["access"] = word
        elif word in grouped or word == ANY or any(fnmatchcase(name, word) for name in known):
            self._found["function"] = None if word == ANY else grouped.get(word, (_glob(word),))
            self._found["access"] = access or None
        elif not self._is_target(word) and word != "sweep" and word:
            begun = [f'write "{name}", in quotes' for name in self._names if name.startswith(f"{word} ")]
            right = did_you_mean(word, [*known, *grouped, *accesses, *self._written()], begun[0] if begun else FORM)
            raise self._wrong(f"{quoted(word)} is neither a function, an access class nor a target", right)
        else:
            return
        self._at += 1

    def _is_target(self, word: str) -> bool:
        return word in _SPACES or bool(_RANGE.match(word) or _GROUP.match(word)) or _item(word) is not None

    def _target(self) -> None:
        word = self._peek()
        if word in ("", "sweep"):
            return
        if _RANGE.match(word):
            self._found["target"] = self._range("an address")
            return
        if not self._is_target(word) and "*" not in word:
            right = did_you_mean(word, _SPACES, "write an address, DB1.DBB0-3, g12, block OB1, or * for any")
            raise self._wrong(f"{quoted(word)} is no target", right)
        self._at += 1
        item = _item(word)
        self._found["space"] = _glob(safe_text(word)) if item is None else item[0]
        self._found["target"] = None if item is None else item[1]
        if _RANGE.match(self._peek()):
            self._found["target"] = self._range("an address")
        if self._peek() not in ("", "sweep"):
            self._found["name"] = _glob(_unquoted(self._next("")))


def _unquoted(word: str) -> str:
    return re.sub(r"\\(.)", r"\1", word[1:-1]) if word[:1] == '"' else word


def _glob(word: str) -> str:
    """`*` and `?` alone are special: a bracket means itself, to fnmatch as to SQLite."""
    return word.replace("[", "[[]")


def _item(word: str) -> tuple[str, tuple[int, int] | None] | None:
    try:
        space, ranges, _ = parse_item(word)
    except ValueError:
        return None
    return space, ranges[0] if ranges else None


@cache
def _own_words() -> tuple[str, ...]:
    own = (ANY, "sweep", *PROTOCOLS, *_NUMBERS, *get_args(Access))
    return (*own, *functions_of(PROTOCOLS), *groups_of(PROTOCOLS))


@cache
def groups_of(protocols: Collection[str]) -> Mapping[str, tuple[str, ...]]:
    """Names that stand for several of their functions, as in rows."""
    return {name: functions for protocol in protocols for name, functions in groups(protocol).items()}


@cache
def functions_of(protocols: Collection[str]) -> tuple[str, ...]:
    """Names of all of their functions."""
    return tuple(sorted({name for protocol in protocols for name in known_functions(protocol)}))
