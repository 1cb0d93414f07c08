"""`pending` and `conflicts`, on both engines: what did not get in, by what is wrong with it."""

import asyncio
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bulonera_sync.config import RetrySettings, Settings
from bulonera_sync.sales import User
from bulonera_sync.store.catalog import CatalogCustomer
from tests.cli.conftest import Run
from tests.cli.shops import HOSTILE, Shop, is_inert, make_shop, shop, widest
from tests.factories import make_item, make_sale
from tests.http import Daemon

__all__ = ["shop"]

ROW_KEYS = [
    "id",
    "number",
    "status",
    "payment_status",
    "fiscal_status",
    "customer",
    "total",
    "created_at",
    "sync_status",
    "local_id",
    "version",
    "error",
    "sync_attempt_count",
    "next_attempt_at",
    "dead",
    "created_by",
]


@pytest.fixture
def ana(shop: Shop) -> User:
    return shop.user("ana")


def headings(text: str) -> list[str]:
    """Return the lines that begin with a count."""
    return re.findall(r"^\d+ (?:sales?|uploads?) .*$", text, re.MULTILINE)


def test_nothing_pending_says_what_it_means(run: Run, shop: Shop, ana: User) -> None:
    shop.upload(ana, make_sale())

    as_text, as_json = run("pending"), run("pending", "--json")

    assert as_text.out == "Nothing is pending: every sale that arrived is in.\n"
    assert (as_text.code, as_text.err) == (0, "")
    assert as_json.json == {"count": 0, "total": 0, "results": []}


def test_sales_are_grouped_by_what_is_wrong(run: Run, shop: Shop, ana: User) -> None:
    missing = [make_sale(customer_id=999) for _ in range(3)]
    products = [make_item(product_id=n) for n in (777, 778, 777)]
    shop.upload(ana, *missing, make_sale(items=products), days=3)
    shop.upload(ana, make_sale(items=[make_item(quantity=0)]), make_sale(customer_id=None), hours=2)
    # An import can't help where something else is wrong, too.
    shop.upload(ana, make_sale(customer_id=999, items=[make_item(quantity="-1")]))
    [queued] = shop.upload(ana, make_sale(customer_id=998))
    assert queued.sale_id is not None
    key = queued.sale_id
    shop.do(lambda gateway: gateway.retry(ana, [key]))

    ran = run("pending")

    assert headings(ran.out) == [
        "8 sales are not in; the oldest came 3 d ago.",
        "2 sales must be corrected: quantity not positive",
        "1 sale must be corrected: customer required",
        "3 sales wait for customer 999 (import it and they heal)",
        "1 sale waits for product 777 and product 778 (import them and it heals)",
        "1 sale is queued (the daemon judges it within seconds)",
    ]


def test_a_row_tells_age_customer_amount_tries_and_the_next_try(
    run: Run, shop: Shop, ana: User
) -> None:
    big = make_item(product_id=777, unit_price="1000")
    shop.upload(ana, make_sale(customer_id=5, items=[big]), minutes=5, seconds=20)

    out = run("pending").out

    [row] = [line for line in out.splitlines() if line.startswith("  VTA-")]
    assert re.split(r"\s{2,}", row.strip())[1:] == [
        "5 min ago",
        "ana",
        "5 Cliente 5",
        "$ 6.050,00",
        "1",
        "in 45 min",
    ]


def test_an_unknown_products_total_is_no_zero(run: Run, shop: Shop, ana: User) -> None:
    item = make_item(product_id=777)
    del item["tax_percentage"]
    shop.upload(ana, make_sale(items=[item]))

    out = run("pending").out

    assert "$ 0,00" not in out
    assert "  —  " in out
    assert run("pending", "--json").json["results"][0]["total"] == "0.00"


def test_what_must_be_corrected_has_its_reason_and_no_made_up_total(
    run: Run, shop: Shop, ana: User
) -> None:
    shop.upload(ana, make_sale(items=[make_item(quantity="0"), make_item(quantity="0")]))

    out = run("pending").out

    assert "Item #0: quantity debe ser mayor a 0, recibido: 0 (and 1 more)" in out
    assert "  —  " in out
    assert "— is a total that can't be computed yet." in out
    assert "bulonera-sync edit" in out


