"""`resolve` on a terminal: shown side by side, asked, shown once more, and only then written."""

import asyncio
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from bulonera_sync.config import Settings
from bulonera_sync.gateway import FoundSale, Gateway, open_gateway
from bulonera_sync.resolutions import Request
from bulonera_sync.sales import OPERATOR, User
from tests.end_to_end.processes import on_store
from tests.end_to_end.terminals import CTRL_C, CTRL_D, Terminal, on_terminal
from tests.factories import CUSTOMERS, PRODUCTS, Json, as_parsed, make_item, make_sale

# Both questions end alike.
CHOICE = SECOND_THOUGHT = "[q] quit\r\n> "
READY = {"status": "ready"}
HOSTILE = "\x1b[2J\x1b]0;owned\x07 [red]no[/red] \u202eabc\u2028 {count} " + "x" * 300

OnTerminal = Callable[..., AbstractContextManager[Terminal]]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    return folder


@pytest.fixture
def resolving(shop: Path, store_url: str) -> OnTerminal:
    """Start `resolve` on a terminal; each test runs on both engines."""

    def start(
        *arguments: str, columns: int = 80, rows: int = 40, **environment: str
    ) -> AbstractContextManager[Terminal]:
        variables = {**on_store(store_url), **environment}
        return on_terminal(shop, "resolve", *arguments, columns=columns, rows=rows, **variables)

    return start


def in_gateway(settings: Settings, work: Callable[[Gateway], Any]) -> Any:
    """Do something in a gateway that is not the terminal's."""

    async def run() -> Any:
        async with open_gateway(settings) as gateway:
            return await work(gateway)

    return asyncio.run(run())


def make_conflicts(settings: Settings, count: int = 1, **changed: object) -> list[Json]:
    """Make sales that a manager confirmed, and whose till has sold more since version 1."""

    async def make(gateway: Gateway) -> list[Json]:
        await gateway.import_rows("customers", CUSTOMERS)
        await gateway.import_rows("products", PRODUCTS)
        ana, _ = await gateway.add_user("ana", "cashier")
        marta, _ = await gateway.add_user("marta", "manager")
        items = [make_item(product_id=product_id) for product_id in (1, 2, 3)]
        sales = [make_sale(items=items, notes="antes") for _ in range(count)]
        await gateway.upload(ana, as_parsed(*sales))
        [fewer] = as_parsed(items[:2])
        for sale in sales:
            await gateway.edit(marta, sale["local_id"], {"status": "confirmed", "items": fewer}, 1)
        more = [make_item(product_id=1, quantity="8"), *items[1:], make_item(product_id=4)]
        change = {"items": more, "notes": "del cliente", **changed}
        outcomes = await gateway.upload(ana, as_parsed(*({**sale, **change} for sale in sales)))
        return [{"id": outcome.sale_id, "number": outcome.sale_number} for outcome in outcomes]

    made: list[Json] = in_gateway(settings, make)
    return made


def stored(settings: Settings, sale: Json) -> FoundSale:
    found: FoundSale = in_gateway(settings, lambda gateway: gateway.find_sale(OPERATOR, sale["id"]))
    return found


def product_quantities(found: FoundSale) -> list[tuple[int, int]]:
    assert found.sale.content is not None
    return [(item.product_id, int(item.quantity)) for item in found.sale.content.items]


def test_both_sides_are_shown_with_who_when_and_why(
    resolving: OnTerminal, settings: Settings
) -> None:
    [sale] = make_conflicts(settings)

    with resolving() as terminal:
        shown = terminal.see(CHOICE)

    for words in (
        f"{sale['number']} (sale {sale['id']}) is in conflict",
        "Why: the till changed its copy of version 1, and the server has gone on to",
        "edited by marta",
        "sent by ana",
        "just now",
        "1 Producto 1",
        "8 × $ 25,50",
        "= $ 246,84",
        "(added by till)",
        "(removed by server)",
        "(changed by till)",
        "“del cliente”",
        "$ 308,56",
        "The same on both sides: customer, 1 line.",
    ):
        assert words in shown
    assert stored(settings, sale).sale.parked is not None


