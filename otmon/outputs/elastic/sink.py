"""Records into data streams: `create` with an id that never changes, so a repeat is answered 409 and is no harm.

That holds inside one backing index. After a rollover the same id would be created again in the new one: what may have
arrived before (`repeated`) is looked up in every backing index first, which `_mget` does in real time where a search
shows only what was refreshed.
"""

import contextlib
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from typing import Any, Final

import orjson

from otmon.outputs.elastic.connection import Elastic, answers, client
from otmon.outputs.elastic.documents import data_stream, document
from otmon.outputs.sink import DONE, STREAMS, Answer, Outgoing, Reached, Refused, SinkError, Unreachable
from otmon.text import safe_text

_ID_BYTES: Final = 512
"""Elasticsearch refuses a whole request for one longer `_id`."""
_ITEMS: Final = "items.*._id,items.*.status,items.*.error"
"""What of an answer is looked at."""
_NOT_OURS: Final = {
    "security_exception": "the key lacks rights, see `otmon elastic setup --dry-run`",
    "index_not_found_exception": "there is no such data stream: run `otmon elastic setup`",
}
"""Errors of an item that hold for all of them."""
_FOUND: Final = "docs._id,docs.found,docs.error"
_UNSURE: Final = Answer("again", "whether it has arrived cannot be said while its index is closed or recovers")
_NOWHERE: Final = Elastic("http://127.0.0.1:1")
"""Port 1 (tcpmux) refuses at once."""
_PART: Final = 250
"""Records in a bulk request: making the next documents takes as long as the node does."""
_INSECURE_S: Final = 3600.0
_TAKEN: Final = frozenset({200, 201, 409})
"""409: it is there."""


