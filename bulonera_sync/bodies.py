"""Request bodies: strict JSON in, exact JSON text out. What a body means lives in `uploads`."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MAX_NESTING = 32
# Piece by piece costs more than in one go; nobody sends so many elements in earnest.
MAX_TEXTS = 1_000


class Number(str):
    """A JSON number as it was written: "5.10" stays "5.10" and 5.0 is not 5."""

    __slots__ = ()


class BadBodyError(ValueError):
    """The body is not strict JSON; the text says why, in the parser's English."""


@dataclass(frozen=True, slots=True)
class ParsedBody:
    """A body's value, and its list's elements word for word as they were sent."""

    value: object
    texts: tuple[str, ...] | None = None


def parse_body(body: bytes) -> object:
    """Return the body's value with every number kept as a `Number`.

    Of duplicate keys the last counts. Raises `BadBodyError` on invalid UTF-8, a byte order mark,
    NaN and Infinity, nesting beyond 32 and whatever else is not JSON.
    """
    return _parse_whole(_text_of(body))


def parse_list_body(body: bytes, key: str) -> ParsedBody:
    """Parse as `parse_body`, and keep the words of each element of the list under `key`.

    `texts` is None where there is no such list, or one of more than 1,000 elements.
    """
    text = _text_of(body)
    try:
        found = _parse_members(text, key)
    except (json.JSONDecodeError, RecursionError, StopIteration, IndexError):
        # The plain parser says what is wrong better than a piecewise one.
        return ParsedBody(_parse_whole(text))
    if _most_nested(text, found.texts or ()) > MAX_NESTING:
        _refuse_deep(text)
    return found


def _text_of(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadBodyError(f"invalid UTF-8 at byte {error.start}") from error


def _parse_whole(text: str) -> object:
    try:
        value = _DECODER.decode(text)
    except RecursionError as error:
        raise BadBodyError(f"nesting beyond {MAX_NESTING} levels") from error
    except json.JSONDecodeError as error:
        raise BadBodyError(str(error)) from error
    _refuse_deep(text)
    return value


def _parse_members(text: str, key: str) -> ParsedBody:
    """Parse an object member by member, so that where each element stands is known."""
    members: dict[str, object] = {}
    texts: tuple[str, ...] | None = None
    place = _expect(text, 0, "{")
    while True:
        name, place = _DECODER.raw_decode(text, _expect(text, place, '"') - 1)
        place = _skip(text, _expect(text, place, ":"))
        if name == key and text[place] == "[":
            members[name], texts, place = _parse_elements(text, place)
        else:
            members[name], place = _DECODER.raw_decode(text, place)
            texts = None if name == key else texts
        place = _skip(text, place)
        if text[place] == "}":
            break
        place = _expect(text, place, ",")
    if _skip(text, place + 1) != len(text):
        raise json.JSONDecodeError("Extra data", text, place + 1)
    return ParsedBody(members, texts)


def _parse_elements(text: str, place: int) -> tuple[list[object], tuple[str, ...], int]:
    values: list[object] = []
    texts: list[str] = []
    place = _skip(text, place + 1)
    while text[place] != "]":
        value, end = _DECODER.raw_decode(text, place)
        values.append(value)
        texts.append(text[place:end])
        if len(texts) > MAX_TEXTS:
            raise StopIteration
        place = _skip(text, end)
        if text[place] == ",":
            place = _skip(text, place + 1)
            if text[place] == "]":
                raise json.JSONDecodeError("Expecting value", text, place)
        elif text[place] != "]":
            raise json.JSONDecodeError("Expecting ',' delimiter", text, place)
    return values, tuple(texts), place + 1


def _expect(text: str, place: int, character: str) -> int:
    """Return the place behind the character, which must come next."""
    place = _skip(text, place)
    if text[place] != character:
        raise json.JSONDecodeError(f"Expecting {character!r}", text, place)
    return place + 1


def _skip(text: str, place: int) -> int:
    # A browser sends no spaces at all.
    if text[place : place + 1] not in _SPACES:
        return place
    return _WHITESPACE.match(text, place).end()  # type: ignore[union-attr]


def _refuse_constant(name: str) -> object:
    raise BadBodyError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=_refuse_constant)
_WHITESPACE = re.compile(r"[ \t\n\r]*")
_SPACES = " \t\n\r"
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_NO_BRACKETS = re.compile(r"[^\[\]{}]+")


def _refuse_deep(text: str) -> None:
    """Raise `BadBodyError` for JSON nested too deep; each turn takes its innermost level away.

    On the text, since walking a million parsed values in Python takes a second.
    """
    if _brackets_in(text) <= MAX_NESTING:
        return
    # One kind of bracket, so that a turn takes one level and not two.
    brackets = _NO_BRACKETS.sub("", _STRING.sub("", text)).replace("{", "[").replace("}", "]")
    for _ in range(MAX_NESTING):
        brackets = brackets.replace("[]", "")
        if not brackets:
            return
    raise BadBodyError(f"nesting beyond {MAX_NESTING} levels")


def _most_nested(text: str, elements: Sequence[str]) -> int:
    """Return a bound of the nesting: all brackets, but of the elements' those of the fullest."""
    within = [_brackets_in(each) for each in elements]
    return _brackets_in(text) - sum(within) + max(within, default=0)


def _brackets_in(text: str) -> int:
    return text.count("[") + text.count("{")


def parse_kept(text: str) -> object:
    """Return the value of a text that `dump_exactly` wrote; numbers are `Number`s again."""
    return json.loads(text, parse_int=Number, parse_float=Number)


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
