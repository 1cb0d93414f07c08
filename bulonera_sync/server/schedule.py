"""The daemon's jobs. A job holds no state: what is due is a column."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from time import monotonic

from apscheduler.job import Job
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from bulonera_sync.gateway import Gateway, nobody_listens
from bulonera_sync.outcomes import Outcome
from bulonera_sync.server.certificates import ServedCertificate

logger = logging.getLogger("bulonera_sync")

NOTES_SECONDS = 1
# A retry asked for elsewhere, by another gateway or the command line, waits no longer than this.
RETRIES_SECONDS = 2
# A renewal by the command line, a new address or a replaced file waits no longer than this.
CERTIFICATE_SECONDS = 5
# After a batch of retries the writer is the uploads' for so many times as long: an import that
# heals thousands must not slow the tills down.
UPLOADS_SHARE = 3
LONGEST_PAUSE = 0.5

Judged = Callable[[Sequence[Outcome]], None]


@asynccontextmanager
async def running_jobs(
    gateway: Gateway, judged: Judged, certificate: ServedCertificate | None = None
) -> AsyncIterator[None]:
    """Run the jobs while the block runs; a job begun at its end is waited for.

    `judged` is told what became of every batch of retries.
    """
    scheduler = AsyncIOScheduler(
        timezone="UTC",
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )
    begun: set[asyncio.Task[None]] = set()
    scheduler.add_job(
        _job("keep notes", gateway.keep_notes, begun),
        IntervalTrigger(seconds=NOTES_SECONDS),
    )
    retries = DueRetries(gateway, judged)
    turn = scheduler.add_job(
        _job("retry what is due", retries.run, begun), IntervalTrigger(seconds=RETRIES_SECONDS)
    )
    gateway.when_due = lambda: retries.ask(turn)
    if certificate is not None:
        scheduler.add_job(
            _job("renew the certificate", certificate.follow, begun),
            IntervalTrigger(seconds=CERTIFICATE_SECONDS),
        )
    scheduler.start()
    try:
        yield
    finally:
        # A request that still ends may make something due: the next daemon judges it.
        gateway.when_due = nobody_listens
        retries.stop()
        scheduler.shutdown(wait=False)
        if begun:
            await asyncio.wait(begun)


class DueRetries:
    """Judges what is due, a batch at a time, until nothing is; uploads come in between."""

    def __init__(self, gateway: Gateway, judged: Judged) -> None:
        self._gateway = gateway
        self._judged = judged
        self._is_running = False
        self._is_asked = False
        self._is_stopped = False

    async def run(self) -> None:
        """Run one turn; asked during it, look once more before it ends."""
        self._is_running = True
        try:
            while True:
                self._is_asked = False
                begun = monotonic()
                outcomes = await self._gateway.retry_due()
                self._judged(outcomes)
                if self._is_stopped or not (outcomes or self._is_asked):
                    return
                await asyncio.sleep(min((monotonic() - begun) * UPLOADS_SHARE, LONGEST_PAUSE))
        finally:
            self._is_running = False

    def ask(self, turn: Job) -> None:
        """Have the next turn now: something became due just now, in this process."""
        if self._is_running:
            self._is_asked = True
        else:
            turn.modify(next_run_time=datetime.now(UTC))

    def stop(self) -> None:
        """End after the batch under way."""
        self._is_stopped = True


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
