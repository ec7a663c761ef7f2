import unicodedata
from types import ModuleType
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otmon.alerts.advice import topic
from otmon.alerts.attack import BY_FUNCTION
from otmon.alerts.episodes import MANY, Episode
from otmon.alerts.places import place
from otmon.alerts.sentence import DEEDS, MAX_TITLE_CHARS, SERVED, STREAM, sentence
from otmon.model import Access, Counts, Function, Op, Target
from otmon.policy.verdict import Verdict
from otmon.protocols.dnp3 import tables as dnp3
from otmon.protocols.modbus import tables as modbus
from otmon.protocols.s7comm import tables as s7comm
from tests.alerts.stub import DENIED, Site, episode, operation

REGISTER_45 = Target("holding_register", 45, 45)


def wrote(value: float, row: str = "") -> Episode:
    verdict = Verdict(False, None, "value", "high", "scada-polls-plcs", row or None)
    made = episode(operation(target=REGISTER_45), verdict)
    made.written = [(Op(6, "write_single_register", "write", 1, REGISTER_45), value)]
    return made


def test_a_forbidden_value() -> None:
    assert sentence(wrote(900.0, "Row scada-polls-plcs allows 0-100 there."), Site()) == (
        "HMI-2 (10.0.2.11, supervision) wrote 900 to holding register 40046 (PDU address 45) of PLC-3 "
        "(10.0.1.13, control); accepted. Row scada-polls-plcs allows 0-100 there."
    )


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (Target("coil", 0, 0), "coil 00001 (PDU address 0)"),
        (Target("discrete_input", 0, 7), "discrete inputs 10001-10008 (PDU addresses 0-7)"),
        (Target("input_register", 9, 9), "input register 30010 (PDU address 9)"),
        (Target("holding_register", 0, 9998), "holding registers 40001-49999 (PDU addresses 0-9998)"),
        (Target("holding_register", 9999, 9999), "holding register 410000 (PDU address 9999)"),
        (Target("holding_register", 0, 65535), "holding registers 40001-465536 (PDU addresses 0-65535)"),
        (Target("holding_register"), "holding registers"),
        (Target("DB10", 0, 255), "DB10.DBB0-255"),
        (Target("M", 4, 4), "MB4"),
        (Target("T", 5, 5), "T 5"),
        (Target("g12", 3, 3), "g12 index 3"),
        (Target("g12", 0, 3), "g12 indexes 0-3"),
        (Target("g60"), "g60"),
        (Target("block", name="OB1"), "block OB1"),
        (Target("szl", 0x424, 0x424, "mode"), "SZL 0x0424 (mode)"),
        (Target("port", 80, 80), "port 80"),
        (Target("port", 1, 200), "ports 1-200"),
        (Target("file", 1, 3), "file 1-3"),
    ],
)
def test_places(target: Target, words: str) -> None:
    assert place(target) == words


OUTSTATION = "outstation 10 of RTU-1 (10.0.1.20, control)"
PLC = "PLC-3 (10.0.1.13, control)"


