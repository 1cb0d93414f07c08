"""When a refused sale is tried again: exponential backoff with full jitter (contract 5). Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`[retry]` of the configuration: delays in seconds, attempts of the schedule alone."""

    enabled: bool = True
    first_delay: float = 30
    max_delay: float = 3600
    max_attempts: int = 12

    def is_exhausted(self, attempts_made: int) -> bool:
        return self.enabled and attempts_made >= self.max_attempts


def next_attempt(
    policy: RetryPolicy, attempts_made: int, *, now: datetime, chance: float
) -> datetime | None:
    """Return when the schedule tries again, or None when it never will.

    `attempts_made` counts the schedule's own; `chance`, from 0 to 1, is the jitter: the delay is
    that part of the backoff.
    """
    if not policy.enabled or attempts_made >= policy.max_attempts:
        return None
    # The exponent is capped, since the delay has long met its maximum and 2 ** 10000 costs.
    backoff = min(policy.max_delay, policy.first_delay * 2 ** min(attempts_made, 30))
    return now + timedelta(seconds=backoff * chance)
