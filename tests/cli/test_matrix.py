"""Every command, on both engines, beside a running daemon and without: exit codes, JSON shapes."""

import json
import logging
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer

from bulonera_sync.cli.main import app
from bulonera_sync.cli.reference import EXAMPLES
from bulonera_sync.config import LogSettings, RetrySettings
from bulonera_sync.logs import open_log
from bulonera_sync.sales import User
from bulonera_sync.store.catalog import CatalogCustomer
from bulonera_sync.store.upgrades import upgrade_sqlite
from tests.cli.conftest import Ran, Run
from tests.cli.shops import Shop, is_inert
from tests.conftest import make_settings
from tests.end_to_end.processes import PROGRAM
from tests.end_to_end.terminals import CONTROL, on_terminal
from tests.factories import CUSTOMERS, PRODUCTS, make_item, make_sale
from tests.postgres import PostgresServer

FILES = {
    "customers.csv": "id,name,tax_id,active\n7001,Taller,,1\n",
    "products.csv": "id,code,name,price,tax_percentage,active\n7001,B1,Bulón,1.50,21,1\n",
    "broken.csv": "id,name\nx,Taller\n",
    "client.json": '{"notes": "del mostrador"}',
    "wrong.json": '{"color": "red"}',
}

SALE = (
    "sale_id sale_number local_id sync_status sync_succeeded_at sync_last_attempt "
    "sync_attempt_count version conflict_resolution error errors retryable next_attempt_at dead id "
    "number status payment_status fiscal_status customer customer_id notes items subtotal discount "
    "tax total created_by created_at sold_at updated_at warnings"
)
PENDING = (
    "id number status payment_status fiscal_status customer total created_at sync_status local_id "
    "version error sync_attempt_count next_attempt_at dead created_by"
)
EVENT = "at kind actor user from_version to_version detail"
RETRIED = "sale_id sale_number local_id status attempt"
USER = "id username role active created_at"
TOKEN = "id username label created_at revoked_at"
QUARANTINED = "id created_by error errors received_at last_received_at times"
STATS = (
    "sales oldest_unsynced last_uploads retries_due dead to_correct quarantined database daemon "
    "log needs_a_person"
)


@dataclass(frozen=True)
class Line:
    """A command line with {places}, its exit code, its JSON's keys and those of its results."""

    said: str
    code: int = 0
    keys: str | None = None
    rows: str | None = None

    @property
    def command(self) -> str:
        """What the command is called, its group with it."""
        first, second, *_ = [*self.said.split(), ""]
        return f"{first} {second}" if first in GROUPS else first


GROUPS = {group.name for group in app.registered_groups}

