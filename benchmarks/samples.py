"""What runs, asked a few hundred times a second: where the CPU goes, of all threads, under load.

A profiler that counts calls makes small functions look large; this one only looks. What it sees
counts by the CPU clock of the thread: by the stack alone, one that waits for the disk, or in the
faster loop, can't be told from one that works.
"""

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import CodeType, FrameType

from benchmarks.clocks import thread_seconds
from benchmarks.rooms import rooms_of

INTERVAL_SECONDS = 0.003
# What a thread uses of this counts for where it was at the beginning, not at the end: we get to
# look as soon as a thread is done, and would find it waiting for its next work.
GLANCE_SECONDS = 0.0001
SWITCH_SECONDS = 0.0002
# Of thousands of functions the rest has next to nothing.
_KEPT = 400

# Where threads wait for work. One that worked since it was seen there has found some meanwhile. No
# more than that is taken from it: the faster loop waits and works in one and the same place.
_WAITS = {
    ("runners.py", "run"),
    ("selectors.py", "select"),
    ("thread.py", "_worker"),
    ("core.py", "_connection_worker_thread"),
    ("handlers.py", "dequeue"),
}

Stack = Sequence[CodeType]


class Sampler(threading.Thread):
    """Counts microseconds of CPU by function, its own and with what it calls, and by room."""

    def __init__(self, file: Path) -> None:
        """Look while the file is there; `write` puts into it what was seen."""
        super().__init__(name="sampler", daemon=True)
        self._file = file
        self._ended = threading.Event()
        self.own: Counter[str] = Counter()
        self.whole: Counter[str] = Counter()
        self.rooms: Counter[str] = Counter()
        self.seen = 0

    def run(self) -> None:
        # Else it only gets to look where a thread lets go by itself: at the disk, at the network.
        sys.setswitchinterval(SWITCH_SECONDS)
        while not self._ended.wait(INTERVAL_SECONDS):
            if self._file.exists():
                self._look()

    def _look(self) -> None:
        stacks, before = self._stacks(), self._clocks()
        time.sleep(GLANCE_SECONDS)
        later, after = self._stacks(), self._clocks()
        for thread, seconds in after.items():
            used = round(1e6 * (seconds - before.get(thread, seconds)))
            if used and thread in stacks and thread in later:
                waited = _place(stacks[thread][0]) in _WAITS
                self.count(later[thread] if waited else stacks[thread], used)

    def _stacks(self) -> Mapping[int, Stack]:
        return {thread: _stack(frame) for thread, frame in sys._current_frames().items()}

    def _clocks(self) -> Mapping[int, float]:
        """Return the CPU clock of every other thread, by its ident."""
        clocks = {}
        for thread in threading.enumerate():
            if thread is self or thread.ident is None or thread.native_id is None:
                continue
            try:
                clocks[thread.ident] = thread_seconds(thread.native_id)
            except OSError:
                # It has ended meanwhile.
                continue
        return clocks

    def count(self, stack: Stack, used: int) -> None:
        """Count so many microseconds for this stack."""
        self.seen += used
        names = [_name(code.co_filename, code.co_qualname) for code in stack]
        self.own[names[0]] += used
        for name in set(names):
            self.whole[name] += used
        for title in rooms_of(names):
            self.rooms[title] += used

    def write(self) -> None:
        """Look no more, and write down what was seen."""
        self._ended.set()
        self.join()
        own, whole = dict(self.own.most_common(_KEPT)), dict(self.whole.most_common(_KEPT))
        # Of every function that is told its whole is told too.
        whole |= {name: self.whole[name] for name in own}
        document = {"samples": self.seen, "own": own, "whole": whole, "rooms": self.rooms}
        self._file.write_text(json.dumps(document))


def _stack(frame: FrameType | None) -> Stack:
    """Return the code of the frame and of its callers, the innermost first."""
    codes = []
    while frame is not None:
        codes.append(frame.f_code)
        frame = frame.f_back
    return codes


def _place(code: CodeType) -> tuple[str, str]:
    return Path(code.co_filename).name, code.co_name


@cache
def _name(file: str, function: str) -> str:
    parts = Path(file).with_suffix("").parts
    for package in ("bulonera_sync", "site-packages"):
        if package in parts:
            parts = parts[len(parts) - parts[::-1].index(package) :]
            return f"{'.'.join(parts)}.{function}"
    return f"{parts[-1]}.{function}"
