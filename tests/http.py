"""A running daemon, and tills that talk to it over real HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientSession

from bulonera_sync.gateway import Gateway
from bulonera_sync.sales import Role
from bulonera_sync.server.runner import serving
from tests.documented import Answer, check_documented

__all__ = ["SYNC", "Answer", "Daemon", "Till", "running_daemon"]

SYNC = "/api/v1/sales/sync"


class Till:
    """A client with one user's token."""

    def __init__(self, http: ClientSession, address: str, token: str | None) -> None:
        self._http = http
        self._address = address
        self.token = token

    async def send(self, method: str, path: str, **request: Any) -> Answer:
        """Send any request; `headers` are added to the token's."""
        headers = {"Authorization": f"Token {self.token}"} if self.token else {}
        headers |= request.pop("headers", {})
        async with self._http.request(
            method, f"{self._address}{path}", headers=headers, **request
        ) as response:
            text = (await response.read()).decode()
            answer = Answer(response.status, response.headers, text)
        check_documented(method, path, answer)
        return answer

    async def get(self, path: str) -> Answer:
        return await self.send("GET", path)

    async def post(self, path: str, body: object) -> Answer:
        return await self.send("POST", path, json=body)

    async def post_bytes(self, path: str, body: bytes, **headers: str) -> Answer:
        return await self.send(
            "POST", path, data=body, headers={"Content-Type": "application/json", **headers}
        )

    async def upload(self, *sales: object) -> Answer:
        return await self.post(f"{SYNC}/upload/", {"sales": list(sales)})

    async def status(self, key: object) -> Any:
        return (await self.get(f"{SYNC}/status/{key}/")).json

    async def sale(self, key: object) -> Any:
        return (await self.get(f"/api/v1/sales/{key}/")).json


@dataclass(frozen=True)
class Daemon:
    """A daemon under test."""

    gateway: Gateway
    address: str
    http: ClientSession

    async def till(self, username: str, role: Role = "cashier") -> Till:
        """A client of a new user."""
        _, issued = await self.gateway.add_user(username, role)
        assert issued is not None
        return self.till_of(issued.token)

    def till_of(self, token: str | None) -> Till:
        """A client with this token, or none."""
        return Till(self.http, self.address, token)


@asynccontextmanager
async def running_daemon(gateway: Gateway) -> AsyncIterator[Daemon]:
    """Serve an open gateway on a free port while the block runs."""
    async with serving(gateway) as address, ClientSession() as http:
        yield Daemon(gateway, address, http)
