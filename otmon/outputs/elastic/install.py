"""What otmon needs in Elasticsearch: put there, brought up to date, looked at, taken away."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any, Final, Literal, NamedTuple

from otmon.outputs.elastic.documents import DATA_STREAMS, data_stream
from otmon.outputs.elastic.templates import VERSION, Template, templates
from otmon.outputs.sink import STREAMS, Refused
from otmon.text import safe_text

LEAST: Final = (8, 13)
"""Data stream lifecycle is generally available from 8.14 on, and usable from 8.11; ES|QL of the rules from 8.13."""
KEY_NAME: Final = "otmon"
"""What the name of a key begins with that setting up makes."""
_NO_KEYS: Final = frozenset({400, 404, 405, 500})
"""Without security there is no such handler: 400 or 405, and 500 where it is there but switched off."""
What = Literal["add", "update", "keep", "newer", "remove"]


class Step(NamedTuple):
    """What setting up does, or found done."""

    kind: str
    """component template, index template, data stream, API key."""
    name: str
    what: What
    detail: str = ""


def version_of(client: Any) -> tuple[int, int]:
    """Of the server. Raises Refused if it is too old; inside `connection.answers`."""
    from elasticsearch import AuthorizationException

    try:
        said = str(client.info()["version"]["number"])
    except AuthorizationException:
        return LEAST  # a sensor's key may not ask
    major, minor = (int(part) if part.isdigit() else 0 for part in f"{said}.0.0".split(".")[:2])
    if (major, minor) < LEAST:
        raise Refused(f"Elasticsearch {safe_text(said, 20)} is too old: otmon needs 8.13 or later")
    return major, minor


class Installation:
    """The templates and data streams of one namespace. Methods are to be called inside `connection.answers`."""

    def __init__(self, client: Any, namespace: str) -> None:
        self._client, self.namespace = client, namespace
        self._templates = templates()

    def _found(self, template: Template) -> dict[str, Any] | None:
        """The template as the server has it, in the form in which it is put."""
        if template.kind == "component":
            answer = self._client.options(ignore_status=404).cluster.get_component_template(name=template.name)
            found = [one["component_template"] for one in answer.get("component_templates", [])]
        else:
            answer = self._client.options(ignore_status=404).indices.get_index_template(name=template.name)
            found = [one["index_template"] for one in answer.get("index_templates", [])]
        return found[0] if found else None

    def _put(self, template: Template, body: Mapping[str, Any]) -> None:
        if template.kind == "component":
            self._client.cluster.put_component_template(name=template.name, **body)
        else:
            fields = {"_meta": "meta"}
            self._client.indices.put_index_template(
                name=template.name, **{fields.get(name, name): value for name, value in body.items()}
            )

    def _delete(self, template: Template) -> bool:
        """Whether it was there."""
        client = self._client.options(ignore_status=404)
        if template.kind == "component":
            answer = client.cluster.delete_component_template(name=template.name)
        else:
            answer = client.indices.delete_index_template(name=template.name)
        return bool(answer.get("acknowledged"))

    def streams(self) -> dict[str, str]:
        """stream -> the data stream's name, of those that are there."""
        names = {stream: data_stream(stream, self.namespace) for stream in STREAMS}
        return {stream: name for stream, name in names.items() if self._client.indices.exists(index=name)}

    def look(self) -> list[Step]:
        """What `install` would do. Raises Refused if a newer otmon was there."""
        version_of(self._client)
        steps = [self._step(template) for template in self._templates]
        there = self.streams()
        for stream in STREAMS:
            what: What = "keep" if stream in there else "add"
            steps.append(Step("data stream", data_stream(stream, self.namespace), what))
        newer = [step.name for step in steps if step.what == "newer"]
        if newer:
            raise Refused(
                f"{', '.join(newer[:3])}: set up by a newer otmon (version {VERSION} is known here): use that one"
            )
        return steps

    def _step(self, template: Template) -> Step:
        found = self._found(template)
        kind = f"{template.kind} template"
        if found is None:
            return Step(kind, template.name, "add", f"version {VERSION}")
        version = found.get("version") or 0
        if (found.get("_meta") or {}).get("managed_by") != "otmon":
            return Step(kind, template.name, "update", "not otmon's until now")
        if version > VERSION:
            return Step(kind, template.name, "newer", f"version {version}")
        if version < VERSION or not _same(found, template.body):
            return Step(kind, template.name, "update", f"version {version} to {VERSION}")
        return Step(kind, template.name, "keep", f"version {version}")

    def install(self) -> list[Step]:
        """Do it; gives what was done. If a step fails, those before it are taken back."""
        steps = self.look()
        by_name = {(f"{one.kind} template", one.name): one for one in self._templates}
        with ExitStack() as undo:
            for step in steps:
                if step.what == "keep":
                    continue
                if step.kind == "data stream":
                    self._client.indices.create_data_stream(name=step.name)
                    undo.callback(self._quietly, self._client.indices.delete_data_stream, name=step.name)
                    continue
                template = by_name[step.kind, step.name]
                before = self._found(template)
                self._put(template, template.body)
                back = (self._delete, template) if before is None else (self._put, template, before)
                undo.callback(self._quietly, *back)
            if any(step.what == "update" for step in steps):
                # A data stream takes new mappings with its next backing index.
                for step in steps:
                    if step.kind == "data stream" and step.what == "keep":
                        self._client.indices.rollover(alias=step.name)
            undo.pop_all()
        return steps

    @staticmethod
    def _quietly(step: Callable[..., object], *arguments: object, **named: object) -> None:
        """What cannot be taken back stays: what is said is why it had to be."""
        with suppress(Exception):
            step(*arguments, **named)

    def remove(self, data: bool) -> list[Step]:
        """Take the templates away, and with `data` the data streams too: gives what is gone."""
        gone = []
        for name in self.streams().values() if data else ():
            self._client.indices.delete_data_stream(name=name)
            gone.append(Step("data stream", name, "remove", "with its documents"))
        if not data and (kept := list(self.streams().values())):
            raise Refused(
                f"{kept[0]} and {len(kept) - 1} more hold documents and need their templates: --data removes both"
            )
        if others := self._others():
            needed_by = f"needed by {', '.join(others[:3])}"
            return [*gone, *(Step(f"{one.kind} template", one.name, "keep", needed_by) for one in self._templates)]
        for template in reversed(self._templates):
            if self._delete(template):
                gone.append(Step(f"{template.kind} template", template.name, "remove"))
        return gone

    def _others(self) -> list[str]:
        """Data streams of otmon's in other namespaces."""
        patterns = [f"{prefix}-*" for prefix in DATA_STREAMS.values()]
        found = self._client.indices.resolve_index(name=patterns, ignore_unavailable=True)["data_streams"]
        return sorted({one["name"] for one in found} - {data_stream(stream, self.namespace) for stream in STREAMS})

    def revoke(self) -> list[Step]:
        """Make the keys worthless that `create_key` made for this namespace; gives them."""
        names = set(role(self.namespace)["indices"][0]["names"])
        found = [key for key in _keys(self._client) if _reach(key) == names]
        if found:
            self._client.security.invalidate_api_key(ids=[key["id"] for key in found])
        return [Step("API key", safe_text(str(key["name"]), 120), "remove", "revoked") for key in found]

    def ahead_s(self, now_s: float) -> float | None:
        """By how much a clock that says `now_s` is ahead of the server's; None: who we are may not ask."""
        from elasticsearch import AuthorizationException

        try:
            (said,) = self._client.cat.health(format="json", h="epoch")
            return now_s - float(said["epoch"])
        except AuthorizationException:
            return None

    def counts(self) -> Iterator[tuple[str, int]]:
        """(data stream, documents), of those that are there."""
        for name in self.streams().values():
            yield name, int(self._client.count(index=name)["count"])


