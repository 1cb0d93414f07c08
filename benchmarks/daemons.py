"""Programs of their own, as a store runs them: log on, throttle on at a limit nobody reaches.

A `Tree` is whose code they run: this checkout's, or that of another to compare with.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from benchmarks.clients import Load, Plan, run
from benchmarks.clocks import process_seconds

NEVER_REACHED = "1000000/second"

_CONFIG = """
[server]
port = 0
[store]
url = "{url}"
[sync]
throttle = "{throttle}"
[log]
level = "{level}"
"""

_STOP_SECONDS = 15


@dataclass(frozen=True)
class Tree:
    """A checkout of the project, and the Python that runs it."""

    root: Path
    python: str

    @classmethod
    def at(cls, root: Path) -> Self:
        """Return the checkout in this folder, with its own .venv where it has one."""
        root = root.resolve()
        if not (root / "bulonera_sync" / "__main__.py").exists():
            raise SystemExit(f"{root}: no checkout of the project")
        own = root / ".venv" / "bin" / "python"
        return cls(root, str(own) if own.exists() else sys.executable)


OURS = Tree(Path(__file__).parents[1], sys.executable)


@dataclass(frozen=True)
class Served:
    """A running program and how to reach it."""

    port: int
    pid: int

    def load(self, plan: Plan) -> Load:
        """Load it; tell what the load says and how much CPU the program used meanwhile."""
        before = process_seconds(self.pid)
        load = run(plan)
        return replace(load, served_seconds=process_seconds(self.pid) - before)

    @property
    def resident_bytes(self) -> int:
        """How much memory it has now, shared libraries included."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


def configure(
    folder: Path, url: str, *, level: str = "INFO", throttle: str = NEVER_REACHED
) -> Path:
    """Write the configuration of a gateway on this database."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "config.toml"
    file.write_text(_CONFIG.format(url=url, level=level, throttle=throttle))
    return file


def command(config: Path, *words: str, tree: Tree = OURS) -> Any:
    """Run a command to its end; return what it prints, read where it is JSON."""
    made = subprocess.run(
        _program(tree, "bulonera_sync", "--config", str(config), *words),
        check=True,
        capture_output=True,
        text=True,
        env=_environment(tree, {}),
    )
    return json.loads(made.stdout) if "--json" in words else made.stdout


@contextmanager
def gateway(
    config: Path,
    *,
    tree: Tree = OURS,
    switches: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[Served]:
    """Serve a gateway while the block runs, with switches of `benchmarks.served`."""
    program, code = ["bulonera_sync"], tree
    if switches:
        # Ours are the switches, whosever the gateway is.
        program, code = ["benchmarks.served", "--code", str(tree.root), *switches], OURS
    words = _program(tree, *program, "--config", str(config), "serve")
    with _running(words, _environment(code, environment or {})) as served:
        yield served


@contextmanager
def empty_handler() -> Iterator[Served]:
    """Serve the empty handler while the block runs."""
    with _running(_program(OURS, "benchmarks.empty"), _environment(OURS, {})) as served:
        yield served


def _program(tree: Tree, module: str, *words: str) -> list[str]:
    # -P: the folder that this is started in is no place to find modules in.
    return [tree.python, "-P", "-m", module, *words]


@contextmanager
def _running(program: Sequence[str], environment: Mapping[str, str]) -> Iterator[Served]:
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"http://[^\s/]+:(\d+)", line)
            if found is None:
                raise RuntimeError(f"{' '.join(program)} does not start: {line}")
            yield Served(int(found[1]), process.pid)
        finally:
            process.terminate()
            process.wait(_STOP_SECONDS)


def _environment(tree: Tree, more: Mapping[str, str]) -> dict[str, str]:
    # Its word "ready" is looked for in English; and every start would compile the source anew.
    plain = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {**plain, "BULONERA_LANG": "en", "PYTHONPATH": str(tree.root), **more}
