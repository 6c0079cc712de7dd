"""The front of an instance: takes connections on the base port and passes them on to the backend. Without one it answers 502."""

import asyncio
import signal
import sys

import home as _paths
from datadir import DataDir

BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\nServer: nginx\r\nContent-Type: text/html\r\nContent-Length: 20\r\nConnection: close\r\n\r\n<h1>Bad Gateway</h1>"


async def pump(source, target):
    try:
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    except (ConnectionError, asyncio.CancelledError):
        pass
    finally:
        target.close()


async def main():
    home, port = DataDir(sys.argv[1]), int(sys.argv[2])
    taken = 0

    async def connected(reader, writer):
        nonlocal taken
        every = home.switch("drop_connections")
        taken = 0 if every is None else taken + 1
        if every is not None and taken % int(every or 2) == 0:
            writer.transport.abort()
            return
        try:
            back_reader, back_writer = await asyncio.open_connection("127.0.0.1", port + 1)
        except OSError:
            await reader.read(65536)
            writer.write(BAD_GATEWAY)
            writer.close()
            return
        await asyncio.gather(pump(reader, back_writer), pump(back_reader, writer))

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: sys.exit(0))
    server = await asyncio.start_server(connected, "0.0.0.0", port, reuse_address=True)
    async with server:
        await server.serve_forever()


try:
    asyncio.run(main())
except SystemExit:
    pass
