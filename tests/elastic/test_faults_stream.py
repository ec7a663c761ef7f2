"""What a node may say to a bulk: come back later, not this one, not so much at once."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from otmon.cli import run as cli
from otmon.delivery.ledger import NAME, Ledger
from otmon.outputs.elastic.install import Installation
from otmon.outputs.elastic.sink import ElasticSink
from otmon.outputs.sink import SinkError, Unreachable
from otmon.store import spool
from tests.delivery.kit import Spool
from tests.elastic.server import Node
from tests.elastic.shipping import Delivery, Target, deliver, filled, state, until


@pytest.mark.parametrize("block", ["read_only_allow_delete", pytest.param("write", marks=pytest.mark.long)])
def test_an_index_that_is_read_only_for_a_while(elastic: Node, namespace: str, tmp_path: Path, block: str) -> None:
    target = Target(elastic, namespace)
    made = filled(tmp_path, 500)
    target.admin.indices.put_settings(index=target.stream(), settings={f"index.blocks.{block}": True})
    delivery = Delivery(tmp_path, target.sink())
    until(lambda: state(tmp_path)[0] == "away")
    assert "cluster_block_exception" in state(tmp_path)[1]
    assert target.ids() == []
    target.admin.indices.put_settings(index=target.stream(), settings={f"index.blocks.{block}": None})
    assert delivery.whole() == {"elastic": 0}
    assert target.ids() == sorted(made.ids["audit"])


def test_records_that_do_not_fit_the_mapping(
    elastic: Node,
    namespace: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The plant's own template says that messages are numbers, until somebody mends it."""

    def run(*arguments: str | Path, code: int = 0) -> str:
        assert cli(["elastic", "dead", *(str(one) for one in arguments)]) == code
        return "".join(capfd.readouterr())

    def letters() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(run("list", tmp_path, "--json"))
        return found

    admin = elastic.client()
    Installation(admin, f"{namespace}.first").install()
    own = {
        "index_patterns": [f"logs-otmon.audit-{namespace}"],
        "data_stream": {},
        "priority": 400,
        "composed_of": ["otmon@settings", "otmon@mappings", "otmon.audit@mappings"],
        "template": {"mappings": {"properties": {"message": {"type": "long"}}}},
    }
    admin.indices.put_index_template(name=namespace, **own)
    target = Target(elastic, namespace)
    made = filled(tmp_path, 30, message="12")
    made.append("audit", 3, message="words")
    made.append("audit", 30, message="13")
    good, bad = made.ids["audit"][:30] + made.ids["audit"][33:], made.ids["audit"][30:33]
    assert deliver(tmp_path, target.sink()) == {"elastic": 0}
    assert target.ids() == sorted(good)
    dead = letters()
    assert [letter["id"] for letter in dead] == bad
    assert all("failed to parse field [message]" in letter["reason"] for letter in dead)
    assert dead[0]["record"]["message"] == "words"
    assert cli(["elastic", "status", str(tmp_path)]) == 1
    capfd.readouterr()

    monkeypatch.setenv("OTMON_ELASTIC_NAMESPACE", namespace)
    told = run("retry", tmp_path, "--elastic", elastic.url, code=1)
    assert "0 delivered, 3 refused again" in told
    admin.indices.put_index_template(name=namespace, **{**own, "template": {}})
    target.rollover()
    assert "forgotten" in run("drop", tmp_path, str(dead[2]["n"]))
    run("drop", tmp_path, "99", code=2)
    assert "2 delivered, 0 refused" in run("retry", tmp_path, "--elastic", elastic.url)
    assert target.ids() == sorted(good + bad[:2])
    assert letters() == []
    assert cli(["elastic", "status", str(tmp_path)]) == 0, "what was seen to is no fault any more"


class Told(ElasticSink):
    """Counts what it was answered."""

    def __init__(self, sink: ElasticSink, answers: "Counter[str]") -> None:
        super().__init__(sink.settings)
        self._answers = answers

    def deliver(self, batch: Any, repeated: bool) -> Any:
        try:
            return super().deliver(batch, repeated)
        except SinkError as error:
            word = "429" if isinstance(error, Unreachable) and " 429 " in str(error) else str(error)
            self._answers[word] += 1
            raise


@pytest.mark.long
def test_a_node_with_no_room(elastic_node: Callable[..., Node], namespace: str, tmp_path: Path) -> None:
    """16 of us at once, where 64 KiB may be indexed at a time."""
    node = elastic_node({"indexing_pressure.memory.limit": "64kb"})
    target = Target(node, namespace)
    answers: Counter[str] = Counter()
    folders, spools = [tmp_path / str(number) for number in range(16)], []
    for number, folder in enumerate(folders):
        folder.mkdir()
        made = Spool(folder, spool.FINAL)
        made.made = number * 1_000
        made.append("audit", 100, pad=200)
        spools.append(made)
    deliveries = [Delivery(folder, Told(target.sink(), answers)) for folder in folders]
    assert [delivery.whole(180) for delivery in deliveries] == [{"elastic": 0}] * 16
    assert answers["429"] >= 16
    assert set(answers) == {"429"}
    assert target.ids() == sorted(name for made in spools for name in made.ids["audit"])
    for folder in folders:
        with Ledger(folder / NAME, readonly=True) as ledger:
            assert ledger.dead() == []
            assert ledger.states()["elastic"].delivered == 100
