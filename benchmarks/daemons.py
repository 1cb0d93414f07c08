"""Programs of their own, as a store runs them: log on, throttle on at a limit nobody reaches."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_CONFIG = """
[server]
port = 0
[store]
url = "{url}"
[sync]
throttle = "1000000/second"
"""

_STOP_SECONDS = 15


@dataclass(frozen=True)
class Served:
    """A running program and how to reach it."""

    port: int
    pid: int

    @property
    def resident_bytes(self) -> int:
        """How much memory it has now, shared libraries included."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


def configure(folder: Path, url: str) -> Path:
    """Write the configuration of a gateway on this database."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "config.toml"
    file.write_text(_CONFIG.format(url=url))
    return file


def command(config: Path, *words: str) -> Any:
    """Run a command to its end; return what it prints, read where it is JSON."""
    made = subprocess.run(
        [sys.executable, "-m", "bulonera_sync", "--config", str(config), *words],
        check=True,
        capture_output=True,
        text=True,
        env=_environment({}),
    )
    return json.loads(made.stdout) if "--json" in words else made.stdout


@contextmanager
def gateway(
    config: Path, *, switches: Sequence[str] = (), environment: Mapping[str, str] | None = None
) -> Iterator[Served]:
    """Serve a gateway while the block runs, with switches of `benchmarks.served`."""
    program = ["benchmarks.served", *switches] if switches else ["bulonera_sync"]
    words = ["--config", str(config), "serve"]
    with _running([*program, *words], environment or {}) as served:
        yield served


@contextmanager
def empty_handler() -> Iterator[Served]:
    """Serve the empty handler while the block runs."""
    with _running(["benchmarks.empty"], {}) as served:
        yield served


@contextmanager
def _running(words: Sequence[str], environment: Mapping[str, str]) -> Iterator[Served]:
    with subprocess.Popen(
        [sys.executable, "-m", *words],
        stdout=subprocess.PIPE,
        text=True,
        env=_environment(environment),
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"http://[^\s/]+:(\d+)", line)
            if found is None:
                raise RuntimeError(f"{' '.join(words)} does not start: {line}")
            yield Served(int(found[1]), process.pid)
        finally:
            process.terminate()
            process.wait(_STOP_SECONDS)


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    # Its word "ready" is looked for in English; and every start would compile the source anew.
    plain = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {**plain, "BULONERA_LANG": "en", **more}
