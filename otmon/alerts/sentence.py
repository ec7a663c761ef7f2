"""What happened, in one sentence as an operator would say it."""

from collections.abc import Mapping
from typing import Any, Final, Protocol

from otmon.alerts.episodes import MANY, Episode
from otmon.alerts.places import place
from otmon.alerts.visibility import DOWNLOAD_BYTES, DOWNLOAD_RATIO
from otmon.model import OperationKey, Outcome, Target, Unit
from otmon.policy.wording import MAX_NAME_CHARS, host_text
from otmon.text import safe_text

MAX_TITLE_CHARS: Final = 800

Who = Mapping[str, Any]
"""`{"realm", "address", "asset", "name", "zone", "roles"}` of an address."""


class Names(Protocol):
    """What the sentence asks of the site."""

    def who(self, realm: str, address: str) -> Who:
        """Asset, name, zone and roles of an address."""
        ...


DEEDS: Final[dict[tuple[str, str], str]] = {
    # (protocol or "", function or access) -> deed; the first that is found holds: function before access.
    ("tcp", "connect"): "opened a TCP connection to {place} of {server}",
    ("udp", "connect"): "sent UDP datagrams to {place} of {server}",
    ("icmp", "connect"): "sent ICMP to {server}",
    ("ip", "connect"): "sent {place} to {server}",
    ("", "connect"): "spoke {protocol} to {server}",
    ("tcp", "scan"): "tried many TCP ports of {server}: {place}",
    ("udp", "scan"): "tried many UDP ports of {server}: {place}",
    ("", "scan"): "tried many services of {server}: {place}",
    ("modbus", "mask_write_register"): "changed bits of {place} of {server}",
    ("modbus", "diagnostics_restart"): "restarted the communication of {server}",
    ("modbus", "diagnostics_force_listen_only"): "silenced {server} (listen only mode)",
    ("modbus", "read_device_identification"): "asked {server} for its identification",
    ("modbus", "report_server_id"): "asked {server} for its identification",
    ("modbus", "write_file_record"): "wrote {place} of {server}",
    ("modbus", "umas_start_plc"): "started the program of {server}",
    ("modbus", "umas_stop_plc"): "stopped the program of {server}",
    ("modbus", "umas_take_plc_reservation"): "reserved {server} for programming",
    ("modbus", "umas_initialize_upload"): "began to download a program to {server}",
    ("modbus", "umas_upload_block"): "downloaded a block of a program to {server}",
    ("modbus", "umas_end_upload"): "ended the download of a program to {server}",
    ("modbus", "umas_initialize_download"): "began to upload the program from {server}",
    ("modbus", "umas_download_block"): "uploaded a block of the program from {server}",
    ("modbus", "umas_end_download"): "ended the upload of the program from {server}",
    ("dnp3", "select"): "selected {place} of {server}",
    ("dnp3", "operate"): "operated {place} of {server}",
    ("dnp3", "direct_operate"): "operated {place} of {server}",
    ("dnp3", "direct_operate_no_ack"): "operated {place} of {server}",
    ("dnp3", "immediate_freeze"): "froze {place} of {server}",
    ("dnp3", "immediate_freeze_no_ack"): "froze {place} of {server}",
    ("dnp3", "freeze_clear"): "froze and cleared {place} of {server}",
    ("dnp3", "freeze_clear_no_ack"): "froze and cleared {place} of {server}",
    ("dnp3", "assign_class"): "assigned event classes to {place} of {server}",
    ("dnp3", "enable_unsolicited"): "enabled unsolicited reports of {server}",
    ("dnp3", "disable_unsolicited"): "disabled unsolicited reports of {server}",
    ("s7comm", "plc_stop"): "stopped the CPU of {server}",
    ("s7comm", "warm_start"): "started the CPU of {server}",
    ("s7comm", "cold_start"): "started the CPU of {server} anew (cold)",
    ("s7comm", "memory_reset"): "reset the memory of {server}",
    ("s7comm", "pi_service"): "sent {place} to {server}",
    ("s7comm", "request_download"): "began to download {block} to {server}",
    ("s7comm", "download_block"): "downloaded {block} to {server}",
    ("s7comm", "download_ended"): "ended the download of {block} to {server}",
    ("s7comm", "activate_block"): "activated {block} of {server}",
    ("s7comm", "delete_block"): "deleted {block} of {server}",
    ("s7comm", "start_upload"): "began to upload {block} from {server}",
    ("s7comm", "upload"): "uploaded {block} from {server}",
    ("s7comm", "end_upload"): "ended the upload of {block} from {server}",
    ("s7comm", "list_blocks"): "listed the blocks of {server}",
    ("s7comm", "read_szl"): "read {place} of {server}",
    ("s7comm", "force"): "forced {place} of {server}",
    ("s7comm", "modify_variable"): "modified {place} of {server}",
    ("s7comm", "set_clock"): "set the clock of {server}",
    ("s7comm", "encrypted"): "exchanged encrypted messages with {server}",
    ("s7comm", "setup_communication"): "opened an S7 session with {server}",
    ("", "read"): "read {place} of {server}",
    ("", "write"): "wrote {value}{place} of {server}",
    ("", "control"): "sent {function} for {place} to {server}",
    ("", "program"): "sent {function} for {place} to {server}",
    ("", "diagnose"): "asked {server} for {function}",
    ("", "identify"): "asked {server} who it is ({function})",
}
SERVED: Final[dict[str, str]] = {
    "download_block": "fetched {block} from {client}",
    "download_ended": "ended the download of {block} from {client}",
    "unsolicited_response": "reported unasked to {client}",
}
"""What a server does of its own accord."""
SERVER_SENT: Final = "sent {function} to {client} unasked"
WITHOUT_PLACE: Final = "sent {function} to {server}"
"""For a deed that names its target when there is none."""
CONNECT_FAILED: Final = "tried to open a TCP connection to {place} of {server}"
DARK: Final[dict[str, str]] = {
    "gap": "{bytes} of the conversation between {client} and {server} {were} not captured ({gaps})",
    "one_sided": "Only one direction of {connections} between {client} and {server} was captured ({bytes})",
    "encrypted": "{bytes} of {protocol} between {client} and {server} {are} encrypted{session}: what they say "
    "cannot be judged{sent}",
    "malformed": "{bytes} between {client} and {server} {are} not valid {protocol}",
    "unrecognised": "{bytes} between {client} and {server} on a port of {protocol} {are} not {protocol}",
    "lost_datagrams": "Fragmented IP datagrams were never whole ({datagrams}): what they carried was not seen",
    "truncated": "The capture cut off {frames}: what they carried was not seen whole",
    "unsupported": "{frames} could not be taken apart ({layers})",
    "shed": "{frames} found no room in a full table: they were counted, not judged",
    "dropped": "The sensor lost {frames} of {protocol}, because it did not read them in time{conduits}",
    "interface_dropped": "The network card behind {protocol} lost {frames} before the sensor got them{conduits}",
    "silent": "Nothing came from {protocol} any more: the mirror, its cable or its switch is down",
    "gone": "The interface {protocol} is gone: nothing is seen until it is back",
    "one_way": "The mirror on {protocol} shows one direction alone of {connections}",
    "tagged_one_way": "The mirror on {protocol} shows a VLAN tag in one direction alone of {connections}",
    "doubled": "The mirror on {protocol} shows {frames} twice",
    "switch_loss": "The switch lost frames of the mirror on {protocol}: {bytes} of conversations never came ({gaps})",
    "job_ended": "A process of the sensor on {protocol} ended by force and began anew: {frames} are in no count",
    "policy_broken": "The policy file was changed and is not sound, so the one before stays in force: {error}",
    "not_judged": "Nothing was judged ({operations}): the hosts are in no monitored zone of the policy, which may be "
    "that of another network",
    "disk_full": "The site database could not be written: {error}",
    "sink_stopped": "Nothing is delivered to {protocol} until somebody mends it: {error}",
    "sink_away": "Nothing could be delivered to {protocol} for five minutes; it is tried again: {error}",
    "sink_refused": "{protocol} refused {records} for good: `otmon elastic dead list` says why",
    "spool_shed": "{records} of {protocol} waited too long or too many to be delivered and were given up",
    "folded": "{messages} touched so many targets that these are not listed one by one; each was judged",
    "internal": "{frames} could not be read because of a fault in otmon",
}
"""Reason -> what could not be seen. Figures come from the episode's detail."""
DARK_ON_A_PORT: Final = "{bytes} between {client} and {server} on a port of a control protocol {are} none of it"
OUTCOMES: Final[dict[Outcome, str]] = {
    "accepted": "accepted",
    "partial": "partly accepted",
    "rejected": "rejected",
    "unanswered": "not answered",
    "unseen": "answer not seen",
    "pending": "answer still open",
}
UNSURE: Final = " The time is unsure: the sensor's clock is not synchronised."
"""Said where a row holds at times only."""
BROADCAST_UNITS: Final = frozenset({0, 1, 255})
"""Modbus units a native device answers to: not worth a word."""


