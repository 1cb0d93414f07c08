"""The workloads, on one engine: what stands, how it is loaded, a figure of each a round."""

import json
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

from benchmarks.bare import Bare
from benchmarks.clients import PENDING, RETRY, STATUS, UPLOAD, Load, Plan, run
from benchmarks.daemons import (
    OURS,
    Served,
    Tree,
    command,
    configure,
    empty_handler,
    gateway,
)
from benchmarks.disks import slow_disk
from benchmarks.engines import Engine, open_engine
from benchmarks.figures import Figures
from benchmarks.rows import MISSING_CUSTOMER, Bodies, write_catalog
from benchmarks.scales import Scale

_WARM_UP_SECONDS = 0.5
_BARE_SIZES = (1, 10, 100, 1_000)
_SAMPLE_SECONDS = 1.0

# What is switched off, and how the gateway's configuration says so.
_SWITCHED: Mapping[str, Mapping[str, str]] = {
    "on": {},
    "log off": {"level": "CRITICAL"},
    "throttle off": {"throttle": "off"},
    "both off": {"level": "CRITICAL", "throttle": "off"},
}
_SWITCHED_LOADS: Mapping[str, Mapping[str, int]] = {
    "upload 1": {"size": 1},
    "upload 10 x16": {"size": 10, "clients": 16},
    "upload 100 x16": {"size": 100, "clients": 16},
}
_PROFILED: Mapping[str, int] = {"size": 100, "clients": 4}

T = TypeVar("T")
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
    filled: set[str] = field(default_factory=set)

    def plan(self, served: Served, path: str, **more: object) -> Plan:
        made = Plan(served.port, self.token, path, self.scale.seconds)
        return replace(made, **more)  # type: ignore[arg-type]

    def load(self, name: str, served: Served, path: str, **more: object) -> None:
        """Load it, and keep the figures under this name."""
        self.figures.add_load(name, served.load(self.plan(served, path, **more)))

    @contextmanager
    def gateway(
        self, name: str, *, settings: Mapping[str, str] | None = None, **more: Any
    ) -> Iterator[Served]:
        """Serve a gateway on the database of this name, configured so, warm."""
        config = configure(self.folder / name, self.engine.url(name), **(settings or {}))
        with gateway(config, **more) as served:
            warm_up(self.plan(served, UPLOAD, size=10))
            warm_up(self.plan(served, PENDING))
            yield served

    def many(self) -> str:
        """Return the name of the database of many sales, filled once a run."""
        name = "many"
        if name not in self.filled:
            self.engine.copy(name, "few")
            self.tell(f"{self.engine.name}: filling up to {self.scale.many} sales")
            self.engine.fill(name, self.scale.many)
            self.filled.add(name)
        return name

    def rounds(self) -> Iterator[int]:
        for turn in range(self.scale.rounds):
            self.tell(f"{self.engine.name}: round {turn + 1} of {self.scale.rounds}")
            yield turn


def warm_up(plan: Plan) -> None:
    run(replace(plan, seconds=min(_WARM_UP_SECONDS, plan.seconds)))


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


def prepare(
    engine: Engine, folder: Path, scale: Scale, *, name: str = "few", tree: Tree = OURS
) -> str:
    """Make a database of this scale and return a manager's token for it and its copies."""
    engine.create(name)
    config = configure(folder / name, engine.url(name))
    added = command(config, "user", "add", "ana", "--role", "manager", "--json", tree=tree)
    token: str = added["token"]
    write_catalog(folder)
    for kind in ("customers", "products"):
        command(config, "catalog", "import", kind, str(folder / f"{kind}.csv"), tree=tree)
    with gateway(config, tree=tree) as served:
        # The last one is what the database is filled with.
        held = islice(
            Bodies(min(100, scale.held), customer_id=MISSING_CUSTOMER), scale.held // 100 or 1
        )
        for body in (*held, Bodies(1).first()):
            _post(served, token, body)
    engine.fill(name, scale.few)
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
    for name in ("bare", "full", "ungrouped"):
        bench.engine.copy(name, "few")
    with ExitStack() as stack:
        bare = stack.enter_context(bench.engine.bare("bare"))
        empty = stack.enter_context(empty_handler())
        ours = stack.enter_context(bench.gateway("full"))
        ungrouped = stack.enter_context(bench.gateway("ungrouped", switches=["--ungrouped"]))
        body = Bodies(1).first().decode()
        warm_up(bench.plan(empty, UPLOAD, body=body))
        _warm_up_bare(bare)
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


def _warm_up_bare(bare: Bare) -> None:
    """Write until the log in front of the database no longer grows, as the gateway's is by then.

    A commit to a file that grows takes the disk twice as long as one to a file that is there.
    """
    for _ in range(3):
        bare.insert(_BARE_SIZES[-1])


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


