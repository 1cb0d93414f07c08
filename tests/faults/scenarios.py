"""What happens to a shop, each to its verdict: run on the product, and on seeded defects."""

import asyncio
import resource
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress

from tests.end_to_end.processes import http_session
from tests.faults.clients import Script, Step, a_sale
from tests.faults.ledgers import Told
from tests.faults.mounts import Disk
from tests.faults.oracle import Verdict
from tests.faults.shops import Shop
from tests.faults.torn import cutting_proxy, send_and_reset
from tests.faults.tracers import SYNCS, WRITES, injected
from tests.http import SYNC, Answer, Till
from tests.store.databases import locked as writers_turn_held

# The contract of an outage: a refusal within two seconds, the first success within five.
MAX_REFUSAL_SECONDS = 2.0
MAX_RECOVERY_SECONDS = 5.0


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


async def killed_at_a_write(shop: Shop, points: int) -> Verdict:
    """Killed at the first, the second, ... write or fsync of one upload."""
    for point in range(1, points + 1):
        await shop.box.start()
        async with injected(shop.box.pid, WRITES, f"signal=KILL:when={point}"):
            shop.open()
            # Either it dies at this call, or the day goes on without that many of them.
            with suppress(AssertionError):
                await shop.wait_until(lambda: not shop.box.is_alive(), 3, "it lives")
        await shop.box.kill_and_wait()
        for client in shop.clients:
            client.is_selling = False
        await shop.box.start()
        await shop.drain()
        await shop.box.stop()
    return await shop.settle("killed at each write or fsync", points)


async def power_cut(shop: Shop, disk: Disk, times: int, switch_on: Callable[[], None]) -> Verdict:
    """The power goes while everybody sells; `switch_on` brings the machine back."""
    shop.open()
    for _ in range(times):
        await shop.box.start()
        await shop.recover()
        await asyncio.sleep(shop.chance.uniform(0, 0.15))
        # The daemon goes in the same instant, as it does with the power. Left running, an fsync
        # that the kernel has begun may end well in the middle of the shutdown, for nothing.
        shop.box.kill()
        disk.cut_power()
        await shop.box.ended()
        switch_on()
    await shop.box.start()
    return await shop.settle("power cut", times)


async def fsync_fails(shop: Shop, *, once: bool) -> Verdict:
    """The disk says EIO when it is asked to sync: once, or for a second. No restart of ours."""
    await shop.box.start()
    shop.open()
    await shop.sell(20)
    async with injected(shop.box.pid, SYNCS, "error=EIO") as said:
        if once:
            # strace's own `when=1` is once for each thread, and a connection has its thread.
            while b"INJECTED" not in await said.readline():
                pass
        else:
            await asyncio.sleep(1.0)
            await assert_reads_go_on(shop)
    await shop.recover(within=5)
    await shop.sell(20)
    return await shop.settle(f"EIO from fsync, {'once' if once else 'for a second'}", 1)


async def assert_reads_go_on(shop: Shop) -> None:
    """A till still sees its sales while nothing can be written."""
    async with http_session() as http:
        answer = await Till(http, shop.box.address, shop.clients[0].token).get(f"{SYNC}/pending/")
    if answer.status != 200:
        shop.findings.append(f"reads: {answer.status} while nothing can be written")


async def disk_is_full(shop: Shop, disk: Disk) -> Verdict:
    """No byte is left for a second; then there is room again."""
    return await _without_writing(shop, "disk full", disk.full())


async def read_only(shop: Shop, disk: Disk) -> Verdict:
    """The disk turns read-only, as ext4 does after an error; a restart finds it writable."""
    await shop.box.start()
    shop.open()
    await shop.sell(20)
    disk.turn_read_only()
    await asyncio.sleep(0.5)
    await assert_reads_go_on(shop)
    _assert_told_later(shop)
    await shop.box.kill_and_wait()
    disk.mount_again()
    await shop.box.start()
    await shop.recover(within=5)
    return await shop.settle("read-only remount", 1)


def _assert_told_later(shop: Shop) -> None:
    """Whoever was refused was told 503, when to come back, and soon."""
    refusals = [each for client in shop.clients for each in client.refusals]
    if not refusals:
        shop.findings.append("refused: nobody noticed the fault")
    for status, seconds, retry_after in refusals:
        if (status, retry_after is not None) != (503, True) or seconds > MAX_REFUSAL_SECONDS:
            shop.findings.append(f"refused: {status} after {seconds:.1f} s, {retry_after}")


async def file_size_limited(shop: Shop) -> Verdict:
    """The process may make no file any longer (RLIMIT_FSIZE), then it may again."""

    @contextmanager
    def limited() -> Iterator[None]:
        before = resource.prlimit(shop.box.pid, resource.RLIMIT_FSIZE, (4096, -1))
        try:
            yield
        finally:
            resource.prlimit(shop.box.pid, resource.RLIMIT_FSIZE, before)

    return await _without_writing(shop, "RLIMIT_FSIZE", limited())


async def _without_writing(shop: Shop, fault: str, broken: AbstractContextManager[None]) -> Verdict:
    await shop.box.start()
    shop.open()
    await shop.sell(20)
    with broken:
        await asyncio.sleep(1.0)
        await assert_reads_go_on(shop)
    await shop.recover(within=5)
    await shop.sell(20)
    _assert_told_later(shop)
    return await shop.settle(fault, 1)


