"""What is aimed at, as ratios of figures of one run."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.figures import Figures

Ratio = Callable[[Figures], float]


@dataclass(frozen=True)
class Aim:
    """A workload, what its ratio is of, and how far it may go on each engine.

    `limits`: at most so much where `is_most`, else at least.
    """

    workload: str
    of: str
    ratio: Ratio
    sqlite: float
    postgres: float
    is_most: bool = True

    def limit(self, engine: str) -> float:
        return self.sqlite if engine == "sqlite" else self.postgres

    def is_met(self, engine: str, ratio: float) -> bool:
        limit = self.limit(engine)
        return ratio <= limit if self.is_most else ratio >= limit


def _over(ours: str, *parts: str) -> Ratio:
    """How many times the parts together ours takes."""
    return lambda figures: figures[ours] / sum(figures[part] for part in parts)


def _share(ours: str, bare: str, sales: int) -> Ratio:
    """What part of the sales a second of bare transactions of so many sales."""
    return lambda figures: figures[ours] * figures[bare] / sales


def _grouping(more: str = "") -> Ratio:
    grouped, alone = f"upload 1 x16{more} sales", f"upload 1 x16{more} ungrouped sales"
    return lambda figures: figures[grouped] / figures[alone]


def _worst(name: str) -> Ratio:
    return lambda figures: figures[f"{name}, many p99"] / figures[f"{name}, few p99"]


def _grown(name: str) -> Ratio:
    return lambda figures: figures[f"{name}, many p50"] / figures[f"{name}, few p50"]


def _accepted(figures: Figures) -> float:
    names = ("upload 1 x16", "upload 10 x16", "upload 100 x16")
    return min(min(figures.rounds(f"{name} accepted")) for name in names)


def _megabytes(figures: Figures) -> float:
    return max(figures.rounds("memory")) / 1e6


def _growth(figures: Figures) -> float:
    """How the second half of the time compares with the first, once it has warmed up."""
    values = figures.rounds("memory")
    settled = values[len(values) // 10 :]
    half = len(settled) // 2
    if not half:
        return 1.0
    return (sum(settled[half:]) / len(settled[half:])) / (sum(settled[:half]) / half)


AIMS: tuple[Aim, ...] = (
    Aim(
        "upload of 1, one client, p50",
        "x (empty handler + bare commit)",
        _over("upload 1 p50", "empty post p50", "bare commit"),
        2.5,
        3,
    ),
    Aim(
        "upload of 10, one client, p50",
        "x (parse + bare insert and commit)",
        _over("upload 10 p50", "parse 10", "bare 10"),
        2,
        2.5,
    ),
    Aim(
        "upload of 10, 16 clients",
        "of bare sales/s, 100 a transaction",
        _share("upload 10 x16 sales", "bare 100", 100),
        0.45,
        0.40,
        is_most=False,
    ),
    Aim(
        "upload of 100, 16 clients",
        "of bare sales/s, 1000 a transaction",
        _share("upload 100 x16 sales", "bare 1000", 1_000),
        0.40,
        0.30,
        is_most=False,
    ),
    Aim(
        "upload of 1, 16 clients",
        "x without grouping",
        _grouping(),
        3,
        3,
        is_most=False,
    ),
    Aim(
        "upload of 1, 16 clients, +2 ms an fsync",
        "x without grouping",
        _grouping(" +2 ms"),
        3,
        3,
        is_most=False,
    ),
    Aim(
        "upload of 1, 16 clients, +8 ms an fsync",
        "x without grouping",
        _grouping(" +8 ms"),
        7,
        3,
        is_most=False,
    ),
    Aim(
        "pending of 50, p50",
        "of the empty handler's rate",
        _over("empty get p50", "pending p50"),
        0.50,
        0.30,
        is_most=False,
    ),
    Aim(
        "status by id, p50",
        "of the empty handler's rate",
        _over("empty get p50", "status p50"),
        0.50,
        0.30,
        is_most=False,
    ),
    *(
        Aim(f"{name}, 1M sales stored, p50", "x the same at 10k", _grown(name), limit, limit)
        for name, limit in (("pending", 1.1), ("status", 1.1), ("retry", 1.1), ("upload", 1.15))
    ),
    *(
        Aim(f"{name}, 1M sales stored, p99", "x the same at 10k", _worst(name), 2, 2)
        for name in ("pending", "status", "retry", "upload")
    ),
    Aim("16 clients, valid sales", "accepted", _accepted, 1, 1, is_most=False),
    Aim("memory, 1M sales stored, under load", "MB resident at most", _megabytes, 200, 200),
    Aim("memory, later", "x the first half's", _growth, 1.05, 1.05),
)
