"""Spanish and English, on both engines: who chooses, that every text is there, that it fits."""

import ast
import gettext
import io
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from string import Formatter

import pytest
from rich.cells import cell_len

import bulonera_sync
from bulonera_sync.cli.languages import choose_language, language_of, translated
from bulonera_sync.cli.sentences import PHRASES, TOLD, retold
from bulonera_sync.cli.words import ago, moment, phrase, plural
from bulonera_sync.sales import User
from tests.cli.conftest import Run
from tests.cli.shops import HOSTILE, Shop, is_inert, shop, widest
from tests.end_to_end.processes import on_store
from tests.end_to_end.terminals import CTRL_D, on_terminal
from tests.factories import make_item, make_sale
from tools.catalogues import HEAD, PO, Key, compiled, gathered, read_po, write_po

__all__ = ["shop"]

CATALOGUE = read_po(PO.read_text("utf-8"))
NOON = datetime(2026, 2, 16, 12, tzinfo=UTC)

Speak = Callable[[str], None]


@pytest.fixture
def speak(monkeypatch: pytest.MonkeyPatch) -> Speak:
    """Have this test's commands speak a language."""

    def choose(language: str) -> None:
        monkeypatch.setenv("BULONERA_LANG", language)
        choose_language(os.environ)

    return choose


@pytest.fixture
def spanish(speak: Speak) -> None:
    speak("es")


@pytest.fixture
def ana(shop: Shop) -> User:
    return shop.user("ana")


@pytest.fixture
def full(shop: Shop, ana: User) -> Mapping[str, object]:
    """A shop in which something of everything is wrong: what its sales are called by."""
    [synced] = shop.upload(ana, make_sale(notes="a"), days=2)
    [waiting] = shop.upload(ana, make_sale(customer_id=999, notes=HOSTILE), hours=3)
    [broken] = shop.upload(ana, make_sale(items=[make_item(quantity=0), make_item(quantity=0)]))
    [queued] = shop.upload(ana, make_sale(customer_id=998), hours=2)
    key = queued.sale_id
    assert key is not None
    shop.do(lambda gateway: gateway.retry(ana, [key]))
    shop.upload(ana, {"local_id": HOSTILE, "notes": HOSTILE}, {"local_id": "none"})
    till = {"customer_id": 8, "notes": HOSTILE, "items": [make_item(quantity="2.5")]}
    conflict = shop.conflict(ana, till=till, hours=1)
    outcomes = {"synced": synced, "waiting": waiting, "broken": broken, "conflict": conflict}
    return {name: outcome.sale_number for name, outcome in outcomes.items()}


@pytest.mark.parametrize(
    ("environ", "language"),
    [
        ({}, "en"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "es_AR.UTF-8"}, "es"),
        ({"LANG": "es"}, "es"),
        ({"LANG": "fr_FR.UTF-8"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "es_ES@euro"}, "es"),
        ({"LC_MESSAGES": "es_AR", "LC_ALL": "en_GB.UTF-8"}, "en"),
        ({"LC_ALL": "en_GB.UTF-8", "LANGUAGE": "pt:es:en"}, "es"),
        ({"LANGUAGE": "en", "BULONERA_LANG": "es"}, "es"),
        ({"LANG": "es_AR.UTF-8", "BULONERA_LANG": "en"}, "en"),
        ({"LANG": "es_AR.UTF-8", "BULONERA_LANG": "klingon"}, "en"),
        ({"LANG": "es_AR.UTF-8", "BULONERA_LANG": "", "LANGUAGE": ""}, "es"),
    ],
)
def test_the_first_variable_that_says_anything_decides(
    environ: Mapping[str, str], language: str
) -> None:
    assert language_of(environ) == language


# The catalogue


def test_every_text_of_the_sources_is_in_the_catalogue_and_no_other() -> None:
    assert set(CATALOGUE) - {HEAD} == gathered(), "make locale brings it up to date"


@pytest.mark.parametrize("key", sorted(gathered()))
def test_every_text_has_a_translation_with_the_same_facts(key: Key) -> None:
    said = CATALOGUE[key]

    assert len(said) == len(key)
    for text, translation in zip(key, said, strict=True):
        assert translation.strip()
        assert facts_of(translation) == facts_of(text)
        assert (translation[0] == " ", translation[-1] == " ") == (text[0] == " ", text[-1] == " ")