def identify(site: Names, realm: str, address: str) -> Who:
    """What the site says of an address; of `*` it knows nothing."""
    if address == MANY:
        return {"realm": realm, "address": MANY, "asset": None, "name": None, "zone": None, "roles": ()}
    return site.who(realm, address)


def someone(who: Who) -> str:
    """`PLC-3 (10.0.1.13, control)`, or without a name `10.0.1.13 (control)`."""
    address = str(who["address"])
    return "many addresses" if address == MANY else host_text(address, who.get("name"), who.get("zone"))


def _unit(protocol: str, unit: Unit) -> str:
    if isinstance(unit, tuple):
        return f"outstation {unit[1]} of " if protocol == "dnp3" else ""
    return f"unit {unit} of " if unit is not None and unit not in BROADCAST_UNITS else ""


def plural(number: int, noun: str) -> str:
    """`1 byte`, `2 bytes`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else f"{value:.6g}"


def _value(episode: Episode) -> str:
    """`900 to `: what was written first; `values such as` when other occurrences may have written others."""
    written = episode.written
    if "change" in episode.detail:
        return f"{'values such as ' if episode.count > 1 else ''}{episode.detail['change']}"
    if not written:
        return "to "
    first = _number(written[0][1])
    if episode.count > 1:
        return f"values such as {first} to "
    return f"{first} to " if len(written) == 1 else f"{first} and {plural(len(written) - 1, 'more value')} to "


def _place(episode: Episode) -> str:
    """The first occurrence's target, or its whole neighbourhood; then how many more."""
    runs = [(target, counts) for target, counts in episode.coalesced() if target is not None]
    if not runs:
        return ""
    first = runs[0][0]
    if episode.op is not None and (asked := episode.op.target) is not None:
        around = (t for t, _ in runs if t == asked or _within(asked, t))
        first = next(around, first)
    more = len(runs) - 1 + episode.other_targets
    if episode.function == "scan":
        # Ports are told one by one, though neighbours are joined.
        more = sum(_size(run) for run, _ in runs if run != first) + episode.other_targets
    return place(first) + (f" and {more:,} more" if more else "")