def test_a_dead_sale_says_so_and_what_revives_it(
    run: Run, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = make_shop(settings, monkeypatch, retry=RetrySettings(max_attempts=1))
    shop.upload(shop.user("ana"), make_sale(customer_id=999), hours=2)
    shop.do(lambda gateway: gateway.retry_due(), hours=1)

    out = run("pending").out

    assert "given up" in out
    assert "bulonera-sync retry" in out


def test_json_rows_have_the_apis_names(run: Run, shop: Shop, ana: User) -> None:
    [held] = shop.upload(ana, make_sale(customer_id="quién"))

    [row] = run("pending", "--json").json["results"]

    assert list(row) == ROW_KEYS
    assert row["customer"] == "quién"
    assert (row["id"], row["number"]) == (held.sale_id, held.sale_number)
    assert (row["sync_status"], row["dead"], row["created_by"]) == ("error", False, "ana")


def test_a_limit_shows_the_oldest_and_headings_count_all(run: Run, shop: Shop, ana: User) -> None:
    shop.upload(ana, *(make_sale(customer_id=999) for _ in range(5)))
    shop.upload(ana, make_sale(customer_id=998))

    as_text, as_json = run("pending", "--limit", 2), run("pending", "--limit", 2, "--json").json

    assert as_text.out.count("  VTA-") == 2
    assert "5 sales wait for customer 999" in as_text.out
    assert "... 3 more" in as_text.out
    assert "1 sale waits for customer 998" in as_text.out
    assert "These are 2 of 6; --limit 6 shows all." in as_text.err
    assert (as_json["count"], as_json["total"]) == (2, 6)
    assert [row["id"] for row in as_json["results"]] == [1, 2]


def test_the_choice_is_by_user_age_reason_and_state(run: Run, shop: Shop, ana: User) -> None:
    beto = shop.user("beto")
    [old] = shop.upload(ana, make_sale(customer_id=999), days=2, minutes=1)
    [new] = shop.upload(ana, make_sale(items=[make_item(quantity=0)]), hours=1)
    [other] = shop.upload(beto, make_sale(customer_id=998))
    conflict = shop.conflict(ana, till={"notes": "b"})

    def chosen(*options: object) -> list[int]:
        found = run("pending", *options, "--json").json
        assert found["count"] == found["total"]
        return [row["id"] for row in found["results"]]

    assert chosen() == [old.sale_id, new.sale_id, other.sale_id]
    assert chosen("--user", "ana") == [old.sale_id, new.sale_id]
    assert chosen("--since", "2d") == [new.sale_id, other.sale_id]
    assert chosen("--since", "2001-01-01", "--user", "beto") == [other.sale_id]
    assert chosen("--error", "ID=99") == [old.sale_id, other.sale_id]
    assert chosen("--error", "not_positive") == [new.sale_id]
    assert chosen("--status", "conflict") == [conflict.sale_id]
    assert chosen("--status", "pending") == []
    assert "Nothing that is pending matches." in run("pending", "--status", "pending").out
    assert "Nothing that is pending matches." in run("pending", "--error", "zzz").out


def test_an_empty_page_tells_of_conflicts_and_of_the_quarantine(
    run: Run, shop: Shop, ana: User
) -> None:
    shop.conflict(ana, till={"notes": "b"})
    shop.upload(ana, {"local_id": "none"})

    out = run("pending").out

    assert "1 sale is in conflict besides: bulonera-sync conflicts shows it." in out
    assert "bulonera-sync quarantine list" in out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--since", "yester\x1bday"), "12h or 2d"),
        (("--status", "synced"), "--status"),
        (("--limit", "0"), "--limit"),
        (("--watch",), "no terminal"),
        (("--watch", "--json"), "--json"),
    ],
)
def test_a_wrong_option_is_wrong_usage(run: Run, options: tuple[str, ...], words: str) -> None:
    ran = run("pending", *options)

    assert ran.code == 2
    assert words in ran.error
    assert is_inert(ran.err)


def test_an_unknown_user_is_named_with_what_to_do(run: Run) -> None:
    ran = run("pending", "--user", "nobody\x1b[2J")

    assert ran.code == 1
    assert "user list" in ran.error


@pytest.mark.parametrize("width", ["40", "80", "140"])
def test_no_line_is_wider_than_the_screen_nor_alive(
    run: Run, shop: Shop, ana: User, monkeypatch: pytest.MonkeyPatch, width: str
) -> None:
    long_name = shop.user("bartolome.mostrador.del.fondo")
    name = "Ferretería y Bulonería Don Pepe e Hijos S.R.L. " * 3
    customer = CatalogCustomer(7, name, "", True)
    shop.do(lambda gateway: gateway.import_rows("customers", [customer]))
    wrong = make_item(quantity=HOSTILE)
    price = make_item(product_id=777, unit_price="99999999.9999", quantity="9999.999")
    for user in (ana, long_name):
        shop.upload(
            user,
            make_sale(customer_id=HOSTILE),
            make_sale(customer_id=8, items=[wrong]),
            make_sale(customer_id=7, items=[price]),
            make_sale(items=[make_item(product_id=n) for n in range(700, 740)]),
        )
        shop.conflict(user, till={"customer_id": 8, "notes": HOSTILE})
    monkeypatch.setenv("COLUMNS", width)

    for arguments in (("pending", "--status", "error,pending,conflict"), ("conflicts",)):
        out = run(*arguments).out
        assert is_inert(out)
        assert widest(out) <= int(width)
        as_json = run(*arguments, "--json")
        assert is_inert(as_json.out)


