"""CPU clocks of threads and of other processes: how long they worked, wherever they seem to be.

Both raise OSError once it has ended.
"""

import time

# Clock ids as the kernel makes them. The C library's way to a thread's crashes where it has ended.
_PROCESS, _THREAD = 2, 6


def process_seconds(pid: int) -> float:
    """Return the seconds of CPU that a process used, all its threads together."""
    return time.clock_gettime(~pid << 3 | _PROCESS)


def thread_seconds(native_id: int) -> float:
    """Return the seconds of CPU that a thread of this process used."""
    return time.clock_gettime(~native_id << 3 | _THREAD)