def _size(run: Target) -> int:
    return 1 if run.start is None or run.end is None else run.end - run.start + 1


def _within(asked: Any, run: Any) -> bool:
    if (asked.space, asked.name) != (run.space, run.name) or None in (asked.start, run.start, run.end):
        return False
    return bool(run.start <= asked.start <= run.end)


def _happened(episode: Episode) -> str:
    """`accepted`, or `300 times: 298 accepted, 2 rejected`."""
    counts = episode.total.as_dict()
    parts = [(name, counts[name]) for name in OUTCOMES if counts[name]]
    if episode.count <= 1:
        return OUTCOMES[parts[0][0]] if parts else ""
    times = f"{episode.count:,} times"
    if len(parts) == 1:
        return f"{times}, {OUTCOMES[parts[0][0]]}"
    return f"{times}: " + ", ".join(f"{number:,} {OUTCOMES[name]}" for name, number in parts) if parts else times


def _because(episode: Episode) -> str:
    """Why it is an alert: the row that forbids it, or what the nearest one allows."""
    verdict = episode.verdict
    if verdict.review:
        return f"To be reviewed: {verdict.review}"
    if verdict.separation:
        return verdict.separation
    if verdict.row and not verdict.permit:
        return f"Row {verdict.row} forbids it" + (f": {verdict.because}" if verdict.because else "")
    return "No row permits it"


