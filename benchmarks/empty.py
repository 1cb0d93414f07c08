"""The empty handler: what HTTP alone costs, with our runner's settings and nothing behind it."""

import asyncio

from aiohttp import web

from bulonera_sync.cli.serve import _loop_factory
from bulonera_sync.server.connections import Connections
from bulonera_sync.server.runner import KEEPALIVE_SECONDS, Runner

_MOST = 200


async def _answer(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(body=b"{}", content_type="application/json")


async def _serve() -> None:
    app = web.Application(client_max_size=5 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", _answer)
    runner = Runner(
        app,
        Connections(_MOST, _MOST),
        access_log=None,
        auto_decompress=False,
        handler_cancellation=False,
        keepalive_timeout=KEEPALIVE_SECONDS,
    )
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve())
