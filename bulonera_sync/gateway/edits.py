"""Changing what the server holds: a manager's edit, the end of a conflict.

Both read the sale and write it in one unit of work: its version can't move in between.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import assert_never

from bulonera_sync.bodies import parse_kept
from bulonera_sync.changes import Change, Circumstances, event_of
from bulonera_sync.damage import as_told, why_not
from bulonera_sync.edits import (
    corrected_payload,
    edit,
    overlaid,
    problems_with_held,
    read_overlay,
    with_statuses,
    wrong_corrections,
)
from bulonera_sync.errors import NotFoundError
from bulonera_sync.gateway.uploads import Submission, UploadRules, facts_about, judge
from bulonera_sync.resolutions import (
    Invalid,
    Refused,
    Repeated,
    Request,
    Resolved,
    content_to_check,
    resolve,
    stale_version,
)
from bulonera_sync.sales import Sale, User
from bulonera_sync.store import sales
from bulonera_sync.store.sessions import Session
from bulonera_sync.uploads import read_sale


@dataclass(frozen=True, slots=True)
class Settled:
    """The sale as it is now; what was asked is done, or was done before."""

    sale: Sale


@dataclass(frozen=True, slots=True)
class Moved:
    """The sale is not as the asker believes: why, and how it is."""

    refused: Refused
    sale: Sale


Result = Settled | Moved | Invalid


async def find_mine(session: Session, user: User, key: int | str) -> Sale:
    """Return the sale of this id, local_id or number; raises `NotFoundError` for another's too."""
    sale = await sales.find_one(session, key)
    if sale is None or not user.may_see(sale):
        raise NotFoundError(f"Sale {key} not found or permission denied")
    return sale


async def resolve_conflict(
    session: Session,
    user: User,
    key: int | str,
    request: Request,
    rules: UploadRules,
    at: Circumstances,
) -> Result:
    """Decide a conflict (contract 6)."""
    sale = await find_mine(session, user, key)
    refused = why_not(sale, ())
    if refused:
        return Moved(Refused("stored_damaged", refused), as_told(sale))
    upload = content_to_check(sale, request, max_items=rules.max_items)
    known = await facts_about(session, upload, sale) if upload else None
    verdict = resolve(sale, request, upload, known, rules.policy, at, is_manager=user.is_manager)
    match verdict:
        case Resolved(change):
            await sales.save(session, [change])
            return Settled(change.after)
        case Refused():
            return Moved(verdict, sale)
        case Invalid():
            return verdict
        case Repeated():
            return Settled(sale)
        case _ as missing:
            assert_never(missing)


async def edit_sale(
    session: Session,
    user: User,
    key: int | str,
    said: Mapping[str, object],
    version: int | None,
    rules: UploadRules,
    at: Circumstances,
) -> Result:
    """Edit a sale on the server (contract 7); `version` None edits whatever version there is."""
    sale = await find_mine(session, user, key)
    refused = why_not(sale, said)
    if refused:
        return Moved(Refused("stored_damaged", refused), as_told(sale))
    if version not in {None, sale.version}:
        return Moved(stale_version(sale, version), sale)
    if sale.is_held:
        return await _correct(session, sale, said, rules, at)
    assert sale.content is not None
    upload = read_overlay(sale.content, said, max_items=rules.max_items)
    known = await facts_about(session, upload, sale)
    edited = overlaid(sale, upload, said, known)
    if edited.content is None:
        return Invalid(edited.problems)
    return await _saved(session, sale, edit(sale, edited.content, said, known, rules.policy, at))


async def _correct(
    session: Session,
    sale: Sale,
    said: Mapping[str, object],
    rules: UploadRules,
    at: Circumstances,
) -> Result:
    """Correct a held sale's payload and judge it anew."""
    problems = problems_with_held(said)
    if problems:
        return Invalid(problems)
    payload = corrected_payload(sale, said)
    marked = with_statuses(sale, said)
    edited = event_of("edited", at, None, None, {"fields": sorted(said)})
    if payload is None:
        change = Change(sale, replace(marked, updated_at=at.now), (edited,))
        return await _saved(session, sale, change if marked != sale else None)
    upload = read_sale(parse_kept(payload), index=0, max_items=rules.max_items)
    wrong = wrong_corrections(upload, said)
    if wrong:
        return Invalid(wrong)
    known = await facts_about(session, upload, sale)
    judged = judge(Submission(upload, sale.user_id, at), replace(known, sale=marked), rules)
    events = (edited, *judged.events)
    return await _saved(session, sale, replace(judged, before=sale, events=events))


async def _saved(session: Session, sale: Sale, change: Change | None) -> Settled:
    if change is None:
        return Settled(sale)
    await sales.save(session, [change])
    return Settled(change.after)
