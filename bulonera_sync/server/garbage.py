"""Python's cyclic garbage: looked for by the clock, among what requests have left alone."""

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager

# At Python's own, a body of a million numbers is walked over and over while it is parsed: four
# fifths of its time went there, with every other request waiting.
THRESHOLDS = (100_000, 50, 1_000)

# By these thresholds the oldest garbage is hardly ever looked for, and every connection that was
# ever closed leaves a kilobyte of it.
COLLECT_SECONDS = 60.0


@contextmanager
def collecting() -> Iterator[None]:
    """Collect garbage once a minute while the block runs, and seldom in between.

    What was there before is not looked at, and takes none of the milliseconds that a tablet waits.
    """
    loop = asyncio.get_running_loop()

    def collect() -> None:
        handles[:] = [loop.call_later(COLLECT_SECONDS, collect)]
        gc.collect()

    thresholds = gc.get_threshold()
    gc.set_threshold(*THRESHOLDS)
    gc.freeze()
    handles = [loop.call_later(COLLECT_SECONDS, collect)]
    try:
        yield
    finally:
        handles[0].cancel()
        gc.unfreeze()
        gc.set_threshold(*thresholds)
