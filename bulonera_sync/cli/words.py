"""What a person reads and says: phrases, plurals, amounts, times, ages. Pure: `now` comes in.

Every text of a command is a literal given to `phrase` or `plural`, or stands in a tuple PHRASES
where its kind comes from data: the catalogue has them all, and a test sees to it. Amounts are
Argentina's in every language; times and ages are the language's.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal

from bulonera_sync.cli.languages import translated, translated_plural

CURRENCY = "$"
# Decimal comma, thousands point: as a shop in Argentina writes them.
_SEPARATORS = str.maketrans(",.", ".,")

MINUTE, HOUR, DAY = 60, 3_600, 86_400

_UNITS: Mapping[str, str] = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_AGO = re.compile(r"(\d{1,9}) ?([smhd])", re.ASCII)


def phrase(text: str, /, **facts: object) -> str:
    """Return the text in the chosen language with its {names} filled in.

    Braces in a fact stay what they are.
    """
    return translated(text).format(**facts)


def plural(count: int, one: str, many: str, /, **facts: object) -> str:
    """Return the form for this count, {count} filled in with the rest."""
    return translated_plural(one, many, count).format(count=whole(count), **facts)


def joined(words: Sequence[str], *, most: int = 3) -> str:
    """Return "a, b and c"; of more than `most` the first ones, and how many more there are."""
    shown = list(words[:most])
    if len(words) > most:
        shown.append(phrase("{count} more", count=whole(len(words) - most)))
    if len(shown) < 2:
        return "".join(shown)
    return phrase("{some} and {last}", some=", ".join(shown[:-1]), last=shown[-1])


def whole(number: int) -> str:
    return f"{number:,}".translate(_SEPARATORS)


def amount(value: Decimal | str) -> str:
    """Return money with the decimals it has: "$ 1.234,56"."""
    number = Decimal(value)
    sign = "-" if number < 0 else ""
    return f"{sign}{CURRENCY} " + f"{abs(number):,f}".translate(_SEPARATORS)


def quantity(value: Decimal | str) -> str:
    """Return a number without idle zeros: "5", "2,5"."""
    text = f"{Decimal(value):,f}"
    plain = text.rstrip("0").rstrip(".") if "." in text else text
    return plain.translate(_SEPARATORS)


def size(count: int) -> str:
    """Return how many bytes in a unit that fits: "340 bytes", "5,2 MiB"."""
    if count < 1024:
        return plural(count, "{count} byte", "{count} bytes")
    value = float(count)
    for unit in ("KiB", "MiB", "GiB"):
        value /= 1024
        if value < 1024 or unit == "GiB":
            break
    return f"{value:,.1f} {unit}".translate(_SEPARATORS)


def moment(time: datetime, zone: tzinfo) -> str:
    """Return a time to the minute by the shop's clock."""
    return phrase("{time:%Y-%m-%d %H:%M}", time=time.astimezone(zone))


def instant(time: datetime, zone: tzinfo) -> str:
    """Return a time to the second by the shop's clock."""
    return phrase("{time:%Y-%m-%d %H:%M:%S}", time=time.astimezone(zone))


def ago(time: datetime, now: datetime) -> str:
    """Return an age in its largest whole unit: "2 h ago"; a time to come is now."""
    seconds = int((now - time).total_seconds())
    if seconds < MINUTE:
        return phrase("just now")
    if seconds < HOUR:
        return phrase("{count} min ago", count=seconds // MINUTE)
    if seconds < DAY:
        return phrase("{count} h ago", count=seconds // HOUR)
    return phrase("{count} d ago", count=whole(seconds // DAY))


def until(time: datetime, now: datetime) -> str:
    """Return how long it is to a time, rounded up: "in 12 min"; one that is past is now."""
    seconds = -int((now - time) // timedelta(seconds=1))
    if seconds <= 0:
        return phrase("now")
    if seconds < MINUTE:
        return phrase("in {count} s", count=seconds)
    if seconds <= HOUR - MINUTE:
        return phrase("in {count} min", count=-(-seconds // MINUTE))
    if seconds <= DAY - HOUR:
        return phrase("in {count} h", count=-(-seconds // HOUR))
    return phrase("in {count} d", count=whole(-(-seconds // DAY)))


def time_said(said: str, now: datetime, zone: tzinfo) -> datetime:
    """Return the time of "2d", "12h" or an ISO 8601 one, by the shop's clock unless it has a zone.

    Raises `ValueError` whose text says what would be right.
    """
    word = said.strip()
    found = _AGO.fullmatch(word)
    try:
        if found:
            return now - timedelta(**{_UNITS[found[2]]: int(found[1])})
        time = datetime.fromisoformat(word)
        return time.replace(tzinfo=time.tzinfo or zone).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        text = phrase("is no time; say 30m, 12h or 2d (ago), or 2026-02-16T12:00 (the shop's time)")
        raise ValueError(text) from error
