"""What a decision on an upload makes of a sale, and what the till is told of it.

Pure: the decision is taken, the clock read and the id given by others; the store only writes.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, assert_never

from bulonera_sync.bodies import dump_exactly, shorten
from bulonera_sync.changes import (
    Change,
    Circumstances,
    NewId,
    Quarantined,
    _copy,
    close_conflict,
    event_of,
    former_content,
    former_parked,
    with_content,
)
from bulonera_sync.checks import Known, Missing, is_curable, tax_defaults
from bulonera_sync.conflicts import conflict_of
from bulonera_sync.decisions import (
    Accept,
    AlreadyResolved,
    AlreadySynced,
    Conflict,
    Decision,
    ForeignClash,
    ForeignReplay,
    Merge,
    Quarantine,
    RefuseEdit,
    Reject,
    SameConflict,
    ServerConfirmed,
    Update,
)
from bulonera_sync.money import total_of
from bulonera_sync.outcomes import Failure, Outcome, Success, Verdict
from bulonera_sync.retries import next_attempt
from bulonera_sync.sales import (
    Content,
    Copy,
    Fingerprints,
    Parked,
    Problem,
    Sale,
)
from bulonera_sync.uploads import SaleUpload

MAX_CUSTOMER_SAID = 200


def first_receipt(
    upload: SaleUpload, known: Known, new: NewId, at: Circumstances, judged: Mapping[str, Any]
) -> Sale:
    """Return the sale that a first upload makes: version 1, and as it was judged."""
    assert upload.local_id is not None
    return Sale(
        id=new.id,
        number=new.number,
        local_id=upload.local_id,
        user_id=known.user_id,
        version=1,
        created_at=at.now,
        **judged,
    )


def needs_id(decision: Decision, known: Known) -> bool:
    """Say whether carrying the decision out takes a new id and number."""
    return known.sale is None and isinstance(decision, Accept | Reject)


def carry_out(
    decision: Decision, upload: SaleUpload, known: Known, new: NewId | None, at: Circumstances
) -> tuple[Change | Quarantined | None, Outcome]:
    """Return what is to be written for a decision, None for nothing, and what the till is told."""
    change: Change | None
    match decision:
        case Accept(content, warnings):
            change = accept(upload, known, content, warnings, new, at)
            return change, _outcome(upload, change.after, Success(warnings=warnings))
        case Reject(problems, waits_for):
            change = hold(upload, known, problems, waits_for, new, at)
            return change, _outcome(upload, change.after, _failure(problems))
        case Quarantine(problems):
            kept = Quarantined(known.user_id, at.now, upload.payload, problems)
            return kept, Outcome(upload.index, upload.echo, _failure(problems))
        case ForeignReplay(sale):
            return None, _outcome_for_foreigner(upload, sale)
        case ForeignClash(sale, problem, keep):
            change = _foreign_clash(sale, upload, known, problem, at) if keep else None
            return change, Outcome(upload.index, upload.echo, _failure((problem,)))
        case AlreadySynced(sale):
            return None, _outcome(upload, sale, Success("Sale already synced"))
        case ServerConfirmed(sale):
            change = close_conflict(sale, "server_wins", at)
            return change, _outcome(upload, change.after, Success("Sale already synced"))
        case AlreadyResolved(sale, content, resolution):
            message = f"Conflict already resolved with {resolution}"
            return None, _outcome(upload, sale, Success(message, content=content))
        case SameConflict(sale, parked):
            return None, _outcome(upload, sale, conflict_of(sale, parked, known.base))
        case RefuseEdit(sale, problems, keep):
            change = _refused_edit(sale, upload, known, problems, at) if keep else None
            return change, _outcome(upload, sale, _failure(problems))
        case Conflict():
            return _park(decision, upload, known, at)
        case Merge(sale, content, warnings):
            change = _merge(sale, content, warnings, upload, known, at)
            # With the content, or the till's next edit would undo the server's half.
            merged = Success("Sale merged", content=content, warnings=warnings)
            return change, _outcome(upload, change.after, merged)
        case Update(sale, content, warnings):
            change = _update(sale, content, warnings, upload, known, at)
            message = "Sale updated"
            return change, _outcome(upload, change.after, Success(message, warnings=warnings))
    assert_never(decision)


def _judged(
    upload: SaleUpload, known: Known, new: NewId | None, at: Circumstances, judged: dict[str, Any]
) -> Sale:
    """Return the sale under this local_id, the attempt counted, with the fields as judged."""
    sale = known.sale
    fields = {
        **_attempt(sale, at),
        "sold_at": (sale.sold_at if sale else None) or upload.sold_at,
        "fingerprints": known.fingerprints,
        **judged,
    }
    if sale is not None:
        return replace(sale, **fields)
    assert new is not None
    # Made in one go: of a Sale's thirty fields every copy takes as long as an item's amounts.
    return first_receipt(upload, known, new, at, fields)


def accept(
    upload: SaleUpload,
    known: Known,
    content: Content,
    warnings: tuple[Problem, ...],
    new: NewId | None,
    at: Circumstances,
) -> Change:
    """Rows 4 and 6: the sale becomes synced with this content."""
    if known.sale is None:
        after = _accepted_at_once(upload, known, content, warnings, new, at)
    else:
        after = _accepted_later(known.sale, upload, known, content, warnings, at)
    event = event_of("retried" if known.sale else "created", at, None, 1, {"result": "synced"})
    return Change(known.sale, after, (event,), _former_payload(known), waits_for=())


def _accepted_at_once(
    upload: SaleUpload,
    known: Known,
    content: Content,
    warnings: tuple[Problem, ...],
    new: NewId | None,
    at: Circumstances,
) -> Sale:
    assert new is not None
    assert upload.local_id is not None
    # What nearly every upload makes, so in one go.
    return Sale(
        id=new.id,
        number=new.number,
        local_id=upload.local_id,
        user_id=known.user_id,
        sync_status="synced",
        status=content.status,
        version=1,
        fingerprints=known.fingerprints,
        created_at=at.now,
        updated_at=at.now,
        content=content,
        total=content.total(),
        tax_defaults=tax_defaults(upload, None, known.products),
        sold_at=upload.sold_at,
        sync_succeeded_at=at.now,
        sync_last_attempt=at.now,
        warnings=warnings,
    )


def _accepted_later(
    sale: Sale,
    upload: SaleUpload,
    known: Known,
    content: Content,
    warnings: tuple[Problem, ...],
    at: Circumstances,
) -> Sale:
    judged = {
        "sync_status": "synced",
        "status": content.status,
        "content": content,
        "tax_defaults": tax_defaults(upload, sale, known.products),
        "total": content.total(),
        "sync_succeeded_at": at.now,
        "warnings": warnings,
        "payload": None,
        "problems": (),
        "customer_said": None,
        "automatic_attempts": 0,
        "retry_cause": None,
        "next_attempt_at": None,
        "is_dead": False,
    }
    return _judged(upload, known, None, at, judged)


def hold(
    upload: SaleUpload,
    known: Known,
    problems: tuple[Problem, ...],
    waits_for: tuple[Missing, ...],
    new: NewId | None,
    at: Circumstances,
) -> Change:
    """Rows 5 and 6: the sale is kept in error with its payload, its reasons and its next try."""
    defaults = tax_defaults(upload, known.sale, known.products)
    items = upload.built_items(defaults)
    made = _automatic_attempts(known.sale, at)
    due = next_attempt(at.retry, made, now=at.now, chance=at.chance) if waits_for else None
    judged = {
        "sync_status": "error",
        "status": upload.status,
        "tax_defaults": defaults,
        "customer_said": _customer_said(upload),
        "total": total_of(item.amounts() for item in items or ()),
        "payload": upload.payload,
        "problems": problems,
        "retry_cause": "schedule" if due else None,
        "next_attempt_at": due,
        "is_dead": bool(waits_for) and at.retry.is_exhausted(made),
    }
    after = _judged(upload, known, new, at, judged)
    detail = {"result": "error", "error": problems[0].message}
    event = event_of("retried" if known.sale else "held", at, None, None, detail)
    return Change(known.sale, after, (event,), _former_payload(known), waits_for)


def _attempt(sale: Sale | None, at: Circumstances) -> Mapping[str, Any]:
    """Count the attempt: the schedule's own towards its limit, any other starts it afresh."""
    made = sale.attempts if sale else 0
    return {
        # A requested retry was counted when it was asked for.
        "attempts": made if at.cause == "request" else made + 1,
        "automatic_attempts": _automatic_attempts(sale, at),
        "sync_last_attempt": at.now,
        "updated_at": at.now,
    }


