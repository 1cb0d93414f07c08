"""What requests leave behind is found again, for a gateway that runs for months."""

import asyncio
import gc
import weakref

import pytest

from bulonera_sync.server import garbage
from bulonera_sync.server.garbage import collecting


class Circle:
    def __init__(self) -> None:
        self.itself = self


async def test_old_garbage_is_collected_while_the_daemon_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(garbage, "COLLECT_SECONDS", 0.01)
    collected = asyncio.Event()

    with collecting():
        circle = Circle()
        weakref.finalize(circle, collected.set)
        # As old as it gets: no threshold is near it any more.
        gc.collect()
        del circle

        async with asyncio.timeout(10):
            await collected.wait()


async def test_pythons_own_ways_are_back_at_the_end() -> None:
    before = gc.get_threshold()

    with collecting():
        during = gc.get_threshold()

    assert during == garbage.THRESHOLDS
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)
