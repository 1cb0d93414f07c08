"""The application: which path leads where."""

from collections.abc import Mapping

from aiohttp import web

from bulonera_sync.gateway import Gateway
from bulonera_sync.server import cors, health, mending, metrics, pages, sync
from bulonera_sync.server.guard import Handler, guarded
from bulonera_sync.server.keys import BAD_TOKENS, GATEWAY
from bulonera_sync.server.middleware import answer_errors, method_not_allowed
from bulonera_sync.server.strangers import BadTokens

SYNC = "/api/v1/sales/sync"

# Without the trailing slash; both forms are served, for a redirect would lose a POST's body.
SYNC_ROUTES: Mapping[str, Mapping[str, Handler]] = {
    f"{SYNC}/upload": {"POST": sync.upload},
    f"{SYNC}/pending": {"GET": sync.pending},
    f"{SYNC}/retry": {"POST": mending.retry},
    f"{SYNC}/resolve": {"POST": mending.resolve},
    f"{SYNC}/status": {"POST": sync.statuses},
    f"{SYNC}/status/{{sale}}": {"GET": sync.status},
    # "sync" is the name of the other endpoints' folder, not a sale.
    "/api/v1/sales/{sale:(?!sync(?:/|$))[^/]+}": {"GET": sync.sale, "PATCH": mending.edit},
}
OPEN_ROUTES: Mapping[str, Handler] = {
    "/healthz": health.healthz,
    "/readyz": health.readyz,
    "/metrics": metrics.metrics,
    "/api/schema": pages.schema,
    "/api/docs": pages.docs,
    "/api/docs/{file}": pages.asset,
}


def make_app(
    gateway: Gateway, log_lines_lost: metrics.Lost = metrics.nothing_lost
) -> web.Application:
    """Return the application that serves an open gateway."""
    settings = gateway.settings.server
    app = web.Application(middlewares=[answer_errors], client_max_size=settings.max_body_bytes)
    if settings.cors_origins:
        app.middlewares.insert(0, cors.for_origins(settings.cors_origins))
    app.middlewares.insert(0, metrics.count_requests)
    app[GATEWAY] = gateway
    app[metrics.METRICS] = metrics.Metrics(gateway, log_lines_lost)
    app[BAD_TOKENS] = BadTokens()
    app[pages.PAGES] = pages.Pages(gateway.settings)
    for path, handlers in SYNC_ROUTES.items():
        for form in (path, f"{path}/"):
            _add(app, form, handlers)
    for path, handler in OPEN_ROUTES.items():
        app.router.add_get(path, handler)
        app.router.add_get(f"{path}/", handler)
    return app


def _add(app: web.Application, path: str, handlers: Mapping[str, Handler]) -> None:
    resource = app.router.add_resource(path)
    for method, handler in handlers.items():
        resource.add_route(method, guarded(handler))
    if "GET" in handlers:
        resource.add_route("HEAD", guarded(handlers["GET"]))
    # Even a wrong method is told only to who has a token.
    resource.add_route("*", guarded(_refuse_method(handlers)))


def _refuse_method(handlers: Mapping[str, Handler]) -> Handler:
    allowed = ", ".join(sorted({*handlers, *({"HEAD"} if "GET" in handlers else ())}))

    async def refuse(request: web.Request) -> web.Response:
        return method_not_allowed(request.method, allowed)

    return refuse
