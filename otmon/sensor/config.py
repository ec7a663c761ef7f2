"""The sensor's configuration file, in the notation of policies: YAML, every mistake with its place.

`python -m otmon.sensor.config [FILE]` writes its JSON Schema, for editors (default: standard output).
"""

import json
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, ValidationError, WithJsonSchema
from pydantic_core import PydanticCustomError

from otmon.limits import MAX_JOBS
from otmon.policy.errors import PolicyError
from otmon.policy.explain import explain
from otmon.policy.fields import Text, Texts, listed
from otmon.policy.reader import parse, read_bytes
from otmon.sensor.settings import LOG_FORMS, OUTPUTS, WRITTEN, Settings, Wrong
from otmon.sensor.sinks import FILES, ElasticModel, LinesModel, SyslogModel, WebhookModel, as_lines


def _as_written(name: str, schema: dict[str, Any]) -> tuple[PlainValidator, WithJsonSchema]:
    take: Callable[[Any], Any] = WRITTEN[name]

    def validate(value: Any) -> Any:
        try:
            return take(value)
        except Wrong as error:
            raise PydanticCustomError("policy", "{what}; {right}", {"what": error.what, "right": error.right}) from None

    return PlainValidator(validate), WithJsonSchema(schema)


_PORT = {"type": "integer", "minimum": 1, "maximum": 65535}
_WORD = {"type": "string", "minLength": 1}
_SIZE = {
    "anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": r"^\s*\d+\s*([kMG]B|[KMG]iB|B)?\s*$"}]
}


_TAP = {"type": "string", "pattern": r"^[^+]+\+[^+]+$"}
_TAPS = {"anyOf": [_TAP, {"type": "array", "items": _TAP, "minItems": 1}]}
_Tap = Annotated[Any, *_as_written("tap", _TAP)]


_LINES = {"anyOf": [_WORD, LinesModel.model_json_schema()]}


class ConfigModel(BaseModel):
    """The whole file; every key may be left out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    interfaces: Texts | None = Field(default=None, description="mirror ports to watch")
    tap: Annotated[list[_Tap], BeforeValidator(listed), WithJsonSchema(_TAPS)] | None = Field(
        default=None, description="pairs of interfaces with a direction of one link each"
    )
    policy: Text | None = Field(default=None, description="judge by this policy; a path from this file's folder")
    data: Text | None = Field(default=None, description="data folder; a path from this file's folder")
    filter: Text | None = Field(default=None, description="look only at what this libpcap filter lets through")
    jobs: Annotated[Any, *_as_written("jobs", {"type": "integer", "minimum": 1, "maximum": MAX_JOBS})] = Field(
        default=None, description="processes that share the frames, each with a ring on each interface"
    )
    user: Text | None = Field(default=None, description="started by root, become this user")
    metrics: Annotated[Any, *_as_written("metrics", {"anyOf": [_PORT, _WORD]})] = Field(
        default=None, description="serve Prometheus metrics: PORT (this machine alone) or ADDRESS:PORT"
    )
    log: Annotated[Any, *_as_written("log", {"enum": list(LOG_FORMS)})] = Field(
        default=None, description="lines for people, or one JSON object a line"
    )
    keep: Annotated[Any, *_as_written("keep", {"type": "integer", "minimum": 1, "maximum": 36500})] = Field(
        default=None, description="days after which alerts that ended and operations not seen any more are forgotten"
    )
    keep_bytes: Annotated[Any, *_as_written("keep_bytes", _SIZE)] = Field(
        default=None, alias="keep-bytes", description="size of the database above which the oldest goes: 2GiB"
    )
    elastic: ElasticModel | None = Field(default=None, description="deliver to Elasticsearch")
    syslog: SyslogModel | None = Field(default=None, description="deliver to a syslog collector")
    webhook: WebhookModel | None = Field(default=None, description="deliver to a webhook")
    lines: Annotated[LinesModel, BeforeValidator(as_lines), WithJsonSchema(_LINES)] | None = Field(
        default=None, description="deliver to a file in the data folder"
    )


_MODELS: dict[tuple[Any, ...], type[BaseModel]] = {
    (): ConfigModel,
    ("elastic",): ElasticModel,
    ("syslog",): SyslogModel,
    ("webhook",): WebhookModel,
    ("lines",): LinesModel,
}


def _keys(at: Any) -> list[str]:
    model = _MODELS.get(tuple(at))
    return [] if model is None else [field.alias or name for name, field in model.model_fields.items()]


def load_config(path: Path) -> dict[str, Any]:
    """What the file says, by the names of `Settings`. PolicyError: it cannot be used; every problem with its place."""
    document = parse(read_bytes(str(path)), str(path))
    data = {} if document.data is None else document.data
    if not isinstance(data, dict):
        raise PolicyError(str(path), [document.problem((), "not a mapping", "write `interfaces: [eth1]`")])
    try:
        model = ConfigModel.model_validate(data)
    except ValidationError as error:
        raise PolicyError(str(path), explain(document, error, _keys, {})) from None
    said: dict[str, Any] = {name: value for name, value in model if value is not None}
    said |= {name: tuple(said[name]) for name in ("interfaces", "tap") if name in said}
    for name in OUTPUTS:
        if (sink := getattr(model, name)) is not None:
            found = sink.model_dump(exclude_none=True)
            said[name] = found | {key: path.parent / found[key] for key in FILES.get(name, ()) if key in found}
    # A service starts in the root folder: paths are meant from where the file lies.
    return said | {name: path.parent / said[name] for name in ("policy", "data") if name in said}


def schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a configuration file."""
    out = ConfigModel.model_json_schema(by_alias=True)
    for model in (out, *out["$defs"].values()):
        for field in model["properties"].values():
            field.pop("default", None)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **out, "title": "otmon sensor"}


def schema_text() -> str:
    """The file's exact contents."""
    return json.dumps(schema(), indent=2, sort_keys=True) + "\n"


assert {field.name for field in fields(Settings)} == set(ConfigModel.model_fields), "the file says what options say"

if __name__ == "__main__":
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(schema_text(), encoding="utf-8")
    else:
        sys.stdout.write(schema_text())
