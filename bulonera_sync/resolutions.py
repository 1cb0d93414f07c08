"""Ending a conflict: whose content the sale has from now on. Pure; contract 6, guide 4."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bulonera_sync.changes import (
    Change,
    Circumstances,
    close_conflict,
    event_of,
    former_content,
    former_parked,
    with_content,
)
from bulonera_sync.checks import Known, price_warnings
from bulonera_sync.codes import RefusalCode
from bulonera_sync.decisions import Policy
from bulonera_sync.edits import overlaid, read_overlay, whole
from bulonera_sync.merging import is_behind
from bulonera_sync.sales import (
    CONTENT_FIELDS,
    LOCKED_STATUSES,
    Content,
    Fingerprints,
    Parked,
    Problem,
    Resolution,
    Sale,
    fingerprint_of,
)
from bulonera_sync.uploads import SaleUpload

RESOLUTIONS: tuple[Resolution, ...] = ("server_wins", "client_wins", "manual")
CLIENT_FIELDS: tuple[str, ...] = CONTENT_FIELDS


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody decides about a conflict; `client_data` is None where none was sent.

    `expected_version` and `expected_parked` are what was seen of each side, None for anything.
    """

    resolution: Resolution
    notes: str = ""
    client_data: Mapping[str, object] | None = None
    expected_version: int | None = None
    expected_parked: Parked | None = None

    def words(self, user_id: int | None) -> str:
        """By which the same decision, sent again by the same person, is known again."""
        said = None if self.client_data is None else _plain(self.client_data)
        return fingerprint_of([user_id, self.resolution, self.notes, said])


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return sorted((key, _plain(each)) for key, each in value.items())
    return [_plain(each) for each in value] if isinstance(value, list) else value


@dataclass(frozen=True, slots=True)
class Refused:
    """Not now: the sale is not as whoever decided believes (409 with the present sale)."""

    code: RefusalCode
    message: str


@dataclass(frozen=True, slots=True)
class Invalid:
    """What was decided makes no valid sale (400)."""

    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Repeated:
    """The same words again, and nothing else has changed the sale: the same answer."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """The conflict is over, or marked for a person's review."""

    change: Change


Verdict = Refused | Invalid | Repeated | Resolved


def content_to_check(sale: Sale, request: Request, *, max_items: int) -> SaleUpload | None:
    """Return what is to be looked up in the catalogue before resolving, None for nothing."""
    if sale.parked is None or sale.content is None:
        return None
    match request.resolution:
        case "client_wins":
            base = sale.parked.content
        case "manual" if request.client_data is not None:
            base = sale.content
        case _:
            return None
    return read_overlay(base, request.client_data or {}, max_items=max_items)


def resolve(
    sale: Sale,
    request: Request,
    upload: SaleUpload | None,
    known: Known | None,
    policy: Policy,
    at: Circumstances,
    *,
    is_manager: bool,
) -> Verdict:
    """Return what becomes of a conflict; `upload` and `known` are those of `content_to_check`."""
    words = request.words(at.actor.user_id)
    if sale.resolution_words == words:
        return Repeated()
    if sale.parked is None:
        return Refused("not_in_conflict", f"La venta {sale.number} no está en conflicto")
    if request.expected_version not in {None, sale.version}:
        return stale_version(sale, request.expected_version)
    if request.expected_parked not in (None, sale.parked):
        text = f"La venta {sale.number} tiene otro contenido del cliente en conflicto"
        return Refused("stale_version", text)
    if upload is None or known is None:
        return _remembered(_without_content(sale, request, at), words)
    said = request.client_data or {}
    check = whole if request.resolution == "client_wins" else overlaid
    edited = check(sale, upload, said, known)
    if edited.content is None:
        return Invalid(edited.problems)
    refused = None if is_manager else _refused_to_cashier(sale, edited.content)
    if refused is not None:
        return refused
    return _remembered(_with_content(sale, request, edited.content, known, policy, at), words)


def _remembered(change: Change, words: str) -> Resolved:
    return Resolved(replace(change, after=replace(change.after, resolution_words=words)))


def stale_version(sale: Sale, version: int | None) -> Refused:
    """Return the refusal of a decision about a version that is no longer the sale's."""
    text = f"La venta {sale.number} está en la versión {sale.version}, no en la {version}"
    return Refused("stale_version", text)


def _without_content(sale: Sale, request: Request, at: Circumstances) -> Change:
    if request.resolution == "server_wins":
        return close_conflict(sale, "server_wins", at, notes=request.notes)
    marked = replace(sale, conflict_resolution="manual", updated_at=at.now)
    detail = {"resolution": "manual", "review": True, "notes": request.notes}
    event = event_of("conflict", at, sale.version, sale.version, detail)
    return Change(sale, marked, (event,))


def _refused_to_cashier(sale: Sale, content: Content) -> Refused | None:
    """Rows 14 and 16 hold for a cashier here too."""
    if sale.status in LOCKED_STATUSES:
        text = f"La venta está {sale.status} en el servidor y ya no admite cambios"
        return Refused("locked", text)
    if is_behind(content.status, sale.status):
        text = f"El status {content.status} es anterior al del servidor ({sale.status})"
        return Refused("status_regression", text)
    return None


def _with_content(
    sale: Sale,
    request: Request,
    content: Content,
    known: Known,
    policy: Policy,
    at: Circumstances,
) -> Change:
    parked = sale.parked
    assert parked is not None
    is_parked_itself = request.resolution == "client_wins" and content == parked.content
    prints = parked.fingerprints if is_parked_itself else Fingerprints.of(content)
    after = replace(
        with_content(sale, content, prints, at),
        is_content_uploaded=request.resolution == "client_wins",
        sync_status="synced",
        parked=None,
        conflict_resolution=request.resolution,
        warnings=price_warnings(content, known.products, policy.price_tolerance),
    )
    detail = {"resolution": request.resolution, "notes": request.notes}
    event = event_of("resolved", at, sale.version, after.version, detail)
    return Change(sale, after, (event,), (*former_content(sale), *former_parked(sale)))
