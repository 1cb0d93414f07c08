"""Who comes in, and how often: every sync endpoint stands behind this."""

import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from time import monotonic

from aiohttp import web

from bulonera_sync.sales import User
from bulonera_sync.server import answers
from bulonera_sync.server.keys import BAD_TOKENS, GATEWAY, GRANT, USER
from bulonera_sync.server.requests import RefusedRequest
from bulonera_sync.throttle import Grant

logger = logging.getLogger("bulonera_sync")

Handler = Callable[[web.Request], Awaitable[web.Response]]

_CHALLENGE = {"WWW-Authenticate": "Token"}
_SCHEMES = frozenset({"token", "bearer"})


def guarded(handler: Handler) -> Handler:
    """Return the handler behind authentication first, then the throttle (contract 1)."""

    async def guard(request: web.Request) -> web.Response:
        request[USER], grant = await _admitted(request)
        if grant is not None:
            request[GRANT] = grant
            if not grant.is_allowed:
                raise RefusedRequest(_throttled(grant.wait_seconds))
        return await handler(request)

    return guard


async def _admitted(request: web.Request) -> tuple[User, Grant | None]:
    scheme, _, token = request.headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() not in _SCHEMES:
        text = "Authentication credentials were not provided."
        raise RefusedRequest(answers.detail(text, HTTPStatus.UNAUTHORIZED, _CHALLENGE))
    admitted = await request.app[GATEWAY].admit(token.strip())
    if admitted is None:
        raise RefusedRequest(_bad_token(request))
    return admitted


def _bad_token(request: web.Request) -> web.Response:
    wait = request.app[BAD_TOKENS].wait_seconds(request.remote or "", monotonic())
    if wait:
        return _throttled(wait)
    # At most ten a minute from one address: a till with an old token is found by it.
    logger.warning("Authentication failed", extra={"address": request.remote, "path": request.path})
    return answers.detail("Invalid token.", HTTPStatus.UNAUTHORIZED, _CHALLENGE)


def _throttled(wait_seconds: int) -> web.Response:
    unit = "second" if wait_seconds == 1 else "seconds"
    text = f"Request was throttled. Expected available in {wait_seconds} {unit}."
    headers = {"Retry-After": str(wait_seconds)}
    return answers.detail(text, HTTPStatus.TOO_MANY_REQUESTS, headers)


def rate_limit_headers(grant: Grant) -> dict[str, str]:
    return {
        "X-RateLimit-Limit": str(grant.limit),
        "X-RateLimit-Remaining": str(grant.remaining),
        "X-RateLimit-Reset": str(grant.reset_seconds),
    }
