"""Makes grafana/dashboards and the alert rules from the tables beside this: python -m grafana.make."""

import io
import json
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

from grafana import rules
from grafana.boards_alerts import OVERVIEW, TRIAGE, VISIBILITY
from grafana.boards_plant import ASSETS, CONDUITS, DNP3, MODBUS, OPERATIONS_BOARD, S7
from grafana.boards_sensors import HEALTH, METRICS
from grafana.panels import dashboard

BOARDS: Final = (OVERVIEW, TRIAGE, ASSETS, CONDUITS, OPERATIONS_BOARD, MODBUS, DNP3, S7, VISIBILITY, HEALTH, METRICS)
HERE: Final = Path(__file__).parent
WIDTH: Final = 110


def text_of(value: Any, indent: int = 0) -> str:
    """JSON in which what fits a line is on one."""
    line = json.dumps(value, ensure_ascii=False)
    if indent + len(line) <= WIDTH or not isinstance(value, (dict, list)):
        return line
    space = " " * (indent + 2)
    if isinstance(value, list):
        inside, (begin, end) = [text_of(one, indent + 2) for one in value], "[]"
    else:
        inside = [f"{json.dumps(name)}: {text_of(one, indent + 2)}" for name, one in value.items()]
        begin, end = "{}"
    joined = f",\n{space}".join(inside)
    return f"{begin}\n{space}{joined}\n{space[2:]}{end}"


def files() -> dict[str, str]:
    """Path below grafana/ -> content."""
    made = {f"dashboards/{board.name}.json": text_of(dashboard(board)) + "\n" for board in BOARDS}
    text = io.StringIO()
    text.write("# Made by python -m grafana.make from grafana/rules.py.\n")
    yaml = YAML()
    yaml.width = 10_000
    yaml.dump(rules.provisioning(), text)
    return made | {"provisioning/alerting/otmon.yaml": text.getvalue()}


if __name__ == "__main__":
    for name, content in files().items():
        (HERE / name).parent.mkdir(parents=True, exist_ok=True)
        (HERE / name).write_text(content)
