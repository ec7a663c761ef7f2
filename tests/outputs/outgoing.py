"""Records on their way out: the example alert, and alerts whose every text is hostile."""

import json
from pathlib import Path
from typing import Any

from otmon.outputs.sink import Outgoing

ALERT: dict[str, Any] = json.loads((Path(__file__).parents[2] / "docs" / "records" / "alert.example.json").read_text())
T0 = 1_700_000_000_000_000_000
HOSTILE = (
    "two\nlines",
    "a|b=c\\d",
    "src=1.2.3.4 act=none",
    'quote " and ] bracket',
    "\x00\x1b[31m\x7f\x85\u2028\u202e",
    "pump 🛢 Überlauf 漢字",
    "x" * 100_000,
    "🛢" * 30_000,
    "=" * 5_000,
    "\\" * 5_001,
    "\\n",
    "  spaces  ",
    "",
    "\r\nX-Evil: 1\r\n\r\n",
    "<13>1 - - - - - -",
)


def outgoing(number: int = 1, stream: str = "alert", record: dict[str, Any] | None = None, **more: Any) -> Outgoing:
    made = Outgoing(stream, number, f"{number:020x}", T0, "site-1", "sensor-1", ALERT if record is None else record)
    return made._replace(**more)


def batch(count: int) -> list[Outgoing]:
    return [outgoing(number) for number in range(1, count + 1)]


def with_text(text: str) -> dict[str, Any]:
    """An alert that has `text` wherever text can stand."""
    record: dict[str, Any] = json.loads(json.dumps(ALERT))
    for side in ("client", "server"):
        record[side] |= {"name": text, "zone": text, "endpoint": text}
    record["operation"] |= {"function": text, "protocol": text, "transport": text, "access": text}
    record["targets"][0]["target"] = {"space": text, "name": text}
    return record | {"title": text, "row": text, "id": text, "outcome": text, "attack": [text], "site": text}