# {state} is what the daemon does; {synced} and the like are numbers of sales.
LINES = [
    Line("pending"),
    Line("pending --json", 0, "count total results", PENDING),
    Line("pending --user ana --status conflict,error --since 2d --limit 1 --error x"),
    Line("pending --user nobody", 1),
    Line("pending --status lost", 2),
    Line("pending --since yesterday", 2),
    Line("pending --watch", 2),
    Line("conflicts"),
    Line(
        "conflicts --json",
        0,
        "count total results",
        f"{PENDING} conflict_at code message conflict_data",
    ),
    Line("show {synced}"),
    Line("show {held}"),
    Line("show {disputed}"),
    Line("show {synced} --json", 0, SALE),
    Line("show {disputed} --json", 0, f"{SALE} conflict_data"),
    Line("show VTA-1999-00001", 1),
    Line("show", 2),
    Line("history {synced}"),
    Line("history {synced} --json", 0, "count sale_id sale_number results", EVENT),
    Line("history 99999", 1),
    Line("retry {held}"),
    Line("retry {held} --json", 0, "message processed results", RETRIED),
    Line("retry {synced} --json", 0, "message processed results"),
    Line("retry --all --json", 0, "message processed results"),
    Line("retry 99999", 1),
    Line("retry", 2),
    Line("retry {held} --all", 2),
    Line("resolve {server} --server-wins --json", 0, "message sale"),
    Line("resolve {client} --client-wins --notes ok"),
    Line("resolve {manual} --manual client.json --json", 0, "message sale"),
    Line("resolve {disputed} --manual wrong.json", 1),
    Line("resolve {disputed} --manual missing.json", 1),
    Line("resolve {synced} --server-wins", 1),
    Line("resolve {disputed}", 2),
    Line("resolve {disputed} --json", 2),
    Line("resolve {disputed} --server-wins --client-wins", 2),
    Line("edit {edited} --notes a --json", 0, SALE),
    Line("edit {edited} --status confirmed --payment-status paid"),
    Line("edit {edited} --status sold", 1),
    Line("edit 99999 --notes a", 1),
    Line("edit {edited}", 2),
    Line("log"),
    Line("log -n 1 --level warning --sale {synced} --user ana --since 9d"),
    Line("log --json", 0, "count results", "time level message context traceback"),
    Line("log --user nobody", 1),
    Line("log --level loud", 2),
    Line("stats"),
    Line("stats --json", 0, STATS),
    Line("stats --exit-code", 1),
    Line("stats --watch", 2),
    Line("user add new-{state}"),
    Line("user add new-{state} --role manager", 1),
    Line("user add other-{state} --role manager --json", 0, "id username role token"),
    Line("user add third-{state} --no-token --json", 0, "id username role token"),
    Line("user add", 2),
    Line("user list"),
    Line("user list --json", 0, "count results", USER),
    Line("user disable beto"),
    Line("user disable beto --json", 0, USER),
    Line("user enable beto"),
    Line("user enable beto --json", 0, USER),
    Line("user disable nobody", 1),
    Line("user enable nobody", 1),
    Line("token create beto"),
    Line("token create beto --label caja --json", 0, "id token label"),
    Line("token create nobody", 1),
    Line("token list"),
    Line("token list beto --json", 0, "count results", TOKEN),
    Line("token list nobody", 1),
    Line("token revoke {token} --json", 0, TOKEN),
    Line("token revoke 99999", 1),
    Line("token revoke first", 2),
    Line("catalog import customers customers.csv"),
    Line("catalog import products products.csv --json", 0, "imported deactivated"),
    Line("catalog import customers broken.csv", 1),
    Line("catalog import customers missing.csv", 1),
    Line("catalog import tools customers.csv", 2),
    Line("catalog list customers"),
    Line("catalog list customers --json", 0, "count total results", "id name tax_id active"),
    Line(
        "catalog list products --limit 2 --json",
        0,
        "count total results",
        "id code name price tax_percentage active",
    ),
    Line("throttle show"),
    Line(
        "throttle show ana --json",
        0,
        "count throttle results",
        "username limit remaining reset_seconds wait_seconds",
    ),
    Line("throttle show nobody", 1),
    Line("throttle reset ana"),
    Line("throttle reset nobody", 1),
    Line("quarantine list"),
    Line("quarantine list --json", 0, "count total results", QUARANTINED),
    Line("quarantine show {quarantined}"),
    Line("quarantine show {quarantined} --json", 0, f"{QUARANTINED} payload"),
    Line("quarantine show 99999", 1),
    Line("db upgrade"),
    Line("db check"),
    Line("db check --json", 0, "status url counts damage"),
    Line("db backup shop.backup"),
    Line("db backup missing/shop.backup", 1),
    Line("db restore shop.backup", 1),
    Line("db restore missing.backup --yes", 1),
    Line("config show"),
    Line("config show --json", 0, "count file results", "section key value origin"),
    Line("config check"),
    Line("init there-{state}"),
    Line("init ./there-{state}", 1),
    Line("init there-{state} --force"),
    Line("serve --port 65536", 2),
    Line("serve --data here", 2),
    Line("sell", 2),
]


@dataclass(frozen=True)
class Place:
    """A furnished database, a folder of files, and what the lines' {places} are there."""

    shop: Shop
    folder: Path
    names: dict[str, str]
    path: str

    @property
    def environment(self) -> dict[str, str]:
        return {
            "BULONERA_STORE__URL": self.shop.settings.store.url,
            "BULONERA_LOG__FILE": str(self.folder / "sync.log"),
            "PATH": self.path,
        }


@dataclass(frozen=True)
class Scene:
    """A place, and whether a daemon runs there on some port."""

    place: Place
    state: str
    port: int


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("matrix")
    for name, text in FILES.items():
        (folder / name).write_text(text, "utf-8")
    path = os.environ["PATH"]
    if request.param == "sqlite":
        upgrade_sqlite(folder / "gateway.db", now=datetime.now(UTC))
        yield _furnished(f"sqlite:///{folder / 'gateway.db'}", folder, path)
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    server.create_database("matrix", template=request.getfixturevalue("postgres_template"))
    path = f"{server.binaries}{os.pathsep}{path}"
    yield _furnished(server.url("matrix"), folder, path)
    server.drop_database("matrix")


