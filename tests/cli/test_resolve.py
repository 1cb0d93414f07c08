"""`resolve` with an option, on both engines; its dialogue is tested on a terminal, end to end."""

import asyncio
from pathlib import Path

import pytest

from bulonera_sync.cli.comparisons import (
    Line,
    author_of,
    chosen,
    paired_lines,
    questions_of,
    reason_of,
)
from bulonera_sync.codes import ConflictCode
from bulonera_sync.config import Settings
from bulonera_sync.gateway import FoundSale, Gateway, open_gateway
from bulonera_sync.outcomes import ConflictFound
from bulonera_sync.sales import OPERATOR, Content
from tests.cli.conftest import Run
from tests.factories import CUSTOMERS, PRODUCTS, Json, as_parsed, make_item, make_sale

BODY = {
    "customer_id": 5,
    "status": "confirmed",
    "notes": "del cliente",
    "items": [make_item(quantity="8")],
}


@pytest.fixture
def conflict(run: Run, settings: Settings) -> Json:
    """A sale at version 2 on the server, whose till changed its copy of version 1."""
    return asyncio.run(_make_conflict(settings))


async def _make_conflict(settings: Settings) -> Json:
    async with open_gateway(settings) as gateway:
        await gateway.import_rows("customers", CUSTOMERS)
        await gateway.import_rows("products", PRODUCTS)
        ana, _ = await gateway.add_user("ana", "cashier")
        sale = make_sale(notes="antes")
        await gateway.upload(ana, as_parsed(sale))
        await gateway.edit(OPERATOR, sale["local_id"], {"notes": "del servidor"}, 1)
        [outcome] = await gateway.upload(ana, as_parsed({**sale, **BODY}))
        return {**sale, "id": outcome.sale_id, "number": outcome.sale_number}


def stored(settings: Settings, sale: Json) -> FoundSale:
    """Return the sale as the database has it."""

    async def find() -> FoundSale:
        async with open_gateway(settings) as gateway:
            return await gateway.find_sale(OPERATOR, sale["id"])

    return asyncio.run(find())


def test_the_servers_side_wins_and_stays_at_its_version(
    run: Run, conflict: Json, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_USER", "rosa")

    ran = run("resolve", conflict["number"], "--server-wins", "--notes", "lo dijo Marta")

    assert (ran.code, ran.err) == (0, "")
    assert ran.out == f"{conflict['number']} is synced, version 2 (as on the server).\n"
    assert stored(settings, conflict).sale.parked is None
    [*_, last] = run("history", conflict["id"], "--json").json["results"]
    said = {"resolution": "server_wins", "notes": "lo dijo Marta"}
    assert last["detail"] == {**said, "login": "rosa"}
    assert (last["kind"], last["actor"]) == ("resolved", "cli")


def test_the_answer_in_json_is_the_apis(run: Run, conflict: Json) -> None:
    answer = run("resolve", conflict["local_id"].upper(), "--client-wins", "--json").json

    assert answer["message"] == "Conflict resolved with client_wins"
    assert list(answer["sale"])[:4] == ["id", "number", "local_id", "sync_status"]
    assert answer["sale"]["version"] == 3
    assert answer["sale"]["notes"] == "del cliente"
    assert answer["sale"]["items"][0]["quantity"] == "8.000"
    assert answer["sale"]["conflict_resolution"] == "client_wins"


def test_a_files_numbers_are_taken_in_their_own_words(
    run: Run, conflict: Json, folder: Path
) -> None:
    file = folder / "decided.json"
    item = '{"product_id": 10, "quantity": 0.100, "unit_price": 100000000.1, "tax_percentage": 21}'
    file.write_text(f'\ufeff{{"customer_id": 7, "items": [{item}]}}', "utf-8")

    answer = run("resolve", conflict["id"], "--manual", file, "--json").json

    sale = answer["sale"]
    assert (sale["customer_id"], sale["notes"], sale["version"]) == (7, "del servidor", 3)
    assert sale["items"][0]["quantity"] == "0.100"
    assert sale["items"][0]["unit_price"] == "100000000.10"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"notes": "x", "total": 1, "number": 2}', "may not hold total, number; only customer_id"),
        ("[]", "must be one JSON object"),
        ('{"notes": ', "is not JSON"),
        ("{NaN}", "is not JSON"),
        ('{"items": []}', "Sale debe tener al menos 1 item"),
        ('{"customer_id": 99999}', "Customer con id=99999 no existe en base de datos"),
        ('{"\\u001b[2J": 1}', r"may not hold \x1b[2J"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(
    run: Run, conflict: Json, folder: Path, settings: Settings, text: str, said: str
) -> None:
    file = folder / "wrong.json"
    file.write_text(text, "utf-8")

    ran = run("resolve", conflict["id"], "--manual", file)

    assert ran.code == 1
    assert said in ran.error
    assert stored(settings, conflict).sale.parked is not None


def test_a_file_that_is_not_there_is_named(run: Run, conflict: Json) -> None:
    ran = run("resolve", conflict["id"], "--manual", "nowhere.json")

    assert ran.code == 1
    assert ran.error == "Error: nowhere.json can't be read: No such file or directory"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "no terminal to ask on; say --server-wins, --client-wins or --manual FILE.json"),
        (("--json",), "--json asks nothing; say --server-wins"),
        (("--server-wins", "--client-wins"), "say only one of --server-wins"),
        (("--client-wins", "--manual", "x.json"), "say only one of --server-wins"),
    ],
)
def test_off_a_terminal_one_option_is_demanded_by_name(
    run: Run, conflict: Json, arguments: tuple[str, ...], said: str
) -> None:
    ran = run("resolve", conflict["id"], *arguments)

    assert ran.code == 2
    assert said in ran.error


