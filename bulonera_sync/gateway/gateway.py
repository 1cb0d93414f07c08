"""One method per use case, over one open database."""

import asyncio
import hashlib
import random
import re
import secrets
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from bulonera_sync.changes import Circumstances
from bulonera_sync.config import Settings
from bulonera_sync.decisions import Policy
from bulonera_sync.errors import NotFoundError, RefusedError, StatementRefusedError
from bulonera_sync.gateway import edits, retries, uploads
from bulonera_sync.gateway.catalogs import read_catalog
from bulonera_sync.gateway.logbook import log_edit, log_outcomes, log_resolution, log_retries
from bulonera_sync.gateway.openings import allowances_of, open_store
from bulonera_sync.gateway.retries import RetryResult
from bulonera_sync.gateway.uploads import Submission
from bulonera_sync.outcomes import Outcome
from bulonera_sync.resolutions import Request
from bulonera_sync.retries import RetryPolicy
from bulonera_sync.sales import Actor, Content, Role, Sale, User
from bulonera_sync.store import (
    allowances,
    audits,
    catalog,
    events,
    listings,
    quarantines,
    sales,
    statistics,
    users,
)
from bulonera_sync.store.allowances import Allowances
from bulonera_sync.store.audits import Finding
from bulonera_sync.store.catalog import CatalogKind, CatalogRow
from bulonera_sync.store.events import HistoryEntry
from bulonera_sync.store.listings import PendingSale
from bulonera_sync.store.quarantines import QuarantinedSale
from bulonera_sync.store.sessions import Session, Store, Work
from bulonera_sync.store.statistics import Standing
from bulonera_sync.store.users import Account, TokenEntry
from bulonera_sync.throttle import Grant, Rate, left
from bulonera_sync.uploads import SaleUpload, read_sale

MAX_LABEL = 100
_USERNAME = re.compile(r"[\w][\w.@+-]{0,63}")


_Taken = tuple[Sequence[Submission], list[Outcome]]

_WAITED: Mapping[CatalogKind, str] = {"customers": "customer", "products": "product"}


def nobody_listens() -> None:
    """Another process judges what became due here, within its next turn."""


def now_utc() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A new token, the only time it is seen: only its digest is kept."""

    id: int
    token: str
    label: str


@dataclass(frozen=True, slots=True)
class CatalogImport:
    """What an import did; `healing` counts the held sales that it made due."""

    imported: int
    deactivated: int
    healing: int


@dataclass(frozen=True, slots=True)
class FoundSale:
    """A sale to show: with its owner's name, and what its conflict is based on."""

    sale: Sale
    username: str
    base: Content | None


