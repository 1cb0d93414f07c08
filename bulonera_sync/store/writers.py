"""The one writer: units of work wait in a queue and run one after the other, each to its end.

Handlers never share a write connection: a cancelled one's rows would be committed by the next.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from bulonera_sync.errors import StoreUnavailableError
from bulonera_sync.store.sessions import T, Work

MAX_WAITING = 1_000


class Writer:
    """Runs units of work in the order they came, shielded from whoever waits for them."""

    def __init__(self, transact: Callable[[Work[Any]], Awaitable[Any]]) -> None:
        self._transact = transact
        self._waiting: asyncio.Queue[tuple[Work[Any], asyncio.Future[Any]] | None] = asyncio.Queue(
            MAX_WAITING
        )
        self._task = asyncio.create_task(self._run(), name="store-writer")
        self._is_closing = False

    async def submit(self, work: Work[T]) -> T:
        """Return the work's result after its COMMIT; raises `StoreUnavailableError` when full."""
        if self._is_closing or self._waiting.full():
            raise StoreUnavailableError("the gateway has too much to write")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        # A caller that is gone never asks; its failure is no "exception was never retrieved".
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._waiting.put_nowait((work, future))
        return await asyncio.shield(future)

    async def _run(self) -> None:
        while (job := await self._waiting.get()) is not None:
            work, future = job
            try:
                result = await self._transact(work)
            except asyncio.CancelledError:
                future.cancel()
                raise
            except Exception as error:  # noqa: BLE001 - handed to whoever waits for it
                future.set_exception(error)
            else:
                future.set_result(result)

    async def close(self) -> None:
        """Run what waits, take no more."""
        self._is_closing = True
        with suppress(asyncio.CancelledError):
            await self._waiting.put(None)
            await self._task
