"""The one writer: what waits is written together, in one transaction, whoever waits for it.

A transaction costs the disk's time, however little it writes: so it takes all that waits while
the one before it is written. Handlers never share a write connection: a cancelled one's rows would
be committed by the next.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from bulonera_sync.errors import StoreUnavailableError
from bulonera_sync.store.sessions import Joint, P, Session, T, Work

MAX_WAITING = 1_000

# So much goes into one transaction, in sales: more costs whoever waits for it more than it saves.
MAX_WEIGHT = 256


@dataclass(slots=True, eq=False)
class _Job:
    """A unit of work and who waits for it; `joint` where its kind is done together."""

    work: Work[Any]
    future: asyncio.Future[Any]
    weight: int
    joint: "tuple[Joint[Any, Any], Any] | None" = None


def nobody_watches(seconds: float, units: int) -> None:
    """Writes are written all the same."""


class Writer:
    """Writes what was submitted, shielded from whoever waits for it, each of it or none."""

    def __init__(self, transact: Callable[[Work[Any]], Awaitable[Any]]) -> None:
        self._transact = transact
        self._jobs: deque[_Job] = deque()
        self._has_come = asyncio.Event()
        self._is_closing = False
        # Told of every transaction: how many seconds it took, how many units of work it held.
        self.watch: Callable[[float, int], None] = nobody_watches
        self._turn = _new_future()
        self._task = asyncio.create_task(self._run(), name="store-writer")

    async def turn(self) -> None:
        """Return when a transaction has ended, however it ended; where none waits, an empty one.

        One that hangs never does. It asks for no place in the queue, which is full soon then.
        """
        if not self._jobs:

            async def nothing(session: Session) -> None: ...

            self._jobs.append(_Job(nothing, _new_future(), weight=1))
            self._has_come.set()
        await asyncio.shield(self._turn)

    @property
    def waiting(self) -> int:
        """How many units of work wait for their turn."""
        return len(self._jobs)

    async def submit(self, work: Work[T]) -> T:
        """Return the work's result after its COMMIT; raises `StoreUnavailableError` when full."""
        future: asyncio.Future[T] = _new_future()
        return await self._wait_for(_Job(work, future, weight=1), future)

    async def submit_jointly(self, joint: Joint[P, T], part: P, *, weight: int) -> T:
        """Do as `submit`, with one call of `joint` for all the parts that wait for the same."""

        async def alone(session: Session) -> T:
            [result] = await joint(session, [part])
            return result

        future: asyncio.Future[T] = _new_future()
        return await self._wait_for(_Job(alone, future, weight, (joint, part)), future)

    async def _wait_for(self, job: _Job, future: asyncio.Future[T]) -> T:
        if self._is_closing or len(self._jobs) >= MAX_WAITING:
            raise StoreUnavailableError("the gateway has too much to write")
        self._jobs.append(job)
        self._has_come.set()
        return await asyncio.shield(future)

    async def _run(self) -> None:
        while group := await self._next_group():
            await self._write(group)

    async def _next_group(self) -> list[_Job]:
        """Return what is written next; nothing when closed and done."""
        while not self._jobs and not self._is_closing:
            self._has_come.clear()
            await self._has_come.wait()
        return _take_group(self._jobs)

    async def _write(self, group: Sequence[_Job]) -> None:
        try:
            results = await self._watched(group)
        except asyncio.CancelledError:
            for job in group:
                job.future.cancel()
            raise
        except StoreUnavailableError as error:
            _fail(group, error)
        except Exception as error:  # noqa: BLE001 - handed to whoever waits for it
            await self._part(group, error)
        else:
            for job, result in zip(group, results, strict=True):
                job.future.set_result(result)

    async def _watched(self, group: Sequence[_Job]) -> Any:
        begun = perf_counter()
        try:
            return await self._transact(_together(group))
        finally:
            self.watch(perf_counter() - begun, len(group))
            ended, self._turn = self._turn, _new_future()
            ended.set_result(None)

    async def _part(self, group: Sequence[_Job], error: Exception) -> None:
        """Find whose failure it was: nothing of the transaction counts, so each has its own."""
        if len(group) == 1:
            _fail(group, error)
            return
        for job in group:
            await self._write([job])

    async def close(self) -> None:
        """Write what waits, take no more."""
        self._is_closing = True
        self._has_come.set()
        with suppress(asyncio.CancelledError):
            await self._task


def _new_future() -> asyncio.Future[Any]:
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    # A caller that is gone never asks; its failure is no "exception was never retrieved".
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
    return future


def _fail(group: Sequence[_Job], error: Exception) -> None:
    for job in group:
        job.future.set_exception(error)


def _take_group(jobs: deque[_Job]) -> list[_Job]:
    """Take the oldest and, in their order, those that fit beside it.

    So a single sale goes with the next transaction, however many large batches came before it,
    and no batch waits for ever: it becomes the oldest.
    """
    group: list[_Job] = []
    left: list[_Job] = []
    room = MAX_WEIGHT
    for job in jobs:
        if group and job.weight > room:
            left.append(job)
            continue
        group.append(job)
        room -= job.weight
    jobs.clear()
    jobs.extend(left)
    return group


def _together(group: Sequence[_Job]) -> Work[list[Any]]:
    if len(group) == 1:
        [job] = group

        async def alone(session: Session) -> list[Any]:
            return [await job.work(session)]

        return alone

    async def work(session: Session) -> list[Any]:
        results: dict[_Job, Any] = {}
        for joint, jobs in _by_kind(group):
            if joint is None:
                results[jobs[0]] = await jobs[0].work(session)
            else:
                parts = [job.joint[1] for job in jobs if job.joint]
                results.update(zip(jobs, await joint(session, parts), strict=True))
            # What the database refuses of one unit must not be told to the next.
            await session.settle()
        return [results[job] for job in group]

    return work


def _by_kind(group: Sequence[_Job]) -> "Iterator[tuple[Joint[Any, Any] | None, list[_Job]]]":
    """Yield the units of work: one for all jobs of one joint, one for each other job."""
    joints: dict[Joint[Any, Any], list[_Job]] = {}
    for job in group:
        if job.joint is None:
            yield None, [job]
        else:
            joints.setdefault(job.joint[0], []).append(job)
    yield from joints.items()
