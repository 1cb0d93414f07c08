"""Honest uploads beside idle and slow clients, against without them, in turns of one run."""

import argparse
import asyncio
import itertools
import multiprocessing
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event
from pathlib import Path
from statistics import quantiles

from benchmarks.clients import UPLOAD, Plan, run
from benchmarks.daemons import configure, gateway
from benchmarks.engines import open_engine
from benchmarks.scales import QUICK as FEW_STORED
from benchmarks.workloads import prepare

ADDRESSES = 20
SALES, CLIENTS = 10, 4


@dataclass(frozen=True)
class Scale:
    """How many clients wait or dawdle, and how much is measured in each turn."""

    idle: int = 2_000
    slow: int = 200
    turns: int = 3
    # Long enough for the slow to be cut and to come again.
    seconds: float = 10


QUICK = Scale(idle=50, slow=10, turns=1, seconds=0.2)


class Crowd:
    """Clients that are of no use, each opening another connection when it is cut."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._token = token
        # Cut at one of many addresses, as from many machines.
        self._sources = itertools.cycle(f"127.0.1.{place + 1}" for place in range(ADDRESSES))

    async def gather(self, scale: Scale, ready: Event) -> None:
        """Open all of them, tell so, and dawdle for ever."""
        first = [asyncio.Event() for _ in range(scale.idle + scale.slow)]
        clients = [self._idle(each) for each in first[: scale.idle]]
        clients += [
            self._drip(each, self._head() if turn % 2 else b"GET /healthz HTTP/1.1\r\nX: ")
            for turn, each in enumerate(first[scale.idle :])
        ]
        tasks = [asyncio.create_task(client) for client in clients]
        await asyncio.gather(*(each.wait() for each in first))
        ready.set()
        await asyncio.gather(*tasks)

    def _head(self) -> bytes:
        return (
            f"POST {UPLOAD} HTTP/1.1\r\nHost: x\r\nAuthorization: Token {self._token}\r\n"
            "Content-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"
        ).encode()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(
            "127.0.0.1", self._port, local_addr=(next(self._sources), 0)
        )

    async def _idle(self, opened: asyncio.Event) -> None:
        while True:
            reader, writer = await self._open()
            try:
                writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                await reader.readuntil(b"}")
                opened.set()
                await reader.read()
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            writer.close()

    async def _drip(self, opened: asyncio.Event, head: bytes) -> None:
        while True:
            reader, writer = await self._open()
            try:
                writer.write(head)
                opened.set()
                while not reader.at_eof():
                    await asyncio.sleep(1)
                    writer.write(b"a")
                    await writer.drain()
            except ConnectionError:
                pass
            writer.close()


def _gather(port: int, token: str, scale: Scale, ready: Event) -> None:
    asyncio.run(Crowd(port, token).gather(scale, ready))


@contextmanager
def crowd(plan: Plan, scale: Scale) -> Iterator[None]:
    """Keep the crowd in a process of its own while the block runs."""
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    arguments = (plan.port, plan.token, scale, ready)
    process = context.Process(target=_gather, args=arguments, daemon=True)
    process.start()
    try:
        if not ready.wait(60):
            raise RuntimeError("the crowd did not get in")
        # What it cost to let them in is another matter.
        time.sleep(1)
        yield
    finally:
        process.terminate()
        process.join()


@dataclass
class Measured:
    seconds: list[float] = field(default_factory=list)

    def add(self, plan: Plan) -> None:
        self.seconds += run(plan).latencies

    def cells(self) -> str:
        cuts = quantiles(self.seconds, n=100)
        shown = (cuts[49], cuts[94], cuts[98], max(self.seconds))
        return " | ".join(f"{1000 * each:.1f} ms" for each in shown)

    @property
    def p99(self) -> float:
        return quantiles(self.seconds, n=100)[98]


def measure(folder: Path, scale: Scale) -> list[str]:
    """Return the table, as lines."""
    alone, beside = Measured(), Measured()
    with open_engine("sqlite", folder) as engine:
        token = prepare(engine, folder, FEW_STORED)
        with gateway(configure(folder / "few", engine.url("few"))) as served:
            plan = Plan(served.port, token, UPLOAD, scale.seconds, clients=CLIENTS, size=SALES)
            run(plan)
            for _ in range(scale.turns):
                alone.add(plan)
                with crowd(plan, scale):
                    beside.add(plan)
    return [
        f"{CLIENTS} clients, {SALES} sales a request, {len(alone.seconds)} requests each way.",
        "",
        "| beside | median | p95 | p99 | slowest |",
        "|---|---|---|---|---|",
        f"| nobody | {alone.cells()} |",
        f"| {scale.idle} idle, {scale.slow} slow | {beside.cells()} |",
        "",
        f"p99 beside them / without them: {beside.p99 / alone.p99:.2f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.slow", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tiny run, to see that it works")
    scale = QUICK if parser.parse_args().quick else Scale()
    folder = Path(tempfile.mkdtemp(prefix="bulonera-bench-"))
    try:
        sys.stdout.write("\n".join(measure(folder, scale)) + "\n")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
