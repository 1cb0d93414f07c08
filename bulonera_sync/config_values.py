"""What is right for a setting's value, type by type. Which settings there are is `config`'s."""

import ipaddress
import json
import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field

DAYS_31 = 31 * 24 * 60 * 60
SQLITE = "sqlite:///"
PERIODS: Mapping[str, int] = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}

_HOST = r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}"
_HOST_NAME = re.compile(rf"(?=.*[A-Za-z]){_HOST}", re.ASCII)
_ORIGIN = re.compile(
    rf"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>{_HOST}|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{{1,5}}))?",
    re.ASCII,
)
_DEFAULT_PORTS = {"http": 80, "https": 443}
_THROTTLE = re.compile(rf"([0-9]{{1,7}})/({'|'.join(PERIODS)})", re.ASCII)


def refuse_boolean(value: object) -> object:
    """Return the value unless it is true or false."""
    # Python takes true for the number 1.
    if isinstance(value, bool):
        raise ValueError("a boolean")
    return value


def read_tolerance(value: object) -> object:
    """Return the percentage; "off" and nothing are None."""
    return None if value in ("off", "") else refuse_boolean(value)


def read_optional(value: object) -> object:
    """Return the value; an empty text is None."""
    return None if value == "" else value


def read_list(value: object) -> object:
    """Return the list a variable's text says: JSON, or words between commas."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        # A JSONDecodeError is a ValueError: a wrong value like any other.
        return json.loads(value)
    return [word.strip() for word in value.split(",") if word.strip()]


def read_upper(value: object) -> object:
    """Return a text in capitals."""
    return value.upper() if isinstance(value, str) else value


def read_lower(value: object) -> object:
    """Return a text in small letters."""
    return value.lower() if isinstance(value, str) else value


def check_path(path: Path | None) -> Path | None:
    """Return a path that can name a file."""
    if path is not None and (not path.name or "\0" in path.name):
        raise ValueError("no file")
    return path


def check_host(host: str) -> str:
    """Return a host name or an IP address."""
    if not _HOST_NAME.fullmatch(host):
        ipaddress.ip_address(host)
    return host


def check_origin(origin: str) -> str:
    """Return the origin as a browser sends it: lower case, without its scheme's own port."""
    match = _ORIGIN.fullmatch(origin.lower())
    if match is None:
        raise ValueError("no origin")
    scheme, host, said_port = match.group("scheme", "host", "port")
    if host.startswith("["):
        host = f"[{ipaddress.IPv6Address(host[1:-1])}]"
    port = None if said_port is None else int(said_port)
    if port is None or port == _DEFAULT_PORTS.get(scheme):
        return f"{scheme}://{host}"
    if port not in range(1, 65_536):
        raise ValueError("no port")
    return f"{scheme}://{host}:{port}"


def check_url(url: str) -> str:
    """Return the url of a store; postgres:// becomes postgresql://."""
    if not url.isprintable():
        raise ValueError("unprintable")
    return _check_sqlite(url) if url.startswith(SQLITE) else _check_postgres(url)


def _check_sqlite(url: str) -> str:
    path = url.removeprefix(SQLITE)
    # A database in memory would be another one for each connection, and gone with the process.
    if not Path(path).name or path.endswith("/") or path == ":memory:" or "?" in path:
        raise ValueError("no file")
    return url


def _check_postgres(url: str) -> str:
    parts = urlsplit(url)
    scheme, _, rest = url.partition("://")
    if scheme not in {"postgresql", "postgres"}:
        raise ValueError("no such store")
    # An "@" further on is a password with an unescaped "/", which would be shown as a path.
    if not parts.path.strip("/") or "@" in parts.path or parts.fragment:
        raise ValueError("no database")
    # Merely reading it refuses a port that is none.
    if parts.port == 0:
        raise ValueError("no port")
    return f"postgresql://{rest}"


def mask(url: str) -> str:
    """Return a Postgres url with *** for its passwords."""
    parts = urlsplit(url)
    account, at, server = parts.netloc.rpartition("@")
    user, colon, _ = account.partition(":")
    netloc = f"{user}:***{at}{server}" if colon else parts.netloc
    words = parse_qsl(parts.query, keep_blank_values=True)
    query = urlencode([(k, "***" if "password" in k.lower() else v) for k, v in words], safe="*/")
    # Not by urlunsplit(), which forgets the // of a url without a host.
    return f"postgresql://{netloc}{parts.path}{'?' if query else ''}{query}"


def check_throttle(throttle: str) -> str:
    """Return "off" or a rate above 0."""
    match = _THROTTLE.fullmatch(throttle)
    if throttle != "off" and (match is None or int(match[1]) == 0):
        raise ValueError("no rate")
    return throttle


def check_timezone(name: str) -> str:
    """Return the name of a time zone this machine knows."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError) as error:
        raise ValueError("no time zone") from error
    return name


# A field's description completes "must be ...": one sentence serves every wrong value.
def described(text: str) -> Any:
    """Return what makes `text` a field's description."""
    return Field(description=text)


def between(least: int, most: int, of: str = "") -> Any:
    """Return the bounds of a whole number, both allowed."""
    return Field(ge=least, le=most, description=f"a whole number{of} from {least} to {most}")


Whole = Annotated[int, BeforeValidator(refuse_boolean)]
Flag = Annotated[bool, described("true or false")]
Seconds = Annotated[
    float,
    BeforeValidator(refuse_boolean),
    Field(gt=0, le=DAYS_31, description="a number of seconds above 0, 31 days at most"),
]
# In percent; None is off.
Tolerance = Annotated[
    Annotated[Decimal, Field(ge=0, le=10_000)] | None,
    BeforeValidator(read_tolerance),
    described('a percentage from 0 to 10000, or "off"'),
]
File = Annotated[Path, AfterValidator(check_path), described("the path of a file")]
OptionalFile = Annotated[
    Path | None,
    BeforeValidator(read_optional),
    AfterValidator(check_path),
    described("the path of a PEM file"),
]
Host = Annotated[
    str, AfterValidator(check_host), described("an address or a host name, nothing else")
]
CorsOrigins = Annotated[
    tuple[Annotated[str, AfterValidator(check_origin)], ...],
    BeforeValidator(read_list),
    described(
        'a list of exact origins such as "https://caja.example:8443", without a path, * or null'
    ),
]
# It may hold a password: kept out of reprs, and so out of error messages.
StoreUrl = Annotated[
    str,
    AfterValidator(check_url),
    Field(
        repr=False,
        description="sqlite:///FILE (sqlite:////FOLDER/FILE when absolute)"
        " or postgresql://USER:PASSWORD@HOST:PORT/DATABASE",
    ),
]
Throttle = Annotated[
    str,
    BeforeValidator(read_lower),
    AfterValidator(check_throttle),
    described('"off" or N/second, N/minute, N/hour, N/day such as "50/hour"'),
]
NumberPrefix = Annotated[
    str, Field(pattern=r"^[A-Z0-9]{1,10}$", description="1 to 10 of the characters A-Z and 0-9")
]
TimeZone = Annotated[
    str,
    AfterValidator(check_timezone),
    described('a time zone such as "America/Argentina/Buenos_Aires"'),
]
Level = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"],
    BeforeValidator(read_upper),
    described("DEBUG, INFO, WARNING, ERROR or CRITICAL"),
]
Format = Annotated[
    Literal["text", "json"], BeforeValidator(read_lower), described('"text" or "json"')
]
