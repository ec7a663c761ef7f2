"""What is written in CEF is read back the same by a parser of its own, whatever stands in a record."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otmon import __version__
from otmon.outputs.cef import LABELS, MARK, NAMES, SEVERITY, cef
from otmon.policy.verdict import SEVERITIES, AlertKind
from tests.effort import examples
from tests.outputs.outgoing import ALERT, HOSTILE, outgoing, with_text

RECORDS = Path(__file__).parents[2] / "docs" / "records"
HEADER = ("version", "vendor", "product", "product_version", "kind", "name", "severity")


def parsed(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """Header and extension, by the format's own words: a key ends at the first equal sign without a backslash."""
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", text)
    *header, extension = re.split(r"(?<!\\)\|", text, maxsplit=7)
    fields: dict[str, str] = {}
    keys = list(re.finditer(r"(?:^| )([A-Za-z0-9]+)(?<!\\)=", extension))
    for match, following in zip(keys, [*keys[1:], None], strict=True):
        value = extension[match.end() : following.start() if following else None]
        assert match[1] not in fields
        assert not re.search(r"(?<!\\)(\\\\)*=", value), "an equal sign that is not escaped"
        fields[match[1]] = re.sub(r"\\(.)", lambda m: {"n": "\n", "r": "\r"}.get(m[1], m[1]), value)
    return dict(zip(HEADER, (re.sub(r"\\(.)", r"\1", field) for field in header), strict=True)), fields


def of(record: dict[str, Any], max_bytes: int = 100_000, **more: Any) -> dict[str, str]:
    return parsed(cef(outgoing(record=record, **more), max_bytes))[1]


def test_the_example() -> None:
    header, fields = parsed(cef(outgoing(7, record=ALERT | {"revision": 3}), 8192))
    assert header == {
        "version": "CEF:0",
        "vendor": "otmon",
        "product": "otmon",
        "product_version": __version__,
        "kind": "value",
        "name": "Written value that the policy does not permit",
        "severity": "8",
    }
    labels = {f"{key}Label": LABELS[key] for key in LABELS if key in fields}
    assert fields == labels | {
        "act": "detected",
        "app": "modbus",
        "proto": "tcp",
        "cat": "/value/write",
        "src": "10.0.2.11",
        "shost": "HMI-2",
        "dst": "10.0.1.13",
        "dhost": "PLC-3",
        "dpt": "502",
        "start": "1700000000000",
        "end": "1700000000000",
        "cnt": "1",
        "outcome": "success",
        "externalId": "ab8a3c05a35e47395105",
        "cs1": "supervision",
        "cs2": "control",
        "cs3": "scada-polls-plcs",
        "cs4": "write_single_register",
        "cs5": "holding register 40046 (PDU address 45)",
        "cs6": "site-1",
        "flexString1": "T0836, T0855, T1692.001",
        "msg": ALERT["title"],
        "deviceExternalId": "sensor-1",
        "cn1": "7",
        "cn2": "3",
    }


def test_every_kind_and_severity_is_known() -> None:
    assert set(AlertKind.__args__) == set(NAMES)  # type: ignore[attr-defined] # a Literal
    assert tuple(SEVERITY) == SEVERITIES
    assert list(SEVERITY.values()) == sorted(SEVERITY.values())


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("10.0.2.11", {"src": "10.0.2.11", "shost": "HMI-2"}),
        ("fe80::1", {"c6a2": "fe80::1", "c6a2Label": "Source IPv6 Address", "shost": "HMI-2"}),
        ("00:80:f4:0e:11:22", {"smac": "00:80:f4:0e:11:22", "shost": "HMI-2"}),
        ("*", {"shost": "HMI-2"}),
        ("eth1", {"shost": "HMI-2"}),
    ],
)
def test_an_address_has_the_key_of_its_form(endpoint: str, expected: dict[str, str]) -> None:
    fields = of(ALERT | {"client": ALERT["client"] | {"endpoint": endpoint}})
    keys = {"src", "smac", "shost", "c6a2", "c6a2Label"}
    assert {key: value for key, value in fields.items() if key in keys} == expected


def test_what_is_not_known_is_left_out() -> None:
    nobody = {"asset": None, "endpoint": "*", "name": None, "roles": [], "zone": None}
    record = ALERT | {"client": nobody, "server": nobody, "operation": None, "outcome": None, "nearest": None}
    record |= {"kind": "visibility", "targets": [], "attack": []}
    _, fields = parsed(cef(outgoing(record=record), 8192))
    assert set(fields) == {"act", "cat", "start", "end", "cnt", "externalId", "msg", "cs6", "cs6Label",
                           "deviceExternalId", "cn1", "cn1Label"}  # fmt: skip


