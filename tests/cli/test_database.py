"""`db`, on both engines."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.conftest import Run


def test_a_sound_database_is_said_to_be_so(run: Run) -> None:
    run("user", "add", "ana")

    ran = run("db", "check", "--json")

    assert ran.code == 0
    assert (ran.json["status"], ran.json["damage"]) == ("ok", [])
    assert ran.json["counts"]["users"] == 1
    assert "is sound" in run("db", "check").out


def test_rows_without_their_parent_are_damage(run_anywhere: Run, folder: Path) -> None:
    run_anywhere("user", "add", "ana")
    with closing(sqlite3.connect(folder / "bulonera-sync.db")) as connection:
        connection.execute("DELETE FROM users")
        connection.commit()

    as_json = run_anywhere("db", "check", "--json")

    assert as_json.code == 1
    assert as_json.json["status"] == "damaged"
    assert "damaged" in as_json.err


def test_an_index_that_lost_its_rows_is_damage(run_anywhere: Run, folder: Path) -> None:
    run_anywhere("user", "add", "ana")
    with closing(sqlite3.connect(folder / "bulonera-sync.db")) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_master SET sql = 'CREATE INDEX ix_tokens_user_id ON tokens (label)'"
            " WHERE name = 'ix_tokens_user_id'"
        )
        connection.commit()

    ran = run_anywhere("db", "check")

    assert (ran.code, ran.out) == (1, "")
    assert "ix_tokens_user_id" in ran.err


def test_a_database_never_prepared_does_not_pass_the_check(
    run_anywhere: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BULONERA_STORE__URL", "sqlite:///shop.db")

    ran = run_anywhere("db", "check")

    assert ran.code == 4
    assert "bulonera-sync db upgrade" in ran.error


def test_upgrade_makes_a_database_that_passes_the_check(run_anywhere: Run) -> None:
    upgraded = run_anywhere("db", "upgrade")

    assert upgraded.code == 0
    assert run_anywhere("db", "check").code == 0


def test_a_second_upgrade_changes_nothing(run: Run) -> None:
    run("user", "add", "ana")

    ran = run("db", "upgrade")

    assert (ran.code, ran.err) == (0, "")
    assert run("user", "list", "--json").json["count"] == 1


def test_a_newer_schema_is_left_alone(run_anywhere: Run, folder: Path) -> None:
    run_anywhere("db", "upgrade")
    with closing(sqlite3.connect(folder / "bulonera-sync.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()

    for command in (("db", "check"), ("db", "upgrade"), ("user", "add", "ana")):
        ran = run_anywhere(*command)

        assert ran.code == 4
        assert "9999" in ran.error
