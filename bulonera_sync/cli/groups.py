"""Unsynced sales by what is wrong with them, and what cures each group. Rules only: no screen."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from bulonera_sync.checks import is_curable
from bulonera_sync.cli.words import joined, phrase, plural
from bulonera_sync.money import ZERO
from bulonera_sync.sales import Problem

if TYPE_CHECKING:
    from bulonera_sync.gateway import PendingSale

# In the order of who is wanted: a person to correct, an import, a decision, nobody.
Kind = Literal["refused", "waiting", "conflict", "queued"]
KINDS: tuple[Kind, ...] = ("refused", "waiting", "conflict", "queued")

_ID = re.compile(r"id=(\d+)", re.ASCII)
_MISSING = ("customer_not_found", "product_not_found")

# The codes as words: they are stable, and a sale's own message stands with it.
PHRASES = (
    "created at invalid",
    "customer invalid",
    "customer required",
    "discount type invalid",
    "discount type required",
    "discount value invalid",
    "discount value out of range",
    "discount value required",
    "items required",
    "local id in use",
    "local id invalid",
    "local id required",
    "notes invalid",
    "notes too long",
    "product invalid",
    "product required",
    "quantity invalid",
    "quantity not positive",
    "quantity required",
    "status invalid",
    "tax percentage invalid",
    "tax percentage out of range",
    "too many items",
    "unit price invalid",
    "unit price negative",
    "unit price required",
    "unknown field",
    "unknown item field",
    "version invalid",
)


@dataclass(frozen=True, slots=True)
class Cause:
    """Why sales are not in: `about` is what they wait for, or the code of what is wrong."""

    kind: Kind
    about: tuple[str, ...] = ()


@dataclass(slots=True)
class Group:
    """The sales with one cause; `rows` are those to show, oldest first."""

    cause: Cause
    count: int = 0
    dead: int = 0
    rows: "list[PendingSale]" = field(default_factory=list)


def cause_of(row: "PendingSale") -> Cause:
    """Return why a sale is not in."""
    if row.sync_status == "conflict":
        return Cause("conflict")
    if row.sync_status == "pending":
        return Cause("queued")
    if is_curable(row.problems):
        return Cause("waiting", missing_of(row.problems))
    return Cause("refused", _wrong(row.problems)[:1])


def missing_of(problems: Iterable[Problem]) -> tuple[str, ...]:
    """Return what the catalogue lacks, in words, each once."""
    return tuple(dict.fromkeys(_missing(problems)))


def _missing(problems: Iterable[Problem]) -> Iterator[str]:
    for problem in problems:
        found = _ID.search(problem.message)
        if problem.code == "customer_not_found" and found:
            yield phrase("customer {id}", id=found[1])
        if problem.code == "product_not_found" and found:
            yield phrase("product {id}", id=found[1])


def _wrong(problems: Iterable[Problem]) -> tuple[str, ...]:
    # An import cures the others; this one is what a person must look at.
    return tuple(problem.code for problem in problems if problem.code not in _MISSING)


def reason_of(row: "PendingSale") -> str:
    """Return what to tell of a sale that a person must correct; "" where nothing is wrong."""
    messages = [each.message for each in row.problems if each.code not in _MISSING]
    if len(messages) > 1:
        return phrase("{first} (and {count} more)", first=messages[0], count=len(messages) - 1)
    return "".join(messages)


class Groups:
    """The groups of rows that come one by one, oldest first; the first `limit` are kept to show."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._groups: dict[Cause, Group] = {}
        self.count = 0
        self.total = ZERO
        self.oldest: PendingSale | None = None

    def add(self, row: "PendingSale") -> None:
        cause = cause_of(row)
        group = self._groups.setdefault(cause, Group(cause))
        group.count += 1
        group.dead += row.is_dead
        if self.count < self._limit:
            group.rows.append(row)
        self.count += 1
        self.total += row.total
        self.oldest = self.oldest or row

    @property
    def rows(self) -> "list[PendingSale]":
        return [row for group in self._groups.values() for row in group.rows]

    def in_order(self) -> list[Group]:
        """Return them: who needs a person first, then the larger ones."""
        return sorted(
            self._groups.values(), key=lambda each: (KINDS.index(each.cause.kind), -each.count)
        )


def heading_of(group: Group) -> str:
    """Return what is wrong with a group and what cures it."""
    count, about = group.count, group.cause.about
    match group.cause.kind:
        case "refused":
            return plural(
                count,
                "{count} sale must be corrected: {code}",
                "{count} sales must be corrected: {code}",
                code=code_words(about),
            )
        case "waiting" if len(about) == 1:
            return plural(
                count,
                "{count} sale waits for {missing} (import it and it heals)",
                "{count} sales wait for {missing} (import it and they heal)",
                missing=joined(about),
            )
        case "waiting":
            return plural(
                count,
                "{count} sale waits for {missing} (import them and it heals)",
                "{count} sales wait for {missing} (import them and they heal)",
                missing=joined(about),
            )
        case "conflict":
            return plural(
                count,
                "{count} sale is in conflict (bulonera-sync conflicts shows it)",
                "{count} sales are in conflict (bulonera-sync conflicts shows them)",
            )
        case "queued":
            return plural(
                count,
                "{count} sale is queued (the daemon judges it within seconds)",
                "{count} sales are queued (the daemon judges them within seconds)",
            )


def code_words(codes: Sequence[str]) -> str:
    return ", ".join(phrase(code.replace("_", " ")) for code in codes)


def advice_of(group: Group) -> str | None:
    """Return what else there is to know of a group."""
    if group.cause.kind == "refused":
        return phrase("Send it corrected from the till, or bulonera-sync edit SALE.")
    if group.dead:
        return plural(
            group.dead,
            "{count} of them is no longer tried by itself; an import or bulonera-sync retry "
            "revives it.",
            "{count} of them are no longer tried by themselves; an import or bulonera-sync retry "
            "revives them.",
        )
    return None