async def locked_by_another(shop: Shop, seconds: float) -> Verdict:
    """Another program writes to the file for so long, and commits."""
    await shop.box.start()
    shop.open()
    await shop.sell(20)
    path = shop.store_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, isolation_level=None, timeout=20)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE customers SET tax_id = tax_id || '1'")
        await asyncio.sleep(seconds)
        await assert_reads_go_on(shop)
        other.execute("COMMIT")
    await shop.recover(within=5)
    refused = sum(len(client.refusals) for client in shop.clients)
    if seconds < 10 and refused:
        shop.findings.append(f"refused: {refused} uploads, where waiting {seconds} s is enough")
    return await shop.settle(f"locked by another for {seconds} s", 1)


async def answered_to_nobody(shop: Shop, times: int) -> Verdict:
    """Each request arrives whole and its client resets the connection before the answer."""
    client = shop.clients[0]
    await shop.box.start()
    sent = [a_sale(client.chance) for _ in range(times)]
    client.ledger.note_sent(sent)
    async with writers_turn_held(shop.store_url):
        await send_and_reset(shop.box.port, client.token, sent)
        # The daemon learns of the resets while everything waits.
        await asyncio.sleep(0.3)
    async with http_session() as http:
        till = Till(http, shop.box.address, client.token)
        deadline = time.monotonic() + 5
        unknown = [sale["local_id"] for sale in sent]
        while unknown and time.monotonic() < deadline:
            asked = (await till.post(f"{SYNC}/status/", {"local_ids": unknown[:200]})).json
            unknown = [
                each["local_id"] for each in asked["results"] if each["sync_status"] == "unknown"
            ]
    if unknown:
        return Verdict(findings=[f"dropped: {len(unknown)} of {times} that arrived whole"])
    client.queue.extend(Script([Step(sale, "success")]) for sale in sent)
    shop.open()
    return await shop.settle("RST after send", times)


async def handed_over(shop: Shop, sales: int) -> Verdict:
    """Ana's queue, half of it answered, is sent by Beto, who has her tablet next."""
    ana, beto = shop.clients[:2]
    await shop.box.start()
    sent = [a_sale(ana.chance) for _ in range(sales)]
    ana.queue.extend(Script([Step(sale, "success")]) for sale in sent)
    shop.running.append(asyncio.create_task(ana.run()))
    await shop.drain()
    beto.queue.extend(Script([Step(sale, "success")]) for sale in sent)
    shop.running.append(asyncio.create_task(beto.run()))
    return await shop.settle("queue sent by the next cashier", sales)


async def foreign_is_missing(shop: Shop) -> Verdict:
    """Every endpoint answers another's sale as one that is not there, byte for byte but the id."""
    await undisturbed_setup(shop)
    owner, other = shop.clients[:2]
    sale_ids = {told.sale_id for told in owner.ledger.read() if isinstance(told, Told)}
    # As long as the others, so that nothing but the id itself differs.
    missing = 9_999_999
    async with http_session() as http:
        till = Till(http, shop.box.address, other.token)
        for sale_id in sorted(each for each in sale_ids if each)[:20]:
            for ask in ASKED:
                foreign, absent = await ask(till, sale_id), await ask(till, missing)
                alike = foreign.text.replace(str(sale_id), "ID") == absent.text.replace(
                    str(missing), "ID"
                )
                if foreign.status != absent.status or not alike:
                    shop.findings.append(f"foreign: {foreign.text} is not {absent.text}")
    return await shop.settle("another's sale asked for", len(ASKED))


async def undisturbed_setup(shop: Shop) -> None:
    await shop.box.start()
    shop.open()
    await shop.sell(60)
    await shop.drain()


Ask = Callable[[Till, int], Awaitable[Answer]]


ASKED: tuple[Ask, ...] = (
    lambda till, key: till.get(f"{SYNC}/status/{key}/"),
    lambda till, key: till.get(f"/api/v1/sales/{key}/"),
    lambda till, key: till.post(f"{SYNC}/retry/", {"sale_ids": [key]}),
    lambda till, key: till.post(f"{SYNC}/resolve/", {"sale_id": key, "resolution": "server_wins"}),
    lambda till, key: till.post(f"{SYNC}/resolve/", {"sale_id": key, "resolution": "client_wins"}),
    lambda till, key: till.send("PATCH", f"/api/v1/sales/{key}/", json={"version": 1}),
)


async def outage(
    shop: Shop, fault: str, times: int, break_it: Callable[[], None], mend: Callable[[], None]
) -> Verdict:
    """The database server goes and comes back; the daemon is left alone."""
    await shop.box.start()
    shop.open()
    await shop.sell(20)
    for _ in range(times):
        await asyncio.sleep(shop.chance.uniform(0, 0.1))
        await asyncio.to_thread(break_it)
        await asyncio.to_thread(mend)
        await shop.recover(within=MAX_RECOVERY_SECONDS)
    for client in shop.clients:
        for status, seconds, retry_after in client.refusals:
            if (status, retry_after is not None) != (503, True) or seconds > MAX_REFUSAL_SECONDS:
                shop.findings.append(f"refused: {status} after {seconds:.1f} s, {retry_after}")
    if shop.box.restarts:
        shop.findings.append("the daemon was started again")
    return await shop.settle(fault, times)


async def torn(shop: Shop, batches: int) -> Verdict:
    """Every till talks through a proxy that cuts half of the connections, wherever it likes."""
    await shop.box.start()
    async with cutting_proxy(shop.box.port, shop.chance) as (port, proxy):
        for client in shop.clients:
            client.addresses = [f"http://127.0.0.1:{port}"]
            # A connection that was spared once would be spared for good.
            client.keeps_alive = False
        shop.open()
        await shop.wait_until(lambda: proxy.cuts >= batches // 2, 60, "the proxy cuts nothing")
        for client in shop.clients:
            client.addresses = [shop.box.address]
        await shop.recover()
        await shop.drain()
    return await shop.settle("torn requests and answers", batches)