def _automatic_attempts(sale: Sale | None, at: Circumstances) -> int:
    return sale.automatic_attempts + 1 if sale and at.cause == "schedule" else 0


def _customer_said(upload: SaleUpload) -> str | None:
    said = upload.raw.get("customer_id") if isinstance(upload.raw, dict) else None
    if upload.customer_id is not None:
        return str(upload.customer_id)
    if said is None:
        return None
    text = dump_exactly(said)
    return text if len(text) <= MAX_CUSTOMER_SAID else json.dumps(shorten(said, MAX_CUSTOMER_SAID))


def _former_payload(known: Known) -> tuple[Copy, ...]:
    """Keep the payload a held sale had, unless this one says the same."""
    sale = known.sale
    if sale is None or sale.payload is None or sale.fingerprints.said == known.fingerprints.said:
        return ()
    return (Copy("held", sale.fingerprints, 1, sale.payload),)


def _update(
    sale: Sale,
    content: Content,
    warnings: tuple[Problem, ...],
    upload: SaleUpload,
    known: Known,
    at: Circumstances,
) -> Change:
    """Rows 17 and 18: the upload is the server's content from now on."""
    after = replace(
        with_content(sale, content, known.fingerprints, at),
        tax_defaults=tax_defaults(upload, sale, known.products),
        is_content_uploaded=True,
        warnings=warnings,
    )
    if sale.sync_status == "synced":
        event = event_of("updated", at, sale.version, after.version, {})
        return Change(sale, after, (event,), former_content(sale))
    after = replace(after, sync_status="synced", parked=None, conflict_resolution="client_wins")
    event = event_of("resolved", at, sale.version, after.version, {"resolution": "client_wins"})
    return Change(sale, after, (event,), (*former_content(sale), *former_parked(sale)))


