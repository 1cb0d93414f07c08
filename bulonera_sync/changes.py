"""What is to be written for a sale, as values: the sale after, its events, what is kept. Pure."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Literal

from bulonera_sync.checks import Missing
from bulonera_sync.retries import RetryPolicy
from bulonera_sync.sales import (
    Actor,
    Content,
    Copy,
    CopyKind,
    Event,
    EventKind,
    Fingerprints,
    Problem,
    Resolution,
    RetryCause,
    Sale,
)
from bulonera_sync.values import value


@value
class NewId:
    """The id and the number that the store has set aside for a sale seen for the first time."""

    id: int
    number: str


@value
class Quarantined:
    """A sale that no local_id names: kept for support, word for word."""

    user_id: int
    at: datetime
    payload: str
    problems: tuple[Problem, ...]


@value
class Change:
    """What is to be written for one sale, in one piece.

    `before` is None for a sale seen for the first time. `waits_for` is what the sale waits for
    from now on, None where that stays as it is.
    """

    before: Sale | None
    after: Sale
    events: tuple[Event, ...] = ()
    copies: tuple[Copy, ...] = ()
    waits_for: tuple[Missing, ...] | None = None

    @property
    def has_new_content(self) -> bool:
        before = self.before.content if self.before else None
        return self.after.content != before


@value
class Circumstances:
    """Everything about a change that is not the sale: who, when, why, how retries are spaced.

    `chance`, from 0 to 1, is the jitter of a next attempt.
    """

    actor: Actor
    now: datetime
    retry: RetryPolicy
    chance: float
    cause: RetryCause | Literal["upload"] = "upload"


def queue(sale: Sale, at: Circumstances) -> Change | None:
    """Queue a held sale for another attempt now, or return None where it is queued already."""
    if sale.sync_status == "pending":
        return None
    after = replace(
        sale,
        sync_status="pending",
        attempts=sale.attempts + 1,
        problems=(),
        retry_cause="request",
        next_attempt_at=at.now,
        automatic_attempts=0,
        is_dead=False,
        updated_at=at.now,
    )
    detail = {"result": "queued", "attempt": after.attempts}
    return Change(sale, after, (event_of("retried", at, None, None, detail),))


def close_conflict(
    sale: Sale, resolution: Resolution, at: Circumstances, *, notes: str = ""
) -> Change:
    """Row 8 and server_wins: the conflict is over, the server's side stays as it is."""
    after = replace(
        sale,
        sync_status="synced",
        parked=None,
        conflict_resolution=resolution,
        resolution_words=None,
        sync_succeeded_at=at.now,
        sync_last_attempt=at.now,
        updated_at=at.now,
    )
    detail = {"resolution": resolution, "notes": notes}
    event = event_of("resolved", at, sale.version, sale.version, detail)
    return Change(sale, after, (event,), former_parked(sale))


def former_parked(sale: Sale) -> tuple[Copy, ...]:
    parked = sale.parked
    return (_copy("parked", parked.content, parked.fingerprints, parked.version),) if parked else ()


def _copy(kind: CopyKind, content: Content, prints: Fingerprints, version: int) -> Copy:
    return Copy(kind, prints, version, json.dumps(content.document()))


def former_content(sale: Sale) -> tuple[Copy, ...]:
    """Keep the server's content of this version: conflicts to come are based on it."""
    assert sale.content is not None
    kind: CopyKind = "accepted" if sale.is_content_uploaded else "edited"
    return (_copy(kind, sale.content, sale.fingerprints, sale.version),)


def with_content(sale: Sale, content: Content, prints: Fingerprints, at: Circumstances) -> Sale:
    """Return the sale with another content, one version on."""
    return replace(
        sale,
        content=content,
        status=content.status,
        fingerprints=prints,
        version=sale.version + 1,
        total=content.total(),
        resolution_words=None,
        sync_succeeded_at=at.now,
        sync_last_attempt=at.now,
        updated_at=at.now,
    )


def event_of(
    kind: EventKind,
    at: Circumstances,
    from_version: int | None,
    to_version: int | None,
    detail: Mapping[str, object],
) -> Event:
    if at.actor.login:
        detail = {**detail, "login": at.actor.login}
    return Event(kind, at.actor, at.now, from_version, to_version, detail)