def test_sentences_by_protocol() -> None:
    dnp3 = {"protocol": "dnp3", "server": "10.0.1.20", "unit": (3, 10)}
    s7 = {"protocol": "s7comm", "unit": None}
    connect = {"protocol": "tcp", "function": "connect", "access": "connect", "unit": None, "port": 80}
    cases = [
        (
            operation(**dnp3, function="cold_restart", access="control"),
            {},
            f"sent cold restart to {OUTSTATION}; accepted",
        ),
        (
            operation(**dnp3, function="direct_operate", access="control", target=Target("g12", 3, 3)),
            {"rejected": 1},
            f"operated g12 index 3 of {OUTSTATION}; rejected",
        ),
        (operation(**s7, function="plc_stop", access="control"), {}, f"stopped the CPU of {PLC}; accepted"),
        (
            operation(**s7, function="download_block", access="program", target=Target("block", name="OB1")),
            {"unseen": 1},
            f"downloaded block OB1 to {PLC}; answer not seen",
        ),
        (operation(**connect), {}, f"opened a TCP connection to port 80 of {PLC}; accepted"),
        (
            operation(**connect),
            {"unanswered": 1},
            f"tried to open a TCP connection to port 80 of {PLC}; not answered",
        ),
        (
            operation(function="read_coils", access="read", unit=7, target=Target("coil", 0, 9)),
            {"accepted": 1000},
            f"read coils 00001-00010 (PDU addresses 0-9) of unit 7 of {PLC}; 1,000 times, accepted",
        ),
        (operation(function="umas", access="program"), {}, f"sent umas to {PLC}; accepted"),
        (operation(function="umas_stop_plc", access="control"), {}, f"stopped the program of {PLC}; accepted"),
        (
            operation(function="umas_upload_block", access="program"),
            {"accepted": 5},
            f"downloaded a block of a program to {PLC}; 5 times, accepted",
        ),
        (operation(function="umas_0x99", access="program"), {}, f"sent umas 0x99 to {PLC}; accepted"),
    ]
    for op, outcomes, words in cases:
        made = episode(op, DENIED, **outcomes)
        assert sentence(made, Site()) == f"HMI-2 (10.0.2.11, supervision) {words}. No row permits it."


def test_what_a_server_does_unasked() -> None:
    op = operation("s7comm", "download_block", "program", target=Target("block", name="OB1"))
    assert sentence(episode(op._replace(initiated_by="server")), Site()) == (
        f"{PLC} fetched block OB1 from HMI-2 (10.0.2.11, supervision); accepted. No row permits it."
    )


def test_a_stream_that_contradicts_itself_names_no_row() -> None:
    verdict = Verdict(False, "overlap_conflict", "protocol", "high")
    for initiated_by, first, second in (("client", "HMI-2 (10.0.2.11, supervision)", PLC), ("server", PLC, "HMI-2")):
        op = operation("modbus", "overlap_conflict", "write", target=None)._replace(initiated_by=initiated_by)
        said = sentence(episode(op, verdict), Site())
        assert said.startswith(f"{first} sent {second}")
        assert said.endswith("bytes of a modbus connection that came before with another content. The device may have "
                             "taken either of them.")  # fmt: skip
        assert "Row" not in said


@pytest.mark.parametrize(
    ("flags", "end"),
    [
        (("first_checksum_wrong",), "Those before had a wrong checksum: the device took the later ones."),
        (("later_checksum_wrong",), "The later ones had a wrong checksum: the device took those before."),
        (("checksums_right",), "The device may have taken either of them."),
        (("first_checksum_wrong", "later_checksum_wrong"), "The device may have taken either of them."),
    ],
)
def test_what_checksums_tell_of_two_readings(flags: tuple[str, ...], end: str) -> None:
    op = operation("modbus", "overlap_conflict", "write", target=None)
    told = episode(op, Verdict(False, "overlap_conflict", "protocol", "high"))
    told.flags = flags
    assert sentence(told, Site()).endswith(end)


@pytest.mark.parametrize("function", sorted(STREAM))
def test_each_contradiction_has_words_and_advice(function: str) -> None:
    op = operation("modbus", function, "write", target=None)
    assert sentence(episode(op, Verdict(False, function, "protocol", "high")), Site()).startswith("HMI-2")
    assert topic({"kind": "protocol", "operation": {"access": "write", "function": function}}) == function


def functions_of(tables: ModuleType) -> set[str]:
    """Names of all functions in the tables of a protocol."""
    found = set()
    for value in vars(tables).values():
        rows = value.values() if isinstance(value, dict) else [value]
        found |= {row.name for row in rows if isinstance(row, Function)}
    return found


@pytest.mark.parametrize(("protocol", "tables"), [("modbus", modbus), ("dnp3", dnp3), ("s7comm", s7comm)])
def test_tables_speak_of_functions_that_exist(protocol: str, tables: ModuleType) -> None:
    assert {function for name, function in DEEDS if name == protocol} - set(get_args(Access)) <= functions_of(tables)


