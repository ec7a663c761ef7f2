"""What the S7comm-plus client of s7commplus asks: objects, data blocks, several at once; what was read goes to a file.

Usage: s7plus_tour.py ADDRESS VALUES, or s7plus_tour.py ADDRESS tls: an engineering station that sends far more than it
gets, inside TLS.
"""

import json
import sys

from s7commplus.client import S7CommPlusClient


def plain(client: S7CommPlusClient, values: str) -> None:
    client.connect(sys.argv[1], 102)
    client.db_write(1, 0, b"\x40\x60\x00\x00")
    client.db_write(1, 8, (-123456).to_bytes(4, "big", signed=True))
    read = [client.db_read(1, 0, 4), client.db_read(1, 8, 4), *client.db_read_multi([(1, 0, 12), (2, 4, 8)])]
    blocks = [block["name"] for block in client.list_datablocks()]
    state = client.get_cpu_state()
    client.explore(0)
    client.browse()
    client.disconnect()
    with open(values, "w") as file:
        json.dump({"read": [data.hex() for data in read], "blocks": blocks, "state": state}, file, indent=2)
        file.write("\n")


def encrypted(client: S7CommPlusClient) -> None:
    client.connect(sys.argv[1], 102, use_tls=True, connection_type="es")
    for n in range(76):
        client.db_write(3, 800 * (n % 5), bytes((n ^ byte) & 255 for byte in range(800)))
    client.db_read(2, 0, 16)
    client.disconnect()


def main() -> None:
    client = S7CommPlusClient()
    if sys.argv[2] == "tls":
        encrypted(client)
    else:
        plain(client, sys.argv[2])


main()
