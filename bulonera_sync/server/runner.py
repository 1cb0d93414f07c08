"""Running the application: listening, jobs, an orderly end."""

import gc
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from bulonera_sync.errors import RefusedError
from bulonera_sync.gateway import Gateway
from bulonera_sync.server import answers
from bulonera_sync.server.app import make_app
from bulonera_sync.server.schedule import running_jobs

# aiohttp waits for begun requests up to twice this long; the whole stop has 10 s.
SHUTDOWN_TIMEOUT_SECONDS = 4.0
KEEPALIVE_SECONDS = 75.0
# At Python's own, a body of a million numbers is walked over and over while it is parsed: four
# fifths of its time went there, with every other request waiting.
GC_THRESHOLDS = (100_000, 50, 1_000)


class JsonProtocol(RequestHandler):
    """aiohttp's connection, but what it can't even parse is refused in JSON too."""

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


Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def _in_json(handler: Handler) -> Handler:
    """Answer in JSON what aiohttp refuses before any middleware: an `Expect` it can't meet."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as error:
            return answers.detail(error.reason, error.status)

    return handle


class JsonServer(web.Server):
    """aiohttp's server with our protocol for its connections."""

    def __init__(self, made: web.Server) -> None:
        super().__init__(
            _in_json(made.request_handler),
            request_factory=made.request_factory,
            handler_cancellation=made.handler_cancellation,
            **made._kwargs,
        )

    def __call__(self) -> RequestHandler:
        return JsonProtocol(self, loop=self._loop, **self._kwargs)


class Runner(web.AppRunner):
    """aiohttp's runner with our server."""

    async def _make_server(self) -> web.Server:
        return JsonServer(await super()._make_server())


@asynccontextmanager
async def serving(gateway: Gateway) -> AsyncIterator[str]:
    """Serve an open gateway where it is configured to; yields its address.

    At the end new requests are refused and begun ones end. Raises `RefusedError` when the
    address can't be listened on.
    """
    settings = gateway.settings.server
    runner = Runner(
        make_app(gateway),
        access_log=None,
        auto_decompress=False,
        handler_cancellation=False,
        keepalive_timeout=KEEPALIVE_SECONDS,
        shutdown_timeout=SHUTDOWN_TIMEOUT_SECONDS,
    )
    await runner.setup()
    thresholds = gc.get_threshold()
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        async with running_jobs(gateway):
            tls = _tls_context(gateway)
            site = web.TCPSite(runner, settings.host, settings.port, ssl_context=tls)
            await _listen(site, settings.host, settings.port)
            yield _address(runner, is_tls=tls is not None)
    finally:
        gc.set_threshold(*thresholds)
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


def _tls_context(gateway: Gateway) -> ssl.SSLContext | None:
    settings = gateway.settings.server
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except OSError as error:
        raise RefusedError(f"[server] tls_cert and tls_key can't be used: {error}") from error
    return context


def _address(runner: web.AppRunner, *, is_tls: bool) -> str:
    host, port = runner.addresses[0][:2]
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if is_tls else 'http'}://{shown}:{port}"
