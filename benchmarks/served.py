"""The gateway with what only a benchmark may switch: `python -m benchmarks.served [switches] ...`.

What follows the switches are the words of `bulonera-sync`.
"""

import argparse
import atexit
import sys
from pathlib import Path

from benchmarks.samples import Sampler
from bulonera_sync.cli.main import main
from bulonera_sync.store import writers


def _main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.served")
    parser.add_argument("--ungrouped", action="store_true", help="an upload a transaction")
    parser.add_argument("--samples", type=Path, help="write what is running, often, there")
    switches, words = parser.parse_known_args()
    if switches.ungrouped:
        writers.MAX_WEIGHT = 1
    if switches.samples:
        sampler = Sampler()
        sampler.start()
        atexit.register(sampler.write, switches.samples)
    sys.exit(main(words))


if __name__ == "__main__":
    _main()
