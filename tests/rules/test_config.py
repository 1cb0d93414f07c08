"""The settings: what is taken, from where, and what is said about the rest."""

import json
import re
import tomllib
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

from bulonera_sync.config import (
    EXAMPLE,
    SECTIONS,
    VARIABLES,
    LogSettings,
    RetrySettings,
    ServerSettings,
    Settings,
    StoreSettings,
    SyncSettings,
    load_settings,
    read_example,
    variable_of,
)
from bulonera_sync.errors import ConfigError
from bulonera_sync.throttle import Rate

ROOT = Path(__file__).parents[2]
EVERY_KEY = [(section, key) for section, keys in SECTIONS.items() for key in keys.model_fields]

Load = Callable[..., Settings]
Refuse = Callable[..., str]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load the settings in an empty folder, with `text` as its config.toml, if any."""

    def load_here(text: str | None = None, **environ: str) -> Settings:
        if text is not None:
            (tmp_path / "config.toml").write_text(text, "utf-8")
        return load_settings(environ=environ, cwd=tmp_path)

    return load_here


@pytest.fixture
def refuse(load: Load, tmp_path: Path) -> Refuse:
    """Return what is said about wrong settings; the file is called by its name alone."""

    def message_of(text: str | None = None, **environ: str) -> str:
        with pytest.raises(ConfigError) as refusal:
            load(text, **environ)
        return str(refusal.value).replace(f"{tmp_path}/", "")

    return message_of


# Where the settings come from


def test_without_a_file_and_variables_the_defaults_are_in_force(load: Load) -> None:
    settings = load()

    assert settings.source is None
    assert settings.server == ServerSettings(
        host="127.0.0.1",
        port=8000,
        cors_origins=(),
        max_body_bytes=5_242_880,
        max_connections=4000,
        max_connections_per_address=3000,
        tls_cert=None,
        tls_key=None,
        tls_folder=settings.log.file.parents[1] / "tls",
    )
    assert settings.sync == SyncSettings(
        throttle="50/hour",
        max_sales=200,
        max_items=500,
        number_prefix="VTA",
        timezone="America/Argentina/Buenos_Aires",
        auto_merge=False,
        price_tolerance=None,
    )
    assert settings.retry == RetrySettings(
        enabled=True, first_delay=30, max_delay=3600, max_attempts=12
    )
    assert (settings.log.max_bytes, settings.log.backups) == (5_242_880, 3)
    assert (settings.log.level, settings.log.format) == ("INFO", "text")


def test_the_file_in_the_current_folder_is_read(load: Load, tmp_path: Path) -> None:
    settings = load("[server]\nport = 9000")

    assert settings.server.port == 9000
    assert settings.source == tmp_path / "config.toml"


def test_a_named_file_comes_before_the_variable_and_the_variable_before_the_folder(
    tmp_path: Path,
) -> None:
    for name in ("config", "by_variable", "by_argument"):
        (tmp_path / f"{name}.toml").write_text(f'[server]\nhost = "{name.replace("_", "-")}"')
    environ = {"BULONERA_CONFIG": "by_variable.toml"}

    by_argument = load_settings(Path("by_argument.toml"), environ=environ, cwd=tmp_path)
    by_variable = load_settings(environ=environ, cwd=tmp_path)
    by_folder = load_settings(environ={"BULONERA_CONFIG": ""}, cwd=tmp_path)

    assert by_argument.server.host == "by-argument"
    assert by_variable.server.host == "by-variable"
    assert by_folder.server.host == "config"


def test_a_variable_counts_before_the_file(load: Load) -> None:
    settings = load("[server]\nport = 9000\nhost = 'tienda'", BULONERA_SERVER__PORT="9001")

    assert (settings.server.host, settings.server.port) == ("tienda", 9001)


@pytest.mark.parametrize(("section", "key"), EVERY_KEY)
def test_every_key_has_its_variable(load: Load, section: str, key: str) -> None:
    name = variable_of(section, key)
    defaults = {(s.section, s.key): s.value for s in load().describe()}
    value = defaults[section, key]
    text = json.dumps(value) if isinstance(value, list | bool) else str(value or "")

    again = load(**{name: text})

    said = next(s for s in again.describe() if (s.section, s.key) == (section, key))
    assert (said.value, said.origin) == (value, "environment")


def test_the_processes_own_variables_are_read_when_nothing_else_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BULONERA_SERVER__PORT", "9002")

    assert load_settings().server.port == 9002


def test_settings_made_in_the_program_read_no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BULONERA_SERVER__PORT", "9002")

    settings = Settings(store=StoreSettings(url="sqlite:////tmp/x.db"))

    assert settings.server.port == 8000


@pytest.mark.parametrize(
    "name", ["BULONERA_CONFIG", "BULONERA_LANG", "BULONERA_TEST_POSTGRES", "BULONERA_REQUIRE_PG"]
)
def test_variables_that_are_no_settings_are_let_through(load: Load, name: str) -> None:
    settings = load(**{name: "", "PATH": "/bin", "_BULONERA_SYNC_COMPLETE": "x"})

    assert settings == load()


def test_a_byte_order_mark_does_no_harm(load: Load) -> None:
    settings = load("\ufeff[server]\nport = 9000")

    assert settings.server.port == 9000


# Paths


def test_relative_paths_are_taken_from_the_folder_of_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "tienda"
    folder.mkdir()
    (folder / "own.toml").write_text(
        "[server]\ntls_cert = 'tls/cert.pem'\ntls_key = '/etc/key.pem'\n"
        "[store]\nurl = 'sqlite:///data/sales.db'\n[log]\nfile = 'sync.log'\n"
    )

    settings = load_settings(Path("tienda/own.toml"), environ={}, cwd=tmp_path)

    assert settings.server.tls_cert == folder / "tls/cert.pem"
    assert settings.server.tls_key == Path("/etc/key.pem")
    assert settings.store.sqlite_path == folder / "data/sales.db"
    assert settings.store.url == f"sqlite:///{folder}/data/sales.db"
    assert settings.log.file == folder / "sync.log"


def test_without_a_file_relative_paths_are_taken_from_the_current_folder(
    load: Load, tmp_path: Path
) -> None:
    settings = load(BULONERA_LOG__FILE="x.log")

    assert settings.store.sqlite_path == tmp_path / "bulonera-sync.db"
    assert settings.log.file == tmp_path / "x.log"


def test_an_absolute_database_stays_where_it_is(load: Load) -> None:
    settings = load('[store]\nurl = "sqlite:////var/lib/sales.db"')

    assert settings.store.url == "sqlite:////var/lib/sales.db"
    assert settings.store.sqlite_path == Path("/var/lib/sales.db")


# Values


@pytest.mark.parametrize(
    ("throttle", "rate"),
    [
        ("50/hour", Rate(limit=50, period_seconds=3600)),
        ("1/second", Rate(limit=1, period_seconds=1)),
        ("600/Minute", Rate(limit=600, period_seconds=60)),
        ("7/day", Rate(limit=7, period_seconds=86_400)),
        ("off", None),
    ],
)
def test_a_throttle_is_read_as_a_rate(throttle: str, rate: Rate | None) -> None:
    assert SyncSettings(throttle=throttle).rate == rate


def test_the_time_zone_is_ready_for_use() -> None:
    assert SyncSettings(timezone="America/Montevideo").zone.key == "America/Montevideo"


@pytest.mark.parametrize("url", ["postgres://ana:x@db:5433/sales", "postgresql:///sales?host=/run"])
def test_a_postgres_store_has_no_file(url: str) -> None:
    store = StoreSettings(url=url)

    assert store.sqlite_path is None
    assert store.url == url.replace("postgres://", "postgresql://")


@pytest.mark.parametrize(
    ("text", "tolerance"),
    [("20", Decimal(20)), ("12.5", Decimal("12.5")), ("0", Decimal(0)), ("'off'", None)],
)
def test_the_price_tolerance_is_an_exact_percentage_or_off(
    load: Load, text: str, tolerance: Decimal | None
) -> None:
    settings = load(f"[sync]\nprice_tolerance = {text}")

    assert settings.sync.price_tolerance == tolerance


@pytest.mark.parametrize(
    "text",
    ["https://Caja.example:443, http://[::1]:3000", '["https://caja.example","http://[::1]:3000"]'],
)
def test_a_list_in_a_variable_is_json_or_words_between_commas(load: Load, text: str) -> None:
    settings = load(BULONERA_SERVER__CORS_ORIGINS=text)

    assert settings.server.cors_origins == ("https://caja.example", "http://[::1]:3000")


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        ("HTTPS://Caja.Example", "https://caja.example"),
        ("https://caja.example:443", "https://caja.example"),
        ("http://caja.example:080", "http://caja.example"),
        ("http://caja.example:443", "http://caja.example:443"),
        ("http://192.168.0.20:03000", "http://192.168.0.20:3000"),
        ("http://[FD00:0:0::0001]:3000", "http://[fd00::1]:3000"),
    ],
)
def test_an_origin_is_kept_as_a_browser_sends_it(said: str, sent: str) -> None:
    settings = ServerSettings.model_validate({"cors_origins": [said]})

    assert settings.cors_origins == (sent,)


def test_level_and_format_are_taken_in_any_case() -> None:
    settings = LogSettings.model_validate({"level": "debug", "format": "JSON"})

    assert (settings.level, settings.format) == ("DEBUG", "json")


@pytest.mark.parametrize(
    "host", ["192.168.0.20", "::", "fe80::1", "localhost", "caja-1.tienda.local"]
)
def test_a_host_is_an_address_or_a_name(host: str) -> None:
    assert ServerSettings(host=host).host == host


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("server", "host", ""),
        ("server", "host", "http://127.0.0.1"),
        ("server", "host", "127.0.0.1:8000"),
        ("server", "host", "300.1.1.1"),
        ("server", "port", -1),
        ("server", "port", 65_536),
        ("server", "port", True),
        ("server", "port", "8000x"),
        ("server", "port", 80.5),
        ("server", "cors_origins", ["*"]),
        ("server", "cors_origins", ["https://caja.example/"]),
        ("server", "cors_origins", ["https://caja.example/tienda"]),
        ("server", "cors_origins", ["https://*.example"]),
        ("server", "cors_origins", ["null"]),
        ("server", "cors_origins", ["https://[::g]"]),
        ("server", "cors_origins", ["caja.example"]),
        ("server", "cors_origins", ["https://caja.example:99999"]),
        ("server", "cors_origins", ["https://caja.example:0"]),
        ("server", "cors_origins", ["https://ana@caja.example"]),
        ("server", "cors_origins", [1]),
        ("server", "cors_origins", "[1"),
        ("server", "max_body_bytes", 0),
        ("server", "max_connections", 0),
        ("server", "max_connections_per_address", 0),
        ("server", "tls_cert", "/"),
        ("sync", "throttle", "50"),
        ("sync", "throttle", "0/hour"),
        ("sync", "throttle", "-1/hour"),
        ("sync", "throttle", "50/week"),
        ("sync", "throttle", "\u0665/hour"),
        ("sync", "throttle", 51),
        ("sync", "max_sales", 0),
        ("sync", "max_items", 0),
        ("sync", "number_prefix", ""),
        ("sync", "number_prefix", "V-A"),
        ("sync", "number_prefix", "vta"),
        ("sync", "number_prefix", "VTA\n"),
        ("sync", "number_prefix", "ABCDEFGHIJK"),
        ("sync", "timezone", ""),
        ("sync", "timezone", "Buenos_Aires"),
        ("sync", "timezone", "America"),
        ("sync", "timezone", "../../etc/passwd"),
        ("sync", "auto_merge", "perhaps"),
        ("sync", "price_tolerance", -1),
        ("sync", "price_tolerance", "NaN"),
        ("sync", "price_tolerance", "1e1000000"),
        ("sync", "price_tolerance", False),
        ("retry", "enabled", 2),
        ("retry", "first_delay", 0),
        ("retry", "max_delay", float("inf")),
        ("retry", "max_delay", 99_999_999),
        ("retry", "max_attempts", 0),
        ("log", "file", ""),
        ("log", "file", "a\0b"),
        ("log", "max_bytes", 0),
        ("log", "backups", 0),
        ("log", "level", "LOUD"),
        ("log", "format", "xml"),
    ],
)
def test_a_wrong_value_is_refused(section: str, key: str, value: object) -> None:
    with pytest.raises(ValidationError) as refusal:
        Settings.model_validate({section: {key: value}})

    assert refusal.value.errors()[0]["loc"][:2] == (section, key)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "sales.db",
        "sqlite://sales.db",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///folder/",
        "sqlite:///sales.db?mode=ro",
        "sqlite:///a\nb",
        "mysql://ana:secret@db/sales",
        "postgresql://ana:secret@db",
        "postgresql:sales",
        "postgresql://ana:secret@db:port/sales",
        "postgresql://ana:secret@db:0/sales",
        "postgresql://ana:12/secret@db/sales",
        "postgresql://ana:12#secret@db/sales",
    ],
)
def test_a_wrong_store_is_refused_without_showing_it(refuse: Refuse, url: str) -> None:
    message = refuse(BULONERA_STORE__URL=url)

    assert message == (
        "BULONERA_STORE__URL: [store] url must be sqlite:///FILE (sqlite:////FOLDER/FILE when"
        " absolute) or postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
    )


# What is said about mistakes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[server]\nport = 99999",
            "config.toml: [server] port must be a whole number from 0 to 65535, not 99999",
        ),
        (
            "[server]\ncors_origins = ['https://a', '*']",
            "config.toml: [server] cors_origins must be a list of exact origins such as"
            " \"https://caja.example:8443\", without a path, * or null, not '*'",
        ),
        (
            "[server]\nprot = 1",
            "config.toml: no such setting: [server] prot; did you mean port?",
        ),
        (
            "[server]\n'a\\nb' = 1",
            "config.toml: no such setting: [server] a\\nb; there are cors_origins, host,"
            " max_body_bytes, max_connections, max_connections_per_address, port, tls_cert,"
            " tls_folder, tls_key, tls_page_port",
        ),
        ("[servr]\nport = 1", "config.toml: no such section: [servr]; did you mean server?"),
        (
            "[demo]",
            "config.toml: no such section: [demo]; there are log, retry, server, store, sync",
        ),
        ("port = 1", "config.toml: port stands outside its section; put it under [server]"),
        ("server = 1", "config.toml: server is a section; write [server] and its keys below"),
        ("[[log]]", "config.toml: log is a section; write [log] and its keys below"),
        (
            "[server]\nhost = 0.0.0.0",
            "config.toml: not valid TOML: Expected newline or end of document after a statement"
            ' (at line 2, column 11); a text needs quotes: host = "127.0.0.1"',
        ),
        (
            "[server]\ntls_cert = 'cert.pem'",
            "config.toml: [server] tls_cert and tls_key go together: set both or neither",
        ),
        (
            "[retry]\nmax_delay = 29",
            "config.toml: [retry] first_delay must not be above max_delay",
        ),
    ],
)
def test_a_mistake_in_the_file_is_told_in_one_line(refuse: Refuse, text: str, message: str) -> None:
    assert refuse(text) == message


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "BULONERA_SERVER__PORT",
            "12\n3",
            "BULONERA_SERVER__PORT: [server] port must be a whole number from 0 to 65535,"
            " not '12\\n3'",
        ),
        (
            "BULONERA_SERVR__PORT",
            "1",
            "BULONERA_SERVR__PORT: no such setting; did you mean BULONERA_SERVER__PORT?",
        ),
        (
            "BULONERA_SERVER__PROT",
            "1",
            "BULONERA_SERVER__PROT: no such setting; did you mean BULONERA_SERVER__PORT?",
        ),
        (
            "bulonera_server__port",
            "1",
            "bulonera_server__port: no such setting; did you mean BULONERA_SERVER__PORT?",
        ),
        (
            "BULONERA_PORT",
            "1",
            "BULONERA_PORT: no such setting; did you mean BULONERA_SERVER__PORT?",
        ),
        (
            "BULONERA_SERVER",
            '{"port": 1}',
            "BULONERA_SERVER: no such setting; did you mean BULONERA_SERVER__PORT?",
        ),
    ],
)
def test_a_mistake_in_a_variable_is_told_in_one_line(
    refuse: Refuse, name: str, value: str, message: str
) -> None:
    assert refuse(**{name: value}) == message


def test_a_variable_like_nothing_we_know_is_told_their_form(refuse: Refuse) -> None:
    message = refuse(BULONERA_ZZ="1")

    assert message == "BULONERA_ZZ: no such setting; settings are BULONERA_SECTION__KEY"


def test_a_contradiction_names_both_places(refuse: Refuse) -> None:
    message = refuse("[retry]\nfirst_delay = 50", BULONERA_RETRY__MAX_DELAY="40")

    assert message == (
        "config.toml, BULONERA_RETRY__MAX_DELAY: [retry] first_delay must not be above max_delay"
    )


def test_a_named_file_that_is_missing_is_told(refuse: Refuse, tmp_path: Path) -> None:
    by_variable = refuse(BULONERA_CONFIG="no.toml")
    with pytest.raises(ConfigError) as by_argument:
        load_settings(Path("no.toml"), environ={}, cwd=tmp_path)

    advice = "or make the file with bulonera-sync init"
    assert by_variable == f"no.toml: no such file; correct BULONERA_CONFIG, {advice}"
    assert str(by_argument.value) == f"{tmp_path}/no.toml: no such file; correct --config, {advice}"


def test_a_folder_in_place_of_the_file_is_told(refuse: Refuse, tmp_path: Path) -> None:
    (tmp_path / "config.toml").mkdir()

    assert refuse() == "config.toml: can't be read: Is a directory"


def test_a_link_to_nowhere_is_told(refuse: Refuse, tmp_path: Path) -> None:
    (tmp_path / "config.toml").symlink_to("nowhere")

    assert refuse() == "config.toml: can't be read: No such file or directory"


def test_a_file_that_can_not_be_looked_at_is_told(refuse: Refuse) -> None:
    message = refuse(BULONERA_CONFIG="x" * 400)

    assert message.endswith("…: can't be read: File name too long")


def test_a_file_that_is_not_utf_8_is_told(refuse: Refuse, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes("# Configuración".encode("cp1252"))

    assert refuse() == "config.toml: not UTF-8 at byte 13; save it so"


def test_no_cause_of_the_message_shows_the_password(load: Load) -> None:
    with pytest.raises(ConfigError) as refusal:
        load("[store]\nurl = 'mysql://ana:secret@db/sales'")

    assert "secret" not in f"{refusal.value!r} {refusal.value.__cause__}"


# What is in force


def test_each_value_is_described_with_its_origin(load: Load) -> None:
    settings = load("[server]\nport = 9000\n[sync]\nmax_sales = 5", BULONERA_SYNC__MAX_SALES="6")

    described = {(s.section, s.key): (s.value, s.origin) for s in settings.describe()}

    assert list(described) == EVERY_KEY
    assert described["server", "port"] == (9000, "file")
    assert described["server", "host"] == ("127.0.0.1", "default")
    assert described["sync", "max_sales"] == (6, "environment")
    assert json.dumps([value for value, _ in described.values()])


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ana:s@cret:x@db:5433/sales", "postgresql://ana:***@db:5433/sales"),
        ("postgresql://ana@db/sales", "postgresql://ana@db/sales"),
        (
            "postgresql:///sales?host=/run&password=secret",
            "postgresql:///sales?host=/run&password=***",
        ),
    ],
)
def test_a_password_is_never_shown(load: Load, url: str, shown: str) -> None:
    settings = load(BULONERA_STORE__URL=url)

    assert next(s.value for s in settings.describe() if s.key == "url") == shown
    assert settings.store.url == url
    assert url not in repr(settings)


def test_settings_can_not_be_changed() -> None:
    settings = Settings()

    with pytest.raises(ValidationError):
        settings.server.port = 1  # type: ignore[misc]


# The example


def uncommented(text: str) -> str:
    """Return the example with the keys that have no default put in force."""
    return re.sub(r"^# ([a-z_]+ = )", r"\1", text, flags=re.MULTILINE)


def test_the_example_at_the_top_of_the_repository_is_the_packaged_one() -> None:
    assert (ROOT / "config.example.toml").read_bytes() == EXAMPLE.read_bytes()


def test_the_example_holds_every_key_in_the_order_of_the_settings() -> None:
    document = tomllib.loads(uncommented(read_example()))

    assert [(section, key) for section, keys in document.items() for key in keys] == EVERY_KEY


def test_the_example_says_the_defaults(load: Load) -> None:
    defaults = load()

    example = load(read_example())

    assert dict(example.sections()) == dict(defaults.sections())


def test_the_example_comments_out_only_what_has_no_default(load: Load) -> None:
    stated = tomllib.loads(read_example())
    without = {(section, key) for section, key in EVERY_KEY if key not in stated[section]}

    assert without == {(s.section, s.key) for s in load().describe() if s.value is None}


def test_what_the_example_comments_out_is_right_too(load: Load, tmp_path: Path) -> None:
    settings = load(uncommented(read_example()))

    assert settings.sync.price_tolerance == Decimal(20)
    assert settings.server.tls_cert == tmp_path / "certificate.pem"


def test_each_key_of_the_example_follows_a_comment() -> None:
    paragraphs = read_example().split("\n\n")

    keys = [p for p in paragraphs if re.search(r"^[a-z_]+ = ", p, re.MULTILINE)]

    assert keys
    assert all(p.startswith("# ") for p in keys)


def test_variables_are_named_after_section_and_key() -> None:
    assert "BULONERA_SERVER__CORS_ORIGINS" in VARIABLES
    assert len(VARIABLES) == len(EVERY_KEY)