def _furnished(url: str, folder: Path, path: str) -> Place:
    settings = make_settings(url).model_copy(update={"retry": RetrySettings(first_delay=3000)})
    shop = Shop(settings)
    shop.do(lambda gateway: gateway.import_rows("customers", CUSTOMERS))
    shop.do(lambda gateway: gateway.import_rows("products", PRODUCTS))
    ana, _ = shop.user("ana"), shop.user("beto")
    names = {"quarantined": "1"}
    for state in ("stopped", "running"):
        for name, number in _sales(shop, ana).items():
            names[f"{name}-{state}"] = number
        issued = shop.do(lambda gateway: gateway.create_token("beto", ""))
        names[f"token-{state}"] = str(issued.id)
    shop.upload(ana, {"local_id": "none"})
    (folder / "sync.log").write_text("INFO 2026-02-16 12:00:30 sync_views Sale synced\n")
    return Place(shop, folder, names, path)


def _sales(shop: Shop, ana: User) -> dict[str, str]:
    """Make a sale of each kind; return their numbers."""
    kinds = {
        "synced": shop.upload(ana, make_sale())[0],
        "edited": shop.upload(ana, make_sale())[0],
        "held": shop.upload(ana, make_sale(items=[make_item(quantity="0")]))[0],
        "disputed": shop.conflict(ana, till={"notes": "b"}),
        "server": shop.conflict(ana, till={"notes": "b"}),
        "client": shop.conflict(ana, till={"notes": "b"}),
        "manual": shop.conflict(ana, till={"notes": "b"}),
    }
    return {name: str(outcome.sale_number) for name, outcome in kinds.items()}


@pytest.fixture(scope="module", params=["stopped", "running"])
def scene(request: pytest.FixtureRequest, place: Place) -> Iterator[Scene]:
    if request.param == "stopped":
        # Nobody listens there, whatever else runs on this machine.
        yield Scene(place, "stopped", 1)
        return
    with subprocess.Popen(
        [*PROGRAM, "serve"],
        cwd=place.folder,
        env={**os.environ, **place.environment, "BULONERA_SERVER__PORT": "0"},
        stdout=subprocess.PIPE,
        text=True,
    ) as daemon:
        assert daemon.stdout is not None
        ready = daemon.stdout.readline()
        assert ready.startswith("Ready at "), ready
        yield Scene(place, "running", int(ready.rsplit(":", 1)[1]))
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(10) == 0


@pytest.fixture
def run_there(scene: Scene, run_anywhere: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a line's command in its place."""
    monkeypatch.chdir(scene.place.folder)
    for name, value in scene.place.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("BULONERA_SERVER__PORT", str(scene.port))

    def run(said: str) -> Ran:
        own = {
            name.removesuffix(f"-{scene.state}"): value
            for name, value in scene.place.names.items()
            if not name.endswith("-running" if scene.state == "stopped" else "-stopped")
        }
        return run_anywhere(*said.format(state=scene.state, **own).split())

    return run


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.said)
def test_a_command_line_does_as_the_contract_says(run_there: Run, line: Line) -> None:
    ran = run_there(line.said)

    assert ran.code == line.code, ran
    if line.code:
        assert ran.out == "" or ran.err == ""
        assert len(ran.err.splitlines()) == (0 if ran.out else 1)
    if line.keys is not None:
        assert {*ran.json} == {*line.keys.split()}
    if line.rows is not None:
        assert {*ran.json["results"][0]} == {*line.rows.split()}


def test_stats_tell_whether_the_daemon_runs(run_there: Run, scene: Scene) -> None:
    daemon = run_there("stats --json").json["daemon"]

    assert daemon["reachable"] == (scene.state == "running")


def test_a_backup_is_put_back_unless_a_daemon_runs(run_there: Run, scene: Scene) -> None:
    run_there("db backup again.backup")

    ran = run_there("db restore again.backup --yes")

    assert ran.code == (1 if scene.state == "running" else 0), ran


def test_a_second_daemon_on_the_file_is_refused(run_there: Run, scene: Scene) -> None:
    # Several may share one Postgres.
    if scene.state == "running" and scene.place.shop.settings.store.sqlite_path:
        assert "another daemon" in run_there("serve").error


def test_every_command_is_in_the_table() -> None:
    tested_below = {"serve", "db restore"}
    # In test_certificates.py, in a folder of its own each.
    tested_below |= {"tls init", "tls show", "tls renew"}
    # In test_service.py, on a machine that is a test's own.
    tested_below |= {"service install", "service uninstall", "service status"}

    assert {line.command for line in LINES if not line.code} | tested_below == {*_commands(app, "")}


