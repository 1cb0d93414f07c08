"""Changing a sale field by field, as a manager's PATCH or a resolution's `client_data` does. Pure.

What is said is checked like an upload; what is not said stays as it was accepted.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from bulonera_sync.bodies import dump_exactly, parse_kept, shorten
from bulonera_sync.changes import Change, Circumstances, event_of, former_content, with_content
from bulonera_sync.checks import Known, price_warnings, problems_of, tax_defaults
from bulonera_sync.codes import ProblemCode
from bulonera_sync.decisions import Policy
from bulonera_sync.sales import (
    CONTENT_FIELDS,
    Content,
    Fingerprints,
    Problem,
    Sale,
    differing_fields,
)
from bulonera_sync.uploads import SaleUpload, read_sale

PAYMENT_STATUSES: tuple[str, ...] = ("unpaid", "partially_paid", "paid", "overpaid")
FISCAL_STATUSES: tuple[str, ...] = (
    "pending",
    "not_required",
    "authorized",
    "rejected",
    "cancelled",
)
EDITABLE_FIELDS: tuple[str, ...] = (*CONTENT_FIELDS, "payment_status", "fiscal_status")

_INVALID: Mapping[str, ProblemCode] = {
    "customer_id": "customer_id_invalid",
    "status": "status_invalid",
    "items": "items_invalid",
    "payment_status": "payment_status_invalid",
    "fiscal_status": "fiscal_status_invalid",
}
_WORDS = {"payment_status": PAYMENT_STATUSES, "fiscal_status": FISCAL_STATUSES}


@dataclass(frozen=True, slots=True)
class Edited:
    """A content as it would be with what was said, or the problems with it."""

    content: Content | None
    problems: tuple[Problem, ...]


def unknown_fields(said: Mapping[str, object], allowed: Collection[str]) -> list[str]:
    """Return the names that may not be set here, each shown as an error message shows it."""
    return [shorten(name) for name in said if name not in allowed]


def read_overlay(content: Content, said: Mapping[str, object], *, max_items: int) -> SaleUpload:
    """Return the content with what was said over it, read like an upload."""
    document = parse_kept(json.dumps(content.document()))
    assert isinstance(document, dict)
    fields = {name: said[name] for name in CONTENT_FIELDS if name in said}
    return read_sale({**document, **fields}, index=0, max_items=max_items)


def overlaid(sale: Sale, upload: SaleUpload, said: Mapping[str, object], known: Known) -> Edited:
    """Return the edited content; only what was said can be wrong with it."""
    problems = (
        *_nulls(said),
        *(each for each in problems_of(upload, known) if _top_field(each) in said),
        *_wrong_words(said),
    )
    if problems:
        return Edited(None, problems)
    return Edited(_content(sale, upload, known), ())


def whole(sale: Sale, upload: SaleUpload, said: Mapping[str, object], known: Known) -> Edited:
    """Return the edited content; all of it is checked, said or not (client_wins)."""
    found = (each for each in problems_of(upload, known) if _top_field(each) != "local_id")
    problems = (*_nulls(said), *found)
    return Edited(None, problems) if problems else Edited(_content(sale, upload, known), ())


def _content(sale: Sale, upload: SaleUpload, known: Known) -> Content | None:
    return upload.content_with(tax_defaults(upload, sale, known.products))


def _top_field(problem: Problem) -> str:
    return problem.field.partition("[")[0]


def _nulls(said: Mapping[str, object]) -> tuple[Problem, ...]:
    # An upload's null is an omitted field; here it would silently become a default.
    return tuple(
        Problem(name, _INVALID[name], f"{name} no puede ser null")
        for name, value in said.items()
        if value is None and name != "notes"
    )


def _wrong_words(said: Mapping[str, object]) -> tuple[Problem, ...]:
    return tuple(
        Problem(
            name,
            _INVALID[name],
            f"{name} debe ser uno de {', '.join(words)}, recibido: {shorten(said[name])}",
        )
        for name, words in _WORDS.items()
        if said.get(name) is not None and said[name] not in words
    )


def edit(
    sale: Sale,
    content: Content,
    said: Mapping[str, object],
    known: Known,
    policy: Policy,
    at: Circumstances,
) -> Change | None:
    """Return a manager's edit of an accepted sale, or None where it changes nothing.

    On a sale in conflict it changes the server's side and the conflict stays (contract 7).
    """
    assert sale.content is not None
    words = {name: str(said[name]) for name in _WORDS if name in said}
    changed = [
        *differing_fields(sale.content, content),
        *(name for name, word in words.items() if getattr(sale, name) != word),
    ]
    if not changed and not sale.is_damaged:
        return None
    after = replace(
        _with_edited(sale, content, at),
        payment_status=words.get("payment_status", sale.payment_status),
        fiscal_status=words.get("fiscal_status", sale.fiscal_status),
        warnings=price_warnings(content, known.products, policy.price_tolerance)
        if "items" in changed
        else sale.warnings,
    )
    event = event_of("edited", at, sale.version, after.version, {"fields": changed})
    return Change(sale, after, (event,), former_content(sale))


def _with_edited(sale: Sale, content: Content, at: Circumstances) -> Sale:
    if content == sale.content and not sale.is_damaged:
        # Its prints stay: an upload that said the same is still known again.
        edited = with_content(sale, content, sale.fingerprints, at)
    else:
        prints = Fingerprints.of(content)
        edited = with_content(sale, content, prints, at)
        edited = replace(edited, is_content_uploaded=False, is_damaged=False)
    # The till has not synced: only the server's side is newer.
    return replace(
        edited,
        sync_succeeded_at=sale.sync_succeeded_at,
        sync_last_attempt=sale.sync_last_attempt,
    )


def corrected_payload(sale: Sale, said: Mapping[str, object]) -> str | None:
    """Return a held sale's payload with what was said in it, or None where that changes nothing."""
    assert sale.payload is not None
    payload = parse_kept(sale.payload)
    assert isinstance(payload, dict)
    fields = {name: said[name] for name in CONTENT_FIELDS if name in said}
    corrected = dump_exactly({**payload, **fields})
    # The kept words have the till's own spaces: one form is compared with itself.
    return None if corrected == dump_exactly(payload) else corrected


def wrong_corrections(upload: SaleUpload, said: Mapping[str, object]) -> tuple[Problem, ...]:
    """Return what is wrong with a held sale's correction itself; the catalogue may still lack."""
    return tuple(each for each in upload.own_problems() if _top_field(each) in said)


def with_statuses(sale: Sale, said: Mapping[str, object]) -> Sale:
    """Return the sale with the payment and fiscal status that were said."""
    return replace(
        sale,
        payment_status=str(said.get("payment_status", sale.payment_status)),
        fiscal_status=str(said.get("fiscal_status", sale.fiscal_status)),
    )


def problems_with_held(said: Mapping[str, object]) -> tuple[Problem, ...]:
    """Return what can't even be put into a held sale's payload."""
    return (*_nulls(said), *_wrong_words(said))
