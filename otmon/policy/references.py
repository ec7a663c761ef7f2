"""Reference numbers of Modbus, as operators know them. Apart, because alerts need them without the policy's models."""

from typing import Final

MODBUS_PREFIX: Final = {"coil": "0", "discrete_input": "1", "input_register": "3", "holding_register": "4"}
"""First digit of the reference numbers that operators know (Modicon convention, counted from 1)."""


def reference(space: str, address: int) -> str:
    """Operator's number of a Modbus PDU address: holding register 45 is 40046, 9999 is 410000."""
    return f"{MODBUS_PREFIX[space]}{address + 1:0{4 if address < 9999 else 5}d}"
