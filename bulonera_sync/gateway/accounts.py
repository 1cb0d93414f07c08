"""Use cases about who comes in: users, their tokens."""

import hashlib
import re
import secrets
from dataclasses import dataclass

from bulonera_sync.errors import NotFoundError, RefusedError
from bulonera_sync.gateway.doors import Door
from bulonera_sync.sales import Role, User
from bulonera_sync.store import (
    users,
)
from bulonera_sync.store.sessions import Session
from bulonera_sync.store.users import Account, TokenEntry
from bulonera_sync.throttle import Grant

MAX_LABEL = 100
_USERNAME = re.compile(r"[\w][\w.@+-]{0,63}")


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A new token, the only time it is seen: only its digest is kept."""

    id: int
    token: str
    label: str


class Accounts(Door):
    """Who comes in."""

    async def authenticate(self, token: str) -> User | None:
        """Return the active user that this token names, or None."""
        digest = digest_of(token)

        async def find(session: Session) -> User | None:
            return await users.find_by_token(session, digest)

        return await self._store.glance(find)

    async def admit(self, token: str) -> tuple[User, Grant | None] | None:
        """Return whom this token names, with one request taken off the allowance; None for nobody.

        The grant says whether the request passes; there is none while the throttle is off.
        """
        if self._rate is None:
            user = await self.authenticate(token)
            return None if user is None else (user, None)
        return await self._allowances.admit(digest_of(token), self._rate, self._clock())

    async def find_account(self, username: str) -> Account:
        """Return the account of this name; raises `NotFoundError`."""

        async def find(session: Session) -> Account:
            return await account_named(session, username)

        return await self._store.glance(find)

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
            token_id = await users.add_token(session, user.id, digest_of(secret), "", now=now)
            return user, IssuedToken(token_id, secret, "")

        return await self._store.write(add)

    async def set_user_active(self, username: str, *, is_active: bool) -> Account:
        """Enable or disable a user: its tokens stop or start to count at once."""

        async def change(session: Session) -> Account:
            account = await account_named(session, username)
            await users.set_active(session, account.id, is_active=is_active)
            return await account_named(session, username)

        return await self._store.write(change)

    async def create_token(self, username: str, label: str = "") -> IssuedToken:
        """Give a user one more token; raises `NotFoundError`, and `RefusedError` for its label."""
        if len(label) > MAX_LABEL or not label.isprintable():
            raise RefusedError(f"a label has up to {MAX_LABEL} printable characters")
        now, secret = self._clock(), secrets.token_hex(20)

        async def add(session: Session) -> IssuedToken:
            account = await account_named(session, username)
            token_id = await users.add_token(session, account.id, digest_of(secret), label, now=now)
            return IssuedToken(token_id, secret, label)

        return await self._store.write(add)

    async def list_tokens(self, username: str | None = None) -> list[TokenEntry]:
        """Return the tokens of one user or of all; raises `NotFoundError` for an unknown one."""

        async def all_of(session: Session) -> list[TokenEntry]:
            if username is not None:
                await account_named(session, username)
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


async def account_named(session: Session, username: str) -> Account:
    # A name that nobody can have is asked of no database: not every text can be.
    is_name = _USERNAME.fullmatch(username) is not None
    account = await users.find_by_name(session, username) if is_name else None
    if account is None:
        raise NotFoundError(f"no user {username}; bulonera-sync user list shows them")
    return account


def digest_of(token: str) -> str:
    """Return what is stored of a token."""
    # Tokens are 160 random bits: nothing slower than one hash would make them harder to find.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
