"""Fragments that are never put together hide what they carry: that is said."""

from pathlib import Path

from otmon.engine import analyze
from otmon.site.site import Site
from tests.hostile.kit import Session, fragments, write_pcap


def test_a_missing_fragment_is_a_finding(tmp_path: Path) -> None:
    session = Session("10.0.0.1", "10.0.0.2")
    frames = list(session.handshake() or [])
    request = bytes.fromhex("0001000000060106002d0384")
    whole = session.send(request + bytes(80))
    pieces = fragments(whole, 48)
    path = tmp_path / "a.pcap"
    write_pcap(path, [*frames, *pieces[:-1]])
    result = analyze([str(path)])
    assert result.part.lost_datagrams == 1
    found = [e for e in result.part.episodes if e.key.function == "lost_datagrams"]
    assert len(found) == 1
    assert "never whole (1)" in found[0].as_record(Site(result.part))["title"]
    write_pcap(path, [*frames, *pieces])
    assert analyze([str(path)]).part.lost_datagrams == 0