def _merge(
    sale: Sale,
    content: Content,
    warnings: tuple[Problem, ...],
    upload: SaleUpload,
    known: Known,
    at: Circumstances,
) -> Change:
    """Row 15 with auto_merge: the merged content is the server's; the client's is remembered."""
    assert known.content is not None
    after = replace(
        with_content(sale, content, Fingerprints.of(content), at),
        tax_defaults=tax_defaults(upload, sale, known.products),
        is_content_uploaded=False,
        warnings=warnings,
    )
    taken = _copy("merged", known.content, known.fingerprints, upload.version)
    detail = {"client_version": upload.version}
    event = event_of("merged", at, sale.version, after.version, detail)
    return Change(sale, after, (event,), (*former_content(sale), taken))


def _park(
    conflict: Conflict, upload: SaleUpload, known: Known, at: Circumstances
) -> tuple[Change, Outcome]:
    """Rows 13 to 16: the client's content beside the server's, which is untouched."""
    sale = conflict.sale
    parked = Parked(conflict.content, known.fingerprints, upload.version, conflict.code, at.now)
    after = replace(
        sale,
        sync_status="conflict",
        parked=parked,
        conflict_resolution=None,
        resolution_words=None,
        sync_last_attempt=at.now,
        updated_at=at.now,
    )
    detail = {"code": conflict.code, "client_version": upload.version}
    event = event_of("conflict", at, sale.version, sale.version, detail)
    change = Change(sale, after, (event,), former_parked(sale))
    return change, _outcome(upload, after, conflict_of(after, parked, known.base))


def _refused_edit(
    sale: Sale, upload: SaleUpload, known: Known, problems: tuple[Problem, ...], at: Circumstances
) -> Change:
    copy = Copy("refused", known.fingerprints, upload.version, upload.payload)
    detail = {"error": problems[0].message}
    event = event_of("refused", at, sale.version, sale.version, detail)
    return Change(sale, sale, (event,), (copy,))


def _foreign_clash(
    sale: Sale, upload: SaleUpload, known: Known, problem: Problem, at: Circumstances
) -> Change:
    copy = Copy("foreign", known.fingerprints, upload.version, upload.payload)
    detail = {"error": problem.message}
    event = event_of("refused", at, sale.version, sale.version, detail)
    return Change(sale, sale, (event,), (copy,))


def _outcome(upload: SaleUpload, sale: Sale, verdict: Verdict) -> Outcome:
    return Outcome(upload.index, upload.echo, verdict, sale.id, sale.number, sale.version)


def _outcome_for_foreigner(upload: SaleUpload, sale: Sale) -> Outcome:
    """Row 1: id, number and state of somebody else's sale, and nothing more of it."""
    verdict: Verdict
    if sale.sync_status == "pending":
        text = "La venta está en cola y se reintenta sola"
        verdict = Failure((Problem("local_id", "pending", text),), is_retryable=True)
    elif sale.sync_status == "error":
        verdict = _failure(sale.problems)
    else:
        verdict = Success("Sale already synced")
    return Outcome(upload.index, upload.echo, verdict, sale.id, sale.number)


def _failure(problems: tuple[Problem, ...]) -> Failure:
    return Failure(problems, is_retryable=is_curable(problems))