def facts_of(text: str) -> set[str]:
    return {name for _, name, *_ in Formatter().parse(text) if name is not None}


def test_the_compiled_catalogue_is_the_written_one() -> None:
    packaged = PO.with_suffix(".mo").read_bytes()

    assert packaged == compiled(CATALOGUE), "make locale compiles it"
    assert write_po(CATALOGUE) == PO.read_text("utf-8")
    read = gettext.GNUTranslations(io.BytesIO(packaged))
    for key, said in CATALOGUE.items():
        if key != HEAD:
            many = read.ngettext(key[0], key[-1], 2) if len(key) > 1 else read.gettext(key[0])
            assert many == said[-1]


@pytest.mark.usefixtures("spanish")
@pytest.mark.parametrize("template", PHRASES)
def test_a_sentence_of_others_is_known_by_its_own_template(template: str) -> None:
    facts = {name: f"<{name}>" for name in facts_of(template)}

    assert retold(template.format(**facts)) == translated(template).format(**facts)


SOURCES = Path(bulonera_sync.__file__).parent
OURS = PHRASES[
    PHRASES.index("user {name} exists already") : PHRASES.index("Address already in use")
]


@pytest.fixture(scope="module")
def said_elsewhere() -> list[str]:
    """Every text in our sources but the templates' own."""
    files = [file for file in SOURCES.rglob("*.py") if file.name != "sentences.py"]
    nodes = (node for file in files for node in ast.walk(ast.parse(file.read_text("utf-8"))))
    return [n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]


@pytest.mark.parametrize("template", [each for each in OURS if "of bytes from" not in each])
def test_a_template_is_still_said_by_somebody(template: str, said_elsewhere: list[str]) -> None:
    # Its ends: what stands before them may come from elsewhere.
    parts = [fixed.strip(" ;:")[-12:] for fixed, *_ in Formatter().parse(template)]

    assert any(part in text for part in parts if len(part) > 3 for text in said_elsewhere)


@pytest.mark.usefixtures("spanish")
def test_a_sentence_within_a_sentence_is_told_too_and_others_stay() -> None:
    assert "why" in TOLD
    assert retold("a.csv: line 3: name is empty") == "a.csv: línea 3: name está vacío"
    assert retold("Customer con id=999 no existe") == "Customer con id=999 no existe"
    assert retold("nobody said this before") == "nobody said this before"


# Words


@pytest.mark.usefixtures("spanish")
def test_plurals_times_and_ages_are_the_languages() -> None:
    forms = "{count} time", "{count} times"

    assert [plural(n, *forms) for n in (0, 1, 1200)] == ["0 veces", "1 vez", "1.200 veces"]
    assert moment(NOON, UTC) == "16/02/2026 12:00"
    assert ago(datetime(2026, 2, 16, 10, tzinfo=UTC), NOON) == "hace 2 h"
    assert phrase("{some} and {last}", some="{a}", last="{b}") == "{a} y {b}"


# Commands


@pytest.mark.parametrize(
    "environ", [{"BULONERA_LANG": "es"}, {"BULONERA_LANG": "", "LANG": "es_AR.UTF-8"}]
)
def test_help_and_errors_are_spanish_where_the_environment_asks(
    tmp_path: Path, environ: Mapping[str, str]
) -> None:
    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "bulonera_sync", *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={
                **os.environ,
                **environ,
                "BULONERA_STORE__URL": "sqlite:///shop.db",
                "PYTHONIOENCODING": "utf-8",
            },
            check=False,
        )

    helped, failed = run("pending", "--help"), run("user", "list")

    assert helped.stdout.startswith("Uso: bulonera-sync pending [OPCIONES]\n")
    assert "Muestra lo que no entró y por qué." in helped.stdout
    assert "Muestra esta ayuda y termina." in helped.stdout
    assert "[por defecto: 50;" in " ".join(helped.stdout.split())
    assert failed.returncode == 4
    assert "todavía no existe; bulonera-sync db upgrade" in failed.stderr


