"""The daemon's jobs. A job holds no state: what is due is a column."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from bulonera_sync.gateway import Gateway

logger = logging.getLogger("bulonera_sync")

ALLOWANCES_SECONDS = 1


@asynccontextmanager
async def running_jobs(gateway: Gateway) -> AsyncIterator[None]:
    """Run the jobs while the block runs; a job begun at its end is waited for."""
    scheduler = AsyncIOScheduler(
        timezone="UTC",
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )
    begun: set[asyncio.Task[None]] = set()
    scheduler.add_job(
        _job("keep allowances", gateway.keep_allowances, begun),
        IntervalTrigger(seconds=ALLOWANCES_SECONDS),
    )
    scheduler.start()
    try:
        yield
    finally:
        scheduler.shutdown(wait=False)
        if begun:
            await asyncio.wait(begun)


def _job(
    name: str, run: Callable[[], Awaitable[None]], begun: set[asyncio.Task[None]]
) -> Callable[[], Awaitable[None]]:
    async def attempt() -> None:
        try:
            await run()
        except Exception as error:  # noqa: BLE001 - the next turn tries again
            logger.error("Job failed", extra={"job": name, "error": str(error)})

    async def job() -> None:
        # shutdown() cancels what runs: the work itself is a task of ours, waited for at the end.
        task = asyncio.create_task(attempt(), name=name)
        begun.add(task)
        task.add_done_callback(begun.discard)
        await asyncio.shield(task)

    return job
