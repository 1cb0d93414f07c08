"""What runs, asked a few hundred times a second: where the time goes, of all threads, under load.

A profiler that counts calls makes small functions look large; this one only looks.
"""

import json
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType

INTERVAL_SECONDS = 0.003
SWITCH_SECONDS = 0.0002
# Of thousands of functions the rest has next to nothing.
_KEPT = 400

# A thread that waits is in one of these.
_WAITING = {
    ("selectors.py", "select"),
    ("threading.py", "wait"),
    ("thread.py", "_worker"),
    ("core.py", "_connection_worker_thread"),
    ("queue.py", "get"),
    ("handlers.py", "dequeue"),
}


class Sampler(threading.Thread):
    """Counts, by function, where the working threads are: its own time, and with what it calls."""

    def __init__(self) -> None:
        super().__init__(name="sampler", daemon=True)
        self.own: Counter[str] = Counter()
        self.whole: Counter[str] = Counter()
        self.samples = 0

    def run(self) -> None:
        # Else it only gets to look where a thread lets go by itself: at the disk, at the network.
        sys.setswitchinterval(SWITCH_SECONDS)
        while True:
            time.sleep(INTERVAL_SECONDS)
            for thread, frame in sys._current_frames().items():
                if thread != self.ident and _place(frame) not in _WAITING:
                    self._count(frame)

    def _count(self, frame: FrameType) -> None:
        self.samples += 1
        self.own[_name(frame)] += 1
        seen = set()
        caller: FrameType | None = frame
        while caller is not None:
            seen.add(_name(caller))
            caller = caller.f_back
        self.whole.update(seen)

    def write(self, file: Path) -> None:
        own, whole = dict(self.own.most_common(_KEPT)), dict(self.whole.most_common(_KEPT))
        # Of every function that is told its whole is told too.
        whole |= {name: self.whole[name] for name in own}
        document = {"samples": self.samples, "own": own, "whole": whole}
        file.write_text(json.dumps(document))


def _place(frame: FrameType) -> tuple[str, str]:
    return Path(frame.f_code.co_filename).name, frame.f_code.co_name


def _name(frame: FrameType) -> str:
    parts = Path(frame.f_code.co_filename).with_suffix("").parts
    for package in ("bulonera_sync", "site-packages"):
        if package in parts:
            parts = parts[len(parts) - parts[::-1].index(package) :]
            return f"{'.'.join(parts)}.{frame.f_code.co_qualname}"
    return f"{parts[-1]}.{frame.f_code.co_qualname}"