def _stop(text: str) -> str:
    return text if text.endswith((".", "…")) else text + "."


POINT_SET: Final = "set {value} at {place} of {server}"
"""Of a point of the tag map."""
POINT_SELECTED: Final = "selected {value} at {place} of {server}"


def _deed(episode: Episode, op: OperationKey, place_words: str) -> str:
    protocol, function = episode.key.protocol, episode.function
    if op.initiated_by == "server":
        return SERVED.get(function, SERVER_SENT)
    if (protocol, function) == ("tcp", "connect") and episode.outcome not in ("accepted", "partial"):
        return CONNECT_FAILED
    if "change" in episode.detail:
        return POINT_SELECTED if function == "select" else POINT_SET
    names = ((protocol, function), ("", function), (protocol, op.access), ("", op.access))
    deed = next((DEEDS[name] for name in names if name in DEEDS), WITHOUT_PLACE)
    return deed if place_words or "{place}" not in deed else WITHOUT_PLACE


STREAM: Final[dict[str, str]] = {
    "overlap_conflict": "{sender} sent {receiver} bytes of a {protocol} connection that came before with another "
    "content{times}. {taken}",
    "urgent_data": "{sender} sent {receiver} urgent data in a {protocol} connection{times}, which control protocols do "
    "not use. The device may have left a byte out",
    "fragment_conflict": "{sender} sent {receiver} IP fragments that overlap with another content{times}. What they "
    "carried was not put together; the device may have done so",
}
"""What nobody asked for: function -> how a stream contradicts itself."""
_TAKEN: Final[dict[tuple[str, ...], str]] = {
    ("first_checksum_wrong",): "Those before had a wrong checksum: the device took the later ones",
    ("later_checksum_wrong",): "The later ones had a wrong checksum: the device took those before",
}
_TAKEN_EITHER: Final = "The device may have taken either of them"


def _conflict(episode: Episode, client: str, server: str) -> str:
    """Nobody asked for anything: the stream contradicts itself."""
    from_client = episode.op is None or episode.op.initiated_by == "client"
    sender, receiver = (client, server) if from_client else (server, client)
    times = "" if episode.count <= 1 else f", {episode.count:,} times"
    taken = _TAKEN.get(tuple(episode.flags), _TAKEN_EITHER)
    words = {"sender": sender, "receiver": receiver, "protocol": episode.key.protocol, "times": times, "taken": taken}
    return STREAM[episode.function].format_map(words)


_LOGIC: Final = (
    "The logic of {server} is not what it was: {client} read out {place}{times}, which differs from what was read out "
    "at {since} (SHA-256 {before}…, now {after}…), and no download of it was seen in between"
)


def _logic(episode: Episode, client: str, server: str) -> str:
    """A change that nobody was seen to make."""
    times = "" if episode.count <= 1 else f" ({episode.count:,} times)"
    detail = {name: str(episode.detail.get(name, "?")) for name in ("since", "before", "after")}
    return _LOGIC.format(client=client, server=server, place=_place(episode), times=times, **detail)


