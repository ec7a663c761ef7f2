"""`python -m otmon.policy.schema [FILE]` writes the JSON Schema of policies, for editors (default: standard output)."""

import json
import sys
from pathlib import Path
from typing import Any

from otmon.policy.models import PolicyModel


def schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a policy file."""
    out = PolicyModel.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **out, "title": "otmon policy"}


def schema_text() -> str:
    """The file's exact contents."""
    return json.dumps(schema(), indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(schema_text(), encoding="utf-8")
    else:
        sys.stdout.write(schema_text())
