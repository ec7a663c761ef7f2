"""What a sensor says of its interfaces: gone, back, silent, losing frames."""

from types import SimpleNamespace
from typing import Any

from otmon.alerts.episodes import Episodes
from otmon.alerts.record import as_record
from otmon.model import ConnectionRecord
from otmon.sensor.care import LONGEST_WAIT_S, SILENT_S, Care
from otmon.sensor.health import findings, report
from otmon.sensor.sample import Sample
from otmon.site.part import Part
from otmon.site.site import Site


class Interface:
    """A source that is what the test says."""

    interface = "eth1"

    def __init__(self) -> None:
        self.frames, self.is_there, self.listens, self.tries = 0, True, True, 0

    def state(self) -> str:
        return "up" if self.listens else "gone"

    def resume(self) -> bool:
        self.tries += 1
        self.listens = self.is_there
        return self.listens

    @property
    def info(self) -> Any:
        return SimpleNamespace(frames=self.frames)


def seconds(care: Care, first: int, end: int) -> list[str]:
    return [finding.reason for second in range(first, end) for finding in care.look(float(second))]


def test_gone_is_said_once_and_tried_again_less_and_less_often() -> None:
    eth1 = Interface()
    care = Care([eth1], 0.0)  # type: ignore[list-item] # what it asks is there
    assert seconds(care, 0, 10) == []
    eth1.is_there = eth1.listens = False
    assert seconds(care, 10, 400) == ["gone"]
    assert 8 < eth1.tries < 16
    eth1.is_there = True
    assert seconds(care, 400, 400 + int(LONGEST_WAIT_S) + 1) == []
    assert eth1.listens
    eth1.is_there = eth1.listens = False
    assert seconds(care, 600, 610) == ["gone"], "the next time it is said again"


def test_silence_is_said_of_what_spoke_before() -> None:
    eth1 = Interface()
    care = Care([eth1], 0.0)  # type: ignore[list-item] # what it asks is there
    assert seconds(care, 0, 200) == [], "a port that is not mirrored yet"
    eth1.frames = 1
    assert seconds(care, 200, 200 + int(SILENT_S)) == []
    assert seconds(care, 200 + int(SILENT_S), 600) == ["silent"]
    eth1.frames = 2
    assert seconds(care, 600, 600 + 2 * int(SILENT_S)) == ["silent"]


def test_lost_frames_name_the_conversations_with_holes() -> None:
    torn = ConnectionRecord(
        *("default", "10.0.2.1", 49152, "10.0.1.1", 502, "tcp", "modbus", False, (), 0, 1, (0, 1), (5, 5), (60, 60)),
        *(2, 120, False, 0, False),
    )
    part = Part(frames={"ot": 10}, connections=[torn, torn._replace(protocol=None, client="10.0.9.9")])
    reading = {"interface": "eth1", "received": 10, "dropped": 7, "interface_drops": 0}
    record = {"interfaces": [reading], "shed": 0}
    episodes = Episodes("default")
    for finding in findings(record, part, Sample()):
        report(episodes, finding, 10**18)
    (alert,) = (as_record(episode, Site(part)) for episode in episodes.all if episode.key.function == "dropped")
    assert "lost 7 frames of eth1" in alert["title"]
    assert "bytes are missing between 10.0.2.1 and 10.0.1.1" in alert["title"]
    assert "10.0.9.9" not in alert["title"]
