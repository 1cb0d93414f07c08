"""A gateway in a process of its own, as a store runs it: log on, throttle on at a high limit."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, TCPConnector

from benchmarks.rows import write_catalog

UPLOAD = "/api/v1/sales/sync/upload/"
PENDING = "/api/v1/sales/sync/pending/?limit=50"

_CONFIG = """
[server]
port = 0
[store]
url = "{url}"
[sync]
throttle = "1000000/second"
"""


@dataclass(frozen=True)
class Gateway:
    """A running daemon, and how to reach it."""

    folder: Path
    address: str
    token: str

    def client(self, connections: int) -> ClientSession:
        return ClientSession(
            self.address,
            connector=TCPConnector(limit=connections),
            headers={
                "Authorization": f"Token {self.token}",
                "Content-Type": "application/json",
            },
        )

    def command(self, *words: str) -> Any:
        return _command(self.folder, *words)


def _command(folder: Path, *words: str) -> Any:
    made = subprocess.run(
        [sys.executable, "-m", "bulonera_sync", "--config", str(folder / "config.toml"), *words],
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(made.stdout) if "--json" in words else made.stdout


@contextmanager
def gateway(folder: Path, url: str) -> Iterator[Gateway]:
    """Prepare a store in an empty folder and serve it while the block runs."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text(_CONFIG.format(url=url))
    write_catalog(folder)
    token = _command(folder, "user", "add", "ana", "--role", "manager", "--json")["token"]
    for kind in ("customers", "products"):
        _command(folder, "catalog", "import", kind, str(folder / f"{kind}.csv"))
    serve = [sys.executable, "-m", "bulonera_sync", "--config", str(folder / "config.toml")]
    process = subprocess.Popen([*serve, "serve"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        address = next(word for word in line.split() if word.startswith("http"))
        yield Gateway(folder, address.rstrip(".,/"), token)
    finally:
        process.terminate()
        process.wait(15)


@asynccontextmanager
async def client_of(served: Gateway, connections: int) -> AsyncIterator[ClientSession]:
    async with served.client(connections) as client:
        yield client
