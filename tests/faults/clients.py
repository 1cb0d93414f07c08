"""Tills that sell whatever happens: what is not answered stays in their queue and is sent again.

A sale's life is a script of uploads, each with the answer that it must get. The next one is sent
once the one before is answered.
"""

import asyncio
import json
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

from tests.factories import Json, new_local_id
from tests.faults.ledgers import Ledger, Told, bytes_of, hash_of
from tests.http import SYNC

PAUSE_SECONDS = 0.01
REQUEST_SECONDS = 60
MAX_BATCH = 8
NO_CUSTOMER = 999
AHEAD = 7


@dataclass(frozen=True)
class Step:
    """One upload of a sale and the answer that it must get."""

    sale: Json
    status: str


@dataclass
class Script:
    """What becomes of one sale, upload by upload."""

    steps: list[Step]
    at: int = 0

    @property
    def step(self) -> Step:
        return self.steps[self.at]


def a_sale(chance: random.Random, **said: Any) -> Json:
    """A sale whose bytes can be made again from what the database holds of it."""
    items = [
        {
            "product_id": chance.randint(1, 99),
            "quantity": f"{chance.randint(1, 99_999) / 1000:.3f}",
            "unit_price": f"{chance.randint(1, 99_999) / 100:.2f}",
            "discount_type": "none",
            "discount_value": "0.00",
            "tax_percentage": "21.00",
        }
        for _ in range(chance.randint(1, 4))
    ]
    return {
        "local_id": new_local_id(),
        "customer_id": chance.randint(1, 9),
        "status": "draft",
        "items": items,
        "notes": f"caja {chance.randint(1, 10**9)} ñ",
        "version": 1,
        **said,
    }


def a_script(chance: random.Random) -> Script:
    """Mostly a plain sale; some are wrong, corrected, sent again late, or meet an edit."""
    kind = chance.random()
    first = a_sale(chance)
    if kind < 0.65:
        return Script([Step(first, "success")])
    if kind < 0.75:
        return Script([Step(first, "success"), Step(first, "success")])
    if kind < 0.85:
        return Script([Step({**first, "customer_id": NO_CUSTOMER}, "error")])
    second = {**first, "notes": f"{first['notes']} corregida"}
    if kind < 0.93:
        late = Step(first, "success")
        return Script([Step(first, "success"), Step(second, "success"), late])
    conflict = {**second, "version": AHEAD}
    return Script([Step(first, "success"), Step(conflict, "conflict")])


@dataclass
class Client:
    """One till of one cashier; it sends each batch to every address it has."""

    name: str
    token: str
    ledger: Ledger
    addresses: list[str]
    chance: random.Random
    max_batch: int = MAX_BATCH
    queue: deque[Script] = field(default_factory=deque)
    surprises: list[str] = field(default_factory=list)
    refusals: list[tuple[int, float, str | None]] = field(default_factory=list)
    answered_at: list[float] = field(default_factory=list)
    acknowledged: int = 0
    is_selling: bool = False
    keeps_alive: bool = True
    both: Callable[[], bool] = lambda: False

    async def run(self) -> None:
        """Sell until told otherwise, then send what is left until the queue is empty."""
        async with ClientSession(
            connector=TCPConnector(limit=0, force_close=not self.keeps_alive),
            timeout=ClientTimeout(total=REQUEST_SECONDS),
        ) as http:
            while self.is_selling or self.queue:
                await self._turn(http)

    async def _turn(self, http: ClientSession) -> None:
        size = self.chance.randint(1, self.max_batch)
        while self.is_selling and len(self.queue) < size:
            self.queue.append(a_script(self.chance))
        batch = [self.queue[place] for place in range(min(size, len(self.queue)))]
        sales = [script.step.sale for script in batch]
        self.ledger.note_sent(sales)
        places = self.addresses if self.both() else [self.chance.choice(self.addresses)]
        answers = await asyncio.gather(*(self._send(http, each, sales) for each in places))
        heard = [each for each in answers if each is not None]
        for results in heard:
            self._take(batch, results)
        if not heard:
            await asyncio.sleep(PAUSE_SECONDS)
            return
        self._advance(batch)

    async def _send(
        self, http: ClientSession, address: str, sales: list[Json]
    ) -> list[dict[str, Any]] | None:
        body = b'{"sales":[' + b",".join(map(bytes_of, sales)) + b"]}"
        headers = {"Authorization": f"Token {self.token}", "Content-Type": "application/json"}
        begun = time.monotonic()
        try:
            async with http.post(
                f"{address}{SYNC}/upload/", data=body, headers=headers
            ) as response:
                text = await response.read()
        except (ClientError, OSError, TimeoutError):
            return None
        if response.status not in {200, 400}:
            after = response.headers.get("Retry-After")
            self.refusals.append((response.status, time.monotonic() - begun, after))
            if response.status != 503:
                self.surprises.append(f"{response.status}: {text[:200]!r}")
            return None
        results = json.loads(text)["results"]
        assert isinstance(results, list)
        return results

    def _take(self, batch: list[Script], results: list[dict[str, Any]]) -> None:
        told = [
            Told(
                local_id=result["local_id"],
                hash=hash_of(script.step.sale),
                status=result["status"],
                sale_id=result["sale_id"],
                number=result["sale_number"],
                reason=result.get("error") or result.get("code"),
            )
            for script, result in zip(batch, results, strict=True)
        ]
        self.ledger.note_told(told)
        for script, result in zip(batch, results, strict=True):
            if result["status"] != script.step.status:
                self.surprises.append(f"{script.step.status} expected, told {result}")
        self.acknowledged += len(told)
        self.answered_at.append(time.monotonic())

    def _advance(self, batch: list[Script]) -> None:
        done = []
        for script in batch:
            if script.at + 1 < len(script.steps):
                script.at += 1
            else:
                done.append(id(script))
        self.queue = deque(script for script in self.queue if id(script) not in done)
