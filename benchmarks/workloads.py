"""The workloads, on one engine: what stands, how it is loaded, a figure of each a round."""

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import median

from benchmarks.bare import Bare
from benchmarks.clients import PENDING, RETRY, STATUS, UPLOAD, Plan, run
from benchmarks.daemons import Served, command, configure, empty_handler, gateway
from benchmarks.disks import slow_disk
from benchmarks.engines import Engine, open_engine
from benchmarks.figures import Figures
from benchmarks.rows import MISSING_CUSTOMER, Bodies, write_catalog
from benchmarks.scales import Scale

_WARM_UP_SECONDS = 0.5
_BARE_SIZES = (1, 10, 100, 1_000)
_SAMPLE_SECONDS = 1.0


Tell = Callable[[str], None]


@dataclass(frozen=True)
class Bench:
    """What a run measures on, and where its figures go."""

    folder: Path
    engine: Engine
    token: str
    scale: Scale
    figures: Figures
    tell: Tell

    def plan(self, served: Served, path: str, **more: object) -> Plan:
        made = Plan(served.port, self.token, path, self.scale.seconds)
        return replace(made, **more)  # type: ignore[arg-type]

    def load(self, name: str, served: Served, path: str, **more: object) -> None:
        """Load it, and keep the figures under this name."""
        self.figures.add_load(name, run(self.plan(served, path, **more)))

    @contextmanager
    def gateway(self, name: str, **more: object) -> Iterator[Served]:
        """Serve a gateway on the database of this name, warm."""
        config = configure(self.folder / name, self.engine.url(name))
        with gateway(config, **more) as served:  # type: ignore[arg-type]
            for path, size in ((UPLOAD, 10), (PENDING, 0)):
                run(
                    self.plan(
                        served, path, size=size, seconds=min(_WARM_UP_SECONDS, self.scale.seconds)
                    )
                )
            yield served

    def rounds(self) -> Iterator[int]:
        for turn in range(self.scale.rounds):
            self.tell(f"{self.engine.name}: round {turn + 1} of {self.scale.rounds}")
            yield turn


def measure(name: str, folder: Path, scale: Scale, chosen: set[str], tell: Tell) -> Figures:
    """Measure the chosen parts (see `PARTS`) on this engine and return the figures."""
    figures = Figures()
    with open_engine(name, folder / name) as engine:
        tell(f"{name}: preparing")
        token = prepare(engine, folder / name, scale)
        bench = Bench(folder / name, engine, token, scale, figures, tell)
        for part, measured in PARTS.items():
            if part in chosen:
                measured(bench)
    if "slow" in chosen:
        _slow_disks(name, folder / f"{name}-slow", scale, figures, tell)
    return figures


def prepare(engine: Engine, folder: Path, scale: Scale) -> str:
    """Make the database "few" of this scale and return a manager's token for it and its copies."""
    engine.create("few")
    config = configure(folder / "few", engine.url("few"))
    token: str = command(config, "user", "add", "ana", "--role", "manager", "--json")["token"]
    write_catalog(folder)
    for kind in ("customers", "products"):
        command(config, "catalog", "import", kind, str(folder / f"{kind}.csv"))
    with gateway(config) as served:
        # The last one is what the database is filled with.
        held = islice(
            Bodies(min(100, scale.held), customer_id=MISSING_CUSTOMER), scale.held // 100 or 1
        )
        for body in (*held, Bodies(1).first()):
            _post(served, token, body)
    engine.fill("few", scale.few)
    return token


def _post(served: Served, token: str, body: bytes) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{served.port}{UPLOAD}",
        data=body,
        headers={"Authorization": f"Token {token}", "Content-Type": "application/json"},
    )
    try:
        urllib.request.urlopen(request).close()
    except urllib.error.HTTPError as error:
        # All of them held is a 400.
        if error.code != 400:
            raise


def _beside_bare(bench: Bench) -> None:
    """Each workload beside the bare engine and the empty handler."""
    for name in ("bare", "ungrouped"):
        bench.engine.copy(name, "few")
    with ExitStack() as stack:
        bare = stack.enter_context(bench.engine.bare("bare"))
        empty = stack.enter_context(empty_handler())
        ours = stack.enter_context(bench.gateway("few"))
        ungrouped = stack.enter_context(bench.gateway("ungrouped", switches=["--ungrouped"]))
        body = Bodies(1).first().decode()
        for _ in bench.rounds():
            _bare_round(bench, bare)
            bench.load("empty post", empty, UPLOAD, body=body)
            bench.load("empty get", empty, PENDING)
            bench.load("empty post x16", empty, UPLOAD, body=body, clients=16)
            bench.load("upload 1", ours, UPLOAD, size=1)
            bench.load("upload 10", ours, UPLOAD, size=10)
            bench.load("upload 10 x16", ours, UPLOAD, size=10, clients=16)
            bench.load("upload 100 x16", ours, UPLOAD, size=100, clients=16)
            bench.load("upload 1 x16", ours, UPLOAD, size=1, clients=16)
            bench.load("upload 1 x16 ungrouped", ungrouped, UPLOAD, size=1, clients=16)
            bench.load("pending", ours, PENDING)
            bench.load("status", ours, STATUS, ids=bench.scale.few)


