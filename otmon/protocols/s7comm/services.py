"""Arguments of PI services (program invocation): blocks, kinds of start, files and tools of a numerical control."""

from typing import Any, Final

from otmon.model import Function, Malformed, Target
from otmon.protocols.s7comm.blocks import NAME_CHARS, block_name, block_parts
from otmon.protocols.s7comm.targets import pi_meaning
from otmon.text import safe_text

_ON_BLOCKS: Final = (b"_INSE", b"_INS2", b"_IN2S", b"_DELE")
_STARTS: Final = {b"": "warm_start", b"C": "cold_start"}
_WITH_PASSWORD: Final = (b"_N_LOGIN_", b"_N_NEWPWD")
_NC: Final = b"_N_"
_MEANINGS: Final = {
    "_INSE": "activate a block",
    "_INS2": "activate a block",
    "_IN2S": "activate a block",
    "_DELE": "delete a block",
    "_MODU": "copy RAM to ROM",
    "_GARB": "compress memory",
    "P_PROGRAM": "start or stop the program",
    "_N_LOGIN_": "log in",
    "_N_LOGOUT": "log out",
    "_N_NEWPWD": "set a password",
    "_N_CANCEL": "acknowledge NC alarms",
    "_N_CONFIG": "reconfigure machine data",
    "_N_SELECT": "select a program",
    "_N_STRTLK": "lock the start",
    "_N_STRTUL": "unlock the start",
    "_N_F_OPEN": "open a file for writing",
    "_N_F_OPER": "open a file for reading",
    "_N_F_CLOS": "close a file",
    "_N_F_SEEK": "seek in a file",
    "_N_F_XFER": "select a file for upload",
    "_N_F_COPY": "copy a file",
    "_N_F_DELE": "delete a file",
    "_N_F_DELR": "delete a file for all",
    "_N_F_RENA": "rename a file",
    "_N_F_PROT": "protect a file",
    "_N_FINDBL": "search for a block",
    "_N_IBN_SS": "set the switch of commissioning",
    "_N_MMCSEM": "take or give a semaphore",
    "_N_NCKMOD": "set the NC's operating mode",
    "_N_EXTERN": "select an external program",
    "_N_EXTMOD": "select an external program of the drive",
    "_N_SETUFR": "activate the user frame",
    "_N_CREATO": "create a tool",
    "_N_DELETO": "delete a tool",
    "_N_CREACE": "create a cutting edge",
    "_N_DELECE": "delete a cutting edge",
    "_N_DASAVE": "save data to flash",
    "_N_ASUP__": "assign an interrupt program",
}
"""Service -> what it does (SINUMERIK 840D parameter manual, PI services, in short)."""


def pi_service(param: bytes, body: dict[str, Any]) -> tuple[Function, tuple[Target | None, ...]]:
    """Fill in the service and its argument; its function and targets. Raises Malformed."""
    size = int.from_bytes(param[8:10], "big")
    argument, rest = param[10 : 10 + size], param[10 + size :]
    if len(param) < 11 or not rest or 1 + rest[0] > len(rest):
        raise Malformed("PI service cut off")
    name = rest[1 : 1 + rest[0]]
    body["service"] = safe_text(name)
    body["meaning"] = _MEANINGS.get(body["service"])
    secret = name in _WITH_PASSWORD
    body["argument"] = None if secret else safe_text(argument)
    if name.startswith(_NC):
        # Each a length and characters, filled up to even; behind the first of a login comes the password.
        strings = _strings(argument)
        shown = strings[:1] if secret else strings
        body["arguments"] = [safe_text(text) for text in shown]
        if secret:
            body["password_bytes"] = sum(map(len, strings[1:]))
    elif name in _ON_BLOCKS:
        listed = [argument[i : i + NAME_CHARS] for i in range(2, len(argument), NAME_CHARS)]
        body["blocks"] = [{"block": block_name(block)} | block_parts(block) for block in listed]
    elif name == b"P_PROGRAM":
        body["start"] = _STARTS.get(argument.rstrip(b" "))
    function, targets = pi_meaning(name, argument)
    body["targets"] = [target.name for target in targets[:64] if target is not None]
    return function, targets


def _strings(data: bytes) -> list[bytes]:
    found, pos = [], 0
    while pos < len(data):
        size = data[pos]
        found.append(data[pos + 1 : pos + 1 + size])
        pos += (2 + size) & ~1
    return found
