"""What happens to a shop, each to its verdict: run on the product, and on seeded defects."""

import asyncio
import signal

from tests.faults.oracle import Verdict
from tests.faults.shops import Shop


async def undisturbed(shop: Shop, answers: int = 200) -> Verdict:
    """Nothing happens: sales, wrong ones, corrections, late duplicates, conflicts."""
    await shop.box.start()
    shop.open()
    await shop.sell(answers)
    return await shop.settle("none", 1)


async def killed_at_random(shop: Shop, times: int) -> Verdict:
    """`kill -9` within the first tenth of a second of selling, over and over."""
    shop.open()
    for _ in range(times):
        await shop.box.start()
        await shop.recover()
        await asyncio.sleep(shop.chance.uniform(0, 0.08))
        await shop.box.kill_and_wait()
    await shop.box.start()
    return await shop.settle("kill -9", times)


async def killed_between_two(shop: Shop, times: int) -> Verdict:
    """Two daemons on one database, one of them killed; a third of the batches goes to both."""
    for client in shop.clients:
        client.both = lambda: shop.chance.random() < 1 / 3
    for box in shop.boxes:
        await box.start()
    shop.open()
    for turn in range(times):
        box = shop.boxes[turn % 2]
        await shop.sell(10)
        await asyncio.sleep(shop.chance.uniform(0, 0.05))
        await box.kill_and_wait()
        await box.start()
        await shop.recover()
    return await shop.settle("kill -9, two daemons", times)


async def stopped_in_order(shop: Shop, times: int) -> Verdict:
    """SIGTERM while every till is in the middle of a batch."""
    shop.open()
    for _ in range(times):
        await shop.box.start()
        await shop.recover()
        await asyncio.sleep(shop.chance.uniform(0, 0.05))
        await shop.box.stop()
    await shop.box.start()
    return await shop.settle("SIGTERM", times)