def _bare_round(bench: Bench, bare: Bare) -> None:
    count = bench.scale.transactions
    bench.figures.add("bare commit", median(bare.commit() for _ in range(count)))
    for size in _BARE_SIZES:
        times = [bare.insert(size) for _ in range(max(2, count // max(1, size // 100)))]
        bench.figures.add(f"bare {size}", median(times))
    body = Bodies(10).first()
    bench.figures.add("parse 10", median(_timed(lambda: json.loads(body)) for _ in range(count)))


def _timed(function: Callable[[], object]) -> float:
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


def _stored(bench: Bench) -> None:
    """The same requests with few and with many sales stored, and memory with many."""
    few, many = bench.scale.few, bench.scale.many
    for name in ("some", "many"):
        bench.engine.copy(name, "few")
    bench.tell(f"{bench.engine.name}: filling up to {many} sales")
    bench.engine.fill("many", many)
    with bench.gateway("some") as some, bench.gateway("many") as much:
        for _ in bench.rounds():
            for name, served, stored in (("few", some, few), ("many", much, many)):
                bench.load(f"pending, {name}", served, PENDING)
                bench.load(f"status, {name}", served, STATUS, ids=stored)
                retry = {"body": '{"sale_ids": [{}]}', "ids": bench.scale.held}
                bench.load(f"retry, {name}", served, RETRY, **retry)
                bench.load(f"upload, {name}", served, UPLOAD, size=10)
    with bench.gateway("many") as much:
        _memory(bench, much)


def _memory(bench: Bench, served: Served) -> None:
    minutes = bench.scale.memory_minutes
    bench.tell(f"{bench.engine.name}: memory, {minutes:g} minutes")
    end = time.monotonic() + minutes * 60
    while time.monotonic() < end:
        for path, more in ((UPLOAD, {"size": 10, "clients": 16}), (PENDING, {"clients": 4})):
            load = run(
                bench.plan(served, path, seconds=min(_SAMPLE_SECONDS, bench.scale.seconds), **more)
            )
            if more.get("size"):
                bench.figures.add("memory load accepted", load.accepted / load.uploaded)
        bench.figures.add("memory", served.resident_bytes)


def _slow_disks(name: str, folder: Path, scale: Scale, figures: Figures, tell: Tell) -> None:
    """Uploads of one sale, 16 clients, with and without grouping, on disks that take longer."""
    folder.mkdir(parents=True)
    for milliseconds in scale.slow_milliseconds:
        environment = slow_disk(folder, milliseconds=milliseconds)
        if environment is None:
            tell("no C compiler: no slow disk")
            return
        tell(f"{name}: a disk slower by {milliseconds} ms")
        place = folder / str(milliseconds)
        with open_engine(name, place, environment) as engine:
            quick = replace(scale, few=200, held=100)
            bench = Bench(place, engine, prepare(engine, place, quick), scale, figures, tell)
            engine.copy("ungrouped", "few")
            with (
                bench.gateway("few", environment=environment) as ours,
                bench.gateway(
                    "ungrouped", environment=environment, switches=["--ungrouped"]
                ) as ungrouped,
            ):
                for _ in bench.rounds():
                    for title, served in (("", ours), (" ungrouped", ungrouped)):
                        load = f"upload 1 x16 +{milliseconds} ms{title}"
                        bench.load(load, served, UPLOAD, size=1, clients=16)


def profile(name: str, folder: Path, scale: Scale, tell: Tell) -> Path:
    """Load a gateway that is looked at with uploads of 100; return the file of what was seen."""
    file = folder / f"{name}-samples.json"
    with open_engine(name, folder / name) as engine:
        bench = Bench(
            folder / name, engine, prepare(engine, folder / name, scale), scale, Figures(), tell
        )
        with bench.gateway("few", switches=["--samples", str(file)]) as served:
            seconds = scale.seconds * scale.rounds
            run(bench.plan(served, UPLOAD, size=100, clients=4, seconds=seconds))
    return file


PARTS = {"bare": _beside_bare, "stored": _stored}
