"""`otmon export`: from a sensor's database what analysing the same traffic would have written."""

from pathlib import Path
from typing import Any

import pytest

from otmon.cli import run
from otmon.engine import cache
from otmon.policy import load_policy
from otmon.site.site import Site

ROOT = Path(__file__).parents[2]
CAPTURE, POLICY = ROOT / "captures" / "plant.pcap", ROOT / "rules" / "plant.yaml"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data folder of a sensor that saw the plant and is still running."""
    cache.choose([str(CAPTURE)])
    from otmon.capture.inputs import open_inputs
    from otmon.engine.run import Run
    from otmon.store.sensor import SiteStore

    folder = tmp_path / "data"
    folder.mkdir()
    policy = load_policy(POLICY)
    engine = Run(policy)
    with SiteStore(folder / "site.db", policy.site) as store:
        for number, batch in enumerate(open_inputs([str(CAPTURE)], batch_frames=100)):
            engine.feed(batch)
            if number % 3 == 0:
                store.add(engine.harvest(int(batch.records[-1, 2])))
        engine.finish()
        part = engine.harvest()
        store.add(part)
        store.alerts(part.episodes, [])
    return folder


def test_the_files_are_those_of_analyze(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", str(data), "--policy", str(POLICY), "--out", str(tmp_path / "a")]) == 0
    assert "1,044 frames" in capsys.readouterr().out
    assert run(["analyze", str(CAPTURE), "--policy", str(POLICY), "--out", str(tmp_path / "b")]) == 0
    for name in ("operations.jsonl", "assets.jsonl", "alerts.jsonl", "graph.graphml"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_what_is_long_stays_in_the_database(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """300,000 operations: 592 MiB as records in memory, 77 MiB so."""
    from otmon.outputs import results
    from otmon.store.database import SiteDatabase
    from otmon.store.tables import LONG, Stored

    write, seen = results.write_database, []

    def writing(path: Path, site: Site, *rest: Any, **more: Any) -> None:
        seen.extend(type(getattr(site.part, name)) for name in LONG)
        write(path, site, *rest, **more)

    monkeypatch.setattr(results, "write_database", writing)
    assert run(["export", str(data), "--out", str(tmp_path / "a")]) == 0
    assert seen == [Stored] * len(LONG)
    with SiteDatabase(data / "site.db") as there, SiteDatabase(tmp_path / "a" / "site.db") as written:
        whole, in_place = there.part(), there.part(in_place=True)
        for name in LONG:
            assert list(map(plain, getattr(in_place, name))) == list(map(plain, getattr(whole, name)))
            assert list(map(plain, getattr(written.part(), name))) == list(map(plain, getattr(whole, name)))


def plain(record: Any) -> Any:
    return record._replace(counts=record.counts.as_dict()) if hasattr(record, "counts") else record


def test_a_policy_of_another_site_is_refused(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(POLICY.read_text().replace("site: demo-plant", "site: elsewhere"))
    assert run(["export", str(data), "--policy", str(other), "--out", str(tmp_path / "a")]) == 2
    assert "is for elsewhere" in capsys.readouterr().err
