"""The table of figures: a row for each fault and engine, gathered from every process of a run."""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

FILE_VARIABLE = "FAULTS_FIGURES"


@dataclass(frozen=True)
class Figures:
    """One row; `recovery` is the longest time from the end of a fault to the next success."""

    fault: str
    engine: str
    tries: int
    acknowledged: int
    lost: int
    doubled: int
    recovery: float | None = None


def keep(figures: Figures) -> None:
    """Write a row down for the table at the end of the run."""
    path = os.environ.get(FILE_VARIABLE)
    if path:
        with Path(path).open("a") as file:
            file.write(f"{json.dumps(asdict(figures))}\n")


def read(path: Path) -> list[Figures]:
    if not path.exists():
        return []
    return [Figures(**json.loads(line)) for line in path.read_text().splitlines()]


def merged(rows: Iterable[Figures]) -> list[Figures]:
    """Return one row for each fault and engine, in order."""
    together: dict[tuple[str, str], Figures] = {}
    for row in rows:
        known = together.get((row.fault, row.engine))
        together[row.fault, row.engine] = _sum(known, row) if known else row
    return [together[key] for key in sorted(together)]


def _sum(one: Figures, other: Figures) -> Figures:
    recoveries = [each.recovery for each in (one, other) if each.recovery is not None]
    return Figures(
        one.fault,
        one.engine,
        one.tries + other.tries,
        one.acknowledged + other.acknowledged,
        one.lost + other.lost,
        one.doubled + other.doubled,
        max(recoveries, default=None),
    )


def table(rows: Iterable[Figures]) -> str:
    """Return the rows as a Markdown table."""
    lines = [
        "| fault | engine | tries | acknowledged | lost | doubled | recovery |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for row in merged(rows):
        recovery = "-" if row.recovery is None else f"{row.recovery:.2f} s"
        cells = (row.fault, row.engine, row.tries, row.acknowledged, row.lost, row.doubled)
        lines.append(f"| {' | '.join(map(str, cells))} | {recovery} |")
    return "\n".join(lines)
