"""The settings: their defaults, what is right for each, and where each value came from.

`Settings(...)` is what its arguments say and reads nothing; `load_settings` alone looks at a file
and at the environment.
"""

import difflib
import json
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, PrivateAttr, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from bulonera_sync.bodies import shorten
from bulonera_sync.config_values import (
    PERIODS,
    SQLITE,
    CorsOrigins,
    File,
    Flag,
    Format,
    Host,
    Level,
    NumberPrefix,
    OptionalFile,
    Seconds,
    StoreUrl,
    Throttle,
    TimeZone,
    Tolerance,
    Whole,
    between,
    mask,
)
from bulonera_sync.errors import ConfigError
from bulonera_sync.throttle import Rate

MIB = 1024 * 1024

PREFIX = "BULONERA_"
FILE_VARIABLE = "BULONERA_CONFIG"
# Variables of ours that are no settings: the file to read, the language, what the tests need.
OTHER_VARIABLES = re.compile(r"BULONERA_(?:CONFIG|LANG|TEST_.*|REQUIRE_.*)", re.DOTALL)
DEFAULT_FILE = "config.toml"
# The same text stands at the top of the repository, for whoever browses it.
EXAMPLE = Path(__file__).with_name("config.example.toml")

Origin = Literal["default", "file", "environment"]
Values = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Setting:
    """One key as it is in force: `value` is fit for JSON and shows no password."""

    section: str
    key: str
    value: object
    origin: Origin


class Section(BaseModel):
    """What one `[section]` of the file holds."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True
    )

    def anchored(self, folder: Path) -> Self:
        """Return the section with its relative paths taken from `folder`, an absolute one."""
        paths = {key: folder / value for key, value in self if isinstance(value, Path)}
        return self.model_copy(update=paths)

    def shown(self) -> Mapping[str, object]:
        """Return key -> value, fit for JSON and for a screen."""
        return self.model_dump(mode="json")


class ServerSettings(Section):
    """Where the daemon listens, and to whom."""

    host: Host = "127.0.0.1"
    # 0 is any free port.
    port: Annotated[Whole, between(0, 65_535)] = 8000
    cors_origins: CorsOrigins = ()
    max_body_bytes: Annotated[Whole, between(1, 1024 * MIB, of=" of bytes")] = 5 * MIB
    max_connections: Annotated[Whole, between(1, 100_000)] = 4000
    max_connections_per_address: Annotated[Whole, between(1, 100_000)] = 3000
    tls_cert: OptionalFile = None
    tls_key: OptionalFile = None
    tls_folder: File = Path("tls")
    tls_page_port: Annotated[Whole, between(0, 65_535)] = 8001

    @model_validator(mode="after")
    def _has_both_tls_files(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise PydanticCustomError(
                "tls_files",
                "tls_cert and tls_key go together: set both or neither",
                {"keys": ("tls_cert", "tls_key")},
            )
        return self


class StoreSettings(Section):
    """Which database keeps the sales."""

    url: StoreUrl = "sqlite:///bulonera-sync.db"

    @property
    def sqlite_path(self) -> Path | None:
        """The database's file; None when the store is a Postgres."""
        if not self.url.startswith(SQLITE):
            return None
        return Path(self.url.removeprefix(SQLITE))

    @property
    def shown_url(self) -> str:
        """The url with *** for its passwords."""
        return self.url if self.sqlite_path else mask(self.url)

    def anchored(self, folder: Path) -> Self:
        """Return the section with a relative SQLite file taken from `folder`, an absolute one."""
        if self.sqlite_path is None:
            return self
        return self.model_copy(update={"url": f"{SQLITE}{folder / self.sqlite_path}"})

    def shown(self) -> Mapping[str, object]:
        """Return key -> value, fit for JSON and for a screen."""
        return {"url": self.shown_url}


class SyncSettings(Section):
    """How uploads are taken."""

    throttle: Throttle = "50/hour"
    max_sales: Annotated[Whole, between(1, 10_000)] = 200
    max_items: Annotated[Whole, between(1, 100_000)] = 500
    number_prefix: NumberPrefix = "VTA"
    timezone: TimeZone = "America/Argentina/Buenos_Aires"
    auto_merge: Flag = False
    price_tolerance: Tolerance = None

    @property
    def rate(self) -> Rate | None:
        """The throttle as numbers; None when it is off."""
        if self.throttle == "off":
            return None
        limit, period = self.throttle.split("/")
        return Rate(int(limit), PERIODS[period])

    @property
    def zone(self) -> ZoneInfo:
        """The store's time zone."""
        return ZoneInfo(self.timezone)


