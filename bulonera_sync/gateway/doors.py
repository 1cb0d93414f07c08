"""What every use case has: the open store, the settings, a clock and a chance."""

import random
from collections.abc import Callable
from datetime import UTC, datetime

from bulonera_sync.config import Settings
from bulonera_sync.decisions import Policy
from bulonera_sync.gateway import uploads
from bulonera_sync.retries import RetryPolicy
from bulonera_sync.store.allowances import Allowances
from bulonera_sync.store.sessions import Store


def nobody_listens() -> None:
    """Another process judges what became due here, within its next turn."""


def now_utc() -> datetime:
    return datetime.now(UTC)


class Door:
    """An open store and how the configuration has it used; the use cases are its subclasses'."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        allowances: Allowances,
        *,
        clock: Callable[[], datetime] = now_utc,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.settings = settings
        self._store = store
        self._allowances = allowances
        self._clock = clock
        self._chance = chance
        sync, retry = settings.sync, settings.retry
        self._rate = sync.rate
        # Who sits at the command line; the history tells it of what the operator changes.
        self.login: str | None = None
        # When each user last brought something new, until it is written down.
        self._uploaded: dict[int, datetime] = {}
        # Called when a sale became due just now; the daemon's schedule listens.
        self.when_due: Callable[[], None] = nobody_listens
        self._rules = uploads.UploadRules(
            Policy(auto_merge=sync.auto_merge, price_tolerance=sync.price_tolerance),
            sync.max_items,
            sync.number_prefix,
            sync.zone,
        )
        self._retry = RetryPolicy(
            retry.enabled, retry.first_delay, retry.max_delay, retry.max_attempts
        )
