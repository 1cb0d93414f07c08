"""`stats`, on both engines: how it stands, and whether it needs a person."""

import asyncio
import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

import pytest

from bulonera_sync.cli.daemons import ask
from bulonera_sync.cli.pages import Page
from bulonera_sync.cli.watches import watch
from bulonera_sync.config import ServerSettings
from bulonera_sync.errors import StoreUnavailableError
from bulonera_sync.gateway import Gateway
from bulonera_sync.sales import User
from tests.cli.conftest import Run
from tests.cli.shops import Shop, is_inert, shop, widest
from tests.factories import make_item, make_sale
from tests.http import Daemon

__all__ = ["shop"]


@pytest.fixture
def ana(shop: Shop) -> User:
    return shop.user("ana")


def test_everything_is_told(run: Run, shop: Shop, ana: User, folder: Path) -> None:
    shop.user("nunca")
    shop.upload(ana, make_sale(), make_sale(customer_id=999), days=3)
    shop.upload(ana, make_sale(items=[make_item(quantity=0)]), {"local_id": "none"}, hours=2)
    shop.conflict(ana, till={"notes": "b"}, minutes=5)

    as_json, as_text = run("stats", "--json").json, run("stats").out

    assert list(as_json) == [
        "sales",
        "oldest_unsynced",
        "last_uploads",
        "retries_due",
        "dead",
        "to_correct",
        "quarantined",
        "database",
        "daemon",
        "log",
        "needs_a_person",
    ]
    assert as_json["sales"] == {"synced": 1, "pending": 0, "error": 2, "conflict": 1}
    assert (as_json["retries_due"], as_json["dead"]) == (1, 0)
    assert (as_json["to_correct"], as_json["quarantined"]) == (1, 1)
    assert as_json["oldest_unsynced"].endswith("Z")
    assert list(as_json["last_uploads"]) == ["ana", "nunca"]
    assert as_json["last_uploads"]["nunca"] is None
    assert as_json["database"]["size_bytes"] > 10_000
    assert "secret" not in as_json["database"]["url"]
    assert as_json["daemon"]["address"] == "http://127.0.0.1:1"
    assert as_json["daemon"]["reachable"] is False
    assert as_json["log"]["file"] == str(folder / "logs/sync.log")
    for words in ("synced         1", "oldest not in  3 d ago", "ana    5 min ago", "nunca  never"):
        assert words in as_text


def test_exit_code_says_whether_a_person_is_needed(run: Run, shop: Shop, ana: User) -> None:
    shop.upload(ana, make_sale(items=[make_item(quantity=0)]), {"local_id": "none"})
    shop.conflict(ana, till={"notes": "b"})

    ran = run("stats", "--exit-code")

    assert (ran.code, run("stats").code, run("stats", "--exit-code", "--json").code) == (1, 0, 1)
    head = ran.out.partition("\n\n")[0].splitlines()
    assert head[0] == "Needs a person"
    assert [line.strip().partition(":")[0] for line in head[1:]] == [
        "1 sale must be corrected",
        "1 sale is in conflict",
        "1 upload went into quarantine this week",
        "The daemon does not answer at http",
    ]


async def test_with_a_daemon_and_curable_errors_all_is_well(
    daemon: Daemon, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BULONERA_SERVER__PORT", daemon.address.rpartition(":")[2])
    ana = await daemon.till("ana")
    await ana.upload(make_sale(customer_id=999))

    ran = await asyncio.to_thread(run, "stats", "--exit-code")

    assert ran.code == 0
    assert ran.out.startswith("All is well: nothing needs a person.\n")
    assert f"up at {daemon.address}" in ran.out


def test_a_dead_sale_needs_a_person(run: Run, shop: Shop, ana: User) -> None:
    shop.settings = shop.settings.model_copy(
        update={"retry": shop.settings.retry.model_copy(update={"max_attempts": 1})}
    )
    shop.upload(ana, make_sale(customer_id=999), hours=2)
    shop.do(lambda gateway: gateway.retry_due(), hours=1)

    told = run("stats", "--json").json

    assert (told["dead"], told["to_correct"]) == (1, 0)
    assert "no longer tried" in told["needs_a_person"][0]


def test_the_logs_state_or_problem_is_told(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "logs").mkdir()
    file = folder / "logs/sync.log"
    file.write_bytes(b"x" * 2048)
    os.utime(file, (0, 0))

    written = run("stats", "--json").json["log"]
    (folder / "nothing").touch()
    monkeypatch.setenv("BULONERA_LOG__FILE", "nothing/sync.log")
    broken = run("stats")

    assert (written["size_bytes"], written["last_write"]) == (2048, "1970-01-01T00:00:00Z")
    assert written["problem"] is None
    assert "PROBLEM: " in broken.out


@pytest.mark.parametrize("width", ["40", "80", "140"])
def test_no_line_is_wider_than_the_screen(
    run: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch, width: str
) -> None:
    shop.user("b" * 64)
    monkeypatch.setenv("COLUMNS", width)
    monkeypatch.setenv("BULONERA_LOG__FILE", "\x1b[2J/日本\u202e.log")

    out = run("stats").out

    assert is_inert(out)
    assert widest(out) <= int(width)


@pytest.mark.parametrize(
    ("options", "words"),
    [(("--watch",), "no terminal"), (("--watch", "--json"), "--json")],
)
def test_only_a_terminal_is_watched(run: Run, options: tuple[str, ...], words: str) -> None:
    ran = run("stats", *options)

    assert ran.code == 2
    assert words in ran.error


async def test_a_database_out_of_reach_is_told_on_a_watched_page_and_tried_again(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bulonera_sync.cli.watches.SECONDS", 0)
    turns = iter([StoreUnavailableError("it is busy"), asyncio.CancelledError()])

    async def draw(gateway: Gateway, now: datetime) -> Page:
        raise next(turns)

    with pytest.raises(asyncio.CancelledError):
        await watch(gateway, draw, UTC)

    assert "it is busy" in capsys.readouterr().out


# Asking for the daemon


@pytest.fixture
def impostor() -> Iterator[int]:
    """A port on which somebody answers, who is no daemon of ours; the answer is the test's."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=_answer_once, args=(server,), daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.close()
        thread.join(5)


def _answer_once(server: socket.socket) -> None:
    peer, _ = server.accept()
    with peer:
        peer.recv(1024)
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")


def test_somebody_else_on_the_port_is_no_daemon(impostor: int) -> None:
    health = ask(ServerSettings(port=impostor))

    assert not health.is_up
    assert health.problem == "something else answers there"


def test_one_that_accepts_and_says_nothing_is_given_up_after_a_second() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        health = ask(ServerSettings(port=silent.getsockname()[1]))

    assert "timed out" in str(health.problem)


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        (ServerSettings(host="0.0.0.0", port=1), "http://127.0.0.1:1"),  # noqa: S104
        (ServerSettings(host="::", port=1), "http://[::1]:1"),
        (ServerSettings(port=1, tls_cert=Path("c"), tls_key=Path("k")), "https://127.0.0.1:1"),
        (ServerSettings(port=0), "http://127.0.0.1:0"),
    ],
)
def test_it_is_asked_where_the_settings_say(settings: ServerSettings, address: str) -> None:
    health = ask(settings)

    assert health.address == address
    assert not health.is_up


async def test_a_proxy_is_not_asked(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    port = int(daemon.address.rpartition(":")[2])

    health = await asyncio.to_thread(ask, ServerSettings(port=port))

    assert health.is_up
