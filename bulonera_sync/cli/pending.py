"""`pending`: what did not get in, by what is wrong with it, and what to do."""

from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Annotated

import typer

from bulonera_sync.bodies import parse_kept, shorten
from bulonera_sync.cli.invocations import read, settings_of
from bulonera_sync.cli.output import AsJson, inert, listing, print_json, tell_rest
from bulonera_sync.cli.watches import Watched, refuse_unwatchable, watch
from bulonera_sync.cli.words import ago, amount, phrase, plural, time_said, until, whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulonera_sync.cli.groups import Group, Groups
    from bulonera_sync.cli.pages import Column, Page
    from bulonera_sync.cli.watches import Draw
    from bulonera_sync.gateway import Gateway, PendingSale, Standing
    from bulonera_sync.sales import Sale

    Cell = Callable[[PendingSale, "Naming"], str]

STATUSES = ("error", "pending", "conflict")
DEFAULT_STATUSES = "error,pending"
MAX_ROWS = 1_000_000
# A total that nobody knows yet.
NO_TOTAL = "—"
PAGE = 1_000
# Of groups without a row to show so many headings.
MAX_HEADINGS = 10
# How many rows of each group a watched page shows: the first of these with which it fits.
ROWS_TO_WATCH = (MAX_ROWS, 5, 3, 1)

UserOption = Annotated[
    str | None, typer.Option("--user", metavar="NAME", help="Only this user's, else everybody's.")
]
SinceOption = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Only what came from 12h or 2d ago on, or from 2026-02-16T12:00 (the shop's time).",
    ),
]
LimitOption = Annotated[
    int, typer.Option(metavar="N", min=1, max=MAX_ROWS, help="Show so many at most.")
]


@dataclass(frozen=True, slots=True)
class Choice:
    """Which unsynced sales are asked for."""

    sync_statuses: Collection[str]
    user: str | None = None
    since: datetime | None = None
    error: str | None = None

    @property
    def is_of_whole_states(self) -> bool:
        """Whether the database can choose and count them by itself."""
        return self.since is None and self.error is None

    @property
    def is_of_all(self) -> bool:
        return self.is_of_whole_states and self.user is None

    def has(self, row: "PendingSale") -> bool:
        """Say whether a row is one of them; its state and user the database has seen to."""
        if self.since is not None and row.created_at < self.since:
            return False
        if self.error is None:
            return True
        wanted = self.error.casefold()
        said = (text for each in row.problems for text in (each.code, each.message))
        return any(wanted in text.casefold() for text in said)


@dataclass(frozen=True, slots=True)
class Found:
    """The chosen sales, `rows` the oldest of `total`, and whose they are by user id."""

    rows: "Sequence[PendingSale]"
    total: int
    usernames: Mapping[int, str]


def pending(
    context: typer.Context,
    user: UserOption = None,
    since: SinceOption = None,
    status: Annotated[
        str, typer.Option(metavar="LIST", help="Of error, pending and conflict.")
    ] = DEFAULT_STATUSES,
    error: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Only with this in the reason.")
    ] = None,
    limit: LimitOption = 50,
    is_watched: Watched = False,
    as_json: AsJson = False,
) -> None:
    """Show what did not get in, and why.

    Everybody's, oldest first, by what is wrong; the headings count all of it.
    """
    settings = settings_of(context)
    zone = settings.sync.zone
    choice = Choice(_statuses(status), user, since_of(since, zone), error)
    if is_watched:
        refuse_unwatchable(is_document=as_json)
        read(context, lambda gateway: watch(gateway, _drawing(choice, limit), zone))
    elif as_json:
        found = read(context, lambda gateway: find(gateway, choice, limit=limit))
        rows = [document_of(row, found.usernames) for row in found.rows]
        print_json(listing(rows, total=found.total))
    else:
        now = datetime.now(UTC)
        told = read(context, lambda gateway: _tell(gateway, choice, limit, now))
        _page(told, each_at_most=limit).show()
        tell_rest(len(told.groups.rows), told.groups.count)


def _statuses(said: str) -> Collection[str]:
    words = tuple(word.strip() for word in said.split(",") if word.strip())
    for word in words:
        if word not in STATUSES:
            text = phrase("{word!r} is none of {all}", word=inert(word), all=", ".join(STATUSES))
            raise typer.BadParameter(text, param_hint="--status")
    return words or tuple(DEFAULT_STATUSES.split(","))


