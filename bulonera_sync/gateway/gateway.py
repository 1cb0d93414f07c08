"""One method per use case, over one open database."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain, islice

from bulonera_sync.changes import Change, Circumstances
from bulonera_sync.config import Settings
from bulonera_sync.damage import as_told
from bulonera_sync.errors import StatementRefusedError
from bulonera_sync.gateway import edits, retries, uploads
from bulonera_sync.gateway.accounts import Accounts
from bulonera_sync.gateway.doors import now_utc
from bulonera_sync.gateway.imports import Imports
from bulonera_sync.gateway.logbook import (
    log_damage,
    log_edit,
    log_outcomes,
    log_resolution,
    log_retries,
)
from bulonera_sync.gateway.openings import allowances_of, open_store
from bulonera_sync.gateway.retries import RetryResult
from bulonera_sync.gateway.support import Support
from bulonera_sync.gateway.throttles import Throttles
from bulonera_sync.gateway.uploads import Submission, Taken
from bulonera_sync.outcomes import Outcome
from bulonera_sync.resolutions import Request
from bulonera_sync.sales import Actor, Content, Sale, User
from bulonera_sync.store import (
    copies,
    events,
    listings,
    sales,
    users,
)
from bulonera_sync.store.events import HistoryEntry
from bulonera_sync.store.listings import PendingSale
from bulonera_sync.store.sessions import Session, Work
from bulonera_sync.uploads import SaleUpload, read_sale

# Beyond so many characters a thread reads the sales, for others not to wait; beyond so many sales
# where their words are not known.
READ_AT_ONCE = 64 * 1024
SALES_AT_ONCE = 10

_Retried = tuple[Sequence[Submission], list[Taken]]


@dataclass(frozen=True, slots=True)
class FoundSale:
    """A sale to show: with its owner's name, and what its conflict is based on."""

    sale: Sale
    username: str
    base: Content | None