def test_the_servers_side_is_kept_after_enter(resolving: OnTerminal, settings: Settings) -> None:
    [sale] = make_conflicts(settings)

    with resolving(sale["number"]) as terminal:
        terminal.see(CHOICE)
        terminal.say("s")
        proposed = terminal.see(SECOND_THOUGHT)
        before = stored(settings, sale)
        terminal.say()
        ended = terminal.ended()

    assert "It stays as the server has it; the till's changes are dropped." in proposed
    assert before.sale.parked is not None
    assert ended[0] == 0
    assert "is synced, version 2 (as on the server)" in ended[1]
    assert "No sale is in conflict any more." in ended[1]
    after = stored(settings, sale).sale
    assert (after.conflict_resolution, after.version, after.status) == (
        "server_wins",
        2,
        "confirmed",
    )


def test_the_clients_side_is_written_with_a_reason(
    resolving: OnTerminal, settings: Settings
) -> None:
    [sale] = make_conflicts(settings)

    with resolving(str(sale["id"])) as terminal:
        terminal.see(CHOICE)
        terminal.say("C")
        proposed = terminal.see(SECOND_THOUGHT)
        terminal.say("r")
        terminal.see("Reason, for the history: ")
        terminal.say("llamó el cliente ñandú")
        terminal.see(SECOND_THOUGHT)
        terminal.say()
        code, _ = terminal.ended()

    assert "Caution: it is confirmed on the server, and goes back to draft." in proposed
    assert code == 0
    found = stored(settings, sale)
    assert (found.sale.conflict_resolution, found.sale.version) == ("client_wins", 3)
    assert product_quantities(found) == [(1, 8), (2, 5), (3, 5), (4, 5)]
    _, entries = in_gateway(settings, lambda gateway: gateway.history(OPERATOR, sale["id"]))
    assert entries[-1].detail["notes"] == "llamó el cliente ñandú"


def test_field_by_field_takes_lines_from_both_sides(
    resolving: OnTerminal, settings: Settings
) -> None:
    [sale] = make_conflicts(settings)

    with resolving() as terminal:
        terminal.see(CHOICE)
        terminal.say("f")
        # The status, product 1 (more of it), 3 (removed), 4 (added), the notes.
        for number, side in enumerate("scscs", 1):
            assert f"{number} of 5" in terminal.see("[b] back")
            terminal.see("> ")
            terminal.say(side)
        proposed = terminal.see(SECOND_THOUGHT)
        terminal.say()
        code, _ = terminal.ended()

    assert "(put in)" in proposed
    assert code == 0
    found = stored(settings, sale)
    assert found.sale.content is not None
    assert (found.sale.conflict_resolution, found.sale.version) == ("manual", 3)
    assert (found.sale.status, found.sale.content.notes) == ("confirmed", "antes")
    assert product_quantities(found) == [(1, 8), (2, 5), (4, 5)]


def test_until_enter_there_is_a_second_thought(resolving: OnTerminal, settings: Settings) -> None:
    [sale] = make_conflicts(settings)

    with resolving() as terminal:
        terminal.see(CHOICE)
        terminal.say("f")
        terminal.see("1 of 5")
        terminal.see("> ")
        terminal.say("c")
        terminal.see("2 of 5")
        terminal.see("> ")
        terminal.say("b")
        terminal.see("1 of 5")
        terminal.see("> ")
        terminal.say("ss")
        terminal.see(SECOND_THOUGHT)
        terminal.say("b")
        terminal.see("5 of 5")
        terminal.see("> ")
        terminal.say("c")
        terminal.see("“del cliente”")
        terminal.see(SECOND_THOUGHT)
        terminal.say("q")
        code, last = terminal.ended()

    assert code == 0
    assert "0 conflicts decided." in last
    assert "1 is still open" in last
    assert stored(settings, sale).sale.parked is not None


