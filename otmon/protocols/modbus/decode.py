"""Modbus/TCP decoded in full.

A length that contradicts the function is Malformed, of a write the flag `malformed` (see damaged.py); a value the
specification forbids is a flag beside the value:
quantity_out_of_range, address_overflow, byte_count_mismatch, coil_value_invalid, reference_type_invalid,
record_out_of_range, sub_function_reserved, device_id_code_invalid, conformity_level_invalid, more_follows_invalid,
data_invalid (8), exception_code_reserved, echo_mismatch, unit_reserved, unknown_function, status_unknown (11, 12,
UMAS), cut_off (a datagram that ends before its ADU does), protocol_not_modbus (a write whose protocol id is not 0).
`exception` and `umas_error` mark a response that says no; `broadcast_possible` a write to unit 0, which devices behind
a serial gateway do not answer, and `broadcast_disproved` an answer to one.
"""

import struct
from collections.abc import Sequence

from otmon.model import Access, Malformed, Message, Op
from otmon.protocols.modbus import umas
from otmon.protocols.modbus.bodies import BODIES, opaque
from otmon.protocols.modbus.damaged import VALUES, WRITES, claims
from otmon.protocols.modbus.draft import Draft, need
from otmon.protocols.modbus.tables import (
    BROADCAST,
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


def _draft(pdu: bytes, from_client: bool, asked: Draft | None) -> Draft:
    """The header: who is asked, and for which function."""
    need(len(pdu) >= HEADER_BYTES, "no Modbus/TCP ADU")
    need(len(pdu) <= (MAX_UMAS_BYTES if pdu[7] == UMAS else MAX_ADU_BYTES), "no Modbus/TCP ADU")
    transaction, protocol, length, unit, code = struct.unpack_from(">HHHBB", pdu)
    need(length >= len(pdu) - 6 and (protocol == 0 or pdu[7] in WRITES), "no Modbus/TCP ADU")
    if asked and (asked.code, asked.unit, asked.body["transaction_id"]) != (code & 127, unit, transaction):
        asked = None
    draft = Draft(unit, code & 127, pdu[HEADER_BYTES:], from_client, asked)
    draft.body["transaction_id"] = transaction
    draft.flag("protocol_not_modbus", protocol != 0)
    draft.flag("cut_off", length > len(pdu) - 6)
    draft.flag("unit_reserved", 248 <= unit <= 254)
    draft.flag("unknown_function", draft.code not in FUNCTIONS)
    if unit == 0 and draft.code in BROADCAST:
        draft.flag("broadcast_possible" if from_client else "broadcast_disproved")
    if code > 127:
        draft.flag("exception")
    return draft


def _fill(draft: Draft) -> None:
    """What stands behind the function code."""
    need("protocol_not_modbus" not in draft.flags, "protocol id is not 0")
    need("cut_off" not in draft.flags, "shorter than its length")
    if "exception" in draft.flags:
        need(not draft.asking, "exception bit in a request")
        (exception,) = draft.fields(">B")
        draft.body.update(exception_code=exception, exception=EXCEPTIONS.get(exception, "unknown"))
        draft.flag("exception_code_reserved", exception not in EXCEPTIONS)
        draft.ops = list(untargeted(draft.code, None, draft.unit))
        return
    request, response = BODIES.get(draft.code, (opaque, opaque))
    (request if draft.asking else response)(draft)
    if not draft.asking or not draft.ops:
        # What a response of function 90 answers, it does not say itself.
        sub = draft.sub if draft.code in (8, 43) or draft.asking else None
        draft.ops = list(untargeted(draft.code, sub, draft.unit))


def _message(draft: Draft) -> Message:
    function = function_of(draft.code, draft.sub)
    return Message(
        kind="request" if draft.asking else "response",
        unit=draft.unit,
        function_code=draft.code,
        function=function.name,
        access=function.access,
        flags=tuple(draft.flags),
        body=draft.body,
        ops=tuple(dict.fromkeys(draft.ops)),
        extra={},
    )


def _asked(request: bytes | None) -> Draft | None:
    """The request that a response answers, if it is known and sound."""
    if request is None:
        return None
    try:
        asked = _draft(request, True, None)
        _fill(asked)
    except Malformed:
        return None
    return asked


def decode(pdu: bytes, from_client: bool, request: bytes | None) -> Message:
    """Everything a Modbus ADU says. A read response has address and quantity only if its request is given.

    Raises Malformed, with the header if there is one.
    """
    draft = _draft(pdu, from_client, None if from_client else _asked(request))
    try:
        _fill(draft)
    except Malformed as error:
        if not from_client or draft.code not in WRITES or "exception" in draft.flags:
            raise Malformed(str(error), _message(draft)) from None
        draft.flag("malformed")
        draft.body.update(reason=str(error), raw=pdu.hex())
        draft.ops = _claimed(draft)
    return _message(draft)


def _claimed(draft: Draft) -> list[Op]:
    """The operations of a write whose length contradicts its function."""
    targets = claims(draft.code, draft.data)
    halves: tuple[Access | None, ...] = ("read", "write") if draft.code == 23 else (None,) * len(targets)
    return [make_op(draft.code, None, draft.unit, *pair) for pair in zip(targets, halves, strict=True)]


def identity(message: Message) -> Sequence[tuple[str, str, float]]:
    """What responses of 43/14, 17 and 90 tell of the device; for 90 `ops` must be those of the request."""
    if message.kind != "response":
        return ()
    if message.function_code == UMAS and "status" in message.body:
        return list(umas.identity(message.body, [op.function for op in message.ops]))
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

    A masked write leaves bits as they are: the lowest and the highest value that can result stand for it. A malformed
    one may write anything.
    """
    if (
        message.kind != "request"
        or message.access != "write"
        or message.function_code == UMAS
        or not isinstance(message.unit, int)
    ):
        return ()
    body, code, unit = message.body, message.function_code or 0, message.unit
    if "malformed" in message.flags:
        return [(op, value) for op in message.ops if op.access == "write" for value in VALUES]

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