class Gateway(Accounts, Throttles, Imports, Support):
    """An open gateway; `open_gateway` makes it. Raises `StoreUnavailableError` from any method."""

    # Uploads

    async def upload(
        self, user: User, raw_sales: Sequence[object], texts: Sequence[str] | None = None
    ) -> list[Outcome]:
        """Judge, keep and number what a till sent (contract 2); outcomes in its order.

        `texts` are the sales word for word, as a refused one is kept. Every outcome is on disk
        when this returns.
        """
        if _are_long(raw_sales, texts):
            read = await asyncio.to_thread(self._read, raw_sales, texts)
        else:
            read = self._read(raw_sales, texts)
        at = self._circumstances(user)
        # A chance for each: what fails together must not come back together.
        submissions = [
            Submission(upload, user.id, replace(at, chance=self._chance())) for upload in read
        ]

        async def take_each(session: Session) -> list[Taken]:
            return await uploads.take_each(session, submissions, self._rules)

        try:
            taken = await self._store.write_jointly(
                self._take_together, submissions, weight=len(submissions)
            )
        except StatementRefusedError:
            taken = await self._store.write(take_each)
        # A replay is no news, and writes nothing, not even this.
        if any(isinstance(made, Change) for made, _ in taken):
            self._uploaded[user.id] = max(at.now, self._uploaded.get(user.id, at.now))
        outcomes = [outcome for _, outcome in taken]
        log_outcomes(submissions, outcomes)
        return outcomes

    async def _take_together(
        self, session: Session, batches: Sequence[Sequence[Submission]]
    ) -> list[list[Taken]]:
        submissions = list(chain.from_iterable(batches))
        taken = iter(await uploads.take_all(session, submissions, self._rules))
        return [list(islice(taken, len(batch))) for batch in batches]

    async def keep_notes(self) -> None:
        """Write down what only memory knows: allowances, and who uploaded when.

        The daemon does so every second.
        """
        await self.keep_allowances()
        uploaded, self._uploaded = self._uploaded, {}

        async def write_down(session: Session) -> None:
            await users.note_uploads(session, uploaded)

        try:
            if uploaded:
                await self._store.write(write_down)
        except BaseException:
            self._uploaded = uploaded | self._uploaded
            raise

    def _read(self, raw_sales: Sequence[object], texts: Sequence[str] | None) -> list[SaleUpload]:
        return [
            read_sale(
                raw,
                index=index,
                max_items=self._rules.max_items,
                text=texts[index] if texts else None,
            )
            for index, raw in enumerate(raw_sales)
        ]

    def _circumstances(self, user: User) -> Circumstances:
        actor = Actor.of(user)
        if actor.kind == "cli":
            actor = replace(actor, login=self.login)
        return Circumstances(actor, self._clock(), self._retry, self._chance())

    # Retries

    async def retry(self, user: User, keys: Sequence[int | str]) -> list[RetryResult]:
        """Queue held sales by id or local_id (contract 5); a result a key, in order."""
        at = self._circumstances(user)

        async def queue_all(session: Session) -> list[RetryResult]:
            return await retries.queue_all(session, user, keys, at)

        results = await self._store.write(queue_all)
        log_retries(user.id, results)
        self.when_due()
        return results

    async def retry_due(self) -> list[Outcome]:
        """Judge a batch of what is due, as at its upload; return what became of them."""
        now = self._clock()

        async def is_any_due(session: Session) -> bool:
            return await sales.is_any_due(session, now=now)

        if not await self._store.glance(is_any_due):
            return []
        try:
            submissions, taken = await self._store.write(self._retrying(now, uploads.take_all))
        except StatementRefusedError:
            submissions, taken = await self._store.write(self._retrying(now, uploads.take_each))
        outcomes = [outcome for _, outcome in taken]
        log_outcomes(submissions, outcomes)
        return outcomes

    def _retrying(self, now: datetime, take: uploads.Take) -> Work[_Retried]:
        # Claimed and judged in one transaction: killed in the middle, all of it is due again.
        async def work(session: Session) -> _Retried:
            due = await retries.claim(
                session,
                now=now,
                policy=self._retry,
                chance=self._chance,
                max_items=self._rules.max_items,
            )
            return due, await take(session, due, self._rules)

        return work

    # Conflicts and edits

    async def resolve(self, user: User, key: int | str, request: Request) -> edits.Result:
        """Decide a conflict (contract 6); raises `NotFoundError`."""
        at = self._circumstances(user)

        async def decide_it(session: Session) -> edits.Result:
            return await edits.resolve_conflict(session, user, key, request, self._rules, at)

        result = await self._store.write(decide_it)
        log_resolution(user.id, request.resolution, result)
        return result

    async def edit(
        self, user: User, key: int | str, said: Mapping[str, object], version: int | None
    ) -> edits.Result:
        """Edit a sale on the server (contract 7); raises `NotFoundError`."""
        at = self._circumstances(user)

        async def edit_it(session: Session) -> edits.Result:
            return await edits.edit_sale(session, user, key, said, version, self._rules, at)

        result = await self._store.write(edit_it)
        log_edit(user.id, said, result)
        return result

    async def history(self, user: User, key: int | str) -> tuple[Sale, list[HistoryEntry]]:
        """Return a sale and its changes, oldest first; raises `NotFoundError`."""

        async def find(session: Session) -> tuple[Sale, list[HistoryEntry]]:
            sale = await edits.find_mine(session, user, key)
            return sale, await events.history_of(session, sale.id)

        return await self._store.read(find)

    # Reading

    async def pending(
        self,
        *,
        sync_statuses: Collection[str],
        user_id: int | None,
        after_id: int = 0,
        limit: int = 50,
    ) -> tuple[Sequence[PendingSale], int]:
        """Return a page of what is not synced, of one user or of all, and how many match."""

        async def page(session: Session) -> tuple[Sequence[PendingSale], int]:
            return await listings.list_pending(
                session,
                sync_statuses=sync_statuses,
                user_id=user_id,
                after_id=after_id,
                limit=limit,
            )

        # The first page is one statement.
        ask = self._store.glance if after_id < 1 else self._store.look_up
        return await ask(page)

    async def find_sale(self, user: User, key: int | str) -> FoundSale:
        """Return the sale of this id, local_id or number; another's raises `NotFoundError` too."""

        async def find(session: Session) -> FoundSale:
            sale = await edits.find_mine(session, user, key)
            base = await _base_of(session, sale)
            names = await users.usernames(session)
            return FoundSale(sale, names[sale.user_id], base)

        found = await self._store.look_up(find)
        log_damage([found.sale])
        return replace(found, sale=as_told(found.sale))

    async def numbers_beginning(self, beginning: str, *, limit: int) -> list[tuple[str, str]]:
        """Return the last sale numbers that begin so, each with its sync_status."""

        async def find(session: Session) -> list[tuple[str, str]]:
            return await sales.numbers_beginning(session, beginning, limit=limit)

        return await self._store.look_up(find)

    async def find_state(self, user: User, key: int | str) -> Sale:
        """Return the sale as `find_sale` does, and nothing of what stands beside it."""

        async def find(session: Session) -> Sale:
            return await edits.find_mine(session, user, key)

        sale = await self._store.glance(find)
        log_damage([sale])
        return as_told(sale)

    async def find_sales(self, user: User, local_ids: Collection[str]) -> dict[str, Sale]:
        """Return, by local_id, those of these sales that the user may see."""

        async def find(session: Session) -> dict[str, Sale]:
            return await sales.find_by_local_ids(session, local_ids)

        found = await self._store.glance(find)
        log_damage(found.values())
        return {key: as_told(sale) for key, sale in found.items() if user.may_see(sale)}


def _are_long(raw_sales: Sequence[object], texts: Sequence[str] | None) -> bool:
    if texts is None:
        return len(raw_sales) > SALES_AT_ONCE
    return sum(map(len, texts)) > READ_AT_ONCE


async def _base_of(session: Session, sale: Sale) -> Content | None:
    if sale.parked is None or sale.parked.version >= sale.version:
        return None
    return (await copies.bases_of(session, {sale.id: sale.parked.version})).get(sale.id)


@asynccontextmanager
async def open_gateway(
    settings: Settings,
    *,
    clock: Callable[[], datetime] = now_utc,
    chance: Callable[[], float] = random.random,
) -> AsyncIterator[Gateway]:
    """Open the configured database for use, and let go of it at the end.

    Raises `SchemaError` when it was never prepared or is of another version, and
    `StoreUnavailableError`.
    """
    store = await open_store(settings.store)
    try:
        gateway = Gateway(settings, store, await allowances_of(store), clock=clock, chance=chance)
        yield gateway
        await gateway.keep_notes()
    finally:
        await store.close()
