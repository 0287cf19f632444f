"""A bare file server on aiohttp: PUT writes a file, GET sends it. No accounts, no index.

Nothing is synced to the disk, or, where the name begins with ``synced``, file and folder before the answer.

python run_files.py FOLDER    ->  its port on stdout; ends with its stdin
"""

import asyncio
import os
import sys
from pathlib import Path

from aiohttp import web

FOLDER = Path(sys.argv[1])


async def put(request):
    name, data = request.match_info["name"], await request.read()
    if name.startswith("synced"):
        await asyncio.get_running_loop().run_in_executor(None, write_synced, FOLDER / name, data)
    else:
        (FOLDER / name).write_bytes(data)
    return web.Response()


def write_synced(path, data):
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(FOLDER, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


async def get(request):
    return web.FileResponse(FOLDER / request.match_info["name"])


async def main():
    app = web.Application(client_max_size=1 << 30)
    app.router.add_put("/{name}", put)
    app.router.add_get("/{name}", get)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(site._server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
