"""The outermost layer: whatever goes wrong leaves as JSON, and says no more than it should."""

import logging
import secrets
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web

from bulonera_sync.errors import NotFoundError, SchemaError, StoreUnavailableError
from bulonera_sync.server import answers
from bulonera_sync.server.connections import SlowBodyError
from bulonera_sync.server.guard import rate_limit_headers
from bulonera_sync.server.keys import GRANT
from bulonera_sync.server.requests import RefusedRequest

logger = logging.getLogger("bulonera_sync")

RETRY_AFTER_SECONDS = 2
_UNAVAILABLE = "The database is not available now. Send it again later; nothing is lost."


@web.middleware
async def answer_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer every error in the contract's form, and add the rate-limit headers to every answer."""
    response = await _answered(request, handler)
    grant = request.get(GRANT)
    if grant is not None:
        response.headers.update(rate_limit_headers(grant))
    return response


async def _answered(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except RefusedRequest as refused:
        return refused.response
    except NotFoundError as error:
        return answers.refusal(str(error), HTTPStatus.NOT_FOUND)
    except (StoreUnavailableError, SchemaError) as error:
        return unavailable(request, error)
    except web.HTTPException as error:
        return _plain(request, error)
    except SlowBodyError:
        return _too_slow()
    except (web.RequestPayloadError, ConnectionError):
        # Torn on the way: there is hardly anyone left to tell.
        return answers.detail("The request's body did not arrive.", HTTPStatus.BAD_REQUEST)
    except Exception as error:  # noqa: BLE001 - the last resort: a 500 with an id for the log
        return _unexpected(request, error)


def _too_slow() -> web.Response:
    text = "The request's body came too slowly. Send it again."
    response = answers.detail(text, HTTPStatus.REQUEST_TIMEOUT)
    response.force_close()
    return response


def unavailable(request: web.Request, error: Exception) -> web.Response:
    logger.error("Database unavailable", extra={"path": request.path, "error": str(error)})
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return answers.detail(_UNAVAILABLE, HTTPStatus.SERVICE_UNAVAILABLE, headers)


def _plain(request: web.Request, error: web.HTTPException) -> web.Response:
    match error:
        case web.HTTPNotFound():
            return answers.detail("Not found.", HTTPStatus.NOT_FOUND)
        case web.HTTPMethodNotAllowed():
            return method_not_allowed(request.method, ", ".join(sorted(error.allowed_methods)))
        case web.HTTPRequestEntityTooLarge():
            limit = request.client_max_size
            text = f"Request body too large: the limit is {limit} bytes."
            return answers.detail(text, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        case _:
            return answers.detail(error.reason, error.status)


def method_not_allowed(method: str, allowed: str) -> web.Response:
    text = f'Method "{method}" not allowed.'
    return answers.detail(text, HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": allowed})


def _unexpected(request: web.Request, error: Exception) -> web.Response:
    error_id = secrets.token_hex(8)
    logger.error(
        "Unexpected error",
        exc_info=error,
        extra={"error_id": error_id, "method": request.method, "path": request.path},
    )
    text = "Internal error. Tell support the error_id; it is in the log."
    document = {"detail": text, "error_id": error_id}
    return answers.respond(document, HTTPStatus.INTERNAL_SERVER_ERROR)
