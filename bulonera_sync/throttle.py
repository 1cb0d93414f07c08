"""How many requests a user may make: an allowance, full at the start, refilled evenly. Pure.

The whole state is one time, `full_at`: when the allowance is full again. A request moves it on by
one interval; how far it may lie ahead is the burst.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil


@dataclass(frozen=True, slots=True)
class Rate:
    """`limit` requests in `period_seconds`, e.g. 50 in 3600."""

    limit: int
    period_seconds: int

    @property
    def interval(self) -> timedelta:
        # No clock of ours tells less than a microsecond apart.
        return max(timedelta(seconds=self.period_seconds) / self.limit, timedelta.resolution)


@dataclass(frozen=True, slots=True)
class Grant:
    """The answer to one request, and what the rate-limit headers say after it.

    `reset_seconds` is when the allowance is full again; `wait_seconds`, rounded up, when a
    refused request would pass. `full_at` is to be stored; it stands unchanged for a refusal.
    """

    is_allowed: bool
    limit: int
    remaining: int
    reset_seconds: int
    wait_seconds: int
    full_at: datetime


def spend(rate: Rate, full_at: datetime | None, now: datetime) -> Grant:
    """Return what becomes of a request now, the user's allowance being full at `full_at`."""
    interval = rate.interval
    burst = interval * rate.limit
    # A clock set back must not lock a till out: nobody ever waits for more than a full refill.
    full_at = min(max(full_at or now, now), now + burst)
    spent = full_at + interval
    if spent - now <= burst:
        return _grant(rate, spent, now, wait=timedelta(0), is_allowed=True)
    return _grant(rate, full_at, now, wait=spent - now - burst, is_allowed=False)


def left(rate: Rate, full_at: datetime | None, now: datetime) -> Grant:
    """Return what is left now, spending nothing; `is_allowed` tells of a request made now."""
    next_one = spend(rate, full_at, now)
    present = min(max(full_at or now, now), now + rate.interval * rate.limit)
    wait = timedelta(seconds=next_one.wait_seconds)
    return _grant(rate, present, now, wait=wait, is_allowed=next_one.is_allowed)


def _grant(
    rate: Rate, full_at: datetime, now: datetime, *, wait: timedelta, is_allowed: bool
) -> Grant:
    missing = full_at - now
    return Grant(
        is_allowed=is_allowed,
        limit=rate.limit,
        remaining=max(0, rate.limit - ceil(missing / rate.interval)),
        reset_seconds=ceil(missing.total_seconds()),
        wait_seconds=ceil(wait.total_seconds()),
        full_at=full_at,
    )
