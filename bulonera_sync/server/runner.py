"""Running the application: listening, jobs, an orderly end."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from bulonera_sync.errors import RefusedError
from bulonera_sync.gateway import Gateway
from bulonera_sync.server import answers
from bulonera_sync.server.announcing import announcing
from bulonera_sync.server.app import make_app
from bulonera_sync.server.certificates import certificate_for
from bulonera_sync.server.connections import Connection, Connections, Site, fitting, sweeping
from bulonera_sync.server.garbage import collecting
from bulonera_sync.server.installing import offering
from bulonera_sync.server.metrics import METRICS, Lost, nothing_lost
from bulonera_sync.server.schedule import running_jobs

# aiohttp waits for begun requests up to twice this long; the whole stop has 10 s.
SHUTDOWN_TIMEOUT_SECONDS = 4.0
KEEPALIVE_SECONDS = 75.0


_Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class JsonProtocol(Connection):
    """Our connection, and what it can't even parse is refused in JSON too."""

    def data_received(self, data: bytes) -> None:
        """Take the rest of the request that is being handled, even while the server stops.

        aiohttp drops it then: an upload whose body is still on its way would never end.
        """
        closing = self._close, self._force_close
        if self._request_in_progress:
            self._close = self._force_close = False
        super().data_received(data)
        if self._request_in_progress:
            self._close |= closing[0]
            self._force_close |= closing[1]

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        response = answers.detail(_reason(status), status)
        response.force_close()
        return response


def _reason(status: int) -> str:
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "Internal error."
    return "Bad request: not readable as HTTP."


class JsonServer(web.Server):
    """aiohttp's server with our protocol for its connections."""

    def __init__(self, made: web.Server, connections: Connections) -> None:
        self._admitted = connections
        super().__init__(
            _always_json(made.request_handler),
            request_factory=made.request_factory,
            handler_cancellation=made.handler_cancellation,
            **made._kwargs,
        )

    def __call__(self) -> RequestHandler:
        return JsonProtocol(self, connections=self._admitted, loop=self._loop, **self._kwargs)


def _always_json(handle: _Handler) -> _Handler:
    """Return aiohttp's handler, but what it refuses before any of ours is refused in JSON too."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await handle(request)
        except web.HTTPException as error:
            return answers.detail(error.reason, error.status)

    return answer


class Runner(web.AppRunner):
    """aiohttp's runner with our server."""

    def __init__(self, app: web.Application, connections: Connections, **options: Any) -> None:
        super().__init__(app, **options)
        self._connections = connections

    async def _make_server(self) -> web.Server:
        return JsonServer(await super()._make_server(), self._connections)


@asynccontextmanager
async def serving(gateway: Gateway, *, log_lines_lost: Lost = nothing_lost) -> AsyncIterator[str]:
    """Serve an open gateway where it is configured to; yields its address.

    At the end new requests are refused and begun ones end. Raises `RefusedError` when the
    address can't be listened on.
    """
    settings = gateway.settings.server
    connections = Connections(
        fitting(settings.max_connections), settings.max_connections_per_address
    )
    app = make_app(gateway, log_lines_lost)
    runner = Runner(
        app,
        connections,
        access_log=None,
        auto_decompress=False,
        handler_cancellation=False,
        keepalive_timeout=KEEPALIVE_SECONDS,
        shutdown_timeout=SHUTDOWN_TIMEOUT_SECONDS,
    )
    await runner.setup()
    try:
        certificate = certificate_for(settings)
        context = certificate.context if certificate else None
        jobs = running_jobs(gateway, app[METRICS].count_attempts, certificate)
        async with jobs, offering(settings, certificate):
            site = Site(runner, settings.host, settings.port, ssl_context=context)
            await _listen(site, settings.host, settings.port)
            is_tls, port = context is not None, runner.addresses[0][1]
            with sweeping(connections), collecting():
                async with announcing(settings, port, is_tls=is_tls):
                    yield _address(runner, is_tls=is_tls)
    finally:
        await runner.cleanup()


async def _listen(site: web.TCPSite, host: str, port: int) -> None:
    try:
        await site.start()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise RefusedError(
            f"can't listen on {host}:{port}: {reason}; stop what uses it, or choose another "
            f"[server] host or port (serve --port N)"
        ) from error


def _address(runner: web.AppRunner, *, is_tls: bool) -> str:
    host, port = runner.addresses[0][:2]
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if is_tls else 'http'}://{shown}:{port}"
