"""The gateway with what only a benchmark may switch: `python -m benchmarks.served [switches] ...`.

What follows the switches are the words of `bulonera-sync`.
"""

import argparse
import atexit
import sys
from importlib import import_module
from pathlib import Path

from benchmarks.samples import Sampler


def _main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.served")
    parser.add_argument("--code", help="the checkout whose gateway it is")
    parser.add_argument("--ungrouped", action="store_true", help="an upload a transaction")
    parser.add_argument(
        "--samples",
        type=Path,
        help="look at what runs while this file is there, and write it there at the end",
    )
    switches, words = parser.parse_known_args()
    if switches.code:
        # Before anything of the gateway is imported.
        sys.path.insert(0, switches.code)
    if switches.ungrouped:
        import_module("bulonera_sync.store.writers").MAX_WEIGHT = 1  # type: ignore[attr-defined]
    if switches.samples:
        sampler = Sampler(switches.samples)
        sampler.start()
        atexit.register(sampler.write)
    sys.exit(import_module("bulonera_sync.cli.main").main(words))


if __name__ == "__main__":
    _main()
