"""This checkout's gateway beside another's, in turns: what a change of the code is judged by.

Each is served from its own code, by the Python of its own .venv where it has one, on a database
that its own commands made. What is told is new / old, turn by turn.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.clients import PENDING, STATUS, UPLOAD
from benchmarks.daemons import OURS, Served, Tree
from benchmarks.engines import open_engine
from benchmarks.figures import Figures, ratios_of
from benchmarks.scales import Scale
from benchmarks.workloads import Bench, Tell, in_turn, prepare

# Which figure is told: of a client alone how long it waits, of many how much they get done.
LATENCY, SALES = ("p50", 1000, "ms"), ("sales", 1, "sales/s")


@dataclass(frozen=True)
class Workload:
    title: str
    figure: tuple[str, float, str]
    path: str
    more: Mapping[str, Any]


WORKLOADS = (
    Workload("upload 1", LATENCY, UPLOAD, {"size": 1}),
    Workload("upload 10", LATENCY, UPLOAD, {"size": 10}),
    Workload("upload 10 x16", SALES, UPLOAD, {"size": 10, "clients": 16}),
    Workload("upload 100 x16", SALES, UPLOAD, {"size": 100, "clients": 16}),
    Workload("pending", LATENCY, PENDING, {}),
    Workload("status", LATENCY, STATUS, {}),
)


@dataclass(frozen=True)
class Side:
    bench: Bench
    served: Served

    def load(self, workload: Workload) -> None:
        more = {"ids": self.bench.scale.few, **workload.more}
        self.bench.load(workload.title, self.served, workload.path, **more)


def compare(
    name: str, folder: Path, scale: Scale, old: Tree, tell: Tell
) -> tuple[Figures, Figures]:
    """Load both gateways on this engine; return the figures of the old one and of ours."""
    with open_engine(name, folder / name) as engine, ExitStack() as stack:
        sides = []
        for title, tree in (("old", old), ("new", OURS)):
            tell(f"{name}: preparing the {title} one")
            token = prepare(engine, folder / name, scale, name=title, tree=tree)
            bench = Bench(folder / name, engine, token, scale.in_turns(), Figures(), tell)
            sides.append(Side(bench, stack.enter_context(bench.gateway(title, tree=tree))))
        for turn in sides[0].bench.rounds():
            for workload in WORKLOADS:
                for side in in_turn(sides, turn):
                    side.load(workload)
        return sides[0].bench.figures, sides[1].bench.figures


def table(engine: str, old: Figures, new: Figures) -> Iterator[str]:
    """Yield the lines of an engine's table."""
    yield f"| {engine} | old | new | new / old | old CPU | new CPU | new / old |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    for workload in WORKLOADS:
        figure, scale, unit = workload.figure
        per = "sale" if workload.more.get("size") else "request"
        cells = [
            *_beside(old, new, f"{workload.title} {figure}", scale, unit),
            *_beside(old, new, f"{workload.title} cpu", 1e6, f"us a {per}"),
        ]
        yield f"| {workload.title} | {' | '.join(cells)} |"


def _beside(old: Figures, new: Figures, name: str, scale: float, unit: str) -> Iterator[str]:
    for figures in (old, new):
        value = figures[name] * scale
        yield f"{value:.{0 if value >= 100 else 2}f} {unit}"
    ratios = ratios_of(new.rounds(name), old.rounds(name))
    yield f"{median(ratios):.3f} ({min(ratios):.3f}..{max(ratios):.3f})"
