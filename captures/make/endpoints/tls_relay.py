"""Carries TCP into TLS or out of it, as a gateway of IEC 62351-3 does. Usage: ... in|out FROM PORT TO PORT CERTIFICATE

`in`: plain from FROM, TLS to TO. `out`: TLS from FROM, plain to TO. CERTIFICATE is a PEM file with its key.
"""

import asyncio
import ssl
import sys


async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while octets := await source.read(65536):
        target.write(octets)
        await target.drain()
    target.close()


async def main(way: str, here: str, port: str, there: str, far_port: str, certificate: str) -> None:
    inside, outside = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    inside.check_hostname = False
    inside.load_verify_locations(certificate)
    outside.load_cert_chain(certificate)

    async def relay(source: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        answers, target = await asyncio.open_connection(there, int(far_port), ssl=inside if way == "in" else None)
        await asyncio.gather(pump(source, target), pump(answers, back))

    server = await asyncio.start_server(relay, here, int(port), ssl=outside if way == "out" else None)
    await server.serve_forever()


asyncio.run(main(*sys.argv[1:]))
