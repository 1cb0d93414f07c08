"""A shop under test: a database, daemons on it, tills that sell, and the verdict at the end."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.end_to_end.processes import furnish
from tests.faults.clients import Client
from tests.faults.daemons import Box, Zygote
from tests.faults.figures import Figures, keep
from tests.faults.ledgers import Ledger
from tests.faults.oracle import Verdict, judge

HEAL_SECONDS = 30.0
TILLS = ("ana", "beto", "caro", "dina")


@dataclass
class Shop:
    """Boxes on one database and the tills that use them."""

    folder: Path
    store_url: str
    boxes: list[Box]
    clients: list[Client]
    chance: random.Random
    recoveries: list[float] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    running: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def box(self) -> Box:
        return self.boxes[0]

    @property
    def engine(self) -> str:
        return "sqlite" if self.store_url.startswith("sqlite") else "postgres"

    @property
    def acknowledged(self) -> int:
        return sum(client.acknowledged for client in self.clients)

    def open(self) -> None:
        """Let every till sell until `close`."""
        for client in self.clients:
            client.is_selling = True
            self.running.append(asyncio.create_task(client.run()))

    async def sell(self, answers: int, *, seconds: float = 20.0) -> None:
        """Wait until so many sales more are answered."""
        wanted = self.acknowledged + answers
        await self.wait_until(lambda: self.acknowledged >= wanted, seconds, "nothing is answered")

    async def wait_until(self, is_so: Callable[[], bool], seconds: float, trouble: str) -> None:
        deadline = time.monotonic() + seconds
        while not is_so():
            for each in self.running:
                if each.done() and each.exception():
                    each.result()
            if time.monotonic() > deadline:
                raise AssertionError(trouble)
            await asyncio.sleep(0.002)

    async def recover(self, *, within: float = HEAL_SECONDS) -> float:
        """Wait for the first answer from now on; return how long it took."""
        begun = time.monotonic()
        await self.sell(1, seconds=within)
        self.recoveries.append(time.monotonic() - begun)
        return self.recoveries[-1]

    async def drain(self) -> None:
        """Sell no more; wait until every queue is empty, 30 s at most."""
        for client in self.clients:
            client.is_selling = False
        if not self.running:
            return
        _, waiting = await asyncio.wait(self.running, timeout=HEAL_SECONDS)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*self.running, return_exceptions=True)
        if waiting:
            self.findings.append("queue: it is not empty 30 s after the fault")
        for task in self.running:
            if not task.cancelled() and task.exception():
                task.result()
        self.running.clear()

    async def settle(self, fault: str, tries: int) -> Verdict:
        """Heal, drain, stop, judge; the row of figures is kept for the product as it is."""
        await self.drain()
        for box in self.boxes:
            if box.pid:
                await box.stop()
        verdict = await judge(self.store_url, [client.ledger for client in self.clients])
        verdict.findings += self.findings
        verdict.findings += [text for client in self.clients for text in client.surprises]
        if self.box.seed is None:
            recovery = max(self.recoveries, default=None)
            keep(
                Figures(
                    fault,
                    self.engine,
                    tries,
                    verdict.acknowledged,
                    verdict.lost,
                    verdict.doubled,
                    recovery,
                )
            )
        return verdict


@asynccontextmanager
async def open_shop(
    zygote: Zygote,
    folder: Path,
    store_url: str,
    *,
    seed: str | None = None,
    boxes: int = 1,
    tills: int = 4,
    **environment: str,
) -> AsyncIterator[Shop]:
    """A furnished shop whose daemons do not run yet."""
    tokens = await furnish(store_url, *TILLS[:tills])
    made = []
    for place in range(boxes):
        home = folder / f"box-{place}"
        home.mkdir()
        made.append(Box(zygote, home, store_url, seed, environment))
    addresses = [box.address for box in made]
    clients = [
        Client(name, token, Ledger(folder / f"{name}.ledger"), addresses, random.Random(name))
        for name, token in zip(TILLS, tokens, strict=False)
    ]
    shop = Shop(folder, store_url, made, clients, random.Random(str(seed)))
    try:
        yield shop
    finally:
        for task in shop.running:
            task.cancel()
        await asyncio.gather(*shop.running, return_exceptions=True)
        for client in clients:
            client.ledger.close()
        for box in made:
            if box.pid:
                await box.kill_and_wait()


Scenario = Callable[[Shop], Awaitable[Verdict]]


def assert_kept(verdict: Verdict) -> None:
    """Nothing lost, nothing doubled, nothing else that the oracle minds."""
    assert verdict.findings == []
    assert (verdict.lost, verdict.doubled) == (0, 0)
    assert verdict.acknowledged > 0