def _same(found: Any, wanted: Any) -> bool:
    """Whether the server has all that is wanted; it adds defaults, and writes numbers and booleans as text."""
    if isinstance(wanted, Mapping):
        flat = _flat(found) if isinstance(found, Mapping) else {}
        return all(_same(flat.get(name, ...), value) for name, value in _flat(wanted).items())
    if isinstance(wanted, Sequence) and not isinstance(wanted, str):
        return isinstance(found, Sequence) and list(found) == list(wanted)
    return str(found).lower() == str(wanted).lower()


def _flat(tree: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping) and value:
            out |= _flat(value, f"{above}{name}.")
        elif not isinstance(value, Mapping):
            out[above + name] = value
    # `index.number_of_shards` may stand as {"index": {"number_of_shards": ...}}: both are the same dotted name here.
    return out


def _keys(client: Any) -> list[dict[str, Any]]:
    """Keys that are called as otmon calls them; our own alone where we may not see others'. None without security."""
    from elasticsearch import ApiError, AuthorizationException

    for owner in (False, True):
        try:
            answer = client.security.get_api_key(name=f"{KEY_NAME} *", owner=owner)
        except AuthorizationException:
            continue
        except ApiError as error:
            if error.meta.status in _NO_KEYS:
                return []
            raise
        return [key for key in answer["api_keys"] if not key.get("invalidated")]
    return []


def _reach(key: Mapping[str, Any]) -> set[str]:
    """The data streams of a key's only role."""
    roles = list((key.get("role_descriptors") or {}).values())
    indices = roles[0].get("indices", []) if len(roles) == 1 else []
    return {name for one in indices for name in one.get("names", [])}


def role(namespace: str) -> dict[str, Any]:
    """The rights of a sensor's key: to add documents, and to read whether one that was not answered has arrived."""
    names = [f"{prefix}-{namespace}" for prefix in DATA_STREAMS.values()]
    return {"cluster": [], "indices": [{"names": names, "privileges": ["create_doc", "read"]}]}


def create_key(client: Any, namespace: str, name: str) -> str | None:
    """A key with these rights, encoded; None where the server has no API keys. Outside `connection.answers`."""
    from elasticsearch import ApiError

    try:
        answer = client.security.create_api_key(name=name, role_descriptors={"otmon": role(namespace)})
    except ApiError as error:
        if error.meta.status in _NO_KEYS:
            return None
        raise
    return str(answer["encoded"])
