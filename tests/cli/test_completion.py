"""What Tab offers, asked as a shell asks: by Typer's variables, in a process of its own."""

import os
import subprocess
from collections.abc import Callable, Sequence
from inspect import signature
from pathlib import Path

import pytest
import typer

from bulonera_sync.cli.completions import COMPLETIONS
from bulonera_sync.cli.main import app, main
from tests.cli.shops import Shop, shop
from tests.end_to_end.processes import PROGRAM
from tests.factories import make_item, make_sale

__all__ = ["shop"]


Ask = Callable[..., list[str]]


def asking(words: Sequence[str], shell: str) -> dict[str, str]:
    """Return the variables by which a shell asks for the last word."""
    line = ["bulonera-sync", *words]
    return {
        "_BULONERA_SYNC_COMPLETE": f"complete_{shell}",
        # bash asks by the next two, the others by those after them.
        "COMP_WORDS": "\n".join(line),
        "COMP_CWORD": str(len(words)),
        "_TYPER_COMPLETE_ARGS": " ".join(line),
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }


@pytest.fixture
def ask(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Ask in an empty folder; nothing may be said on stderr."""

    def ask(*words: str, shell: str = "bash") -> list[str]:
        for name, value in asking(words, shell).items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit):
            main([])
        said = capsys.readouterr()
        assert said.err == ""
        return said.out.split()

    return ask


@pytest.fixture
def ask_shop(shop: Shop, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Ask in a shop with two sales that are in, one held and one in conflict, in this order."""
    monkeypatch.setenv("BULONERA_STORE__URL", shop.settings.store.url)
    ana = shop.user("ana")
    shop.user("marta", "manager")
    shop.upload(ana, make_sale(), make_sale(), make_sale(items=[make_item(quantity="0")]))
    shop.conflict(ana, till={"notes": "b"})
    return ask


def test_any_sale_is_offered_the_unsynced_first(ask_shop: Ask) -> None:
    offered = ask_shop("show", "VTA")

    assert [number[-1] for number in offered] == ["3", "4", "2", "1"]


def test_a_number_that_was_begun_is_found_however_old(
    shop: Shop, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BULONERA_STORE__URL", shop.settings.store.url)
    ana = shop.user("ana")
    oldest, *_ = shop.upload(ana, *(make_sale() for _ in range(30)))
    first = str(oldest.sale_number)
    numbers = [f"{first[:-2]}{count:02}" for count in range(1, 10)]

    assert ask("show", first[:-1]) == numbers[::-1]
    assert ask("show", first) == [first]
    assert len(ask("show", "VTA-20")) == 30


def test_retry_and_resolve_offer_what_they_can_end(ask_shop: Ask) -> None:
    [held] = ask_shop("retry", "")
    [disputed] = ask_shop("resolve", "")

    assert (held[-1], disputed[-1]) == ("3", "4")


def test_a_local_id_that_was_begun_is_offered(
    shop: Shop, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BULONERA_STORE__URL", shop.settings.store.url)
    sale = make_sale(items=[])
    shop.upload(shop.user("ana"), sale)

    assert ask("show", str(sale["local_id"])[:13]) == [sale["local_id"]]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("user", "disable", ""), ["ana", "marta"]),
        (("token", "create", "m"), ["marta"]),
        (("pending", "--user", "a"), ["ana"]),
        (("user", "add", ""), []),
    ],
)
def test_users_are_offered_but_for_a_new_one(
    ask_shop: Ask, words: tuple[str, ...], offered: list[str]
) -> None:
    assert ask_shop(*words) == offered


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("edit", "1", "--status", "de"), ["delivered"]),
        (("edit", "1", "--payment-status", "p"), ["partially_paid", "paid"]),
        (("edit", "1", "--fiscal-status", "pend"), ["pending"]),
        (("pending", "--status", "error,"), ["error,pending", "error,conflict"]),
        (("resolve", "1", "--server"), ["--server-wins"]),
        (("user", "add", "ana", "--role", "m"), ["manager"]),
        (("catalog", "list", "c"), ["customers"]),
        (("quaran",), ["quarantine"]),
    ],
)
def test_words_that_are_always_the_same_need_no_database(
    ask: Ask, folder: Path, words: tuple[str, ...], offered: list[str]
) -> None:
    assert ask(*words) == offered
    assert [*folder.iterdir()] == []


def test_the_file_that_config_names_counts(shop: Shop, ask: Ask, folder: Path) -> None:
    shop.user("ana")
    (folder / "here.toml").write_text(f'[store]\nurl = "{shop.settings.store.url}"\n')

    assert ask("--config", "here.toml", "user", "disable", "") == ["ana"]


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"BULONERA_SERVER__PORT": "much"},
        {"BULONERA_CONFIG": "nowhere.toml"},
        {"BULONERA_STORE__URL": "postgresql://ana:secret@127.0.0.1:1/shop"},
        {"BULONERA_STORE__URL": "sqlite:///diary.db"},
    ],
    ids=["no database", "setting", "file", "out of reach", "no database of ours"],
)
def test_whatever_is_wrong_nothing_is_offered_said_or_made(
    ask: Ask, folder: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    (folder / "diary.db").write_text("Dear diary, " * 100)

    assert ask("show", "") == []
    assert [each.name for each in folder.iterdir()] == ["diary.db"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_answered_too(ask_shop: Ask, shell: str) -> None:
    assert "00003" in " ".join(ask_shop("retry", "VTA", shell=shell))


def test_a_process_answers_alone(shop: Shop, folder: Path) -> None:
    shop.user("ana")

    ran = subprocess.run(
        PROGRAM,
        capture_output=True,
        text=True,
        cwd=folder,
        env={
            **os.environ,
            **asking(("user", "disable", "a"), "bash"),
            "BULONERA_STORE__URL": shop.settings.store.url,
        },
        check=True,
    )

    assert (ran.stdout, ran.stderr) == ("ana\n", "")


def test_the_script_is_printed_and_nothing_written(folder: Path) -> None:
    ran = subprocess.run(
        [*PROGRAM, "--show-completion", "bash"],
        capture_output=True,
        text=True,
        cwd=folder,
        env={
            **os.environ,
            "HOME": str(folder),
            "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1",
        },
        check=True,
    )

    assert "_BULONERA_SYNC_COMPLETE=complete_bash" in ran.stdout
    assert [*folder.iterdir()] == []


def test_every_sale_and_user_of_every_command_is_completed() -> None:
    named = {
        (command, name)
        for command, names in _parameters(app)
        for name in names
        if name in {"sale", "sales", "user", "status", "payment_status", "fiscal_status"}
    }

    missing = {each for each in named if not {each, ("*", each[1])} & COMPLETIONS.keys()}

    assert not missing
    assert named >= {("show", "sale"), ("retry", "sales"), ("create", "user")}


def _parameters(group: typer.Typer) -> list[tuple[str, list[str]]]:
    found = [
        (info.name or info.callback.__name__, [*signature(info.callback).parameters])
        for info in group.registered_commands
        if info.callback
    ]
    below = (each.typer_instance for each in group.registered_groups)
    return [*found, *(each for one in below if one for each in _parameters(one))]
