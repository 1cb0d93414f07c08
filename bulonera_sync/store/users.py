"""Accounts and their tokens. A token's digest is stored, the token itself never."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, insert, select, true, update

from bulonera_sync.sales import Role, User
from bulonera_sync.store import schema
from bulonera_sync.store.sessions import Session
from bulonera_sync.store.statements import Row, Statement
from bulonera_sync.store.types import BigId, UtcTime

_users = schema.users
_tokens = schema.tokens


@dataclass(frozen=True, slots=True)
class Account:
    """A user as listed."""

    id: int
    username: str
    role: Role
    is_active: bool
    created_at: datetime
    last_upload_at: datetime | None

    @property
    def user(self) -> User:
        return User(self.id, self.username, self.role)


@dataclass(frozen=True, slots=True)
class TokenEntry:
    """A token as listed: everything but the token."""

    id: int
    username: str
    label: str
    created_at: datetime
    revoked_at: datetime | None


# Whom a token lets in; the digest is bound as `digest`.
NAMED_BY_TOKEN = (
    select(_users.c.id, _users.c.username, _users.c.role)
    .join(_tokens, _tokens.c.user_id == _users.c.id)
    .where(
        _tokens.c.digest == bindparam("digest"),
        _tokens.c.revoked_at.is_(None),
        _users.c.is_active == true(),
    )
)
BY_TOKEN = Statement(NAMED_BY_TOKEN)
BY_NAME = Statement(select(_users).where(_users.c.username == bindparam("username")))
NAMES = Statement(select(_users.c.id, _users.c.username))
ALL = Statement(select(_users).order_by(_users.c.id))
INSERT_USER = Statement(
    insert(_users)
    .values(
        {
            c.name: bindparam(c.name)
            for c in _users.columns
            if c.name not in {"id", "last_upload_at"}
        }
    )
    .returning(_users.c.id)
)
TOUCH = Statement(
    update(_users)
    .where(_users.c.id == bindparam("user_id", type_=BigId))
    .values(last_upload_at=bindparam("now", type_=UtcTime()))
)
SET_ACTIVE = Statement(
    update(_users)
    .where(_users.c.id == bindparam("user_id", type_=BigId))
    .values(is_active=bindparam("is_active"))
)
INSERT_TOKEN = Statement(
    insert(_tokens)
    .values(
        {c.name: bindparam(c.name) for c in _tokens.columns if c.name not in {"id", "revoked_at"}}
    )
    .returning(_tokens.c.id)
)
_TOKEN_LIST = (
    select(
        _tokens.c.id, _users.c.username, _tokens.c.label, _tokens.c.created_at, _tokens.c.revoked_at
    )
    .join(_users, _tokens.c.user_id == _users.c.id)
    .order_by(_tokens.c.id)
)
TOKENS = Statement(_TOKEN_LIST)
TOKENS_OF = Statement(_TOKEN_LIST.where(_users.c.username == bindparam("username")))
TOKEN = Statement(_TOKEN_LIST.where(_tokens.c.id == bindparam("token_id", type_=BigId)))
REVOKE = Statement(
    update(_tokens)
    .where(_tokens.c.id == bindparam("token_id", type_=BigId), _tokens.c.revoked_at.is_(None))
    .values(revoked_at=bindparam("now", type_=UtcTime()))
)


async def find_by_token(session: Session, digest: str) -> User | None:
    """Return the active user whose unrevoked token has this digest, or None."""
    rows = await session.fetch(BY_TOKEN, digest=digest)
    return User(*rows[0]) if rows else None


async def find_by_name(session: Session, username: str) -> Account | None:
    rows = await session.fetch(BY_NAME, username=username)
    return _account(rows[0]) if rows else None


async def usernames(session: Session) -> dict[int, str]:
    """Return every user's name by id."""
    return dict(await session.fetch(NAMES))


async def list_accounts(session: Session) -> list[Account]:
    return [_account(row) for row in await session.fetch(ALL)]


def _account(row: Row) -> Account:
    return Account(*row)


async def add_user(session: Session, username: str, role: Role, *, now: datetime) -> User:
    """Insert a user whose name is free."""
    values: dict[str, Any] = {
        "username": username,
        "role": role,
        "is_active": True,
        "created_at": now,
    }
    [(user_id,)] = await session.fetch(INSERT_USER, **values)
    return User(user_id, username, role)


async def note_uploads(session: Session, times: Mapping[int, datetime]) -> None:
    """Remember when each of these users, by id, last brought something new."""
    rows = [{"user_id": user_id, "now": now} for user_id, now in sorted(times.items())]
    await session.execute_many(TOUCH, rows)


async def set_active(session: Session, user_id: int, *, is_active: bool) -> None:
    await session.execute(SET_ACTIVE, user_id=user_id, is_active=is_active)


async def add_token(
    session: Session, user_id: int, digest: str, label: str, *, now: datetime
) -> int:
    """Insert a token's digest; return its id."""
    [(token_id,)] = await session.fetch(
        INSERT_TOKEN, user_id=user_id, digest=digest, label=label, created_at=now
    )
    return int(token_id)


async def list_tokens(session: Session, username: str | None = None) -> list[TokenEntry]:
    if username is None:
        rows = await session.fetch(TOKENS)
    else:
        rows = await session.fetch(TOKENS_OF, username=username)
    return [TokenEntry(*row) for row in rows]


async def revoke_token(session: Session, token_id: int, *, now: datetime) -> TokenEntry | None:
    """Revoke a token once; return it, or None where there is none."""
    await session.execute(REVOKE, token_id=token_id, now=now)
    rows = await session.fetch(TOKEN, token_id=token_id)
    return TokenEntry(*rows[0]) if rows else None
