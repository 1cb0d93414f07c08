"""Starts daemons quickly: everything is imported once, and each daemon is a fork of that.

Reads one JSON object a line (arguments, environment, folder, out, seed), answers the process id.
It runs until its stdin ends; the daemons outlive it.
"""

import gc
import json
import os
import signal
import sys
import warnings
from importlib import import_module
from typing import Any

_HEAVY = (
    "alembic.command",
    "bulonera_sync.cli.main",
    "bulonera_sync.cli.serve",
    "bulonera_sync.cli.locks",
    "bulonera_sync.cli.stops",
    "bulonera_sync.gateway",
    "bulonera_sync.logs",
    "bulonera_sync.server.runner",
    "bulonera_sync.store.postgres",
    "bulonera_sync.store.postgres_upgrades",
    "bulonera_sync.store.sqlite",
    "bulonera_sync.store.upgrades",
    "tests.faults.seeds",
)


def _become(order: dict[str, Any]) -> None:
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.chdir(order["folder"])
    os.environ.update(order["environment"])
    out = os.open(order["out"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, number in ((nothing, 0), (out, 1), (out, 2)):
        os.dup2(descriptor, number)
    if order["seed"]:
        import_module("tests.faults.seeds").plant(order["seed"])
    code = import_module("bulonera_sync.cli.main").main(order["arguments"])
    sys.stdout.flush()
    os._exit(code)


def _serve() -> None:
    for name in _HEAVY:
        import_module(name)
    gc.freeze()
    # Who ends is nobody's child to wait for: the test watches it by a descriptor of its own.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _become(json.loads(line))
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    _serve()
