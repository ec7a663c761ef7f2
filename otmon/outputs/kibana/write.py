"""`python -m otmon.outputs.kibana.write`: the files that people import, anew from the tables."""

from pathlib import Path
from typing import Final

from otmon.outputs.kibana import rules
from otmon.outputs.kibana.objects import ndjson, saved_objects

FOLDER: Final = Path(__file__).parent
OBJECTS: Final = FOLDER / "otmon.ndjson"
RULES: Final = FOLDER / "rules.ndjson"


def main() -> None:
    """Write them where they are packaged."""
    OBJECTS.write_text(ndjson(saved_objects()), encoding="utf-8")
    RULES.write_text(rules.ndjson(), encoding="utf-8")


if __name__ == "__main__":
    main()