class RetrySettings(Section):
    """When a held sale is tried again by itself."""

    enabled: Flag = True
    first_delay: Seconds = 30
    max_delay: Seconds = 3600
    max_attempts: Annotated[Whole, between(1, 1000)] = 12

    @model_validator(mode="after")
    def _has_delays_in_order(self) -> Self:
        if self.first_delay > self.max_delay:
            raise PydanticCustomError(
                "delays",
                "first_delay must not be above max_delay",
                {"keys": ("first_delay", "max_delay")},
            )
        return self


class LogSettings(Section):
    """The log file: where, how large, how much of it and in which layout."""

    file: File = Path("logs/sync.log")
    max_bytes: Annotated[Whole, between(1024, 1024 * MIB, of=" of bytes")] = 5 * MIB
    backups: Annotated[Whole, between(1, 1000)] = 3
    level: Level = "INFO"
    format: Format = "text"


SECTIONS: Mapping[str, type[Section]] = {
    "server": ServerSettings,
    "store": StoreSettings,
    "sync": SyncSettings,
    "retry": RetrySettings,
    "log": LogSettings,
}


def variable_of(section: str, key: str) -> str:
    """Return the environment variable that sets this key."""
    return f"{PREFIX}{section}__{key}".upper()


VARIABLES: Mapping[str, tuple[str, str]] = {
    variable_of(section, key): (section, key)
    for section, keys in SECTIONS.items()
    for key in keys.model_fields
}


@dataclass(frozen=True, slots=True)
class Said:
    """What a file and the environment said, unchecked; the environment's word counts."""

    file: Path | None = None
    in_file: Values = field(default_factory=dict)
    in_environment: Values = field(default_factory=dict)

    def merged(self) -> dict[str, Any]:
        """Return section -> key -> value as it counts."""
        return {
            section: {**self.in_file.get(section, {}), **self.in_environment.get(section, {})}
            for section in SECTIONS
        }

    def origin(self, section: str, key: str) -> Origin:
        """Return whose word counts for this key."""
        if key in self.in_environment.get(section, ()):
            return "environment"
        return "file" if key in self.in_file.get(section, ()) else "default"

    def place(self, section: str, key: str) -> str | None:
        """Return where a person corrects this key, or None while it has its default."""
        match self.origin(section, key):
            case "environment":
                return variable_of(section, key)
            case "file":
                return _name(self.file)
            case "default":
                return None


class Settings(BaseModel):
    """All settings, frozen. Relative paths stay so unless `load_settings` made it."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    server: ServerSettings = ServerSettings()
    store: StoreSettings = StoreSettings()
    sync: SyncSettings = SyncSettings()
    retry: RetrySettings = RetrySettings()
    log: LogSettings = LogSettings()

    _said: Said = PrivateAttr(default_factory=Said)

    @classmethod
    def of(cls, said: Said, folder: Path) -> Self:
        """Return the settings that were said, paths taken from `folder`.

        Raises pydantic's ValidationError.
        """
        settings = cls.model_validate(said.merged())
        sections = {name: section.anchored(folder) for name, section in settings.sections()}
        settings = settings.model_copy(update=sections)
        settings._said = said
        return settings

    @property
    def source(self) -> Path | None:
        """The file that was read, or None."""
        return self._said.file

    def sections(self) -> Iterator[tuple[str, Section]]:
        """Yield each section with its name, in the file's order."""
        for name in SECTIONS:
            yield name, getattr(self, name)

    def describe(self) -> list[Setting]:
        """Return every key as it is in force and whose word it is; passwords are masked."""
        return [
            Setting(name, key, value, self._said.origin(name, key))
            for name, section in self.sections()
            for key, value in section.shown().items()
        ]


