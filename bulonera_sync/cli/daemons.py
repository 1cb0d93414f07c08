"""Asking whether the daemon runs, as a watchdog does: GET /healthz where the settings say."""

import json
import ssl
from dataclasses import dataclass
from http.client import HTTPException
from typing import TYPE_CHECKING
from urllib.request import HTTPSHandler, ProxyHandler, build_opener

from bulonera_sync.cli.sentences import retold
from bulonera_sync.cli.words import phrase

if TYPE_CHECKING:
    from bulonera_sync.config import ServerSettings

TIMEOUT_SECONDS = 1
MAX_BYTES = 4_096

# To listen on all addresses is to listen on this machine's own.
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 (nothing listens here)


@dataclass(frozen=True, slots=True)
class Health:
    """The daemon as it answered: `problem` says why it didn't, None when it is up."""

    address: str
    problem: str | None

    @property
    def is_up(self) -> bool:
        return self.problem is None


def ask(server: "ServerSettings") -> Health:
    """Return whether the daemon answers, within a second."""
    address = _address(server)
    if server.port == 0:
        return Health(address, phrase("[server] port is 0, any free one: nobody knows which"))
    # No proxy: it would be asked for an address that is this machine's alone.
    opener = build_opener(ProxyHandler({}), HTTPSHandler(context=_trusting()))
    try:
        with opener.open(f"{address}/healthz", timeout=TIMEOUT_SECONDS) as answer:
            body = answer.read(MAX_BYTES)
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        return Health(address, retold(getattr(reason, "strerror", None) or str(reason)))
    return Health(address, None if _is_ours(body) else phrase("something else answers there"))


def _address(server: "ServerSettings") -> str:
    host = _ANY.get(server.host, server.host)
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if _has_tls(server) else 'http'}://{shown}:{server.port}"


def _has_tls(server: "ServerSettings") -> bool:
    from bulonera_sync.tls.names import leaf_in

    return server.tls_cert is not None or leaf_in(server.tls_folder).exists()


def _trusting() -> ssl.SSLContext:
    """Return a context for any certificate: the name on it is seldom the address asked here."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _is_ours(body: bytes) -> bool:
    try:
        return bool(json.loads(body) == {"status": "ok"})
    except ValueError:
        return False
