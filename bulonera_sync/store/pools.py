"""Connections that are open and idle, the one used last given out first.

asyncpg's own pool takes as long to give out a connection as Postgres to answer a short question.
"""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncpg

# What lies between may forget, without a word, a connection that nobody uses for so long.
IDLE_SECONDS = 300.0


class Pool:
    """Up to `size` connections, opened when they are needed."""

    def __init__(
        self,
        connect: "Callable[[], Awaitable[asyncpg.Connection[Any]]]",
        *,
        size: int,
        patience_seconds: float,
    ) -> None:
        self._connect = connect
        self._size = size
        self._patience_seconds = patience_seconds
        self._room = asyncio.Semaphore(size)
        self._idle: list[tuple[asyncpg.Connection[Any], float]] = []

    async def take(self) -> "asyncpg.Connection[Any]":
        """Return a connection that is nobody else's; raises `TimeoutError` where all are taken."""
        await self._enter()
        try:
            return self._last_used() or await self._connect()
        except BaseException:
            self._room.release()
            raise

    async def _enter(self) -> None:
        if not self._room.locked():
            await self._room.acquire()
            return
        async with asyncio.timeout(self._patience_seconds):
            await self._room.acquire()

    def _last_used(self) -> "asyncpg.Connection[Any] | None":
        while self._idle:
            connection, since = self._idle.pop()
            if not connection.is_closed() and monotonic() - since < IDLE_SECONDS:
                return connection
            connection.terminate()
        return None

    def give_back(self, connection: "asyncpg.Connection[Any]") -> None:
        """Let others have it; one that was closed or terminated makes room for a new one."""
        if not connection.is_closed():
            self._idle.append((connection, monotonic()))
        self._room.release()

    async def close(self) -> None:
        """Close all connections, once nobody uses them."""
        for _ in range(self._size):
            await self._room.acquire()
        while self._idle:
            connection, _ = self._idle.pop()
            await connection.close()