def test_conflicts_tell_whose_since_when_and_in_what_they_differ(
    run: Run, shop: Shop, ana: User
) -> None:
    shop.conflict(ana, till={"notes": HOSTILE, "customer_id": 8}, hours=3)

    as_text, as_json = run("conflicts").out, run("conflicts", "--json").json

    [row] = as_json["results"]
    assert (as_json["count"], as_json["total"]) == (1, 1)
    assert list(row) == [*ROW_KEYS, "conflict_at", "code", "message", "conflict_data"]
    assert (row["created_by"], row["code"], row["sync_status"]) == (
        "ana",
        "stale_version",
        "conflict",
    )
    data = row["conflict_data"]
    assert (data["server_version"], data["client_version"]) == (2, 1)
    assert data["fields"] == ["customer_id", "status", "notes"]
    assert (data["client"]["notes"], data["base"]["notes"]) == (HOSTILE, "a")
    assert "1 sale was edited on both sides" in as_text
    assert "3 h ago" in as_text
    assert "customer, status and notes: changed on the server after the till's copy" in as_text
    assert f"bulonera-sync resolve {row['number']}" in as_text


def test_conflicts_are_chosen_by_user_and_age_and_cut_short(
    run: Run, shop: Shop, ana: User
) -> None:
    beto = shop.user("beto")
    shop.conflict(ana, till={"notes": "b"}, days=3)
    for _ in range(2):
        shop.conflict(beto, till={"notes": "b"})

    assert run("conflicts", "--user", "beto", "--json").json["total"] == 2
    assert run("conflicts", "--since", "1d", "--json").json["total"] == 2
    cut = run("conflicts", "--limit", 1)
    assert "These are 1 of 3; --limit 3 shows all." in cut.err
    assert "matches" in run("conflicts", "--user", "ana", "--since", "1d").out


def test_no_conflict_says_so(run: Run) -> None:
    assert run("conflicts").out == "No sale is in conflict.\n"


async def test_rows_are_those_that_the_api_answers(
    daemon: Daemon, run: Run, store_url: str
) -> None:
    marta = await daemon.till("marta", "manager")
    await marta.upload(make_sale(customer_id=999), make_sale(customer_id="x"))
    api = (await marta.get("/api/v1/sales/sync/pending/?user=all")).json

    told = (await asyncio.to_thread(run, "pending", "--json")).json

    without_owner = [
        {name: value for name, value in row.items() if name != "created_by"}
        for row in told["results"]
    ]
    assert without_owner == api["results"]
    assert told["total"] == api["total"]


# On a terminal


def watched(
    folder: Path, *arguments: str, until: Callable[[str], bool], rows: int
) -> tuple[Any, str]:
    """Watch on a terminal until something is seen, then press Ctrl-C; return code and screen."""
    ours, theirs = pty.openpty()
    subprocess.run(["stty", "rows", str(rows), "cols", "80"], stdin=theirs, check=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "bulonera_sync", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
        env={**{k: v for k, v in os.environ.items() if k != "COLUMNS"}, "TERM": "xterm"},
        start_new_session=True,
    )
    os.close(theirs)
    text = b""
    deadline = time.monotonic() + 30
    interrupted = False
    try:
        while time.monotonic() < deadline:
            if select.select([ours], [], [], 1)[0]:
                text += os.read(ours, 65_536)
            if not interrupted and until(text.decode(errors="replace")):
                process.send_signal(signal.SIGINT)
                interrupted = True
    except OSError:
        # A terminal ends so when its last program has gone.
        pass
    finally:
        os.close(ours)
    return process.wait(30), text.decode()


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_a_watched_page_fits_its_terminal_and_ctrl_c_ends_it_quietly(
    run: Run, shop: Shop, ana: User, folder: Path
) -> None:
    shop.upload(ana, *(make_sale(customer_id=999 + n % 4) for n in range(40)))

    code, text = watched(
        folder, "pending", "--watch", until=lambda seen: seen.count("Ctrl-C") == 2, rows=24
    )

    frames = text.split("\x1b[H")[1:]
    assert code == 130
    assert "Traceback" not in text
    assert len(frames) >= 2
    for frame in frames:
        assert frame.count("10 sales wait for customer") == 4
        assert frame.partition("\x1b[J")[0].count("\r\n") < 24
    assert "\x1b[1m40 sales are not in" in frames[0]