def _switched_off(bench: Bench) -> None:
    """Uploads with all on, the log off, the throttle off, both: of equal databases and loads."""
    bench = replace(bench, scale=bench.scale.in_turns())
    with ExitStack() as stack:
        served = []
        for title, settings in _SWITCHED.items():
            name = title.replace(" ", "_")
            bench.engine.copy(name, "few")
            gateway = stack.enter_context(bench.gateway(name, settings=settings))
            served.append((title, gateway))
        for turn in bench.rounds():
            for load, more in _SWITCHED_LOADS.items():
                for title, gateway in in_turn(served, turn):
                    bench.load(f"{load}, {title}", gateway, UPLOAD, **more)


def in_turn(each: Sequence[T], turn: int) -> Sequence[T]:
    """Return them with another one first each turn, for none to always come after the same."""
    first = turn % len(each)
    return [*each[first:], *each[:first]]


def _stored(bench: Bench) -> None:
    """The same requests with few and with many sales stored."""
    bench.engine.copy("some", "few")
    stored = {"few": bench.scale.few, "many": bench.scale.many}
    retry = {"body": '{"sale_ids": [{}]}', "ids": bench.scale.held}
    with bench.gateway("some") as some, bench.gateway(bench.many()) as much:
        served = [("few", some), ("many", much)]
        for turn in bench.rounds():
            for name, gateway in in_turn(served, turn):
                bench.load(f"pending, {name}", gateway, PENDING)
                bench.load(f"status, {name}", gateway, STATUS, ids=stored[name])
                bench.load(f"retry, {name}", gateway, RETRY, **retry)
        # Last, for few are not few any more after it.
        for turn in bench.rounds():
            for name, gateway in in_turn(served, turn):
                bench.load(f"upload, {name}", gateway, UPLOAD, size=10)


def _memory(bench: Bench) -> None:
    """Memory under load, with many sales stored."""
    with bench.gateway(bench.many()) as served:
        _watch(bench, served)


def _watch(bench: Bench, served: Served) -> None:
    minutes = bench.scale.memory_minutes
    bench.tell(f"{bench.engine.name}: memory, {minutes:g} minutes")
    bench.figures.add("memory minutes", minutes)
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


def profile(
    name: str, folder: Path, scale: Scale, trees: Mapping[str, Tree], tell: Tell
) -> Mapping[str, Mapping[str, Any]]:
    """Load the gateways of these trees with uploads of 100; return what was seen, by their titles.

    The CPU a sale is of loads beside each other, in which nobody looks.
    """
    with open_engine(name, folder / name) as engine:
        benches = {}
        for place, (title, tree) in enumerate(trees.items()):
            tell(f"{name}: preparing {title}")
            own = folder / name / f"tree{place}"
            own.mkdir(parents=True)
            token = prepare(engine, own, scale, name=f"tree{place}", tree=tree)
            benches[title] = Bench(own, engine, token, scale, Figures(), tell)
        costs = _costs_a_sale(benches, trees)
        return {
            title: {**_looked_at(bench, trees[title]), "cpu_a_sale": costs[title]}
            for title, bench in benches.items()
        }


def _costs_a_sale(benches: Mapping[str, Bench], trees: Mapping[str, Tree]) -> Mapping[str, float]:
    """Return the seconds of CPU that a sale costs each daemon."""
    loads: dict[str, list[Load]] = {title: [] for title in benches}
    with ExitStack() as stack:
        served = {
            title: stack.enter_context(bench.gateway(bench.folder.name, tree=trees[title]))
            for title, bench in benches.items()
        }
        for turn in next(iter(benches.values())).rounds():
            for title in in_turn([*benches], turn):
                gateway = served[title]
                loads[title].append(gateway.load(benches[title].plan(gateway, UPLOAD, **_PROFILED)))
    return {
        title: sum(load.served_seconds for load in each) / sum(load.accepted for load in each)
        for title, each in loads.items()
    }


def _looked_at(bench: Bench, tree: Tree) -> Mapping[str, Any]:
    file = bench.folder / "samples.json"
    bench.tell(f"{bench.engine.name}: looking")
    with bench.gateway(bench.folder.name, tree=tree, switches=["--samples", str(file)]) as served:
        seconds = bench.scale.seconds * bench.scale.rounds
        # To start and to stop is no upload.
        file.touch()
        run(bench.plan(served, UPLOAD, seconds=seconds, **_PROFILED))
        file.unlink()
    samples: Mapping[str, Any] = json.loads(file.read_text())
    return samples


PARTS = {
    "bare": _beside_bare,
    "switches": _switched_off,
    "stored": _stored,
    "memory": _memory,
}
