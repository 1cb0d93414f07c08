"""`show`, on both engines: one sale whole."""

import json
import re

import pytest

from bulonera_sync.gateway.documents import sale_document
from bulonera_sync.sales import OPERATOR, User
from tests.cli.conftest import Run
from tests.cli.shops import HOSTILE, Shop, is_inert, shop, widest
from tests.factories import make_item, make_sale

__all__ = ["shop"]


@pytest.fixture
def ana(shop: Shop) -> User:
    return shop.user("ana")


def test_a_sale_that_is_in_shows_its_items_and_amounts(run: Run, shop: Shop, ana: User) -> None:
    discounted = make_item(
        quantity="2.5", unit_price="1000", discount_type="percentage", discount_value="10"
    )
    sale = make_sale(
        items=[make_item(), discounted], notes="Pedido urgente", created_at="2026-02-16T09:30-03:00"
    )
    [outcome] = shop.upload(ana, sale, hours=2)

    out = run("show", outcome.sale_number).out

    assert out.startswith(f"{outcome.sale_number}: in, version 1\n")
    assert f"local_id  {sale['local_id']}" in out
    assert "customer  5 Cliente 5" in out
    assert "sold      2026-02-16 09:30 (" in out
    assert "(2 h ago)" in out
    rows = [re.split(r"\s{2,}", line.strip()) for line in out.splitlines()]
    assert ["0", "10", "5", "$ 25,50", "$ 0,00", "21%", "$ 154,28"] in rows
    assert ["1", "10", "2,5", "$ 1.000,00", "$ 250,00", "21%", "$ 2.722,50"] in rows
    assert "2 items: $ 2.627,50 - $ 250,00 discount + $ 499,28 tax = $ 2.876,78" in out
    assert "Pedido urgente" in out


def test_a_sale_is_found_by_id_number_and_local_id(run: Run, shop: Shop, ana: User) -> None:
    sale = make_sale()
    [outcome] = shop.upload(ana, sale)
    names = (outcome.sale_id, str(outcome.sale_number).lower(), sale["local_id"].upper())

    shown = {run("show", name, "--json").out for name in names}

    assert len(shown) == 1


def test_what_waits_for_the_catalogue_tells_what_cures_it(run: Run, shop: Shop, ana: User) -> None:
    items = [make_item(product_id=777), make_item(product_id=778)]
    [outcome] = shop.upload(ana, make_sale(customer_id=999, items=items), minutes=5, seconds=20)

    out = run("show", outcome.sale_id).out

    assert ": not in, tried again in 45 min\n" in out
    assert "customer  999 (not in the catalogue)" in out
    assert "Item #1: Producto con id=778 no existe" in out
    assert "Import customer 999, product 777 and product 778" in out


def test_what_must_be_corrected_says_so(run: Run, shop: Shop, ana: User) -> None:
    [outcome] = shop.upload(ana, make_sale(items=[make_item(quantity="0")]))

    out = run("show", outcome.sale_id).out

    assert ": not in, it must be corrected\n" in out
    assert f"bulonera-sync edit {outcome.sale_number}" in out
    assert "total     not known yet" in out


def test_every_item_is_shown_as_it_was_sent_with_what_is_wrong(
    run: Run, shop: Shop, ana: User
) -> None:
    items = [
        make_item(quantity="2"),
        make_item(quantity="abc", unit_price="7.50"),
        make_item(product_id=777, quantity=0),
        "no item",
    ]
    [outcome] = shop.upload(ana, make_sale(items=items))

    out = run("show", outcome.sale_id).out

    lines = [line.split() for line in out.splitlines()]
    assert ["0", "10", "2", "25.50"] in [line[:4] for line in lines]
    assert "1  10" in out
    assert "7.50" in out
    assert "<- quantity debe ser número válido, recibido: abc" in out
    assert "<- Producto con id=777 no existe; quantity debe ser mayor a 0, recibido: 0" in out
    assert "3  no item" in out


def test_a_conflict_shows_both_sides_of_what_differs(run: Run, shop: Shop, ana: User) -> None:
    outcome = shop.conflict(ana, till={"notes": "", "items": [make_item(quantity="2.5")]})

    out = run("show", outcome.sale_id).out

    assert "Conflict: changed on the server after the till's copy" in out
    assert "    server, version 2: confirmed\n    till, version 1: draft\n" in out
    assert "till, version 1: 2,5 of 10 at $ 25,50" in out
    assert "till, version 1: (empty)" in out
    assert f"bulonera-sync resolve {outcome.sale_number}" in out


def test_json_is_the_apis_document_with_numbers_as_sent(run: Run, shop: Shop, ana: User) -> None:
    [outcome] = shop.upload(ana, make_sale(items=[make_item(quantity=-5.10, product_id="ñ")]))
    key = outcome.sale_id
    assert key is not None

    ran = run("show", key, "--json")

    document = shop.do(lambda gateway: gateway.find_sale(OPERATOR, key))
    assert list(ran.json) == list(sale_document(document))
    assert '"quantity": -5.1,' in ran.out
    assert ran.out == json.dumps(ran.json, ensure_ascii=False, indent=2) + "\n"
    assert ran.json["payload"]["items"][0]["product_id"] == "ñ"
    assert is_inert(ran.out)


@pytest.mark.parametrize("width", ["40", "80", "140"])
def test_hostile_texts_are_inert_and_fit(
    run: Run, shop: Shop, ana: User, monkeypatch: pytest.MonkeyPatch, width: str
) -> None:
    outcomes = [
        *shop.upload(ana, make_sale(customer_id=8, notes=HOSTILE * 20)),
        *shop.upload(ana, make_sale(customer_id=HOSTILE, notes=HOSTILE, status=HOSTILE)),
        *shop.upload(ana, make_sale(items=[make_item(quantity=HOSTILE, **{HOSTILE: 1})])),
        shop.conflict(ana, till={"customer_id": 8, "notes": HOSTILE}),
    ]
    monkeypatch.setenv("COLUMNS", width)

    for outcome in outcomes:
        out = run("show", outcome.sale_id).out
        assert is_inert(out)
        assert widest(out) <= int(width)
        assert is_inert(run("show", outcome.sale_id, "--json").out)
    notes = json.loads(run("show", outcomes[0].sale_id, "--json").out)["notes"]
    assert notes == HOSTILE * 20


@pytest.mark.parametrize("name", ["99", "VTA-2026-99999", "\x1b[2J", "9" * 50])
def test_a_sale_that_is_not_there_exits_with_1(run: Run, name: str) -> None:
    ran = run("show", name)

    assert ran.code == 1
    assert "there is no sale" in ran.error
    assert "bulonera-sync pending" in ran.error