def test_attack_speaks_of_functions_that_exist() -> None:
    assert BY_FUNCTION.keys() - {"scan"} <= functions_of(modbus) | functions_of(dnp3) | functions_of(s7comm)
    assert SERVED.keys() <= functions_of(dnp3) | functions_of(s7comm)


def test_a_scan_names_where_it_began_and_how_much_more() -> None:
    apart = [Target("holding_register", 2 * n, 2 * n) for n in range(300)]
    made = episode(operation(target=apart[0]), targets=list(apart), rejected=1)
    assert sentence(made, Site()) == (
        f"HMI-2 (10.0.2.11, supervision) wrote to holding register 40001 (PDU address 0) and 299 more of {PLC}; "
        "300 times, rejected. No row permits it."
    )
    joined = [Target("holding_register", n, n) for n in range(300)]
    made = episode(operation(target=joined[7]), targets=list(joined), rejected=1)
    assert "wrote to holding registers 40001-40300 (PDU addresses 0-299) of PLC-3" in sentence(made, Site())


def test_ports_of_a_scan_are_counted_one_by_one() -> None:
    ports = [Target("port", n, n) for n in (7, *range(20, 30), *range(100, 200))]
    made = episode(operation("tcp", "scan", "connect", target=ports[0]), targets=list(ports), rejected=1)
    assert len(made.coalesced()) == 3
    assert "port 7 and 110 more; 111 times" in sentence(made, Site())


def test_mixed_outcomes_values_and_units() -> None:
    made = wrote(1.5)
    made.note(REGISTER_45, Counts(attempted=1, rejected=1), made.first_ts_ns, made.first_ts_ns, unit=9)
    text = sentence(made, Site())
    assert "wrote values such as 1.5 to holding register" in text
    assert "of 2 units of PLC-3" in text
    assert "2 times: 1 accepted, 1 rejected." in text


def test_why() -> None:
    never = Verdict(False, "never-1", "command", "critical", because="safety relay")
    assert sentence(episode(operation(), never), Site()).endswith("Row never-1 forbids it: safety relay.")
    named = never._replace(separation="Row never[1] forbids it: safety relay.", nearest="never-1")
    assert sentence(episode(operation(), named), Site()).endswith("Row never[1] forbids it: safety relay.")
    review = Verdict(False, None, "command", "high", review="stops a CPU")
    assert sentence(episode(operation(), review), Site()).endswith("To be reviewed: stops a CPU.")


def test_nobody_in_particular() -> None:
    made = episode(operation(client=MANY, server=MANY))
    assert sentence(made, Site()).startswith("many addresses sent write single register to many addresses;")


def clean(text: str) -> bool:
    return all(char == " " or unicodedata.category(char)[0] in "LNPS" for char in text)


HOSTILE = "\x1b]0;x\x07{server}{0}%s\r\n\u202e<script>" + "A" * 10_000


@pytest.mark.parametrize("function", ["download_block", HOSTILE])
def test_hostile_names_reach_nobody(function: str) -> None:
    target = Target("block", name=HOSTILE)
    verdict = DENIED._replace(separation=HOSTILE, nearest=HOSTILE, because=HOSTILE)
    op = operation("s7comm", function, "program", target=target)
    text = sentence(episode(op, verdict), Site(**{"10.0.1.13": HOSTILE}))
    assert clean(text)
    assert len(text) <= MAX_TITLE_CHARS


@given(
    st.builds(Target, st.text(max_size=9), st.none() | st.integers(), st.none() | st.integers(), st.none() | st.text())
)
def test_any_target_has_words(target: Target) -> None:
    assert clean(place(target))
    assert clean(sentence(episode(operation(target=target)), Site()))


@given(
    st.sampled_from(["coil", "holding_register", "DB1", "M", "g12", "port"]),
    st.none() | st.integers(0),
    st.none() | st.integers(0),
)
def test_any_interval_has_words(space: str, start: int | None, end: int | None) -> None:
    assert clean(place(Target(space, start, end)))
