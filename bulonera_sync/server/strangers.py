"""Slowing down who guesses tokens, without refusing a good one from the same address."""

from collections import OrderedDict, deque
from math import ceil

MAX_BAD_TOKENS = 10
WINDOW_SECONDS = 60.0
MAX_ADDRESSES = 10_000


class BadTokens:
    """Bad tokens by address within the last minute, in memory; `now` is a monotonic second."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_seconds(self, address: str, now: float) -> int:
        """Count one more bad token; return 0, or for how long this address gets no 401."""
        times = self._seen.setdefault(address, deque(maxlen=MAX_BAD_TOKENS))
        self._seen.move_to_end(address)
        if len(self._seen) > MAX_ADDRESSES:
            self._seen.popitem(last=False)
        while times and now - times[0] >= WINDOW_SECONDS:
            times.popleft()
        if len(times) < MAX_BAD_TOKENS:
            times.append(now)
            return 0
        return ceil(times[0] + WINDOW_SECONDS - now)
