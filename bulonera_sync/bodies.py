"""Request bodies: strict JSON in, exact JSON text out. What a body means lives in `uploads`."""

import json
from collections.abc import Mapping

MAX_NESTING = 32


class Number(str):
    """A JSON number as it was written: "5.10" stays "5.10" and 5.0 is not 5."""

    __slots__ = ()


class BadBodyError(ValueError):
    """The body is not strict JSON; the text says why, in the parser's English."""


def parse_body(body: bytes) -> object:
    """Return the body's value with every number kept as a `Number`.

    Of duplicate keys the last counts. Raises `BadBodyError` on invalid UTF-8, a byte order mark,
    NaN and Infinity, nesting beyond 32 and whatever else is not JSON.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadBodyError(f"invalid UTF-8 at byte {error.start}") from error
    try:
        value = json.loads(
            text, parse_int=Number, parse_float=Number, parse_constant=_refuse_constant
        )
    except RecursionError as error:
        raise BadBodyError(f"nesting beyond {MAX_NESTING} levels") from error
    except json.JSONDecodeError as error:
        raise BadBodyError(str(error)) from error
    if _depth_exceeds(value, MAX_NESTING):
        raise BadBodyError(f"nesting beyond {MAX_NESTING} levels")
    return value


def parse_kept(text: str) -> object:
    """Return the value of a text that `dump_exactly` wrote; numbers are `Number`s again."""
    return json.loads(text, parse_int=Number, parse_float=Number)


def _refuse_constant(name: str) -> object:
    raise BadBodyError(f"{name} is not JSON")


def _depth_exceeds(value: object, limit: int) -> bool:
    level: list[object] = [value]
    for _ in range(limit):
        # Most values are leaves: only the containers of one level are walked to the next.
        level = [
            child
            for parent in level
            for child in (parent.values() if type(parent) is dict else _elements(parent))
            if type(child) is dict or type(child) is list
        ]
        if not level:
            return False
    return True


def _elements(value: object) -> list[object]:
    return value if type(value) is list else []


def dump_exactly(value: object) -> str:
    """Return the ASCII JSON text of a parsed value, each number as it was written.

    ASCII, since what a till sent may hold lone surrogates and NULs, which no text column takes.
    """
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, Mapping):
        members = (f"{json.dumps(str(k))}:{dump_exactly(v)}" for k, v in value.items())
        return "{" + ",".join(members) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(dump_exactly, value)) + "]"
    return json.dumps(value)


def shorten(value: object, limit: int = 60) -> str:
    """Return a value as an error message shows it: one line, printable, at most `limit` long."""
    text = value if isinstance(value, str) else dump_exactly(value)
    shown = text if text.isprintable() else _escaped(text[: limit * 2])
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def _escaped(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