_HABIT: Final = (
    "Since {since} {client} speaks {protocol} to {server} in another way than it used to: {other}; until then {usual}. "
    "Another machine may have its address, or another program"
)


def _habit(episode: Episode, client: str, server: str) -> str:
    """The right address on the wrong machine."""
    detail = {name: str(episode.detail.get(name, "?")) for name in ("since", "other", "usual")}
    return _HABIT.format(client=client, server=server, protocol=episode.key.protocol, **detail)


_OF_RULES: Final = {**dict.fromkeys(STREAM, _conflict), "logic_changed_unseen": _logic, "habit_changed": _habit}
"""Sentences of what no row of a policy denies."""


def sentence(episode: Episode, site: Names) -> str:
    """Who did what to which part of whom, with what outcome, and what the policy says there. Safe text."""
    key = episode.key
    client, server = (someone(identify(site, key.realm, address)) for address in (key.client, key.server))
    if episode.op is None:
        return safe_text(_stop(dark(episode, client, server)), MAX_TITLE_CHARS)
    if episode.function in _OF_RULES:
        return safe_text(_stop(_OF_RULES[episode.function](episode, client, server)), MAX_TITLE_CHARS)
    words = _place(episode)
    if not words and episode.function == "connect" and episode.op.port is not None:
        words = f"{'IP protocol' if key.protocol == 'ip' else 'port'} {episode.op.port}"
    unit = _unit(key.protocol, episode.op.unit) if len(episode.units) < 2 else f"{len(episode.units)} units of "
    did = _deed(episode, episode.op, words).format(
        place=words,
        block=words or "a block",
        client=client,
        server=unit + server,
        value=_value(episode),
        function=safe_text(episode.function.replace("_", " "), MAX_NAME_CHARS),
        protocol=key.protocol,
    )
    happened = _happened(episode)
    who = server if episode.op.initiated_by == "server" else client
    what = f"{who} {did}" + (f"; {happened}" if happened else "")
    clock = UNSURE if episode.detail.get("clock") == "unsynchronised" else ""
    return safe_text(f"{_stop(what)} {_stop(_because(episode))}{clock}", MAX_TITLE_CHARS)


def _sent(episode: Episode, client: str) -> str:
    """Which way the bytes of an encrypted session of S7 went, if that is the way of a download."""
    sent, got = (int(episode.detail.get(name, 0)) for name in ("sent", "got"))
    if episode.key.protocol != "s7comm" or sent < DOWNLOAD_BYTES or sent < DOWNLOAD_RATIO * got:
        return ""
    return f"; {client} sent {plural(sent, 'byte')} and got {got:,}, which is consistent with a download"


def dark(episode: Episode, client: str, server: str) -> str:
    """What could not be seen, and between whom."""
    figures: dict[str, str] = {name: str(value) for name, value in episode.detail.items()}
    for name in ("bytes", "gaps", "frames", "connections"):
        figures[name] = plural(int(episode.detail.get(name, 0)), name[:-1])
    figures["messages"] = plural(int(episode.detail.get("frames", 0)), "message")
    figures["records"] = plural(int(episode.detail.get("frames", 0)), "record")
    figures["operations"] = plural(int(episode.detail.get("operations", 0)), "operation")
    figures["datagrams"] = str(episode.detail.get("frames", 0))
    figures["are"], figures["were"] = ("is", "was") if episode.detail.get("bytes") == 1 else ("are", "were")
    figures["session"] = f" in a session of kind {figures['session']}" if "session" in figures else ""
    figures["sent"] = _sent(episode, client)
    figures.setdefault("layers", "unknown layers")
    figures.setdefault("error", "no reason known")
    figures.setdefault("conduits", "")
    template = DARK.get(episode.key.function, "{bytes} between {client} and {server} could not be seen")
    if episode.function == "unrecognised" and episode.key.protocol in ("tcp", "udp"):
        template = DARK_ON_A_PORT
    return template.format(**{**figures, "client": client, "server": server, "protocol": episode.key.protocol})
