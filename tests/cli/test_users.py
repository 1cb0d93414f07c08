"""`user` and `token`, on both engines."""

import asyncio
from pathlib import Path

import pytest

from bulonera_sync.config import Settings
from bulonera_sync.gateway import open_gateway
from bulonera_sync.sales import User
from tests.cli.conftest import Run


def user_of(settings: Settings, token: str) -> User | None:
    """Return whom a token lets in."""

    async def ask() -> User | None:
        async with open_gateway(settings) as gateway:
            return await gateway.authenticate(token)

    return asyncio.run(ask())


def test_a_new_user_comes_with_a_token_that_lets_it_in(run: Run, settings: Settings) -> None:
    added = run("user", "add", "ana", "--role", "cashier", "--json").json

    assert list(added) == ["id", "username", "role", "token"]
    assert (added["username"], added["role"]) == ("ana", "cashier")
    assert user_of(settings, added["token"]) == User(added["id"], "ana", "cashier")


def test_a_user_without_a_token_has_null_for_it(run: Run) -> None:
    added = run("user", "add", "ana", "--no-token", "--json").json

    assert added["token"] is None
    assert run("token", "list", "ana", "--json").json == {"count": 0, "results": []}


def test_a_person_is_told_that_the_token_is_shown_once(run: Run, settings: Settings) -> None:
    ran = run("user", "add", "marta", "--role", "manager")

    token = ran.out.split("Token: ")[1].split("\n")[0]
    assert "shown this once" in ran.out
    assert user_of(settings, token) is not None


def test_users_are_listed_without_their_secrets(run: Run) -> None:
    token = run("user", "add", "ana", "--json").json["token"]

    as_json, as_table = run("user", "list", "--json"), run("user", "list")

    [row] = as_json.json["results"]
    assert list(row) == ["id", "username", "role", "active", "created_at"]
    assert (as_json.json["count"], row["username"], row["active"]) == (1, "ana", True)
    assert row["created_at"].endswith("Z")
    assert token not in as_json.out + as_table.out
    assert "cashier" in as_table.out


def test_tokens_are_listed_without_their_secrets(run: Run) -> None:
    first = run("user", "add", "ana", "--json").json["token"]
    second = run("token", "create", "ana", "--label", "caja 2", "--json").json

    as_json, as_table = run("token", "list", "--json"), run("token", "list", "ana")

    rows = as_json.json["results"]
    assert list(rows[0]) == ["id", "username", "label", "created_at", "revoked_at"]
    assert [row["label"] for row in rows] == ["", "caja 2"]
    for secret in (first, second["token"]):
        assert secret not in as_json.out + as_table.out


def test_one_more_token_lets_the_same_user_in(run: Run, settings: Settings) -> None:
    run("user", "add", "ana")

    created = run("token", "create", "ana", "--label", "caja 2", "--json").json

    assert list(created) == ["id", "token", "label"]
    assert created["label"] == "caja 2"
    assert user_of(settings, created["token"]) is not None


def test_a_revoked_token_lets_nobody_in(run: Run, settings: Settings) -> None:
    run("user", "add", "ana", "--no-token")
    created = run("token", "create", "ana", "--json").json

    revoked = run("token", "revoke", created["id"], "--json").json

    assert revoked["id"] == created["id"]
    assert revoked["revoked_at"] is not None
    assert user_of(settings, created["token"]) is None


def test_a_disabled_user_is_kept_out_until_it_is_enabled(run: Run, settings: Settings) -> None:
    token = run("user", "add", "ana", "--json").json["token"]

    disabled = run("user", "disable", "ana", "--json").json
    while_disabled = user_of(settings, token)
    enabled = run("user", "enable", "ana", "--json").json

    assert (disabled["active"], enabled["active"]) == (False, True)
    assert while_disabled is None
    assert user_of(settings, token) is not None


def test_an_empty_listing_says_what_to_do(run: Run) -> None:
    assert "user add" in run("user", "list").out
    assert "token create" in run("token", "list").out


def test_a_label_with_markup_is_listed_as_it_is(run: Run) -> None:
    run("user", "add", "ana", "--no-token")
    run("token", "create", "ana", "--label", "[red]caja[/red] :bolt:")

    assert "[red]caja[/red] :bolt:" in run("token", "list").out


@pytest.mark.parametrize("label", ["\x1b]0;owned\x07", "\u202ecaja", "\udcff", "x" * 101])
def test_a_hostile_label_is_refused(run: Run, label: str) -> None:
    run("user", "add", "ana", "--no-token")

    ran = run("token", "create", "ana", "--label", label)

    assert ran.code == 1
    assert "label" in ran.error
    assert run("token", "list", "--json").json["count"] == 0


def test_a_command_that_writes_prepares_an_empty_database(run_anywhere: Run, folder: Path) -> None:
    ran = run_anywhere("user", "add", "ana", "--json")

    assert ran.json["username"] == "ana"
    assert (folder / "bulonera-sync.db").exists()


def test_a_command_that_reads_leaves_an_unprepared_database_alone(
    run_anywhere: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BULONERA_STORE__URL", "sqlite:///shop.db")

    ran = run_anywhere("user", "list")

    assert ran.code == 4
    assert "bulonera-sync db upgrade" in ran.error
    assert list(folder.iterdir()) == []