def test_an_option_wants_its_sale(run: Run) -> None:
    ran = run("resolve", "--server-wins")

    assert ran.code == 2
    assert "name the SALE" in ran.error


def test_a_sale_that_is_not_there_is_told(run: Run) -> None:
    ran = run("resolve", "vta-2026-99999", "--server-wins")

    assert ran.code == 1
    assert ran.error == (
        "Error: there is no sale VTA-2026-99999; bulonera-sync pending shows what is not in"
    )


def test_a_sale_in_no_conflict_is_told(run: Run, conflict: Json) -> None:
    run("resolve", conflict["id"], "--server-wins")

    ran = run("resolve", conflict["id"], "--client-wins")

    assert ran.code == 1
    assert f"La venta {conflict['number']} no está en conflicto" in ran.error


def test_the_same_words_again_are_no_error(run: Run, conflict: Json) -> None:
    first = run("resolve", conflict["id"], "--client-wins", "--json")

    again = run("resolve", conflict["id"], "--client-wins", "--json")

    assert (again.code, again.json) == (0, first.json)


def test_what_moved_between_reading_and_writing_is_not_overwritten(
    run: Run, conflict: Json, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_sale = Gateway.find_sale

    async def find_and_be_overtaken(gateway: Gateway, user: object, key: int | str) -> FoundSale:
        found = await find_sale(gateway, OPERATOR, key)
        await gateway.edit(OPERATOR, key, {"notes": "otra vez"}, found.sale.version)
        return found

    monkeypatch.setattr(Gateway, "find_sale", find_and_be_overtaken)
    ran = run("resolve", conflict["id"], "--client-wins")
    monkeypatch.undo()

    assert ran.code == 1
    assert "está en la versión 3, no en la 2" in ran.error


def test_notes_that_no_database_takes_are_refused(run: Run, conflict: Json) -> None:
    ran = run("resolve", conflict["id"], "--server-wins", "--notes", "x" * 2_001)

    assert ran.code == 1
    assert "notes admite hasta 2000 caracteres" in ran.error


# What the dialogue compares


def content(*items: Json, **said: object) -> Content:
    document: Json = {"customer_id": 5, "status": "draft", "notes": "", **said}
    return Content.from_document({**document, "items": list(items)})  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("option", "side"), [("--server-wins", "server"), ("--client-wins", "till")]
)
def test_show_names_the_side_as_the_dialogue_does(
    run: Run, conflict: Json, option: str, side: str
) -> None:
    said = run("resolve", conflict["number"], option).out

    assert f"(as on the {side})" in said
    assert f"ended: as on the {side}" in run("show", conflict["number"]).out


def conflict_between(server: Content, client: Content, base: Content | None) -> ConflictFound:
    return ConflictFound("stale_version", "", 2, 1, server, client, base)


ONE, OTHER, THIRD = (make_item(product_id=product_id) for product_id in (1, 2, 3))


def more(item: Json) -> Json:
    return {**item, "quantity": "9"}


def test_lines_of_one_product_are_matched_equal_ones_first() -> None:
    server, client = content(ONE, more(ONE)), content(more(ONE), OTHER)

    lines = paired_lines(server.items, client.items)

    assert [(line.product_id, line.differs) for line in lines] == [(1, True), (1, False), (2, True)]
    assert (lines[0].client, lines[2].server) == (None, None)


def test_each_line_knows_what_it_was() -> None:
    base = content(ONE, OTHER)
    server, client = content(more(ONE), OTHER), content(ONE, THIRD)

    first, second, third = paired_lines(server.items, client.items, base.items)

    assert author_of(first.base, first.server, first.client) == "server"
    assert author_of(second.base, second.server, second.client) == "client"
    assert third.base is None


def test_the_same_lines_in_another_order_are_one_question() -> None:
    found = conflict_between(content(ONE, OTHER), content(OTHER, ONE), None)

    assert questions_of(found) == ["items"]
    assert chosen(found, ["items"], ["client"]).items == found.client.items


def test_answers_line_by_line_make_one_sale() -> None:
    server = content(ONE, OTHER, status="confirmed")
    client = content(more(ONE), THIRD, notes="n")
    found = conflict_between(server, client, None)

    questions = questions_of(found)
    made = chosen(found, questions, ["server", "client", "server", "client", "client"])

    asked = [each.product_id if isinstance(each, Line) else each for each in questions]
    assert asked == ["status", 1, 2, 3, "notes"]
    assert made == content(more(ONE), OTHER, THIRD, status="confirmed", notes="n")


@pytest.mark.parametrize("side", ["server", "client"])
def test_every_answer_from_one_side_makes_that_side(side: str) -> None:
    found = conflict_between(
        content(ONE, OTHER, status="ready"), content(THIRD, more(OTHER), notes="n"), None
    )
    questions = questions_of(found)

    made = chosen(found, questions, [side] * len(questions))  # type: ignore[list-item]

    assert made == getattr(found, side)


@pytest.mark.parametrize(
    ("code", "server_status", "client_version", "reason"),
    [
        ("version_ahead", "confirmed", 5, "version_ahead"),
        ("version_ahead", "confirmed", 2, "both_changed"),
        ("locked", "delivered", 2, "locked"),
        ("locked", "confirmed", 2, "both_changed"),
        ("status_regression", "confirmed", 2, "status_regression"),
        ("status_regression", "draft", 2, "both_changed"),
        ("stale_version", "delivered", 1, "both_changed"),
    ],
)
def test_a_reason_that_holds_no_more_is_not_given(
    code: ConflictCode, server_status: str, client_version: int, reason: str
) -> None:
    server, client = content(ONE, status=server_status), content(OTHER)
    found = ConflictFound(code, "", 2, client_version, server, client, None)

    assert reason_of(found) == reason
