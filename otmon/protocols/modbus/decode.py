"""Modbus/TCP decoded in full.

A length that contradicts the function is Malformed; a value the specification forbids is a flag beside the value:
quantity_out_of_range, address_overflow, byte_count_mismatch, coil_value_invalid, reference_type_invalid,
record_out_of_range, sub_function_reserved, device_id_code_invalid, exception_code_reserved, echo_mismatch,
unit_reserved, unknown_function, status_unknown (UMAS). `exception` marks a response that says no.
"""

import struct
from collections.abc import Sequence

from otmon.model import Malformed, Message, Op
from otmon.protocols.modbus.bodies import BODIES, Draft, need, opaque
from otmon.protocols.modbus.tables import (
    CONFIDENCE_SERVER_ID,
    EXCEPTIONS,
    FUNCTIONS,
    HEADER_BYTES,
    IDENTITY,
    LAST_ADDRESS,
    MAX_ADU_BYTES,
    MAX_UMAS_BYTES,
    SPACES,
    UMAS,
    function_of,
    make_op,
    span,
    untargeted,
)


def _fill(pdu: bytes, from_client: bool, asked: Draft | None) -> Draft:
    need(len(pdu) >= HEADER_BYTES, "no Modbus/TCP ADU")
    need(len(pdu) <= (MAX_UMAS_BYTES if pdu[7] == UMAS else MAX_ADU_BYTES), "no Modbus/TCP ADU")
    transaction, protocol, length, unit, code = struct.unpack_from(">HHHBB", pdu)
    need(protocol == 0 and length == len(pdu) - 6, "no Modbus/TCP ADU")
    if asked and (asked.code, asked.unit, asked.body["transaction_id"]) != (code & 127, unit, transaction):
        asked = None
    draft = Draft(unit, code & 127, pdu[HEADER_BYTES:], asked)
    draft.body["transaction_id"] = transaction
    draft.flag("unit_reserved", 248 <= unit <= 254)
    draft.flag("unknown_function", draft.code not in FUNCTIONS)
    if code > 127:
        need(not from_client, "exception bit in a request")
        (exception,) = draft.fields(">B")
        draft.body.update(exception_code=exception, exception=EXCEPTIONS.get(exception, "unknown"))
        draft.flag("exception")
        draft.flag("exception_code_reserved", exception not in EXCEPTIONS)
        draft.ops = list(untargeted(draft.code, None, unit))
        return draft
    request, response = BODIES.get(draft.code, (opaque, opaque))
    (request if from_client else response)(draft)
    if not from_client or not draft.ops:
        sub = draft.body.get("sub_function", draft.body.get("mei_type")) if draft.code in (8, 43) else None
        draft.ops = list(untargeted(draft.code, sub, unit))
    return draft


def decode(pdu: bytes, from_client: bool, request: bytes | None) -> Message:
    """Everything a Modbus ADU says. A read response has address and quantity only if its request is given.

    Raises Malformed.
    """
    asked = None
    if request is not None and not from_client:
        try:
            asked = _fill(request, True, None)
        except Malformed:
            asked = None
    draft = _fill(pdu, from_client, asked)
    function = function_of(draft.code, draft.sub)
    return Message(
        kind="request" if from_client else "response",
        unit=draft.unit,
        function_code=draft.code,
        function=function.name,
        access=function.access,
        flags=tuple(draft.flags),
        body=draft.body,
        ops=tuple(dict.fromkeys(draft.ops)),
        extra={},
    )


def identity(message: Message) -> Sequence[tuple[str, str, float]]:
    """What responses of 43/14 and 17 tell of the device."""
    if message.kind != "response":
        return ()
    facts = [
        (IDENTITY[item["name"]][0], item["value"], IDENTITY[item["name"]][1])
        for item in message.body.get("objects", ())
        if item["name"] in IDENTITY and item["value"].strip()
    ]
    if message.function_code == 17 and message.body.get("text"):
        facts.append(("model", message.body["text"], CONFIDENCE_SERVER_ID))
    return facts


def written(message: Message) -> Sequence[tuple[Op, float]]:
    """Each register or coil a request writes, with its value.

    A masked write leaves bits as they are: the lowest and the highest value that can result stand for it.
    """
    if message.kind != "request" or message.access != "write" or not isinstance(message.unit, int):
        return ()
    body, code, unit = message.body, message.function_code or 0, message.unit

    def run(space: str, start: int, values: Sequence[int], name: str | None = None) -> list[tuple[Op, float]]:
        places = (span(space, min(start + i, LAST_ADDRESS), 1, name) for i in range(len(values)))
        return [(make_op(code, None, unit, place, "write"), value) for place, value in zip(places, values, strict=True)]

    if code == 21:
        return [
            pair
            for record in body["records"]
            for pair in run("file_record", record["record"], record["values"], str(record["file"]))
        ]
    if code == 22:
        low = body["effective"]["set"]
        return [
            pair
            for value in sorted({low, low | body["and_mask"]})
            for pair in run(SPACES[22], body["address"], [value])
        ]
    if code == 23:
        return run(SPACES[23], body["write_address"], body["write_values"])
    return run(SPACES[code], body["address"], body["values"])