@pytest.mark.parametrize(("transport", "expected"), [("tcp", "502"), ("udp", "502"), ("ip", None), (None, None)])
def test_only_a_port_is_a_port(transport: str | None, expected: str | None) -> None:
    assert of(ALERT | {"operation": ALERT["operation"] | {"transport": transport}}).get("dpt") == expected


def as_kept(text: str) -> str:
    """What is kept of a text that is short and safe but for its line ends."""
    return "\n".join(text.splitlines()).strip()


SAFE = st.text(st.characters(categories=("L", "N", "P", "S"), include_characters=' \n|\\="]'), max_size=60)


@settings(deadline=None)
@given(SAFE)
def test_what_was_given_is_read_back(text: str) -> None:
    fields = of(with_text(text) | {"nearest": None}, site=text, sensor=text)
    kept = as_kept(text)
    for key in ("msg", "cs1", "cs2", "cs3", "cs4", "cs6", "shost", "dhost", "deviceExternalId"):
        assert fields.get(key, "") == kept, key


@settings(max_examples=examples(50), deadline=None)
@given(st.text(max_size=60))
def test_no_text_makes_a_field_of_its_own(text: str) -> None:
    allowed = {"act", "app", "proto", "cat", "src", "dst", "shost", "dhost", "smac", "dmac", "dpt", "start", "end"}
    allowed |= {"cnt", "outcome", "externalId", "msg", "deviceExternalId", *LABELS, *(f"{key}Label" for key in LABELS)}
    fields = of(with_text(text), site=text, sensor=text)
    assert set(fields) <= allowed
    assert fields["act"] == "detected"


@pytest.mark.parametrize("max_bytes", [1000, 1400, 2048, 8192])
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_it_is_never_longer_and_is_still_read(text: str, max_bytes: int) -> None:
    line = cef(outgoing(record=with_text(text), site=text, sensor=text), max_bytes)
    assert len(line.encode()) <= max_bytes
    header, fields = parsed(line)
    assert (header["severity"], fields["cn1"], fields["cnt"]) == ("8", "1", "1")


def test_targets_give_way_before_the_sentence() -> None:
    target = {"target": {"space": "coil", "start": 1, "end": 1}}
    many = [{"target": {"space": "coil", "start": n, "end": n}} for n in range(0, 128, 2)]
    whole = of(ALERT | {"targets": many, "more_targets": 1200})
    assert whole["cs5"].count(";") == 64
    assert whole["cs5"].endswith("; 1,200 more")
    cut = of(ALERT | {"targets": many, "title": "é" * 700}, 1400)
    assert cut["cs5"] == MARK
    assert re.fullmatch(f"é+{MARK}", cut["msg"])
    line = cef(outgoing(record=ALERT | {"targets": many, "title": "é" * 300}), 1400)
    assert 1390 < len(line.encode()) <= 1400
    assert parsed(line)[1]["msg"] == "é" * 300
    assert of(ALERT | {"targets": [target]})["cs5"] == "coil 00002 (PDU address 1)"


def test_an_action_is_its_own_kind_of_event() -> None:
    record = json.loads((RECORDS / "audit.example.json").read_text())
    header, fields = parsed(cef(outgoing(3, "audit", record), 8192))
    assert (header["kind"], header["name"], header["severity"]) == ("policy_changed", "Policy changed", "1")
    digest = record["detail"]["sha256"]
    assert fields == {
        "end": "1700000000000",
        "externalId": f"{3:020x}",
        "cat": "/audit",
        "outcome": "success",
        "flexString2": f"path: rules/plant.yaml; sha256: {digest}",
        "flexString2Label": "Detail",
        "msg": record["message"],
        "cs6": "site-1",
        "cs6Label": "Site",
        "deviceExternalId": "sensor-1",
        "cn1": "3",
        "cn1Label": "Sequence",
    }
    header, fields = parsed(cef(outgoing(3, "audit", record | {"action": "policy_broken"}), 8192))
    assert (header["severity"], fields["outcome"]) == ("5", "failure")


def test_other_streams_are_sent_as_they_are() -> None:
    record = {"text": "a=b|c\\d\n"}
    header, fields = parsed(cef(outgoing(3, "operation", record), 8192))
    assert (header["kind"], header["name"], header["severity"]) == ("operation", "Operation", "1")
    assert fields["msg"] == r'{"text": "a=b|c\\d\n"}'
    assert fields["end"] == "1700000000000"
