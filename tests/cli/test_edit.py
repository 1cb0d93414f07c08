"""`edit` and `history`, on both engines: changing a sale on the server, and reading what was."""

import json
from pathlib import Path

import pytest

from bulonera_sync.sales import User
from tests.cli.conftest import Run
from tests.cli.shops import Shop, shop
from tests.factories import make_item, make_sale

__all__ = ["shop"]


@pytest.fixture
def ana(shop: Shop) -> User:
    return shop.user("ana")


def test_a_synced_sale_is_changed_and_its_history_tells_it(run: Run, shop: Shop, ana: User) -> None:
    [sale] = shop.upload(ana, make_sale())

    done = run("edit", sale.sale_number, "--status", "confirmed", "--payment-status", "paid")

    assert (done.code, done.out) == (0, "VTA-2026-00001 is synced, version 2\n")
    entries = run("history", sale.sale_id, "--json").json["results"]
    assert [(each["kind"], each["actor"]) for each in entries] == [
        ("created", "user"),
        ("edited", "cli"),
    ]


def test_the_history_names_who_was_at_the_terminal(
    run: Run, shop: Shop, ana: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    [sale] = shop.upload(ana, make_sale())
    monkeypatch.setenv("SUDO_USER", "rosa")
    run("edit", sale.sale_number, "--status", "confirmed")

    shown = run("history", sale.sale_id)
    entries = run("history", sale.sale_id, "--json").json["results"]

    assert "cli (rosa)" in shown.out
    assert [each["detail"].get("login") for each in entries] == [None, "rosa"]
    assert [each["actor"] for each in entries] == ["user", "cli"]


def test_a_retry_from_the_terminal_is_under_its_users_name(
    run: Run, shop: Shop, ana: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    [held] = shop.upload(ana, make_sale(items=[make_item(quantity="0")]))
    monkeypatch.delenv("SUDO_USER", raising=False)
    monkeypatch.setenv("LOGNAME", "pedro")

    run("retry", held.sale_number)

    assert "cli (pedro)" in run("history", held.sale_id).out


def test_a_name_that_is_no_text_is_kept_as_text(
    run: Run, shop: Shop, ana: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    [sale] = shop.upload(ana, make_sale())
    monkeypatch.setenv("SUDO_USER", "jos\udce9")

    done = run("edit", sale.sale_number, "--status", "confirmed")

    assert done.code == 0
    assert "cli (jos?)" in run("history", sale.sale_id).out


def test_items_that_a_till_sent_wrong_are_corrected_from_a_file(
    run: Run, shop: Shop, ana: User, folder: Path
) -> None:
    [held] = shop.upload(ana, make_sale(items=[make_item(quantity="0")]))
    file = folder / "items.json"
    file.write_text(json.dumps([make_item(quantity=2.5)]))

    done = run("edit", held.sale_id, "--items", file, "--json")

    assert done.json["sync_status"] == "synced"
    assert [item["quantity"] for item in done.json["items"]] == ["2.500"]


@pytest.mark.parametrize(
    ("text", "words"), [("{}", "must be a JSON list of items"), ("[1,", "not JSON")]
)
def test_a_file_without_items_is_refused_by_name(
    run: Run, shop: Shop, ana: User, folder: Path, text: str, words: str
) -> None:
    [held] = shop.upload(ana, make_sale(items=[]))
    file = folder / "items.json"
    file.write_text(text)

    done = run("edit", held.sale_id, "--items", file)

    assert done.code == 1
    assert "items.json" in done.error
    assert words in done.error


def test_a_wrong_word_changes_nothing_on_a_held_sale(run: Run, shop: Shop, ana: User) -> None:
    [held] = shop.upload(ana, make_sale(customer_id=999))

    done = run("edit", held.sale_id, "--status", "foo")

    assert done.code == 1
    assert "status debe ser uno de" in done.error
    assert run("show", held.sale_id, "--json").json["sync_attempt_count"] == 1


def test_an_import_tells_how_many_sales_it_brings_back(
    run: Run, shop: Shop, ana: User, folder: Path
) -> None:
    shop.upload(ana, make_sale(customer_id=999), make_sale(customer_id=999), make_sale())
    file = folder / "customers.csv"
    file.write_text("id,name\n999,Juan\n")

    done = run("catalog", "import", "customers", file)

    assert "2 sales that waited for them are tried again now." in done.out


def test_a_folder_that_is_no_stores_is_said_to_be_none(run_anywhere: Run, folder: Path) -> None:
    done = run_anywhere("pending")

    assert done.code == 4
    assert "neither a config.toml nor a database here" in done.error
    assert list(folder.iterdir()) == []
