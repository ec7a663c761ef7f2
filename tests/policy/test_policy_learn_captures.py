"""A policy learned from a capture, applied to the same capture: only what is for review raises a policy alert."""

import os
from pathlib import Path

import pytest

from otmon.engine import analyze
from otmon.engine.readings import ANOTHER_READING
from otmon.policy.learn import blank, learn, update
from otmon.policy.lint import look
from otmon.policy.listen import Listener
from otmon.policy.load import load_bytes, load_source
from otmon.policy.zones import Realms

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("OTMON_SHARED", ROOT.parent / "shared" / "captures"))
MAX_BYTES = 3_000_000
CAPTURES = [ROOT / "captures" / "plant.pcap"]
CAPTURES += sorted(path for path in SHARED.rglob("*.pcap*") if path.stat().st_size < MAX_BYTES)
ODD = ("s7comm_plus.pcap", "DNP3-Malformed.pcap", "fuzz-72.pcap")
"""With writes that are no numbers beside others that are, with damaged ones, with two readings."""
QUICK = [path for path in CAPTURES if path.name in ODD or path.parent == ROOT / "captures"]
QUICK += [ROOT / "captures" / f"{name}.pcap" for name in ("modbus_pymodbus", "dnp3_points", "s7_values")]
REST = [path for path in (*sorted((ROOT / "captures").glob("*.pcap")), *CAPTURES) if path not in QUICK]
POLICY_KINDS = {"segmentation", "command", "value"}


def run(path, policy):
    return analyze([str(path)], policy=policy, messages_path=None, hash_all=False, jobs=1, progress=None).part


def policy_alerts(part):
    return [episode for episode in part.episodes if episode.key.kind in POLICY_KINDS]


def test_shared_captures_are_there():
    if len(CAPTURES) == 1:
        pytest.skip(f"no captures by others in {SHARED}")


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)
def test_only_what_is_for_review_is_denied(path):
    seen = run(path, None).operations
    policy = load_bytes(learn(seen).encode(), "learned.yaml")
    alerts = policy_alerts(run(path, policy))
    # What a stream says in another reading than the one that was decoded is judged, and never learned.
    learned = [alert for alert in alerts if ANOTHER_READING not in alert.flags]
    assert [alert.key for alert in learned if alert.verdict.review is None] == []
    denied = [record for record in seen if not policy.judge(record.key, record.first_ts_ns).permit]
    assert bool(learned) == bool(denied)


@pytest.mark.parametrize(
    "path", QUICK + [pytest.param(path, marks=pytest.mark.long) for path in REST], ids=lambda path: path.name
)
def test_no_mode_denies_what_was_seen(path):
    """With the bounds of what was written, too; the same connections and functions in each."""
    listener = Listener(Realms())
    heard = run(path, listener)
    for mode in ("ranges", "functions"):
        draft = update(blank(heard.operations), "p", heard.operations, source="s", mode=mode, values=listener.values)
        source = load_source(draft.text.encode(), "p")
        # Where nothing was seen, nothing is monitored, and that is said.
        nothing = {"nothing-monitored"} if not heard.operations else set()
        assert {finding.rule for finding in look(source).findings} == nothing
        alerts = [alert for alert in policy_alerts(run(path, source.policy)) if ANOTHER_READING not in alert.flags]
        assert [(mode, alert.key) for alert in alerts if alert.verdict.review is None] == []


@pytest.mark.parametrize(
    ("name", "mode"),
    [("plant", "ranges"), ("dnp3_points", "functions"), ("modbus_pymodbus", "functions"), ("s7_values", "ranges")],
)
def test_bounds_hold_what_was_written_and_no_more(name, mode):
    path = ROOT / "captures" / f"{name}.pcap"
    listener = Listener(Realms())
    seen = run(path, listener).operations
    assert {record.key: record.counts.as_dict() for record in seen} == {
        record.key: record.counts.as_dict() for record in run(path, None).operations
    }
    draft = update(blank(seen), "p", seen, source="s", mode=mode, values=listener.values)
    policy = load_bytes(draft.text.encode(), "p")
    alerts = [alert for alert in policy_alerts(run(path, policy)) if ANOTHER_READING not in alert.flags]
    assert [alert.key for alert in alerts if alert.verdict.review is None] == []
    rows = [row for rule in policy.conduits.rules for row in rule.rows if row.values is not None]
    assert rows or name == "dnp3_points", "there, doubles are written that no whole number bounds"
    for row in rows:  # A bound that is one narrower would have told.
        (low, high), *more = row.values
        assert not more
        assert {low, high} <= {bound for pair in listener.values.values() for bound in pair or ()}
