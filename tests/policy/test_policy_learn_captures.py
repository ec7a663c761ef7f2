"""A policy learned from a capture, applied to the same capture: only what is for review raises a policy alert."""

import os
from pathlib import Path

import pytest

from otmon.engine import analyze
from otmon.engine.readings import ANOTHER_READING
from otmon.policy.learn import learn
from otmon.policy.load import load_bytes

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("OTMON_SHARED", ROOT.parent / "shared" / "captures"))
MAX_BYTES = 3_000_000
CAPTURES = [ROOT / "captures" / "plant.pcap"]
CAPTURES += sorted(path for path in SHARED.rglob("*.pcap*") if path.stat().st_size < MAX_BYTES)
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
