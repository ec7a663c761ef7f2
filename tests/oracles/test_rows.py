"""The table's paths, and that no message, however made, stops a comparison."""

import random
from typing import Any

import orjson
import pytest

from otmon.model import Malformed
from otmon.opinion.compare import Comparison
from otmon.opinion.rows import Row, moment_ms, number, octets, path, real, seconds_ms, six
from otmon.opinion.table import TABLE
from otmon.opinion.tshark import Shown, units
from otmon.protocols.dnp3 import DNP3
from otmon.protocols.modbus import MODBUS
from otmon.protocols.s7comm import S7COMM
from tests.protocols import dnp3_corpus, modbus_corpus, s7_corpus

RECORD: dict[str, Any] = {
    "kind": "response",
    "function_code": 3,
    "modbus": {
        "values": [1, 2],
        "deep": [{"g": 1, "p": [{"v": 1}, {"v": None}]}, {"g": 2, "p": [{"v": 3}, {}]}, {"g": 2}],
        "flags": ["a"],
        "inner": {"on": True, "code": 4},
    },
}


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("function_code", [3]),
        ("modbus.values[]", [1, 2]),
        ("modbus.flags", [["a"]]),
        ("modbus.deep[].p[].v", [1, 3]),
        ("modbus.deep[g=2].p[].v", [3]),
        ("modbus.deep[g=1,2].g", [1, 2, 2]),
        ("[kind=response function_code=3,4].modbus.values[]", [1, 2]),
        ("[kind=request].modbus.values[]", []),
        ("modbus.inner[on=True].code", [4]),
        ("modbus.inner[on=False].code", []),
        ("modbus.nothing[].v", []),
        ("modbus.values.v", []),
    ],
)
def test_paths(where: str, found: list[Any]) -> None:
    assert path(where)(RECORD) == found
    if where.startswith(("modbus", "[")) and found:
        assert not Row("f", where).lacking(RECORD["modbus"])
    assert Row("f", "modbus.nothing[].v").lacking(RECORD["modbus"])


def test_a_path_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="no step"):
        path("modbus..values")


def test_values_have_one_form() -> None:
    assert [number(text) for text in ("12", "0x0c", "True", "False", "-1")] == [12, 12, 1, 0, -1]
    assert (octets("00:1f"), real("0.1000000015"), six(0.1), six("nan")) == ("001f", "0.1", "0.1", "nan")
    assert moment_ms("Jan  1, 1970 00:00:01.500000000 UTC") == 1500
    assert seconds_ms("1.250000000") == 1250
    row = Row("f", "modbus.values[]")
    assert row.of_tshark(["1", "no number"]) == [1, "no number"]


def test_messages_of_a_frame_are_paired_by_what_tells_them_apart() -> None:
    def fields(transaction: int) -> dict[str, list[str]]:
        return {"mbtcp.trans_id": [str(transaction)], "mbtcp.unit_id": ["1"], "modbus.func_code": ["3"]}

    def record(transaction: int) -> dict[str, Any]:
        body = {"transaction_id": transaction}
        head = {"protocol": "modbus", "kind": "request", "flags": [], "function": "read", "unit": 1}
        return head | {"function_code": 3, "modbus": body}

    found = Comparison(9)
    shown = [Shown(1, "modbus", fields(n)) for n in (5, 6, 7)]
    assert list(found.run("c", shown, [(1, [record(7), record(5)])])) == [1]
    count = found.counts["modbus"]["message"]
    assert (count.agree, count.differ, count.only_otmon, count.only_tshark) == (2, 0, 0, 1)
    assert found.counts["modbus"]["mbtcp.trans_id"].agree == 2


def test_units_of_a_packet() -> None:
    """Layers of one message are put together; those of the next begin anew; what has no name of ours is left out."""
    layers = [
        ("frame", [("frame.number", "7")]),
        ("mbtcp", [("mbtcp.trans_id", "1"), ("filtered", "x")]),
        (
            "modbus",
            [("modbus.func_code", "3"), ("text", [("modbus.regval_uint16", "4"), ("modbus.regval_uint16", "5")])],
        ),
        ("mbtcp", [("mbtcp.trans_id", "2"), ("modbus.tree_tree", [("modbus.bitval", "1")])]),
        ("_ws.malformed", "x"),
    ]
    first, second = units([("_source", [("layers", layers)])])
    values = {"mbtcp.trans_id": ["1"], "modbus.func_code": ["3"], "modbus.regval_uint16": ["4", "5"]}
    assert first == Shown(7, "modbus", values)
    assert second.fields == {"mbtcp.trans_id": ["2"], "modbus.bitval": ["1"], "_ws.malformed": [""]}


@pytest.mark.parametrize(
    ("protocol", "corpus"),
    [(MODBUS, modbus_corpus.corpus), (DNP3, dnp3_corpus.corpus), (S7COMM, s7_corpus.corpus)],
    ids=["modbus", "dnp3", "s7comm"],
)
def test_no_message_stops_a_comparison(protocol: Any, corpus: Any) -> None:
    """Every row reads every message that a decoder makes, of bytes sound and damaged."""
    rng, found, read = random.Random(5), Comparison(1), 0
    for pdu in corpus(11, 400):
        damaged = bytearray(pdu)
        damaged[rng.randrange(len(pdu)) if pdu else slice(0)] = rng.randrange(256) if pdu else b"\5"
        for data in (pdu, bytes(damaged)):
            for from_client in (True, False):
                try:
                    message = protocol.decode(data, from_client, None)
                except Malformed:
                    continue
                record = {
                    "protocol": protocol.name, "kind": message.kind, "flags": list(message.flags), "unit": None,
                    "function": message.function, "function_code": message.function_code,
                    protocol.name: message.body, **message.extra,
                }  # fmt: skip
                record = orjson.loads(orjson.dumps(record))
                shown = {row.theirs: ["", "0x1", "99"] for row in rng.sample(TABLE[protocol.name], 5)}
                list(found.run("c", [Shown(1, protocol.name, shown)], [(1, [record])]))
                read += 1
    assert read > 300
