"""Run the measurements and print them: `make bench`, or `python -m benchmarks --quick`.

Absolute figures say little on a shared machine. So each of ours stands beside the bare engine's of
the same rounds, interleaved, and the ratio is what to quote.
"""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.daemons import PENDING, Gateway, gateway
from benchmarks.loads import BarePostgres, BareSqlite, get_seconds, upload_seconds
from benchmarks.rows import make_sale
from bulonera_sync.store.sqlite import connect
from tests.postgres import postgres_or_reason

ROUNDS = 3
SIZES = (1, 10, 100)
CLIENTS = (1, 16)


@dataclass
class Figures:
    """Every measured second, by what was measured."""

    seconds: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, name: str, seconds: list[float]) -> None:
        self.seconds[name] += seconds

    def median_ms(self, name: str) -> float:
        return median(self.seconds[name]) * 1000

    def spread(self, name: str) -> str:
        values = [each * 1000 for each in self.seconds[name]]
        return f"{min(values):.2f}..{max(values):.2f}"


@dataclass(frozen=True)
class Scale:
    """How much is measured."""

    requests: int
    stored: tuple[int, ...]
    rounds: int
    held: int


FULL = Scale(requests=30, stored=(1_000, 100_000), rounds=ROUNDS, held=10_000)
QUICK = Scale(requests=2, stored=(200, 400), rounds=1, held=100)
# No customer of the catalogue has such an id.
FIRST_MISSING = 1_000_000
HEALED_WITHIN_SECONDS = 60