def test_a_conflict_edited_meanwhile_is_shown_again_and_not_overwritten(
    resolving: OnTerminal, settings: Settings
) -> None:
    [sale] = make_conflicts(settings)

    with resolving(sale["number"]) as terminal:
        terminal.see(CHOICE)
        terminal.say("c")
        terminal.see(SECOND_THOUGHT)
        in_gateway(settings, lambda gateway: gateway.edit(OPERATOR, sale["id"], READY, 2))
        terminal.say()
        shown = terminal.see(CHOICE)
        moved = stored(settings, sale).sale
        terminal.say("s")
        terminal.see(SECOND_THOUGHT)
        terminal.say()
        terminal.ended()

    assert f"{sale['number']} changed while you were looking. Nothing was written." in shown
    assert "Last: edited by the terminal, just now." in shown
    assert "On the server: status confirmed → ready." in shown
    assert f"It changed meanwhile. What shall {sale['number']} be?" in shown
    assert (moved.version, moved.status, moved.sync_status) == (3, "ready", "conflict")
    assert stored(settings, sale).sale.status == "ready"


def test_a_client_that_sends_another_copy_meanwhile_is_looked_at_again(
    resolving: OnTerminal, settings: Settings
) -> None:
    """The server's version stays then: it can't tell."""
    [sale] = make_conflicts(settings)
    local_id = stored(settings, sale).sale.local_id

    async def send_another(gateway: Gateway) -> None:
        ana = User((await gateway.find_account("ana")).id, "ana", "cashier")
        await gateway.upload(ana, as_parsed(make_sale(local_id=local_id, notes="otra")))

    with resolving() as terminal:
        terminal.see(CHOICE)
        terminal.say("c")
        terminal.see(SECOND_THOUGHT)
        in_gateway(settings, send_another)
        terminal.say()
        shown = terminal.see(CHOICE)

    assert "Nothing was written." in shown
    assert "On the till: items ($ 709,68 → $ 154,28), notes." in shown


def test_a_conflict_that_another_ends_meanwhile_is_left_as_it_is(
    resolving: OnTerminal, settings: Settings
) -> None:
    [sale] = make_conflicts(settings)
    theirs = Request("server_wins", "lo mío")

    with resolving() as terminal:
        terminal.see(CHOICE)
        terminal.say("c")
        terminal.see(SECOND_THOUGHT)
        in_gateway(settings, lambda gateway: gateway.resolve(OPERATOR, sale["id"], theirs))
        terminal.say()
        code, last = terminal.ended()

    assert code == 0
    assert "changed while you were looking. Nothing was written." in last
    assert "Last: decided by the terminal, just now." in last
    assert "It is synced now, version 2: the conflict is over." in last
    assert stored(settings, sale).sale.conflict_resolution == "server_wins"


def test_the_next_one_is_shown_oldest_first(resolving: OnTerminal, settings: Settings) -> None:
    sales = make_conflicts(settings, 3)

    with resolving() as terminal:
        first = terminal.see(CHOICE)
        terminal.say("n")
        second = terminal.see(CHOICE)
        terminal.say("s")
        terminal.see(SECOND_THOUGHT)
        terminal.say()
        third = terminal.see(CHOICE)
        terminal.say("q")
        code, last = terminal.ended()

    for sale, shown in zip(sales, (first, second, third), strict=True):
        assert f"{sale['number']} (sale {sale['id']}) is in conflict" in shown
    assert "[n] next conflict" in second
    assert "[n] next conflict" not in third
    assert code == 0
    assert "1 conflict decided." in last
    assert "2 are still open; bulonera-sync resolve goes through them." in last


@pytest.mark.parametrize("key", [CTRL_C, CTRL_D], ids=["ctrl-c", "ctrl-d"])
def test_stopped_before_enter_nothing_is_written(
    resolving: OnTerminal, settings: Settings, key: str
) -> None:
    [sale] = make_conflicts(settings)

    with resolving() as terminal:
        terminal.see(CHOICE)
        terminal.say("c")
        terminal.see(SECOND_THOUGHT)
        terminal.press(key)
        code, last = terminal.ended()

    assert code == 130
    assert "Stopped; nothing was written of what was being asked." in last
    assert stored(settings, sale).sale.parked is not None


def test_what_was_typed_before_the_result_was_seen_writes_nothing(
    resolving: OnTerminal, settings: Settings
) -> None:
    [sale] = make_conflicts(settings)

    with resolving() as terminal:
        terminal.see(CHOICE)
        terminal.press("c\n\n\n")
        terminal.see(SECOND_THOUGHT)
        terminal.say("q")
        terminal.ended()

    assert stored(settings, sale).sale.parked is not None


