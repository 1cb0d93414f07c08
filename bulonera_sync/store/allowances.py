"""What is left of each user's allowance, kept so that a restart forgets nothing.

One gateway alone keeps it in memory and writes it down every second; several gateways on one
Postgres share it in the database, a statement a request. The rule is `throttle.spend`'s in both.
"""

from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import Interval, bindparam, case, func, select, true, update
from sqlalchemy.dialects.postgresql import Insert
from sqlalchemy.sql.dml import ReturningInsert

from bulonera_sync.sales import User
from bulonera_sync.store import users
from bulonera_sync.store.dialect import upsert
from bulonera_sync.store.schema import allowances
from bulonera_sync.store.sessions import Session, Store, Touching
from bulonera_sync.store.statements import Row, Statement
from bulonera_sync.store.types import BigId, UtcTime
from bulonera_sync.throttle import Grant, Rate, spend

# How far apart the clocks of the gateways on one database may be.
CLOCK_TOLERANCE = timedelta(seconds=5)

_NEW = upsert(allowances).values(
    user_id=bindparam("user_id"), full_at=bindparam("full_at", type_=UtcTime())
)
RESET = Statement(
    upsert(allowances)
    .values(
        user_id=bindparam("user_id"),
        full_at=bindparam("now", type_=UtcTime()),
        reset_at=bindparam("now", type_=UtcTime()),
    )
    .on_conflict_do_update(
        index_elements=["user_id"],
        set_={
            "full_at": bindparam("now", type_=UtcTime()),
            "reset_at": bindparam("now", type_=UtcTime()),
        },
    )
)
RESETS = Statement(
    select(allowances.c.user_id, allowances.c.full_at, allowances.c.reset_at).where(
        allowances.c.reset_at.is_not(None)
    )
)
KEEP = Statement(
    _NEW.on_conflict_do_update(
        index_elements=["user_id"], set_={"full_at": bindparam("full_at", type_=UtcTime())}
    )
)
_NOW = bindparam("now", type_=UtcTime())
# Requests of one burst come to the row out of order, by milliseconds; the later clock counts. One
# that is far ahead was set back since, and must not stop the refill.
_SEEN = case(
    (
        allowances.c.seen_at <= bindparam("soon", type_=UtcTime()),
        func.greatest(allowances.c.seen_at, _NOW),
    ),
    else_=_NOW,
)


def _spending(insertion: Insert) -> ReturningInsert[Any]:
    # Refused where the row is too far ahead: nothing is written then, and no row comes back.
    return insertion.on_conflict_do_update(
        index_elements=["user_id"],
        set_={
            "full_at": func.greatest(allowances.c.full_at, _SEEN)
            + bindparam("interval", type_=Interval()),
            "seen_at": _SEEN,
        },
        where=allowances.c.full_at <= _SEEN + bindparam("reach", type_=Interval()),
    ).returning(allowances.c.full_at, allowances.c.seen_at)


_FULL_AT = bindparam("full_at", type_=UtcTime())
SPEND = Statement(
    _spending(
        upsert(allowances).values(user_id=bindparam("user_id"), full_at=_FULL_AT, seen_at=_NOW)
    )
)
_LET_IN = users.NAMED_BY_TOKEN.cte("let_in")
_SPENT = _spending(
    upsert(allowances).from_select(
        ["user_id", "full_at", "seen_at"], select(_LET_IN.c.id, _FULL_AT, _NOW)
    )
).cte("spent")
# Whom the token lets in and what was spent of it: no row for nobody's, and nothing written then.
ADMIT = Statement(
    select(_LET_IN, _SPENT.c.full_at, _SPENT.c.seen_at).select_from(
        _LET_IN.outerjoin(_SPENT, true())
    )
)
CLAMP = Statement(
    update(allowances)
    .where(
        allowances.c.user_id == bindparam("of_user", type_=BigId),
        allowances.c.full_at > bindparam("at_most", type_=UtcTime()),
    )
    .values(full_at=bindparam("at_most", type_=UtcTime()))
)
ALL = Statement(select(allowances.c.user_id, allowances.c.full_at))
ONE = Statement(
    select(allowances.c.full_at, allowances.c.seen_at).where(
        allowances.c.user_id == bindparam("user_id", type_=BigId)
    )
)


async def full_times(session: Session) -> dict[int, datetime]:
    """Return when each user's allowance is full again, as written down."""
    return dict(await session.fetch(ALL))