async def measure_uploads(served: Gateway, bare: Any, scale: Scale, figures: Figures) -> None:
    """Uploads of each size and number of clients, a round of the bare engine between."""
    for _ in range(scale.rounds):
        for size in SIZES:
            requests = max(2, scale.requests // (size // 10 or 1))
            figures.add(f"bare {size}", await bare(size, requests))
            for clients in CLIENTS:
                *each, whole = await upload_seconds(
                    served, size=size, clients=clients, requests=max(2, requests // clients + 1)
                )
                figures.add(f"upload {size} x{clients}", each)
                figures.add(f"upload {size} x{clients} rate", [len(each) * size / whole])


async def measure_reads(served: Gateway, scale: Scale, stored: int, figures: Figures) -> None:
    """Pending of 50 and status, with so many sales stored."""
    for _ in range(scale.rounds):
        for name, path in (
            ("pending of 50", PENDING),
            ("status", "/api/v1/sales/sync/status/1/"),
            ("healthz", "/healthz"),
        ):
            seconds = await get_seconds(served, path, requests=scale.requests * 5)
            figures.add(f"{name}, {stored} stored", seconds)


async def fill(served: Gateway, target: int, present: int) -> None:
    """Store sales until there are `target`; the first 60 of them are held."""
    missing = target - present
    while missing > 0:
        size = min(200, missing)
        async with served.client(1) as http:
            held = 60 if present == 0 else 0
            sales = [make_sale(customer_id=999_999 if i < held else None) for i in range(size)]
            body = json.dumps({"sales": sales}).encode()
            async with http.post("/api/v1/sales/sync/upload/", data=body) as answer:
                await answer.read()
        missing -= size
        present += size


async def run_sqlite(folder: Path, scale: Scale) -> Figures:
    figures = Figures()
    file = folder / "gateway.db"
    with gateway(folder / "sqlite", f"sqlite:///{file}") as served:
        await fill(served, scale.stored[0], 0)
        bare = BareSqlite(file, folder)

        async def bare_seconds(size: int, transactions: int) -> list[float]:
            return bare.seconds(size=size, transactions=transactions)

        await measure_reads(served, scale, scale.stored[0], figures)
        await measure_uploads(served, bare_seconds, scale, figures)
        with gateway(folder / "waiting", f"sqlite:///{folder / 'waiting.db'}") as waiting:
            await measure_healing(waiting, served, scale, figures)
        with connect(file) as counting:
            [(present,)] = counting.execute("SELECT count(*) FROM sales").fetchall()
        await fill(served, scale.stored[1], present)
        await measure_reads(served, scale, scale.stored[1], figures)
    return figures


async def run_postgres(folder: Path, scale: Scale) -> Figures:
    found = postgres_or_reason(durable=True)
    if isinstance(found, str):
        raise SystemExit(found)
    figures = Figures()
    with found as server:
        server.create_database("gateway")
        with gateway(folder / "postgres", server.url("gateway")) as served:
            await fill(served, scale.stored[0], 0)
            async with bare_postgres(server, folder) as bare:

                async def bare_seconds(size: int, transactions: int) -> list[float]:
                    return await bare.seconds(size=size, transactions=transactions)

                await measure_reads(served, scale, scale.stored[0], figures)
                await measure_uploads(served, bare_seconds, scale, figures)
            server.create_database("waiting")
            with gateway(folder / "waiting", server.url("waiting")) as waiting:
                await measure_healing(waiting, served, scale, figures)
            await fill(served, scale.stored[1], scale.stored[0])
            await measure_reads(served, scale, scale.stored[1], figures)
    return figures


async def measure_healing(waiting: Gateway, clean: Gateway, scale: Scale, figures: Figures) -> None:
    """Uploads while held sales heal in bursts, beside the same on a gateway where none waits."""
    await hold(waiting, scale.held)
    for turn in range(scale.rounds):
        share = scale.held // (scale.rounds + 1)
        first = FIRST_MISSING + turn * share
        importing = asyncio.to_thread(import_customers, waiting, first, share)
        for name, served, beside in (
            ("clean", clean, None),
            ("waiting", waiting, None),
            ("healing", waiting, importing),
        ):
            burst = asyncio.ensure_future(beside) if beside else None
            *each, _ = await upload_seconds(served, size=10, clients=4, requests=scale.requests)
            figures.add(f"upload 10 x4 {name}", each)
            if burst is not None:
                await burst
    left = scale.held - scale.rounds * (scale.held // (scale.rounds + 1))
    async with asyncio.timeout(HEALED_WITHIN_SECONDS):
        while await count_held(waiting) > left:  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(0.2)


async def hold(served: Gateway, count: int) -> None:
    """Store sales that each wait for a customer of its own."""
    async with served.client(1) as http:
        for start in range(0, count, 200):
            ids = range(FIRST_MISSING + start, FIRST_MISSING + min(start + 200, count))
            body = json.dumps({"sales": [make_sale(customer_id=each) for each in ids]}).encode()
            async with http.post("/api/v1/sales/sync/upload/", data=body) as answer:
                await answer.read()


def import_customers(served: Gateway, first: int, count: int) -> None:
    """Bring the customers that some of the held sales wait for, by the command."""
    file = served.folder / "missing.csv"
    rows = "\n".join(f"{each},Cliente {each}" for each in range(first, first + count))
    file.write_text(f"id,name\n{rows}\n")
    served.command("catalog", "import", "customers", str(file))


async def count_held(served: Gateway) -> int:
    async with served.client(1) as http, http.get(PENDING) as answer:
        return int((await answer.json())["total"])


@asynccontextmanager
async def bare_postgres(server: Any, folder: Path) -> AsyncIterator[BarePostgres]:
    """A second database with the same tables and one gateway's rows to copy."""
    server.create_database("bare")
    url = server.url("bare")
    with gateway(folder / "bare", url) as source:
        await fill(source, 1, 1)
        async with source.client(1) as http:
            body = json.dumps({"sales": [make_sale()]}).encode()
            async with http.post("/api/v1/sales/sync/upload/", data=body) as answer:
                await answer.read()
    bare = await BarePostgres.open(url)
    try:
        yield bare
    finally:
        await bare.close()


def report(engine: str, scale: Scale, figures: Figures) -> list[str]:
    """Return the table of one engine, as lines."""
    lines = [
        f"## {engine}",
        "",
        "| sales a request | bare transaction | 1 client | ratio | 16 clients | sales/s |",
        "|---|---|---|---|---|---|",
    ]
    for size in SIZES:
        bare = figures.median_ms(f"bare {size}")
        one, many = (figures.median_ms(f"upload {size} x{clients}") for clients in CLIENTS)
        rate = median(figures.seconds[f"upload {size} x16 rate"])
        cells = (size, f"{bare:.2f} ms", f"{one:.2f} ms", f"{one / bare:.1f}", f"{many:.2f} ms")
        lines.append(f"| {' | '.join(map(str, cells))} | {rate:.0f} |")
    few, many_stored = scale.stored
    lines += [
        "",
        f"| request | {few} stored | {many_stored} stored | ratio |",
        "|---|---|---|---|",
    ]
    for name in ("pending of 50", "status", "healthz"):
        one, other = (figures.median_ms(f"{name}, {stored} stored") for stored in scale.stored)
        lines.append(f"| {name} | {one:.2f} ms | {other:.2f} ms | {other / one:.2f} |")
    clean, waiting, healing = (
        figures.median_ms(f"upload 10 x4 {name}") for name in ("clean", "waiting", "healing")
    )
    lines += [
        "",
        f"Uploads of 10, 4 clients: {clean:.2f} ms on a gateway where nothing waits, "
        f"{waiting:.2f} ms beside {scale.held} in error ({waiting / clean:.2f}), {healing:.2f} "
        f"ms while an import heals a part of them ({healing / clean:.2f}).",
    ]
    return [*lines, ""]


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tiny run, to see that it works")
    parser.add_argument("--engine", choices=["sqlite", "postgres"], action="append")
    parser.add_argument("--json", type=Path, help="write every measured second there")
    chosen = parser.parse_args()
    scale = QUICK if chosen.quick else FULL
    runs = {"sqlite": run_sqlite, "postgres": run_postgres}
    folder = Path(tempfile.mkdtemp(prefix="bulonera-bench-"))
    seconds: dict[str, Any] = {}
    try:
        for engine in chosen.engine or list(runs):
            (folder / engine).mkdir()
            figures = asyncio.run(runs[engine](folder / engine, scale))
            seconds[engine] = figures.seconds
            sys.stdout.write("\n".join(report(engine, scale, figures)) + "\n")
            sys.stdout.flush()
    finally:
        shutil.rmtree(folder)
    if chosen.json:
        chosen.json.write_text(json.dumps(seconds, indent=1))


if __name__ == "__main__":
    main()
