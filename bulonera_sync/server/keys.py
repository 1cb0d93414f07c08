"""What hangs on the application and on a request, by typed keys."""

from aiohttp import web

from bulonera_sync.gateway import Gateway
from bulonera_sync.sales import User
from bulonera_sync.server.strangers import BadTokens
from bulonera_sync.throttle import Grant

GATEWAY = web.AppKey("gateway", Gateway)
BAD_TOKENS = web.AppKey("bad_tokens", BadTokens)

USER = web.RequestKey("user", User)
GRANT = web.RequestKey("grant", Grant)