def since_of(said: str | None, zone: tzinfo) -> datetime | None:
    """Return the time that --since says; raises typer's `BadParameter`."""
    if said is None:
        return None
    try:
        return time_said(said, datetime.now(UTC), zone)
    except ValueError as error:
        raise typer.BadParameter(f"{inert(said)!r} {error}", param_hint="--since") from None


async def find(gateway: "Gateway", choice: Choice, *, limit: int) -> Found:
    """Return the oldest of the chosen sales; raises `NotFoundError` for an unknown user."""
    usernames = await usernames_of(gateway)
    if choice.is_of_whole_states:
        rows, total = await gateway.pending(
            sync_statuses=choice.sync_statuses,
            user_id=await _user_id(gateway, choice),
            limit=limit,
        )
        return Found(rows, total, usernames)
    chosen: list[PendingSale] = []
    total = 0
    async for row in each(gateway, choice):
        total += 1
        if total <= limit:
            chosen.append(row)
    return Found(chosen, total, usernames)


async def _user_id(gateway: "Gateway", choice: Choice) -> int | None:
    return None if choice.user is None else (await gateway.find_account(choice.user)).id


async def usernames_of(gateway: "Gateway") -> Mapping[int, str]:
    return {account.id: account.username for account in await gateway.list_accounts()}


async def each(gateway: "Gateway", choice: Choice) -> "AsyncIterator[PendingSale]":
    """Yield all of the chosen sales, oldest first; raises `NotFoundError` for an unknown user."""
    user_id = await _user_id(gateway, choice)
    after_id = 0
    while True:
        rows, _ = await gateway.pending(
            sync_statuses=choice.sync_statuses, user_id=user_id, after_id=after_id, limit=PAGE
        )
        for row in rows:
            if choice.has(row):
                yield row
        if len(rows) < PAGE:
            return
        after_id = rows[-1].id


def document_of(row: "PendingSale", usernames: Mapping[int, str]) -> dict[str, object]:
    """Return a row with the API's names, and whose it is."""
    from bulonera_sync.gateway.documents import pending_row

    return {**pending_row(row), "created_by": usernames.get(row.user_id)}


# For a person


def _drawing(choice: Choice, limit: int) -> "Draw":
    async def draw(gateway: "Gateway", now: datetime) -> "Page":
        told = await _tell(gateway, choice, limit, now)
        pages = (_page(told, each_at_most=most) for most in ROWS_TO_WATCH)
        # Every heading before any row: what is wrong counts more than with whom.
        return next((page for page in pages if page.fits), _page(told, each_at_most=0))

    return draw


@dataclass(frozen=True, slots=True)
class Told:
    """What a page tells."""

    choice: Choice
    groups: "Groups"
    standing: "Standing"
    naming: "Naming"


async def _tell(gateway: "Gateway", choice: Choice, limit: int, now: datetime) -> Told:
    from bulonera_sync.cli.groups import Groups

    groups = Groups(limit)
    async for row in each(gateway, choice):
        groups.add(row)
    customers = await gateway.customer_names(_customer_ids(groups.rows))
    naming = Naming(await usernames_of(gateway), customers, now)
    return Told(choice, groups, await gateway.standing(), naming)


def _page(told: Told, *, each_at_most: int) -> "Page":
    from bulonera_sync.cli.pages import Page

    page = Page()
    if told.groups.oldest is None:
        page.say(_nothing(told.choice))
    else:
        page.title(_summary(told.groups.count, told.groups.oldest, told.naming.now))
    for group in _worth_showing(told.groups.in_order()):
        _add_group(page, group, told.naming, each_at_most)
    if any(map(_has_no_total, told.groups.rows)):
        page.gap()
        page.say(phrase("{sign} is a total that can't be computed yet.", sign=NO_TOTAL))
    for hint in _hints(told.choice, told.standing):
        page.gap()
        page.say(hint)
    return page


def _nothing(choice: Choice) -> str:
    if choice.is_of_all and set(choice.sync_statuses) >= {"error", "pending"}:
        return phrase("Nothing is pending: every sale that arrived is in.")
    return phrase("Nothing that is pending matches.")


def _summary(count: int, oldest: "PendingSale", now: datetime) -> str:
    return plural(
        count,
        "{count} sale is not in; it came {age}.",
        "{count} sales are not in; the oldest came {age}.",
        age=ago(oldest.created_at, now),
    )


