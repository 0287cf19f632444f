"""A bare file server on aiohttp: PUT writes a file, GET sends it. No accounts, no index, nothing synced to disk.

python run_files.py FOLDER    ->  its port on stdout; ends with its stdin
"""

import asyncio
import sys
from pathlib import Path

from aiohttp import web

FOLDER = Path(sys.argv[1])


async def put(request):
    (FOLDER / request.match_info["name"]).write_bytes(await request.read())
    return web.Response()


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