class Gateway:
    """An open gateway; `open_gateway` makes it. Raises `StoreUnavailableError` from any method."""

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

    # Uploads

    async def upload(
        self, user: User, raw_sales: Sequence[object], texts: Sequence[str] | None = None
    ) -> list[Outcome]:
        """Judge, keep and number what a till sent (contract 2); outcomes in its order.

        `texts` are the sales word for word, as a refused one is kept. Every outcome is on disk
        when this returns.
        """
        read = await asyncio.to_thread(self._read, raw_sales, texts)
        at = self._circumstances(Actor.of(user))
        # A chance for each: what fails together must not come back together.
        submissions = [
            Submission(upload, user.id, replace(at, chance=self._chance())) for upload in read
        ]

        async def take_all(session: Session) -> list[Outcome]:
            return await uploads.take_all(session, submissions, self._rules)

        async def take_each(session: Session) -> list[Outcome]:
            return await uploads.take_each(session, submissions, self._rules)

        try:
            outcomes = await self._store.write(take_all)
        except StatementRefusedError:
            outcomes = await self._store.write(take_each)
        log_outcomes(submissions, outcomes)
        return outcomes

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

    def _circumstances(self, actor: Actor) -> Circumstances:
        return Circumstances(actor, self._clock(), self._retry, self._chance())

    # Retries

    async def retry(self, user: User, keys: Sequence[int | str]) -> list[RetryResult]:
        """Queue held sales by id or local_id (contract 5); a result a key, in order."""
        at = self._circumstances(Actor.of(user))

        async def queue_all(session: Session) -> list[RetryResult]:
            return await retries.queue_all(session, user, keys, at)

        results = await self._store.write(queue_all)
        log_retries(user.id, results)
        self.when_due()
        return results

    async def retry_due(self) -> int:
        """Judge a batch of what is due, as at its upload; return how many there were."""
        now = self._clock()

        async def is_any_due(session: Session) -> bool:
            return await sales.is_any_due(session, now=now)

        if not await self._store.read(is_any_due):
            return 0
        try:
            submissions, outcomes = await self._store.write(self._retrying(now, uploads.take_all))
        except StatementRefusedError:
            submissions, outcomes = await self._store.write(self._retrying(now, uploads.take_each))
        log_outcomes(submissions, outcomes)
        return len(outcomes)

    def _retrying(self, now: datetime, take: uploads.Take) -> Work[_Taken]:
        # Claimed and judged in one transaction: killed in the middle, all of it is due again.
        async def work(session: Session) -> _Taken:
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
        at = self._circumstances(Actor.of(user))

        async def decide_it(session: Session) -> edits.Result:
            return await edits.resolve_conflict(session, user, key, request, self._rules, at)

        result = await self._store.write(decide_it)
        log_resolution(user.id, request.resolution, result)
        return result

    async def edit(
        self, user: User, key: int | str, said: Mapping[str, object], version: int | None
    ) -> edits.Result:
        """Edit a sale on the server (contract 7); raises `NotFoundError`."""
        at = self._circumstances(Actor.of(user))

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

        return await self._store.read(page)

    async def find_sale(self, user: User, key: int | str) -> FoundSale:
        """Return the sale of this id, local_id or number; another's raises `NotFoundError` too."""

        async def find(session: Session) -> FoundSale:
            sale = await edits.find_mine(session, user, key)
            base = await _base_of(session, sale)
            names = await users.usernames(session)
            return FoundSale(sale, names[sale.user_id], base)

        return await self._store.read(find)

    async def find_sales(self, user: User, local_ids: Collection[str]) -> dict[str, Sale]:
        """Return, by local_id, those of these sales that the user may see."""

        async def find(session: Session) -> dict[str, Sale]:
            return await sales.find_by_local_ids(session, local_ids)

        found = await self._store.read(find)
        return {key: sale for key, sale in found.items() if user.may_see(sale)}

    # Accounts

    async def authenticate(self, token: str) -> User | None:
        """Return the active user that this token names, or None."""
        digest = _digest(token)

        async def find(session: Session) -> User | None:
            return await users.find_by_token(session, digest)

        return await self._store.read(find)

    async def spend(self, user: User) -> Grant | None:
        """Take one request off the user's allowance; None while the throttle is off."""
        if self._rate is None:
            return None
        return await self._allowances.spend(user.id, self._rate, self._clock())

    @property
    def rate(self) -> Rate | None:
        return self._rate

    async def keep_allowances(self) -> None:
        """Write down what only memory knows; the daemon does so every second."""
        await self._allowances.keep()

    async def find_account(self, username: str) -> Account:
        """Return the account of this name; raises `NotFoundError`."""

        async def find(session: Session) -> Account:
            return await _account(session, username)

        return await self._store.read(find)

    async def list_accounts(self) -> list[Account]:
        return await self._store.read(users.list_accounts)

    async def add_user(
        self, username: str, role: Role, *, has_token: bool = True
    ) -> tuple[User, IssuedToken | None]:
        """Add a user with its first token; raises `RefusedError` for a name that is taken."""
        if not _USERNAME.fullmatch(username):
            raise RefusedError(
                "a username has 1 to 64 letters, digits or . _ @ + - and starts with a letter "
                "or digit"
            )
        now, secret = self._clock(), secrets.token_hex(20)

        async def add(session: Session) -> tuple[User, IssuedToken | None]:
            if await users.find_by_name(session, username):
                raise RefusedError(f"user {username} exists already")
            user = await users.add_user(session, username, role, now=now)
            if not has_token:
                return user, None
            token_id = await users.add_token(session, user.id, _digest(secret), "", now=now)
            return user, IssuedToken(token_id, secret, "")

        return await self._store.write(add)

    async def set_user_active(self, username: str, *, is_active: bool) -> Account:
        """Enable or disable a user: its tokens stop or start to count at once."""

        async def change(session: Session) -> Account:
            account = await _account(session, username)
            await users.set_active(session, account.id, is_active=is_active)
            return await _account(session, username)

        return await self._store.write(change)

    async def create_token(self, username: str, label: str = "") -> IssuedToken:
        """Give a user one more token; raises `NotFoundError`, and `RefusedError` for its label."""
        if len(label) > MAX_LABEL or not label.isprintable():
            raise RefusedError(f"a label has up to {MAX_LABEL} printable characters")
        now, secret = self._clock(), secrets.token_hex(20)

        async def add(session: Session) -> IssuedToken:
            account = await _account(session, username)
            token_id = await users.add_token(session, account.id, _digest(secret), label, now=now)
            return IssuedToken(token_id, secret, label)

        return await self._store.write(add)

    async def list_tokens(self, username: str | None = None) -> list[TokenEntry]:
        """Return the tokens of one user or of all; raises `NotFoundError` for an unknown one."""

        async def all_of(session: Session) -> list[TokenEntry]:
            if username is not None:
                await _account(session, username)
            return await users.list_tokens(session, username)

        return await self._store.read(all_of)

    async def revoke_token(self, token_id: int) -> TokenEntry:
        """Revoke a token at once and for good; raises `NotFoundError`."""
        now = self._clock()

        async def revoke(session: Session) -> TokenEntry:
            entry = await users.revoke_token(session, token_id, now=now)
            if entry is None:
                raise NotFoundError(f"no token {token_id}; bulonera-sync token list shows them")
            return entry

        return await self._store.write(revoke)

    # Catalogue

    async def import_catalog(
        self, kind: CatalogKind, path: Path, *, deactivate_missing: bool = False
    ) -> CatalogImport:
        """Bring a CSV file's rows in, all or none; raises `RefusedError` naming the line."""
        rows = await asyncio.to_thread(read_catalog, path, kind)
        return await self.import_rows(kind, rows, deactivate_missing=deactivate_missing)

    async def import_rows(
        self, kind: CatalogKind, rows: Sequence[CatalogRow], *, deactivate_missing: bool = False
    ) -> CatalogImport:
        """Bring rows in, all or none; what waited for one of them is due at once."""
        now = self._clock()
        active = [row.id for row in rows if row.is_active]

        async def bring(session: Session) -> CatalogImport:
            deactivated = await catalog.import_rows(
                session, kind, rows, deactivate_missing=deactivate_missing
            )
            healing = await sales.heal(session, _WAITED[kind], active, now=now)
            return CatalogImport(len(rows), deactivated, healing)

        done = await self._store.write(bring)
        if done.healing:
            self.when_due()
        return done

    async def list_catalog(self, kind: CatalogKind, *, limit: int) -> tuple[list[CatalogRow], int]:
        """Return the first rows by id, and how many there are in all."""

        async def rows(session: Session) -> tuple[list[CatalogRow], int]:
            return await catalog.list_rows(session, kind, limit=limit)

        return await self._store.read(rows)

    async def customer_names(self, ids: Collection[int]) -> Mapping[int, str]:
        """Return the names of these customers, inactive ones too, by id."""

        async def names(session: Session) -> Mapping[int, str]:
            return await catalog.customer_names(session, ids)

        return await self._store.read(names)

    # Support

    async def list_quarantine(self, *, limit: int) -> tuple[Sequence[QuarantinedSale], int]:
        """Return the latest of what no local_id names, and how many there are in all."""

        async def latest(session: Session) -> tuple[Sequence[QuarantinedSale], int]:
            return await quarantines.list_quarantine(session, limit=limit)

        return await self._store.read(latest)

    async def find_quarantined(self, quarantine_id: int) -> QuarantinedSale:
        """Return one of them whole; raises `NotFoundError`."""

        async def find(session: Session) -> QuarantinedSale | None:
            return await quarantines.find_quarantined(session, quarantine_id)

        found = await self._store.read(find)
        if found is None:
            raise NotFoundError(
                f"nothing in quarantine under {quarantine_id}; bulonera-sync quarantine list "
                f"shows what there is"
            )
        return found

    async def allowances(self) -> Mapping[str, Grant]:
        """Return what is left of every user's allowance by name, spending nothing.

        A daemon with the allowances in memory writes them down every second. Empty while the
        throttle is off.
        """
        if self._rate is None:
            return {}
        accounts = await self.list_accounts()
        full_at = await self._store.read(allowances.full_times)
        now = self._clock()
        return {
            account.username: left(self._rate, full_at.get(account.id), now) for account in accounts
        }

    async def reset_allowance(self, username: str) -> None:
        """Give a user the whole allowance back, within a second; raises `NotFoundError`."""
        now = self._clock()

        async def reset(session: Session) -> None:
            account = await _account(session, username)
            await allowances.reset(session, account.id, now=now)

        await self._store.write(reset)

    # Health

    async def standing(self) -> Standing:
        """Return how it stands: counts, the oldest unsynced, what is due, who uploaded when."""
        now = self._clock()

        async def stand(session: Session) -> Standing:
            return await statistics.standing(session, now=now)

        return await self._store.read(stand)

    async def size_bytes(self) -> int:
        """Return how much disk the database takes."""
        return await self._store.size_bytes()

    async def examine(self) -> tuple[Mapping[str, int], list[Finding]]:
        """Read the whole database over; return its counts and what is wrong with it."""

        async def read_over(session: Session) -> tuple[Mapping[str, int], list[Finding]]:
            return await audits.count_rows(session), await audits.audit(session)

        damage = await self._store.damage()
        counts, findings = await self._store.read(read_over)
        return counts, [*(Finding("database", text) for text in damage), *findings]

    async def check(self) -> None:
        """Raise `StoreUnavailableError` or `SchemaError` unless the database can be used."""
        await self._store.check()


async def _base_of(session: Session, sale: Sale) -> Content | None:
    if sale.parked is None or sale.parked.version >= sale.version:
        return None
    return (await sales.bases_of(session, {sale.id: sale.parked.version})).get(sale.id)


async def _account(session: Session, username: str) -> Account:
    # A name that nobody can have is asked of no database: not every text can be.
    is_name = _USERNAME.fullmatch(username) is not None
    account = await users.find_by_name(session, username) if is_name else None
    if account is None:
        raise NotFoundError(f"no user {username}; bulonera-sync user list shows them")
    return account


def _digest(token: str) -> str:
    # Tokens are 160 random bits: nothing slower than one hash would make them harder to find.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


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
        await gateway.keep_allowances()
    finally:
        await store.close()