@pytest.mark.parametrize("columns", [60, 80, 140])
def test_no_line_is_longer_than_the_terminal_and_every_text_is_inert(
    resolving: OnTerminal, settings: Settings, columns: int
) -> None:
    [sale] = make_conflicts(settings, notes=HOSTILE, customer_id=9)

    with resolving(columns=columns) as terminal:
        terminal.see(CHOICE)
        for keys in ("v", "f"):
            terminal.say(keys)
            terminal.see("\r\n> ")
        terminal.say("cc")
        terminal.see("> ")
        terminal.say("q")
        terminal.ended()

    assert max(map(cell_len, terminal.lines)) <= columns
    unsafe = {
        character for line in terminal.lines for character in line if not character.isprintable()
    }
    assert unsafe == set()
    text = "\n".join(terminal.lines)
    assert r"\x1b[2J" in text
    assert sale["number"] in text


def test_on_a_low_terminal_the_heads_stand_under_the_table_too(
    resolving: OnTerminal, settings: Settings
) -> None:
    make_conflicts(settings)

    with resolving(rows=24) as terminal:
        shown = terminal.see(CHOICE)

    assert shown.count("TILL") == 2
    last = "".join(shown.splitlines()[-14:])
    assert "TILL" in last
    # What it is about, and why, once more before the question.
    assert "is in conflict" in last
    assert "Why: the till changed its copy" in last


def test_no_color_is_honoured(resolving: OnTerminal, settings: Settings) -> None:
    make_conflicts(settings)

    with resolving(NO_COLOR="1") as terminal:
        terminal.see(CHOICE)
        terminal.say("c")
        terminal.see(SECOND_THOUGHT)

    assert "\x1b" not in terminal.raw


def test_a_terminal_that_shows_no_colours_is_taken_as_wide_as_it_is(
    resolving: OnTerminal, settings: Settings
) -> None:
    make_conflicts(settings)

    with resolving(TERM="dumb", columns=64) as terminal:
        terminal.see(CHOICE)

    assert "\x1b" not in terminal.raw
    assert max(map(cell_len, terminal.lines)) <= 64


def test_a_refused_choice_is_told_and_asked_again(
    resolving: OnTerminal, settings: Settings
) -> None:
    [sale] = make_conflicts(settings, customer_id=9)
    gone = [each for each in CUSTOMERS if each.id != 9]
    in_gateway(
        settings,
        lambda gateway: gateway.import_rows("customers", gone, deactivate_missing=True),
    )

    with resolving() as terminal:
        terminal.see(CHOICE)
        terminal.say("c")
        terminal.see(SECOND_THOUGHT)
        terminal.say()
        shown = terminal.see(CHOICE)

    assert "Refused, nothing was written:" in shown
    assert "Customer con id=9 no existe en base de datos" in shown
    assert stored(settings, sale).sale.parked is not None


def test_with_no_conflict_it_says_so(resolving: OnTerminal) -> None:
    with resolving() as terminal:
        ended = terminal.ended()

    assert ended == (0, "No sale is in conflict.\r\n")


def test_a_sale_in_no_conflict_is_told_in_one_line(
    resolving: OnTerminal, settings: Settings
) -> None:
    [sale] = make_conflicts(settings)
    ours = Request("server_wins")
    in_gateway(settings, lambda gateway: gateway.resolve(OPERATOR, sale["id"], ours))

    with resolving(sale["number"]) as terminal:
        code, last = terminal.ended()

    assert code == 1
    assert last.startswith(f"Error: {sale['number']} is synced, not in conflict;")
    assert len(last.splitlines()) == 1


def test_letters_that_are_none_are_taken_for_a_wrong_key(
    resolving: OnTerminal, settings: Settings
) -> None:
    make_conflicts(settings)

    with resolving() as terminal:
        terminal.see(CHOICE)
        os.write(terminal.descriptor, b"\xff\xfe\n")
        terminal.see("Please say one of: s, t, f, v, q")
        terminal.say("q")
        code, _ = terminal.ended()

    assert code == 0
