"""Accounts and tokens: a token is known by its digest alone, and stops at once."""

import hashlib

import pytest

from bulonera_sync.errors import RefusedError
from bulonera_sync.gateway import Gateway
from tests.store.databases import is_sqlite, run_sql


async def everything_in(url: str) -> str:
    """Every value of every table, as one text."""
    if is_sqlite(url):
        tables = await run_sql(url, "SELECT name FROM sqlite_master WHERE type = 'table'")
    else:
        tables = await run_sql(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    rows = [await run_sql(url, f'SELECT * FROM "{name}"') for (name,) in tables]  # noqa: S608
    return repr(rows)


async def test_a_token_is_nowhere_in_the_database(gateway: Gateway, store_url: str) -> None:
    _, first = await gateway.add_user("ana", "cashier")
    second = await gateway.create_token("ana", "caja 2")
    assert first is not None

    found = await everything_in(store_url)

    for issued in (first, second):
        assert issued.token not in found
        assert hashlib.sha256(issued.token.encode()).hexdigest() in found


async def test_a_token_names_its_user_until_it_is_revoked(gateway: Gateway) -> None:
    user, first = await gateway.add_user("ana", "cashier")
    second = await gateway.create_token("ana")
    assert first is not None
    await gateway.revoke_token(first.id)

    found = [await gateway.authenticate(issued.token) for issued in (first, second)]

    assert found == [None, user]


async def test_a_disabled_users_tokens_stop_and_start_again(gateway: Gateway) -> None:
    user, issued = await gateway.add_user("ana", "cashier")
    assert issued is not None

    await gateway.set_user_active("ana", is_active=False)
    disabled = await gateway.authenticate(issued.token)
    await gateway.set_user_active("ana", is_active=True)

    assert disabled is None
    assert await gateway.authenticate(issued.token) == user


@pytest.mark.parametrize("token", ["", "x", "\0", "\ud800", "ñ", "' OR 1=1 --", "x" * 100_000])
async def test_whatever_is_no_token_names_nobody(gateway: Gateway, token: str) -> None:
    await gateway.add_user("ana", "cashier")

    assert await gateway.authenticate(token) is None


async def test_a_digest_is_no_token(gateway: Gateway, store_url: str) -> None:
    await gateway.add_user("ana", "cashier")
    [(digest,)] = await run_sql(store_url, "SELECT digest FROM tokens")

    assert await gateway.authenticate(digest) is None


async def test_a_name_is_taken_once(gateway: Gateway) -> None:
    await gateway.add_user("ana", "cashier")

    with pytest.raises(RefusedError, match="exists already"):
        await gateway.add_user("ana", "manager")