async def reset(session: Session, user_id: int, *, now: datetime) -> None:
    """Give a user the whole allowance back."""
    await session.execute(RESET, user_id=user_id, now=now)


Admission = tuple[User, Grant]


class Allowances(Protocol):
    """Every user's allowance."""

    async def admit(self, digest: str, rate: Rate, now: datetime) -> Admission | None:
        """Return whom this token names, with one request taken off the allowance, or refused.

        None for a token that names nobody; nothing is spent then.
        """
        ...

    async def keep(self) -> None:
        """Write down what only memory knows."""
        ...


class OwnAllowances:
    """In memory, for the one gateway on a database; `keep` writes down what changed."""

    def __init__(self, store: Store, full_at: dict[int, datetime]) -> None:
        self._store = store
        self._full_at = full_at
        self._changed: set[int] = set()
        self._resets: dict[int, datetime] = {}

    @classmethod
    async def load(cls, store: Store) -> "OwnAllowances":
        made = cls(store, await store.read(full_times))
        await made._take_resets(set())
        return made

    async def admit(self, digest: str, rate: Rate, now: datetime) -> Admission | None:
        async def find(session: Session) -> User | None:
            return await users.find_by_token(session, digest)

        user = await self._store.glance(find)
        return None if user is None else (user, self._spend(user.id, rate, now))

    def _spend(self, user_id: int, rate: Rate, now: datetime) -> Grant:
        grant = spend(rate, self._full_at.get(user_id), now)
        self._full_at[user_id] = grant.full_at
        self._changed.add(user_id)
        return grant

    async def keep(self) -> None:
        changed, self._changed = self._changed, set()

        async def write_down(session: Session) -> None:
            rows = [{"user_id": each, "full_at": self._full_at[each]} for each in sorted(changed)]
            await session.execute_many(KEEP, rows)

        try:
            await self._take_resets(changed)
            if changed:
                await self._store.write(write_down)
        except BaseException:
            self._changed |= changed
            raise

    async def _take_resets(self, changed: set[int]) -> None:
        """Take over what the command line gave back since the last look."""
        for user_id, full_at, reset_at in await self._store.read(_resets):
            if self._resets.get(user_id) != reset_at:
                self._resets[user_id] = reset_at
                self._full_at[user_id] = full_at
                changed.discard(user_id)


async def _resets(session: Session) -> list[Row]:
    return await session.fetch(RESETS)


class SharedAllowances:
    """In the database, exact across every gateway on it."""

    def __init__(self, store: Touching) -> None:
        self._store = store

    async def admit(self, digest: str, rate: Rate, now: datetime) -> Admission | None:
        async def let_in(session: Session) -> Admission | None:
            return await _let_in(session, digest, rate, now)

        return await self._store.touch(let_in)

    async def keep(self) -> None:
        """Nothing: every request has written its own."""


async def _let_in(session: Session, digest: str, rate: Rate, now: datetime) -> Admission | None:
    rows = await session.fetch(ADMIT, digest=digest, **_terms(rate, now))
    if not rows:
        return None
    [(user_id, username, role, full_at, seen_at)] = rows
    user = User(user_id, username, role)
    if full_at is not None:
        return user, _spent(rate, full_at, seen_at)
    return user, await _refuse(session, user_id, rate, now)


def _terms(rate: Rate, now: datetime) -> dict[str, Any]:
    interval = rate.interval
    return {
        "full_at": now + interval,
        "now": now,
        "soon": now + CLOCK_TOLERANCE,
        "interval": interval,
        "reach": interval * (rate.limit - 1),
    }


def _spent(rate: Rate, full_at: datetime, seen_at: datetime) -> Grant:
    # What was spent is spent: asked again an interval earlier, the rule says what is left.
    return spend(rate, full_at - rate.interval, seen_at)


async def _refuse(session: Session, user_id: int, rate: Rate, now: datetime) -> Grant:
    """Refuse what the row refused, unless it was given back or refilled since."""
    soon = now + CLOCK_TOLERANCE
    while True:
        [(full_at, seen_at)] = await session.fetch(ONE, user_id=user_id)
        is_near = seen_at is not None and seen_at <= soon
        grant = spend(rate, full_at, max(seen_at, now) if is_near else now)
        if not grant.is_allowed:
            # A clock was set back: what lies too far ahead must not wait for it to catch up.
            await session.execute(CLAMP, of_user=user_id, at_most=grant.full_at)
            return grant
        taken = await session.fetch(SPEND, user_id=user_id, **_terms(rate, now))
        if taken:
            return _spent(rate, *taken[0])
