"""Run the measurements: `make bench`, or `python -m benchmarks --quick`. --help tells the rest.

`--against FOLDER` compares with the gateway of another checkout instead.
"""

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.compare import compare, table
from benchmarks.daemons import OURS, Tree
from benchmarks.figures import Figures
from benchmarks.plots import plots
from benchmarks.reports import ENGINES, page
from benchmarks.scales import FULL, QUICK, Scale
from benchmarks.workloads import PARTS, Tell, measure, profile
from bulonera_sync.store.drivers import sqlite3

ALL_PARTS = (*PARTS, "slow")


def main(arguments: Sequence[str] | None = None) -> None:
    chosen = _parser().parse_args(arguments)
    scale = _scale(chosen)
    folder = Path(tempfile.mkdtemp(prefix="bulonera-bench-", dir=chosen.folder))
    # Postgres runs as somebody else when root starts it, and must get at the slow disk.
    folder.chmod(0o755)
    tell = _teller()
    try:
        if chosen.against and not chosen.profile:
            _compare(folder, scale, chosen, tell)
        else:
            _measure_all(folder, scale, chosen, tell)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _teller() -> Tell:
    begun = time.monotonic()

    def tell(text: str) -> None:
        sys.stderr.write(f"{time.monotonic() - begun:6.0f} s  {text}\n")

    return tell


def _compare(folder: Path, scale: Scale, chosen: argparse.Namespace, tell: Tell) -> None:
    old = Tree.at(chosen.against)
    for engine in chosen.engine or ENGINES:
        figures = compare(engine, folder, scale, old, tell)
        sys.stdout.write("\n".join([*table(ENGINES[engine], *figures), "", ""]))
        sys.stdout.flush()


def _measure_all(folder: Path, scale: Scale, chosen: argparse.Namespace, tell: Tell) -> None:
    document: dict[str, Any] = {"machine": _machine(), "figures": {}, "profiles": {}}
    if chosen.json and chosen.json.exists():
        # What is not measured this time stays as it was.
        document |= json.loads(chosen.json.read_text())
    if chosen.note is not None:
        document["note"] = chosen.note
    for engine in chosen.engine or ENGINES:
        _measure(engine, folder, scale, chosen, document, tell)
        _keep(document, chosen)
    sys.stdout.write(page(document))


def _keep(document: Mapping[str, Any], chosen: argparse.Namespace) -> None:
    """Write what was measured so far where it is wanted; an engine takes its time."""
    if chosen.json:
        chosen.json.write_text(json.dumps(document, indent=1) + "\n")
    if chosen.page:
        chosen.page.write_text(page(document))
    if chosen.plots:
        for name, picture in plots({n: Figures(f) for n, f in document["figures"].items()}):
            (chosen.plots / name).write_text(picture)


def _measure(
    engine: str,
    folder: Path,
    scale: Scale,
    chosen: argparse.Namespace,
    document: dict[str, Any],
    tell: Tell,
) -> None:
    if chosen.profile:
        document["profiles"] |= profile(engine, folder, scale, _profiled(engine, chosen), tell)
    else:
        parts = set(chosen.part or ALL_PARTS)
        measured = measure(engine, folder, scale, parts, tell).document()
        document["figures"].setdefault(engine, {}).update(measured)


def _profiled(engine: str, chosen: argparse.Namespace) -> Mapping[str, Tree]:
    """Return whose gateways are looked at, by what their profiles are called."""
    name = ENGINES[engine]
    if chosen.against:
        return {f"{name}, before": Tree.at(chosen.against), f"{name}, after": OURS}
    return {f"{name}, {chosen.label}" if chosen.label else name: OURS}


def _scale(chosen: argparse.Namespace) -> Scale:
    scale = QUICK if chosen.quick else FULL
    given: Mapping[str, Any] = {
        "rounds": chosen.rounds,
        "seconds": chosen.seconds,
        "turns": chosen.rounds,
        "turn_seconds": chosen.seconds,
        "many": chosen.stored,
        "memory_minutes": chosen.memory_minutes,
    }
    return replace(scale, **{name: value for name, value in given.items() if value is not None})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    add = parser.add_argument
    add("--quick", action="store_true", help="a tiny run, to see that it works; no time is judged")
    add("--profile", action="store_true", help="look at where the time of uploads goes instead")
    add(
        "--against",
        type=Path,
        metavar="FOLDER",
        help="another checkout: compare with it, or with --profile look at both",
    )
    add("--label", help="what a profile is called beside its engine")
    add("--engine", choices=[*ENGINES], action="append", help="one engine alone")
    add("--part", choices=ALL_PARTS, action="append", help="one part alone; more by repeating it")
    add("--rounds", type=int, help="how often each is measured")
    add("--seconds", type=float, help="how long each load lasts")
    add("--stored", type=int, help="how many sales stored are many")
    add("--memory-minutes", type=float, help="how long memory is watched")
    add("--folder", type=Path, help="where databases are made: the disk that is measured")
    add("--json", type=Path, help="a file of all figures, begun or brought up to date")
    add("--page", type=Path, help="a file for the page")
    add("--note", help="what a reader of the page must know of this run")
    add("--plots", type=Path, help="a folder for pictures")
    return parser


def _machine() -> str:
    return (
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    )


if __name__ == "__main__":
    main()
