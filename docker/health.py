"""What Docker asks a container with: is the gateway in it ready? Exits with 0 or 1."""

import os
import ssl
import sys
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path

HOST = "127.0.0.1"
TIMEOUT_SECONDS = 4


def is_ready() -> bool:
    """Ask /readyz on the port that the environment names."""
    connection = _connection(int(os.environ.get("BULONERA_SERVER__PORT", "8000")))
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _connection(port: int) -> HTTPConnection:
    if not _has_tls():
        return HTTPConnection(HOST, port, timeout=TIMEOUT_SECONDS)
    # The name on the certificate is the machine's, not the address asked here.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return HTTPSConnection(HOST, port, timeout=TIMEOUT_SECONDS, context=context)


def _has_tls() -> bool:
    folder = os.environ.get("BULONERA_SERVER__TLS_FOLDER", "tls")
    return "BULONERA_SERVER__TLS_CERT" in os.environ or Path(folder, "gateway.pem").exists()


if __name__ == "__main__":
    sys.exit(not is_ready())