def load_settings(
    config: Path | None = None,
    *,
    environ: Mapping[str, str] = os.environ,
    cwd: Path | None = None,
) -> Settings:
    """Return the settings of `config`, else $BULONERA_CONFIG, else ./config.toml, else defaults.

    Variables BULONERA_<SECTION>__<KEY> count before the file. Relative paths are taken from the
    file's folder; without a file, from `cwd`. Raises `ConfigError` on anything unknown or wrong.
    """
    here = Path.cwd() if cwd is None else cwd.absolute()
    file = _find_file(config, environ, here)
    said = Said(file, _read_file(file) if file else {}, _read_environment(environ))
    try:
        return Settings.of(said, file.parent if file else here)
    except ValidationError as error:
        raise ConfigError(_explain(error.errors()[0], said)) from error


def read_example() -> str:
    """Return the text of a config.toml that has every key at its default, with comments."""
    return EXAMPLE.read_text("utf-8")


def _find_file(config: Path | None, environ: Mapping[str, str], here: Path) -> Path | None:
    named, by = config, "--config"
    if named is None and environ.get(FILE_VARIABLE):
        named, by = Path(environ[FILE_VARIABLE]), FILE_VARIABLE
    if named is None:
        file = here / DEFAULT_FILE
        return file if _is_there(file) else None
    file = here / named
    if not _is_there(file):
        raise ConfigError(
            f"{_name(file)}: no such file; correct {by}, or make the file with bulonera-sync init"
        )
    return file


def _is_there(file: Path) -> bool:
    """Say whether the name is taken; why it can't be read, if so, is told by reading it."""
    try:
        file.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _read_file(file: Path) -> Values:
    try:
        # Some editors put a byte order mark first.
        document = tomllib.loads(file.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{_name(file)}: can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{_name(file)}: not UTF-8 at byte {error.start}; save it so") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{_name(file)}: not valid TOML: {shorten(str(error), 200)};"
            ' a text needs quotes: host = "127.0.0.1"'
        ) from error
    for name, keys in document.items():
        _check_section(name, keys, _name(file))
    return document


def _check_section(name: str, keys: object, place: str) -> None:
    home = next((s for s, known in SECTIONS.items() if name in known.model_fields), None)
    if home and not isinstance(keys, dict):
        raise ConfigError(f"{place}: {name} stands outside its section; put it under [{home}]")
    if name not in SECTIONS:
        raise ConfigError(
            f"{place}: no such section: [{shorten(name)}]; {_suggest(name, SECTIONS)}"
        )
    if not isinstance(keys, dict):
        raise ConfigError(f"{place}: {name} is a section; write [{name}] and its keys below")
    known = SECTIONS[name].model_fields
    for key in keys:
        if key not in known:
            raise ConfigError(
                f"{place}: no such setting: [{name}] {shorten(key)}; {_suggest(key, known)}"
            )


def _read_environment(environ: Mapping[str, str]) -> Values:
    for name in sorted(environ):
        # A name in small letters was meant for us too.
        if name.upper().startswith(PREFIX) and name not in VARIABLES:
            _check_variable(name)
    said: dict[str, dict[str, object]] = {}
    for name, (section, key) in VARIABLES.items():
        if name in environ:
            said.setdefault(section, {})[key] = environ[name]
    return said


def _check_variable(name: str) -> None:
    if OTHER_VARIABLES.fullmatch(name):
        return
    # Without the prefix, in which all are alike.
    word = name.upper().removeprefix(PREFIX)
    near = difflib.get_close_matches(
        word, (v.removeprefix(PREFIX) for v in sorted(VARIABLES)), 1, 0.5
    )
    hint = f"did you mean {PREFIX}{near[0]}?" if near else "settings are BULONERA_SECTION__KEY"
    raise ConfigError(f"{shorten(name)}: no such setting; {hint}")


def _suggest(name: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: what may have been meant."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}"


def _explain(problem: ErrorDetails, said: Said) -> str:
    """Return one line on one of pydantic's findings: where, which key, what would be right."""
    section, *path = map(str, problem["loc"])
    keys = path[:1] or problem["ctx"]["keys"]
    places = {place: None for key in keys if (place := said.place(section, key))}
    if not path:
        return f"{', '.join(places)}: [{section}] {problem['msg']}"
    known = SECTIONS[section].model_fields[path[0]]
    given = f", not {_show(problem['input'])}" if known.repr else ""
    return f"{', '.join(places)}: [{section}] {path[0]} must be {known.description}{given}"


def _show(value: object) -> str:
    return shorten(repr(value) if isinstance(value, str) else json.dumps(value, default=str))


def _name(file: Path | None) -> str:
    return shorten(str(file), 300)
