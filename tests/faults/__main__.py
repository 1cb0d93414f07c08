"""Run every fault test, each file in a process of its own, and print the table of figures.

Most of the time is waiting: for a database that is down, for a lock, for a process to end.
"""

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.faults.figures import FILE_VARIABLE, read, table
from tests.faults.scales import IS_LONG, SCALE_VARIABLE

AT_ONCE = 3
# A hundred thousand bodies take longer than any test that does not hang at the quick scale.
PATIENCE = ("-o", "faulthandler_timeout=1800") if IS_LONG else ()
HERE = Path(__file__).parent


def _run(file: Path, figures: Path) -> tuple[Path, int, str, float]:
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "--durations=3", str(file)),
                *("--basetemp", f"{folder}/tests", "-p", "no:cacheprovider"),
                *PATIENCE,
            ],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={"FAULTS_SCALE": "quick", **os.environ, FILE_VARIABLE: str(figures)},
        )
    return file, done.returncode, done.stdout, time.monotonic() - begun


def main() -> int:
    begun = time.monotonic()
    chosen = sys.argv[1:]
    files = [HERE / name for name in chosen] or sorted(HERE.glob("test_*.py"))
    with (
        tempfile.TemporaryDirectory(prefix="figures-") as folder,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        figures = Path(folder) / "figures.jsonl"
        failed = []
        for file, code, said, seconds in pool.map(lambda file: _run(file, figures), files):
            sys.stdout.write(f"\n--- {file.name}: {seconds:.0f} s\n{said}")
            sys.stdout.flush()
            if code:
                failed.append(file.name)
        scale = os.environ.get(SCALE_VARIABLE, "quick")
        sys.stdout.write(f"\n{table(read(figures))}\n")
    sys.stdout.write(f"\nScale {scale}, {time.monotonic() - begun:.0f} s. ")
    sys.stdout.write(f"Failed: {', '.join(failed)}\n" if failed else "Nothing failed.\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
