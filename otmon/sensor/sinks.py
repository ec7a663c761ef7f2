"""What the configuration file says of sinks: one model for each, every value looked at where it stands."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from otmon.outputs import syslog_cef, webhook
from otmon.outputs.elastic.connection import Elastic, checked
from otmon.outputs.syslog_cef import FACILITIES
from otmon.policy.fields import Text, listed, wrong
from otmon.store.spool import STREAMS


def _looked_at(look: Callable[[str], object]) -> AfterValidator:
    """`look` raises ValueError with what is wrong and, after a semicolon, what would be right."""

    def validate(value: str) -> str:
        try:
            look(value)
        except ValueError as error:
            what, _, right = str(error).partition("; ")
            raise wrong(what, right) from None
        return value

    return AfterValidator(validate)


def _elastic(name: str) -> AfterValidator:
    local: dict[str, Any] = {"url": "http://127.0.0.1:9200"}
    return _looked_at(lambda value: checked(Elastic(**local | {name: value})))


def _url(pattern: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern})


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ElasticModel(_Model):
    """Where Elasticsearch is."""

    url: Annotated[Text, _elastic("url"), _url("^https?://")] = Field(
        description="https://HOST:9200; plain http reaches this machine alone"
    )
    namespace: Annotated[Text, _elastic("namespace")] | None = Field(
        default=None, description="last part of the data streams' names"
    )
    key_file: Text | None = Field(default=None, alias="key-file", description="file with an API key, mode 600")
    ca: Text | None = Field(default=None, description="file with the certificate authority")
    fingerprint: Annotated[Text, _elastic("fingerprint")] | None = Field(
        default=None, description="SHA-256 of the server's certificate, hexadecimal"
    )
    proxy: Annotated[Text, _elastic("proxy")] | None = Field(default=None, description="http://HOST:PORT of a proxy")
    insecure: bool | None = Field(default=None, description="true: certificates are not verified")
    records_per_s: Annotated[float, Field(gt=0)] | None = Field(
        default=None, alias="records-per-s", description="send no faster, for a narrow link"
    )


class SyslogModel(_Model):
    """Where a syslog collector is."""

    url: Annotated[Text, _looked_at(syslog_cef.address), _url("^(udp|tcp|tls)://")] = Field(
        description="udp://HOST, tcp://HOST or tls://HOST, with :PORT where it is not 514, 601 or 6514"
    )
    ca: Text | None = Field(default=None, description="file with the certificate authority, for tls")
    certificate: Text | None = Field(
        default=None, description="file with our own certificate and its key, mode 600, for tls"
    )
    # A table makes the words, which mypy cannot see.
    facility: Literal[FACILITIES] | None = Field(default=None, description="local0 unless said otherwise")  # type: ignore[valid-type]  # a table is what pydantic checks against

    @field_validator("ca", "certificate")
    @classmethod
    def _for_tls(cls, value: str, info: ValidationInfo) -> str:
        if not info.data.get("url", "tls://").startswith("tls://"):
            raise wrong("without TLS nobody proves who they are", "write tls:// in url, or leave it out")
        return value


class WebhookModel(_Model):
    """Where a webhook is."""

    url: Annotated[Text, _looked_at(webhook.address), _url("^https?://")] = Field(
        description="https://HOST/PATH; plain http reaches this machine alone"
    )
    secret_file: Text = Field(alias="secret-file", description="file with the key that signs, mode 600")
    ca: Text | None = Field(default=None, description="file with the certificate authority")


_Stream = Literal[STREAMS]  # type: ignore[valid-type]  # as above
_STREAM: Final[dict[str, Any]] = {"enum": list(STREAMS)}
_STREAMS: Final = {"anyOf": [_STREAM, {"type": "array", "items": _STREAM, "minItems": 1}]}


class LinesModel(_Model):
    """A file that JSON lines are appended to."""

    path: Text = Field(description="a file in the data folder")
    streams: Annotated[list[_Stream], BeforeValidator(listed), WithJsonSchema(_STREAMS)] | None = Field(
        default=None, description="all unless said otherwise"
    )


def as_lines(value: Any) -> Any:
    """A path alone is short for {path: ...}."""
    return {"path": value} if isinstance(value, str) else value


def hosts(outputs: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """Addresses and names that are connected to."""
    urls = (said[key] for said in outputs.values() for key in ("url", "proxy") if key in said)
    return tuple(urlsplit(url).hostname or "" for url in urls)


def files(outputs: Mapping[str, Mapping[str, Any]]) -> dict[tuple[str, str], Path]:
    """(output, key) -> file that it reads."""
    return {(name, key): said[key] for name, said in outputs.items() for key in FILES.get(name, ()) if key in said}


FILES: Final = {
    "elastic": ("key_file", "ca"),
    "syslog": ("ca", "certificate"),
    "webhook": ("secret_file", "ca"),
}
"""Values that are files, meant from the configuration file's folder."""
SECRETS: Final = {"elastic": "key_file", "syslog": "certificate", "webhook": "secret_file"}
"""Of these the one that nobody else may read."""