def _customer_ids(rows: "Sequence[PendingSale]") -> set[int]:
    from bulonera_sync.money import read_id

    said = (read_id(parse_kept(row.customer_said)) for row in rows if row.customer_said)
    return {customer_id for customer_id in said if customer_id is not None}


def _worth_showing(groups: "Sequence[Group]") -> "Iterator[Group]":
    headings = 0
    for group in groups:
        headings += not group.rows
        if group.rows or headings <= MAX_HEADINGS:
            yield group


def _hints(choice: Choice, standing: "Standing") -> Iterator[str]:
    """Yield what else did not get in, so that an empty page promises nothing untrue."""
    conflicts, quarantined = standing.sales["conflict"], standing.quarantined
    if conflicts and "conflict" not in choice.sync_statuses:
        yield plural(
            conflicts,
            "{count} sale is in conflict besides: bulonera-sync conflicts shows it.",
            "{count} sales are in conflict besides: bulonera-sync conflicts shows them.",
        )
    if quarantined:
        yield plural(
            quarantined,
            "{count} upload without a valid local_id is in quarantine: bulonera-sync quarantine "
            "list shows it.",
            "{count} uploads without a valid local_id are in quarantine: bulonera-sync quarantine "
            "list shows them.",
        )


@dataclass(frozen=True, slots=True)
class Naming:
    """What a row's ids and times are called."""

    users: Mapping[int, str]
    customers: Mapping[int, str]
    now: datetime

    def customer(self, said: str | None) -> str:
        """Return a customer's id and name, or whatever was sent in its place."""
        from bulonera_sync.money import read_id

        value = None if said is None else parse_kept(said)
        if value is None:
            return phrase("none")
        customer_id = read_id(value)
        name = None if customer_id is None else self.customers.get(customer_id)
        return f"{customer_id} {name}" if name else shorten(value)

    def user(self, user_id: int) -> str:
        return self.users.get(user_id, phrase("unknown"))


def _add_group(page: "Page", group: "Group", naming: Naming, most: int) -> None:
    from bulonera_sync.cli.groups import advice_of, heading_of, reason_of

    page.title(heading_of(group))
    advice = advice_of(group)
    if advice:
        page.say(advice)
    columns = _columns(group.cause.kind)
    rows = group.rows[:most]
    if rows:
        page.table(
            [column for column, _ in columns],
            [[cell(row, naming) for _, cell in columns] for row in rows],
            notes=[reason_of(row) for row in rows],
            indent=2,
        )
    hidden = group.count - len(rows)
    if hidden and rows:
        page.say(phrase("... {count} more", count=whole(hidden)), indent=2)


def _columns(kind: str) -> "Sequence[tuple[Column, Cell]]":
    from bulonera_sync.cli.pages import Column

    columns: list[tuple[Column, Cell]] = [
        (Column(phrase("Sale")), lambda row, _: row.number),
        (Column(phrase("Came")), lambda row, naming: ago(row.created_at, naming.now)),
        (
            Column(phrase("User"), rank=4, least=6),
            lambda row, naming: naming.user(row.user_id),
        ),
        (
            Column(phrase("Customer"), rank=2, least=10),
            lambda row, naming: naming.customer(row.customer_said),
        ),
        (Column(phrase("Total"), rank=1, is_right=True), lambda row, _: _total(row)),
        (Column(phrase("Tries"), rank=5, is_right=True), lambda row, _: whole(row.attempts)),
    ]
    if kind == "waiting":
        # The others are not tried by the clock.
        next_one = Column(phrase("Next try"), rank=3)
        columns.append((next_one, lambda row, naming: next_try(row, naming.now)))
    return columns


def _total(row: "PendingSale") -> str:
    return NO_TOTAL if _has_no_total(row) else amount(row.total)


def _has_no_total(row: "PendingSale") -> bool:
    # Nothing is kept for what can't be computed, and to call that nothing would be untrue.
    return row.sync_status != "conflict" and row.total == 0


def next_try(sale: "PendingSale | Sale", now: datetime) -> str:
    """Return when the daemon tries again, in words."""
    if sale.is_dead:
        return phrase("given up")
    if sale.next_attempt_at is None:
        return phrase("-")
    return until(sale.next_attempt_at, now)
