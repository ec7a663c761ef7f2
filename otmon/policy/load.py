"""From a policy file to a `Policy`: read, validate, resolve names, compile. All errors of a step are told together."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, tzinfo
from pathlib import Path as FilePath
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, ValidationError

from otmon.policy.compile import Compiler, Report
from otmon.policy.errors import Path, PolicyError, Problem, did_you_mean, quoted
from otmon.policy.explain import explain, refuse_newer
from otmon.policy.judge import Policy, Rules
from otmon.policy.models import MODEL_AT, PolicyModel
from otmon.policy.permits import WorkPermit
from otmon.policy.reader import Document, parse_on, read_bytes
from otmon.policy.salvage import Salvage
from otmon.policy.tags import TagMap
from otmon.policy.tags_file import look_at_tags
from otmon.policy.zones import Hosts, Sites
from otmon.text import safe_text


def load_policy(path: str | FilePath, permits: Sequence[WorkPermit] = ()) -> Policy:
    """The policy in a file. PolicyError: it cannot be read or used; every problem with its place.

    `permits` open what it keeps closed with `permit: required`, and nothing else.
    """
    return load_bytes(read_bytes(str(path)), str(path), permits)


def load_bytes(raw: bytes, path: str, permits: Sequence[WorkPermit] = ()) -> Policy:
    """The policy in the bytes of a file; `path` is for errors and records."""
    return load_source(raw, path, permits).policy


class Source(NamedTuple):
    """A policy together with the file it was read from: for those who speak about the file itself."""

    policy: Policy
    model: PolicyModel
    document: Document
    rows: dict[str, Path]
    """Where each row stands, by its id."""


def load_source(raw: bytes, path: str, permits: Sequence[WorkPermit] = ()) -> Source:
    """As load_bytes."""
    document = parse_on(raw, path)
    problems = list(document.problems)

    def tell(at: Path, wrong: str, right: str) -> None:
        problems.append(document.problem(at, wrong, right))

    report: Report = tell
    model = _validated(document, path, problems)
    if isinstance(model, Salvage):
        report, model = model.reporter(tell), model.model
    zone = _time_zone(model.timezone)
    if zone is None:
        right = did_you_mean(model.timezone, available_timezones(), "write an IANA name such as Europe/Vienna")
        report(("timezone",), f"unknown time zone {quoted(model.timezone)}", right)
    tags, tag_path = None, None if model.tags is None else str(FilePath(path).parent / model.tags)
    also: list[PolicyError] = []
    if tag_path is not None and not FilePath(tag_path).is_file():  # a FIFO would be waited on
        report(("tags",), f"no file {quoted(tag_path)}", "name a CSV file, seen from this file")
    elif tag_path is not None:
        try:
            tags = read_bytes(tag_path)
        except PolicyError as error:
            also.append(error)

    def tags_of(assets: Mapping[str, Hosts]) -> TagMap:
        if tag_path is None or tags is None:
            return TagMap((), tag_path or "", whole=tag_path is None)
        # An asset with which something is wrong is there all the same.
        declared = document.data.get("assets")
        names = declared if isinstance(declared, dict) else ()
        points, wrong = look_at_tags(tags, {**dict.fromkeys(map(str, names), Hosts(())), **assets})
        if wrong:
            also.append(PolicyError(tag_path, wrong))
        return TagMap(points, tag_path, whole=not wrong)

    compiler = Compiler(model, zone or UTC, report, permits, tags_of)
    policy = Policy(
        path=path,
        sha256=hashlib.sha256(raw + (tags or b"")).hexdigest(),
        site=safe_text(model.site),
        realms=compiler.realms,
        sites=Sites(compiler.zones, compiler.assets, compiler.roles),
        chatter=model.chatter == "permit",
        conduits=Rules(compiler.conduits),
        never=Rules(compiler.never),
        review=Rules(compiler.review),
        tags=compiler.tags,
        permits=tuple(permits),
        with_permit=compiler.with_permit,
        zone=zone or UTC,
    )
    if problems or also:
        raise PolicyError(path, problems, also, () if tag_path is None else (tag_path,))
    return Source(policy, model, document, compiler.row_paths)


def _time_zone(name: str) -> tzinfo | None:
    if name == "UTC":
        # The default must not need a time zone database.
        return UTC
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return None


def _validated(document: Document, path: str, problems: list[Problem]) -> "PolicyModel | Salvage":
    """The model, or what is left of it, and `problems` the longer. PolicyError: nothing is."""
    if not isinstance(document.data, dict):
        wrong = "the file is empty" if document.data is None else "not a mapping"
        raise PolicyError(path, [document.problem((), wrong, "a policy begins with `otmon: 1`")])
    refuse_newer(document, path, "otmon", "policy")
    try:
        return PolicyModel.model_validate(document.data, strict=False)
    except ValidationError as error:
        problems += explain(document, error, _keys, _MISSING)
        left = Salvage({**document.data, "otmon": 1}, PolicyModel, error)
        if left.model is None:
            raise PolicyError(path, problems) from None
        return left


_MISSING: Final = {
    "otmon": "the file begins with `otmon: 1`",
    "from": "say who: a zone, asset, address, {role: name} or any",
    "to": "say towards whom: a zone, asset, address, {role: name} or any",
    "protocol": "write modbus, dnp3, s7comm, tcp, udp, icmp or ip",
    "id": "give it a name, which alerts then show",
    "allow": "list what is permitted",
}


def _keys(at: Path) -> list[str]:
    """Keys that the mapping at this path may have."""
    model: type[BaseModel] | None = PolicyModel if not at else None
    for pattern, candidate in MODEL_AT.items():
        tail = at[len(at) - len(pattern) :] if pattern and len(pattern) <= len(at) else ()
        if tail and all(want in ("*", have) for want, have in zip(pattern, tail, strict=True)):
            model = candidate
    return [field.alias or name for name, field in model.model_fields.items()] if model else []
