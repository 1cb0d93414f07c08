"""Use cases about how often a user comes in."""

from collections.abc import Mapping

from bulonera_sync.gateway.accounts import account_named
from bulonera_sync.gateway.doors import Door
from bulonera_sync.store import (
    allowances,
    users,
)
from bulonera_sync.store.sessions import Session
from bulonera_sync.throttle import Grant, Rate, left


class Throttles(Door):
    """What is left of each user's allowance."""

    @property
    def rate(self) -> Rate | None:
        return self._rate

    async def keep_allowances(self) -> None:
        """Write down the allowances that only memory knows."""
        await self._allowances.keep()

    async def allowances(self) -> Mapping[str, Grant]:
        """Return what is left of every user's allowance by name, spending nothing.

        A daemon with the allowances in memory writes them down every second. Empty while the
        throttle is off.
        """
        if self._rate is None:
            return {}
        accounts = await self._store.read(users.list_accounts)
        full_at = await self._store.read(allowances.full_times)
        now = self._clock()
        return {
            account.username: left(self._rate, full_at.get(account.id), now) for account in accounts
        }

    async def reset_allowance(self, username: str) -> None:
        """Give a user the whole allowance back, within a second; raises `NotFoundError`."""
        now = self._clock()

        async def reset(session: Session) -> None:
            account = await account_named(session, username)
            await allowances.reset(session, account.id, now=now)

        await self._store.write(reset)