class ElasticSink:
    """See otmon.outputs.sink.Sink. Makes its client anew when it was refused: a key may have been replaced."""

    name = "elastic"
    streams = frozenset(STREAMS)

    def __init__(self, settings: Elastic) -> None:
        self.settings = settings
        self._stamp = settings.stamp()
        self._said_s = -_INSECURE_S

    @cached_property
    def _client(self) -> Any:
        self._stamp = self.settings.stamp()
        return client(self.settings)

    @cached_property
    def _sender(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(1, "elastic")

    @property
    def place(self) -> str:
        """The namespace."""
        return self.settings.namespace

    def settle(self, place: str) -> None:
        """See otmon.outputs.sink.Placed."""
        if self.settings.unsaid:
            self.settings = replace(self.settings, namespace=place)

    def close(self) -> None:
        """Let go of connections and of the thread that sends."""
        if "_sender" in self.__dict__:
            self._sender.shutdown()
            del self._sender
        if "_client" in self.__dict__:
            self._client.close()
            del self._client

    def rehearse(self) -> None:
        """Load all that delivering needs, while every file can still be read."""
        import encodings.idna
        import ssl

        loaded = (encodings.idna, ssl.create_default_context())
        nowhere = Outgoing("alert", 1, "rehearsal", 0, "", "", {})
        with contextlib.suppress(Exception):
            _lines(nowhere)
        with contextlib.suppress(SinkError), answers(_NOWHERE), contextlib.closing(client(_NOWHERE)) as one:
            one.bulk(operations=[{}], index=loaded[0].__name__)

    def reach(self) -> Reached:
        """Ask who is there, with our key."""
        from elasticsearch import AuthorizationException

        with answers(self.settings):
            try:
                info = self._client.info()
            except AuthorizationException:
                return Reached("Elasticsearch knows the key, which may not ask for the version: as it should be", "")
            number = safe_text(str(info["version"]["number"]), 60)
            return Reached(f"Elasticsearch {number}", str(info.meta.headers.get("date", "")))

    def _say_insecure(self) -> None:
        """Once an hour, so that nobody forgets it."""
        now_s = time.monotonic()
        if self.settings.insecure and now_s - self._said_s >= _INSECURE_S:
            self._said_s = now_s
            message = "Elasticsearch's certificate is not verified: whoever is between can read and change what is sent"
            logging.getLogger("otmon").warning(message, extra={"event": "insecure"})

    def deliver(self, batch: Sequence[Outgoing], repeated: bool) -> Sequence[Answer]:
        """Bulk requests of a part of the batch each; the next one is made while the node works on the last."""
        self._say_insecure()
        stream = data_stream(batch[0].stream, self.settings.namespace)
        found: dict[str, Answer] = {}
        under_way: Future[dict[str, Answer]] | None = None
        try:
            with answers(self.settings):
                for start in range(0, len(batch), _PART):
                    lines = _made(batch[start : start + _PART], found)
                    if under_way is not None:
                        found |= under_way.result()
                    under_way = self._sender.submit(self._send, stream, lines, repeated)
                if under_way is not None:
                    found |= under_way.result()
        except Unreachable:
            self.close()  # what this connection says next may be the answer to what was asked before
            raise
        except Refused as error:
            self.close()
            before = self._stamp
            raise Refused(str(error), lambda: self.settings.stamp() != before) from None
        return [found[one.id] for one in batch]

    def _send(self, stream: str, lines: Mapping[str, tuple[bytes, bytes]], repeated: bool) -> dict[str, Answer]:
        """One bulk request for those that are not there."""
        found: dict[str, Answer] = {}
        if repeated and lines:
            there, unsure = self._there(stream, list(lines))
            found |= dict.fromkeys(there, DONE) | dict.fromkeys(unsure, _UNSURE)
        return found | self._create(stream, {name: two for name, two in lines.items() if name not in found})

    def _create(self, stream: str, lines: Mapping[str, tuple[bytes, bytes]]) -> dict[str, Answer]:
        if not lines:
            return {}
        body = [line for two in lines.values() for line in two]
        answer = self._client.bulk(index=stream, operations=body, require_data_stream=True, filter_path=_ITEMS)
        items = [item["create"] for item in answer["items"]]
        for item in items:
            if (advice := _NOT_OURS.get(str((item.get("error") or {}).get("type")))) is not None:
                said = safe_text(str(item["error"].get("reason")), 200)
                raise Refused(f"Elasticsearch at {self.settings.url}: {advice} ({said})")
        _match([item["_id"] for item in items], lines)
        return {item["_id"]: _answer(item) for item in items}

    def _there(self, stream: str, wanted: Sequence[str]) -> tuple[set[str], set[str]]:
        """Which of these ids are in a backing index of the data stream, and of which that cannot be said now."""
        found, unsure = set[str](), set[str]()
        # Only this names every backing index: field capabilities leave out those that are closed or recovering.
        (resolved,) = self._client.indices.resolve_index(name=stream)["data_streams"]
        _match([resolved["name"]], [stream])
        for index in resolved["backing_indices"]:
            docs = self._client.mget(index=index, ids=list(wanted), source=False, filter_path=_FOUND)["docs"]
            _match([doc["_id"] for doc in docs], wanted)
            found |= {doc["_id"] for doc in docs if doc.get("found")}
            unsure |= {doc["_id"] for doc in docs if "found" not in doc}
        return found, unsure - found


def _match(answered: Sequence[str], asked: Iterable[str]) -> None:
    """An answer that came late or twice is not taken for that to another request."""
    if answered != list(asked):
        raise ValueError("the answer to something else")


def _made(batch: Sequence[Outgoing], found: dict[str, Answer]) -> dict[str, tuple[bytes, bytes]]:
    """Action and document by id; `found` is told of those that can have none."""
    lines = {}
    for one in batch:
        try:
            lines[one.id] = _lines(one)
        except ValueError as error:
            found[one.id] = Answer("dead", str(error))
    return lines


def _lines(one: Outgoing) -> tuple[bytes, bytes]:
    """Action and document. Raises ValueError: it can be none, which is a fault of ours."""
    if len(one.id.encode()) > _ID_BYTES:
        raise ValueError(f"its id is longer than {_ID_BYTES} bytes")
    try:
        return orjson.dumps({"create": {"_id": one.id}}), orjson.dumps(document(one))
    except Exception as error:
        raise ValueError(
            f"no document can be made of it: {type(error).__name__}: {safe_text(str(error), 200)}"
        ) from error


def _answer(item: dict[str, Any]) -> Answer:
    """Of one item of a bulk response."""
    status = int(item["status"])
    if status in _TAKEN:
        return DONE
    error = item.get("error") or {}
    cause = error.get("caused_by") or {}
    said = f"{error.get('type')}: {error.get('reason')}"
    if cause.get("reason"):
        said += f" ({cause['reason']})"
    reason = f"{status} {safe_text(said, 500)}"
    # 403: the index is closed for writing, or a right is missing: that is mended, and the record is not at fault.
    return Answer("dead" if 400 <= status < 500 and status not in (401, 403, 404, 429) else "again", reason)
