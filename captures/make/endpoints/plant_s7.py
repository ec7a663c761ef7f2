"""The S7 clients of the plant. Usage: plant_s7.py hmi-1|historian|engineering START"""

import sys

from schedule import Step, every, follow
from snap7.client import Client


def hmi_1(plc: Client) -> list[Step]:
    return [
        *every(0.5, lambda: plc.db_read(1, 0, 64), 1.3, 25),
        *every(2.0, lambda: plc.db_read(2, 0, 16), 1.7, 25),
        (6.1, lambda: plc.db_write(1, 32, bytearray(b"\x41\x20\x00\x00"))),
        (12.6, lambda: plc.db_write(1, 36, bytearray(b"\x00\x01"))),
        (15.1, plc.plc_stop),  # the violation
        (20.6, lambda: plc.db_write(1, 32, bytearray(b"\x41\xa0\x00\x00"))),
    ]


def historian(plc: Client) -> list[Step]:
    return [*every(5.0, lambda: plc.db_read(1, 0, 64), 2.2, 25)]


def engineering(plc: Client) -> list[Step]:
    return [(7.3, plc.get_order_code), (7.6, plc.get_cpu_info), (7.9, plc.get_cpu_state)]


ROLES = {"hmi-1": (hmi_1, 0.6), "historian": (historian, 0.7), "engineering": (engineering, 7.0)}


def main() -> None:
    role, start = sys.argv[1], float(sys.argv[2])
    steps, connect_s = ROLES[role]
    plc = Client()
    follow(start, [(connect_s, lambda: plc.connect("10.0.1.12", 0, 1))])
    follow(start, steps(plc))
    plc.disconnect()


main()
