"""`config` and `init`."""

import os
import stat
from pathlib import Path

import pytest

from tests.cli.conftest import Run


def test_every_setting_is_shown_with_whose_word_it_is(
    run_anywhere: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "config.toml").write_text("[server]\nport = 9000\n")
    monkeypatch.setenv("BULONERA_SYNC__THROTTLE", "off")

    shown = run_anywhere("config", "show", "--json").json

    rows = {(row["section"], row["key"]): (row["value"], row["origin"]) for row in shown["results"]}
    assert shown["count"] == len(rows)
    assert rows["server", "port"] == (9000, "file")
    assert rows["sync", "throttle"] == ("off", "environment")
    assert rows["log", "backups"] == (3, "default")


def test_no_password_is_shown(run_anywhere: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BULONERA_STORE__URL", "postgresql://ana:secret@db.example/shop")

    outputs = run_anywhere("config", "show").out + run_anywhere("config", "show", "--json").out

    assert "db.example/shop" in outputs
    assert "secret" not in outputs


def test_right_settings_pass_the_check(run_anywhere: Run) -> None:
    ran = run_anywhere("config", "check")

    assert (ran.code, ran.err) == (0, "")


def test_wrong_settings_do_not_pass_the_check(run_anywhere: Run, folder: Path) -> None:
    (folder / "config.toml").write_text("[sync]\nthrotle = 'off'\n")

    ran = run_anywhere("config", "check")

    assert ran.code == 3
    assert "did you mean throttle?" in ran.error


def test_init_leaves_a_shop_that_can_start(run_anywhere: Run, folder: Path) -> None:
    ran = run_anywhere("init", "till")

    assert ran.code == 0
    assert "user add" in ran.out
    assert "serve" in ran.out
    file = folder / "till" / "config.toml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert run_anywhere("--config", file, "config", "check").code == 0
    assert run_anywhere("--config", file, "user", "list", "--json").json["count"] == 0


def test_init_on_the_current_folder_needs_no_config_option_afterwards(run_anywhere: Run) -> None:
    ran = run_anywhere("init")

    assert "bulonera-sync serve" in ran.out
    assert run_anywhere("db", "check").code == 0


def test_a_second_init_is_refused_and_changes_nothing(run_anywhere: Run, folder: Path) -> None:
    run_anywhere("init")
    (folder / "config.toml").write_text("[server]\nport = 9000\n")

    ran = run_anywhere("init")

    assert ran.code == 1
    assert "--force" in ran.error
    assert "9000" in (folder / "config.toml").read_text()


def test_a_forced_init_keeps_the_former_file_and_the_database(
    run_anywhere: Run, folder: Path
) -> None:
    run_anywhere("init")
    (folder / "config.toml").write_text("[server]\nport = 9000\n")
    run_anywhere("user", "add", "ana")

    ran = run_anywhere("init", "--force")

    assert ran.code == 0
    [former] = folder.glob("config.toml.*.bak")
    assert "9000" in former.read_text()
    assert "port = 8000" in (folder / "config.toml").read_text()
    assert run_anywhere("user", "list", "--json").json["count"] == 1


def test_init_where_no_folder_can_be_says_so(run_anywhere: Run, folder: Path) -> None:
    (folder / "till").write_text("a file")

    ran = run_anywhere("init", "till")

    assert ran.code == 1
    assert "till" in ran.error


def test_a_file_that_cannot_be_read_is_told_by_reading_it(
    run_anywhere: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "shop.toml").mkdir()
    # Root may read all: what the option's type would ask is answered as anybody else is.
    monkeypatch.setattr(os, "access", lambda *_, **__: False)

    ran = run_anywhere("--config", "shop.toml", "stats")

    assert (ran.code, "shop.toml: can't be read" in ran.error) == (3, True)