def test_the_references_examples_have_the_keys_that_are_printed() -> None:
    printed: dict[str, Line] = {}
    for line in LINES:
        if line.keys and line.command in EXAMPLES:
            printed.setdefault(line.command, line)

    for command, line in printed.items():
        example = EXAMPLES[command]
        assert {*example} == {*(line.keys or "").split()}, command
        results = example.get("results")
        if line.rows and isinstance(results, list):
            assert {*results[0]} == {*line.rows.split()}, command
    assert printed.keys() == EXAMPLES.keys()


def _commands(group: typer.Typer, before: str) -> Iterator[str]:
    for info in group.registered_commands:
        assert info.callback is not None
        yield f"{before}{info.name or info.callback.__name__}"
    for below in group.registered_groups:
        assert below.typer_instance is not None
        yield from _commands(below.typer_instance, f"{before}{below.name} ")


# Of each command one line that gets as far as the settings and the database.
FIRST_LINES = {line.command: line.said for line in reversed(LINES) if not line.code}
WITHOUT_DATABASE = {"config show", "config check", "log"}
NUMBERS = dict.fromkeys(
    ("synced", "held", "server", "client", "manual", "disputed", "edited", "token", "quarantined"),
    "1",
)


@pytest.mark.parametrize("said", FIRST_LINES.values(), ids=FIRST_LINES)
def test_a_wrong_setting_exits_with_3_from_every_command(
    run_anywhere: Run, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    monkeypatch.setenv("BULONERA_SERVER__PORT", "99999")

    ran = run_anywhere(*said.format(state="", **NUMBERS).split())

    assert ran.code == 3
    assert "[server] port" in ran.error


@pytest.mark.parametrize("command", [each for each in FIRST_LINES if each not in WITHOUT_DATABASE])
def test_a_database_out_of_reach_exits_with_4_from_every_command(
    run_anywhere: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("BULONERA_STORE__URL", "postgresql://ana:secret@127.0.0.1:1/shop")
    for name, text in FILES.items():
        (folder / name).write_text(text, "utf-8")

    ran = run_anywhere(*FIRST_LINES[command].format(state="there", **NUMBERS).split())

    assert ran.code == 4
    assert "can't be reached" in ran.error
    assert "secret" not in ran.error


# Hostile texts

# What terminals obey or are led astray by, what Rich takes for markup, what has two cells or none.
PIECES = (
    "\x1b[2J", "\x1b]0;owned\x07", "\x1b]8;;http://x\x1b\\", "\x1bP1$q\x1b\\", "\x1b[31m",
    "\x9b31m", "\x9d0;x\x9c", "\x07", "\b\b", "\x7f", "\x0e", "\r", "\n", "\t", "\v\f", "\x85",
    "\u2028", "\u2029", "\u202e", "\u2066x\u2069", "\u200f", "\u200b", "\ufeff", "\u00ad",
    "[red]x[/red]", "[/]", "[link=x]", ":bolt:", "{count}", "%s%n", "日本", "e\u0301\u0301",
    "\U0001f469\u200d\U0001f527", "\ufe0f", "\u3164", "\U000e0041", "\ufff9x\ufffb", "\ue000",
    "' \"; rm -rf ~", "$(id)`id`",
)  # fmt: skip
HOSTILE_TEXTS = [
    f"{one}a{PIECES[(at * 7 + step) % len(PIECES)]}ñ{one}"
    for step in range(5)
    for at, one in enumerate(PIECES)
]


@dataclass(frozen=True)
class HostileShop:
    """Hostile texts as notes, names, local_ids and log values; the sales by their notes."""

    environment: dict[str, str]
    folder: Path
    numbers: dict[str, str]


@pytest.fixture(scope="module")
def hostile_shop(tmp_path_factory: pytest.TempPathFactory) -> HostileShop:
    # One engine: the texts are shown after it has given them back.
    folder = tmp_path_factory.mktemp("hostile")
    url = f"sqlite:///{folder / 'gateway.db'}"
    upgrade_sqlite(folder / "gateway.db", now=datetime.now(UTC))
    shop = Shop(make_settings(url, max_sales=1_000))
    names = [CatalogCustomer(at, text, text, True) for at, text in enumerate(HOSTILE_TEXTS, 1_000)]
    shop.do(lambda gateway: gateway.import_rows("customers", [*CUSTOMERS, *names]))
    shop.do(lambda gateway: gateway.import_rows("products", PRODUCTS))
    ana = shop.user("ana")
    said = [
        make_sale(notes=text, customer_id=at, items=[make_item(product_id=at)])
        if at % 2
        else make_sale(notes=text, customer_id=at)
        for at, text in enumerate(HOSTILE_TEXTS, 1_000)
    ]
    outcomes = shop.upload(ana, *said)
    shop.upload(ana, *({"local_id": text, "notes": text, text: text} for text in HOSTILE_TEXTS))
    for text in HOSTILE_TEXTS[:20]:
        shop.conflict(ana, till={"notes": text})
    log = folder / "sync.log"
    with open_log(LogSettings(file=log)) as opened:
        for text in HOSTILE_TEXTS:
            logging.getLogger("bulonera_sync").info(text, extra={"note": text})
        assert opened.flush()
    numbers = {
        text: str(outcome.sale_number)
        for text, outcome in zip(HOSTILE_TEXTS, outcomes, strict=True)
    }
    environment = {"BULONERA_STORE__URL": url, "BULONERA_LOG__FILE": str(log)}
    return HostileShop(environment, folder, numbers)


@pytest.fixture
def run_hostile(
    hostile_shop: HostileShop, run_anywhere: Run, monkeypatch: pytest.MonkeyPatch
) -> Run:
    for name, value in hostile_shop.environment.items():
        monkeypatch.setenv(name, value)
    return run_anywhere


LISTINGS = (
    "pending --limit 1000",
    "conflicts --limit 1000",
    "catalog list customers --limit 1000",
    "quarantine list --limit 1000",
    "log -n 1000",
    "stats",
    "history {last}",
    "show {last}",
    "quarantine show 200",
)


@pytest.mark.parametrize("said", LISTINGS)
@pytest.mark.parametrize("columns", ["", "80"], ids=["pipe", "80 columns"])
def test_a_listing_of_hostile_texts_is_inert(
    run_hostile: Run,
    hostile_shop: HostileShop,
    monkeypatch: pytest.MonkeyPatch,
    said: str,
    columns: str,
) -> None:
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    words = said.format(last=hostile_shop.numbers[HOSTILE_TEXTS[-1]]).split()

    plain, document = run_hostile(*words), run_hostile(*words, "--json")

    assert (plain.code, document.code) == (0, 0)
    assert is_inert(plain.out)
    assert is_inert(document.out)
    assert isinstance(document.json, dict)


@pytest.mark.parametrize("said", LISTINGS)
def test_a_terminal_gets_no_control_but_ours(hostile_shop: HostileShop, said: str) -> None:
    words = said.format(last=hostile_shop.numbers[HOSTILE_TEXTS[-1]]).split()

    with on_terminal(
        hostile_shop.folder, *words, columns=80, rows=40, **hostile_shop.environment
    ) as terminal:
        code, text = terminal.ended()

    assert code == 0
    assert is_inert(text.replace("\r\n", "\n"))
    # Nothing but bold, colours and their end.
    assert {*CONTROL.findall(terminal.raw)} <= {
        f"\x1b[{n}m" for n in ("0", "1", "2", "31", "32", "33")
    }


def test_notes_come_back_exactly_and_are_shown_inert(
    run_hostile: Run, hostile_shop: HostileShop
) -> None:
    for text, number in hostile_shop.numbers.items():
        document = run_hostile("show", number, "--json")
        assert document.json["notes"] == text
        assert is_inert(document.out)
        assert is_inert(run_hostile("show", number).out)


def test_names_local_ids_and_log_values_come_back_exactly(run_hostile: Run) -> None:
    customers = run_hostile("catalog", "list", "customers", "--limit", "1000", "--json").json
    uploads = [
        json.loads(run_hostile("quarantine", "show", number, "--json").json["payload"])
        for number in range(1, len(HOSTILE_TEXTS) + 1)
    ]
    conflicts = run_hostile("conflicts", "--json").json["results"]

    assert [each["name"] for each in customers["results"]][-len(HOSTILE_TEXTS) :] == HOSTILE_TEXTS
    assert [each["local_id"] for each in uploads] == HOSTILE_TEXTS
    assert [each["conflict_data"]["client"]["notes"] for each in conflicts] == HOSTILE_TEXTS[:20]


def test_a_log_value_comes_back_as_it_was_escaped(run_hostile: Run) -> None:
    events = run_hostile("log", "-n", len(HOSTILE_TEXTS), "--json").json["results"]

    # What the log itself escaped stays so: nothing there can be told from what was written.
    assert [each["context"]["note"] for each in events] == [each["message"] for each in events]
    assert all(is_inert(each["message"]) for each in events)