@pytest.mark.parametrize("language", ["en", "fr", "C"])
def test_any_other_language_is_english(run_anywhere: Run, speak: Speak, language: str) -> None:
    speak(language)

    assert run_anywhere("--help").out.startswith("Usage: bulonera-sync [OPTIONS] COMMAND")


COMMANDS = [
    "",
    *[
        "serve",
        "pending",
        "conflicts",
        "show",
        "retry",
        "stats",
        "history",
        "edit",
        "resolve",
        "log",
        "init",
    ],
    *("user", "user add", "user list", "user disable", "user enable"),
    *("token", "token create", "token list", "token revoke"),
    *("catalog", "catalog import", "catalog list"),
    *("throttle", "throttle show", "throttle reset"),
    *("quarantine", "quarantine list", "quarantine show"),
    *("db", "db upgrade", "db check", "db backup", "db restore"),
    *("config", "config show", "config check"),
]
ENGLISH = re.compile(r"\b(the|is|are|and|of|with|Show|Usage|Options|must|not found)\b")


@pytest.mark.usefixtures("spanish")
@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_no_english_and_fits(
    run_anywhere: Run, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    out = run_anywhere(*command.split(), "--help").out

    assert out.startswith("Uso: ")
    assert widest(out) <= 80
    assert not ENGLISH.search(out)


@pytest.mark.usefixtures("spanish")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("usr", "No existe el comando 'usr'. ¿Quisiste decir 'user'?"),
        ("user add", "Falta el argumento 'NAME'"),
        ("user add ana --role boss", "'boss' no es una de las opciones 'cashier', 'manager'"),
        ("user add -x", "No existe la opción -x"),
        ("user list --jsn", "No existe la opción --jsn (opciones posibles: --json)"),
        ("user add .", "un nombre de usuario tiene de 1 a 64 letras"),
        ("user disable ana", "no existe el usuario ana"),
        ("token revoke first", "debe ser un número entero"),
        ("token revoke 99", "no existe el token 99"),
        ("catalog list products --limit 0", "debe ser 1 o más"),
        ("catalog import products no.csv", "no se puede leer: no existe el archivo"),
        ("pending --limit", "La opción '--limit' necesita un valor"),
        ("pending --status none", "'none' no es ninguno de"),
        ("pending --since ayer", "'ayer' no es un momento"),
        ("pending all", "Hay argumentos de más (all)"),
        ("show 99", "no hay ninguna venta 99; bulonera-sync pending"),
        ("retry", "indicá las ventas, o --all"),
        ("resolve 1", "no hay una terminal donde preguntar"),
        ("edit 1", "nada para cambiar"),
        ("quarantine show 9", "no hay nada en cuarentena con 9"),
        ("serve --data here", "va junto con --demo"),
        ("db restore nothing", "no hay una terminal donde preguntar; --yes lo acepta"),
        ("--config no.toml stats", "no existe el archivo; corregí --config"),
    ],
)
def test_errors_are_spanish(run: Run, arguments: str, words: str) -> None:
    ran = run(*arguments.split())

    assert ran.code in {1, 2, 3}
    assert ran.error.startswith("Error: ")
    assert words in ran.error
    assert not ENGLISH.search(ran.error.replace("pytest-of-", ""))


