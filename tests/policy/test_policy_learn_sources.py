"""Where the rows of a learned policy come from, as their comments say it."""

from pathlib import Path

from otmon.cli import run
from otmon.policy.load import load_bytes

CAPTURES = Path(__file__).parents[2] / "captures"


def test_of_several_captures_a_row_names_the_one_that_shows_it_first(tmp_path: Path) -> None:
    captures = [str(CAPTURES / name) for name in ("plant.pcap", "modbus_pymodbus.pcap")]
    policy = tmp_path / "policy.yaml"
    for _ in range(2):  # learning again replaces the comments
        assert run(["learn", *captures, "-o", str(policy)]) == 0
        comments = [line.strip() for line in policy.read_text().splitlines() if line.strip().startswith("# seen")]
        loaded = load_bytes(policy.read_bytes(), "p")
        rules = (*loaded.conduits.rules, *loaded.review.rules)
        assert len(comments) == sum(len(rule.rows) for rule in rules)
        assert all(line.endswith(", in plant.pcap, modbus_pymodbus.pcap") for line in comments)
    firsts = [line[line.index("(") + 1 : line.index(")")] for line in comments]
    assert set(firsts) == {"plant.pcap", "modbus_pymodbus.pcap"}
    alone = tmp_path / "alone.yaml"
    assert run(["learn", captures[1], "-o", str(alone)]) == 0
    text = alone.read_text()
    assert text.count("# seen") == firsts.count("modbus_pymodbus.pcap")
    assert "(modbus_pymodbus.pcap)" not in text, "of one there is no other"
