"""Every alert record is what docs/records/alert.schema.json says; its example is the README's sentence."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otmon.alerts.attack import BY_ACCESS, BY_FUNCTION, BY_KIND, BY_RULE, TECHNIQUES, attack_ids
from otmon.alerts.episodes import Ports
from otmon.alerts.record import OPTIONAL, as_record
from otmon.alerts.visibility import REASONS, Dark, visibility
from otmon.limits import MAX_ALERT_TARGETS
from otmon.model import Op, Target
from otmon.policy.verdict import SEVERITIES, Verdict
from tests.alerts.stub import DENIED, T0, Site, episode, operation

RECORDS = Path(__file__).parents[2] / "docs" / "records"
SCHEMA = json.loads((RECORDS / "alert.schema.json").read_text())
VALID = jsonschema.Draft202012Validator(SCHEMA)


def example() -> dict[str, Any]:
    verdict = Verdict(False, None, "value", "high", "scada-polls-plcs", "Row scada-polls-plcs allows 0-100 there.")
    target = Target("holding_register", 45, 45)
    made = episode(operation(target=target), verdict)
    made.flow = Ports(49152, 502)
    made.written = [(Op(6, "write_single_register", "write", 1, target), 900)]
    return as_record(made, Site())


def test_the_example_is_a_record_the_code_writes() -> None:
    assert json.loads((RECORDS / "alert.example.json").read_text()) == example()


def test_the_schema_is_one_and_knows_every_field() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    always = sorted(SCHEMA["properties"].keys() - OPTIONAL)
    assert always == sorted(SCHEMA["required"])
    assert sorted([*always, "client_port", "server_port"]) == sorted(example()) == list(example())
    with pytest.raises(jsonschema.ValidationError):
        VALID.validate({**example(), "more": 1})


@given(
    st.sampled_from(["segmentation", "command", "value", "asset"]),
    st.sampled_from(SEVERITIES),
    st.lists(st.integers(0, 400).map(lambda n: Target("holding_register", n, n)), max_size=200),
    st.sampled_from([1, None, (3, 10)]),
    st.none() | st.text(),
)
def test_records_are_valid(kind: Any, severity: Any, targets: list[Any], unit: Any, text: str | None) -> None:
    verdict = Verdict(False, text, kind, severity, text, text, review=text, because=text)
    record = as_record(episode(operation(unit=unit), verdict, targets), Site())
    VALID.validate(json.loads(json.dumps(record)))
    numbers = {target.start for target in targets}
    runs = len([n for n in numbers if n - 1 not in numbers])
    assert len(record["targets"]) + record["more_targets"] == runs
    assert len(record["targets"]) <= MAX_ALERT_TARGETS
    assert record["count"] == len(targets)


def test_findings_are_valid() -> None:
    for one in visibility(
        "a", [Dark(reason, "r", "a", "b", "", T0, T0, (0, 1), layers={"x": 1}) for reason in REASONS]
    ):
        VALID.validate(as_record(one, Site()))


def test_a_finding_says_what_could_not_be_seen_and_where() -> None:
    (one,) = visibility("a", [Dark("gap", "r", "a", "b", "modbus", T0, T0, (0, 1), bytes=3, gaps=1)])
    assert as_record(one, Site())["finding"] == {
        "reason": "gap",
        "protocol": "modbus",
        "interface": None,
        "bytes": 3,
        "connections": 1,
        "frames": 0,
        "gaps": 1,
    }
    (one,) = visibility("a", [Dark("shed", "r", "*", "*", "", T0, T0, None, frames=2)])
    assert as_record(one, Site())["finding"] == {
        "reason": "shed",
        "protocol": None,
        "interface": None,
        "bytes": 0,
        "connections": 1,
        "frames": 2,
        "gaps": 0,
    }


def test_ports_are_those_of_the_first_evidence() -> None:
    made = episode(operation())
    made.flow = Ports(49152, 502)
    made.evidence([(0, 9)], Ports(50001, 502))
    assert as_record(made, Site())["client_port"] == 49152
    made.evidence([(0, 3)], Ports(50000, 503))
    assert (as_record(made, Site())["client_port"], as_record(made, Site())["server_port"]) == (50000, 503)
    made.absorb(later := episode(operation()))
    later.absorb(made)
    assert as_record(made, Site())["client_port"] == as_record(later, Site())["client_port"] == 50000
    made.op = operation()._replace(function="scan")
    assert not as_record(made, Site()).keys() & {"client_port", "server_port"}


def test_dnp3_units_are_pairs() -> None:
    record = as_record(episode(operation("dnp3", "cold_restart", "control", unit=(3, 10))), Site())
    assert record["units"] == [[3, 10]]
    assert (record["operation"]["link_source"], record["operation"]["link_destination"]) == (3, 10)
    assert record["attack"] == ["T0816", "T0855", "T1692.001"]


def test_attack_tables_name_known_techniques() -> None:
    for table in (BY_ACCESS, BY_FUNCTION, BY_KIND, BY_RULE):
        assert {one for ids in table.values() for one in ids} <= TECHNIQUES.keys()


def test_attack_ids_of_both_versions() -> None:
    assert attack_ids("command", "write", "write_single_register") == ("T0836", "T0855", "T1692.001")
    assert attack_ids("segmentation", "write", "write_single_register") == ("T0836", "T0848", "T0855", "T1692.001")
    assert attack_ids("segmentation", "connect", "connect") == ("T0886",)
    assert attack_ids("segmentation", "connect", "scan") == ("T0846", "T0846.001")
    assert attack_ids("visibility", "", "gap") == ()
    assert attack_ids("command", "program", "upload") == ("T0845",)


def test_permitted_rows_do_not_deny() -> None:
    made = episode(operation(), DENIED._replace(permit=True, row="scada", review="stops"))
    assert as_record(made, Site())["row"] is None