@pytest.mark.usefixtures("spanish")
@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("BULONERA_SERVER__PORT", "x", "debe ser un número entero de 0 a 65535, no 'x'"),
        ("BULONERA_SERVR__PORT", "1", "¿quisiste decir BULONERA_SERVER__PORT?"),
        ("BULONERA_SYNC__THROTTLE", "x", 'debe ser "off" o N/second'),
        ("BULONERA_STORE__URL", "postgresql://ana@127.0.0.1:1/x", "no se llega a la base de datos"),
    ],
)
def test_a_wrong_setting_is_told_in_spanish(
    run_anywhere: Run, monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(name, value)

    assert words in run_anywhere("user", "list").error


@pytest.mark.usefixtures("spanish")
def test_pending_is_spanish(run: Run, full: Mapping[str, object]) -> None:
    out = run("pending").out

    assert "3 ventas no entraron; la más antigua llegó hace 3 h." in out
    assert "1 venta debe corregirse: cantidad no positiva" in out
    assert "1 venta espera el cliente 999 (al importarlo, entra)" in out
    assert "1 venta está en cola (el demonio la evalúa en segundos)" in out
    assert re.search(r"^  Venta +Llegó +Usuario +Cliente +Total +Intentos", out, re.MULTILINE)
    assert "Item #0: quantity debe ser mayor a 0, recibido: 0 (y 1 más)" in out
    assert "Además, 1 venta está en conflicto: bulonera-sync conflicts la muestra." in out


@pytest.mark.usefixtures("spanish")
def test_users_are_spanish(run: Run) -> None:
    added, listed = run("user", "add", "ana"), run("user", "list")

    assert added.out.startswith("Usuario ana agregado (cajero).\n")
    assert listed.out.split()[:5] == ["id", "usuario", "rol", "activo", "creado"]
    assert " sí " in listed.out


def listings(full: Mapping[str, object]) -> Iterator[tuple[str, ...]]:
    yield from (("show", str(number)) for number in full.values())
    yield from (("history", str(number)) for number in full.values())
    yield from [("pending",), ("pending", "--status", "conflict"), ("conflicts",), ("stats",)]
    yield from [("retry", str(full["synced"])), ("log",), ("throttle", "show")]
    yield from [
        ("quarantine", "list"),
        ("quarantine", "show", "1"),
        ("catalog", "list", "products"),
    ]
    yield from [("user", "list"), ("token", "list"), ("db", "check"), ("config", "show")]


def test_a_document_is_the_same_in_every_language(
    run: Run, full: Mapping[str, object], speak: Speak
) -> None:
    def documents(language: str) -> list[str]:
        speak(language)
        return [run(*each, "--json").out for each in listings(full)]

    assert documents("es") == documents("en")


@pytest.mark.usefixtures("spanish")
@pytest.mark.parametrize("width", ["40", "80", "140"])
def test_no_line_is_wider_than_the_screen_nor_alive(
    run: Run, full: Mapping[str, object], monkeypatch: pytest.MonkeyPatch, width: str
) -> None:
    monkeypatch.setenv("COLUMNS", width)

    for command in listings(full):
        # The log is shown as it is written, the settings as they are said.
        if command[0] not in {"log", "db", "config", "history"}:
            out = run(*command).out
            assert is_inert(out)
            assert widest(out) <= int(width), command


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_dialogue_is_spanish_and_fits(
    full: Mapping[str, object],
    store_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    width: int,
) -> None:
    number = str(full["conflict"])
    monkeypatch.setenv("BULONERA_LANG", "es")
    variables = on_store(store_url)
    with on_terminal(tmp_path, "resolve", number, columns=width, rows=40, **variables) as person:
        shown = person.see("[q] salir\r\n> ")
        person.say("v")
        shown += person.see("[q] salir\r\n> ")
        person.say("f")
        shown += person.see("[b] volver")
        person.say("cc")
        shown += person.see("[q] salir\r\n> ")
        person.say("x")
        person.see("Una de estas, por favor: ")
        person.press(CTRL_D)
        code, end = person.ended()

    assert code == 130
    assert "SERVIDOR" in shown
    assert "QUEDARÁ" in shown
    assert "Detenido; no se guardó nada de lo que se estaba preguntando." in " ".join(end.split())
    assert max(map(cell_len, person.lines)) <= width
    assert not ENGLISH.search(shown)
    assert all(is_inert(line) for line in person.lines)


@pytest.mark.parametrize(("language", "yes"), [("es", "s"), ("es", "Sí"), ("en", "y")])
def test_yes_is_said_in_the_persons_language(
    run_anywhere: Run, folder: Path, language: str, yes: str
) -> None:
    run_anywhere("db", "upgrade")
    run_anywhere("db", "backup", "backup")

    with on_terminal(folder, "db", "restore", "backup", BULONERA_LANG=language) as person:
        person.see("/N]: ")
        person.say(yes)
        code, _ = person.ended()

    assert code == 0
