"""What becomes of one uploaded sale. Rules only: no clock, no store, no log.

`ROWS` holds the contract's state table (section 2), in order: the first row that holds decides.
"""

from collections.abc import Callable, Collection
from decimal import Decimal

from bulonera_sync.checks import Known, Missing, is_curable, missing, price_warnings, problems_of
from bulonera_sync.codes import ConflictCode
from bulonera_sync.damage import STORED_DAMAGED
from bulonera_sync.merging import is_behind, merge
from bulonera_sync.sales import (
    LOCKED_STATUSES,
    OWNER_COPIES,
    TAKEN_COPIES,
    Content,
    CopyKind,
    Fingerprints,
    Parked,
    Problem,
    Resolution,
    Sale,
)
from bulonera_sync.uploads import SaleUpload
from bulonera_sync.values import value

MAX_FOREIGN_COPIES = 20


@value
class Policy:
    """What the store's owner decides: `[sync]` of the configuration, as far as rules go."""

    auto_merge: bool = False
    price_tolerance: Decimal | None = None


@value
class Accept:
    """Rows 4 and 6: a new sale, or a held one found right."""

    content: Content
    warnings: tuple[Problem, ...]


@value
class Reject:
    """Rows 5 and 6: kept with its payload and its reasons.

    `waits_for` names what new catalogue data must bring; empty where that alone can't cure it.
    """

    problems: tuple[Problem, ...]
    waits_for: tuple[Missing, ...]


@value
class Quarantine:
    """Row 3: nothing to store it under; kept for support."""

    problems: tuple[Problem, ...]


@value
class ForeignReplay:
    """Row 1: somebody else's sale sent by the next cashier; told its state and no more."""

    sale: Sale


@value
class ForeignClash:
    """Row 2: somebody else's local_id with other content; `keep` once in its history."""

    sale: Sale
    problem: Problem
    keep: bool


@value
class AlreadySynced:
    """Rows 7 and 9: the same upload again."""

    sale: Sale


@value
class ServerConfirmed:
    """Row 8: the till sends the server's content; the conflict is over."""

    sale: Sale


@value
class AlreadyResolved:
    """Row 10: a client copy that a resolution, or a newer copy, has put aside."""

    sale: Sale
    content: Content
    resolution: Resolution


@value
class SameConflict:
    """Row 11: what is parked, again."""

    sale: Sale
    parked: Parked


@value
class RefuseEdit:
    """Row 12: an invalid edit; what is stored stays; `keep` it once in the history."""

    sale: Sale
    problems: tuple[Problem, ...]
    keep: bool


@value
class Conflict:
    """Rows 13 to 16: the client's content is parked beside the server's."""

    sale: Sale
    content: Content
    code: ConflictCode


@value
class Merge:
    """Row 15 with auto_merge: both sides' changes, none of them on the same field."""

    sale: Sale
    content: Content
    warnings: tuple[Problem, ...]


@value
class Update:
    """Rows 17 and 18: an edit on the server's present version."""

    sale: Sale
    content: Content
    warnings: tuple[Problem, ...]


Decision = (
    Accept
    | Reject
    | Quarantine
    | ForeignReplay
    | ForeignClash
    | AlreadySynced
    | ServerConfirmed
    | AlreadyResolved
    | SameConflict
    | RefuseEdit
    | Conflict
    | Merge
    | Update
)


def decide(upload: SaleUpload, known: Known, policy: Policy) -> Decision:
    """Return what becomes of the upload; total: every upload and every state has an answer."""
    case = Case(upload, known, policy)
    for row in ROWS:
        decision = row(case)
        if decision is not None:
            return decision
    raise AssertionError("the state table has a hole")


@value
class Case:
    """One upload beside what is known of it, asked by the rows of the table."""

    upload: SaleUpload
    known: Known
    policy: Policy

    def foreign(self) -> Sale | None:
        sale = self.known.sale
        return sale if sale and sale.user_id != self.known.user_id else None

    def held(self) -> Sale | None:
        sale = self.known.sale
        return sale if sale and sale.is_held else None

    def accepted(self) -> Sale | None:
        """The owner's sale that the server holds a content of: synced or in conflict."""
        sale = self.known.sale
        return sale if sale and not sale.is_held else None

    def problems(self) -> tuple[Problem, ...]:
        return problems_of(self.upload, self.known)

    def repeats(self, prints: Fingerprints) -> bool:
        return self.known.fingerprints.match(prints)

    def repeats_copy(self, kinds: Collection[CopyKind]) -> bool:
        return any(copy.kind in kinds for copy in self.known.copies)

    def is_older_than(self, version: int) -> bool:
        return self.upload.has_version and self.upload.version < version

    def content(self) -> Content:
        """The normalised content of an upload that has no problems."""
        if self.known.content is None:
            raise AssertionError("a valid upload always has a content")
        return self.known.content

    def warnings(self) -> tuple[Problem, ...]:
        return price_warnings(self.content(), self.known.products, self.policy.price_tolerance)


def damaged_on_disk(case: Case) -> Decision | None:
    """What was stored can't be told from what was sent: keep this upload too, for support."""
    sale = case.known.sale
    if sale is None or not sale.is_damaged:
        return None
    if case.foreign():
        return _clash(case, sale, STORED_DAMAGED)
    if sale.is_held:
        # Judged anew from what its owner sends now, as any held sale.
        return None
    return RefuseEdit(sale, (STORED_DAMAGED,), keep=not case.repeats_copy({"refused"}))


def foreign_replay(case: Case) -> Decision | None:
    sale = case.foreign()
    if sale is None:
        return None
    parked = sale.parked
    is_replay = (
        case.repeats(sale.fingerprints)
        or (parked is not None and case.repeats(parked.fingerprints))
        or case.repeats_copy(OWNER_COPIES)
    )
    return ForeignReplay(sale) if is_replay else None


def foreign_clash(case: Case) -> Decision | None:
    sale = case.foreign()
    if sale is None:
        return None
    problem = Problem("local_id", "local_id_in_use", "local_id ya registrado por otro usuario")
    return _clash(case, sale, problem)


def _clash(case: Case, sale: Sale, problem: Problem) -> Decision:
    is_new = not case.repeats_copy({"foreign"})
    return ForeignClash(sale, problem, is_new and case.known.foreign_copies < MAX_FOREIGN_COPIES)


def without_local_id(case: Case) -> Decision | None:
    return Quarantine(case.problems()) if case.upload.local_id is None else None


def new_or_held(case: Case) -> Decision | None:
    if case.accepted():
        return None
    problems = case.problems()
    if problems:
        return Reject(problems, missing(case.upload, case.known) if is_curable(problems) else ())
    return Accept(case.content(), case.warnings())


def same_as_synced(case: Case) -> Decision | None:
    sale = case.accepted()
    if sale and sale.sync_status == "synced" and case.repeats(sale.fingerprints):
        return AlreadySynced(sale)
    return None


def same_as_server_side(case: Case) -> Decision | None:
    sale = case.accepted()
    if sale and sale.sync_status == "conflict" and case.repeats(sale.fingerprints):
        return ServerConfirmed(sale)
    return None


def late_duplicate(case: Case) -> Decision | None:
    sale = case.accepted()
    if sale and case.is_older_than(sale.version) and case.repeats_copy(TAKEN_COPIES):
        return AlreadySynced(sale)
    return None


def once_parked(case: Case) -> Decision | None:
    sale = case.accepted()
    if sale is None or sale.sync_status != "synced" or sale.conflict_resolution is None:
        return None
    if sale.content is None or not case.upload.has_version:
        return None
    for copy in case.known.copies:
        if copy.kind == "parked" and (
            case.is_older_than(sale.version) or case.upload.version == copy.version
        ):
            return AlreadyResolved(sale, sale.content, sale.conflict_resolution)
    return None


def parked_now(case: Case) -> Decision | None:
    sale = case.accepted()
    if sale is None or sale.parked is None:
        return None
    is_same_version = case.upload.has_version and case.upload.version == sale.parked.version
    if is_same_version and case.repeats(sale.parked.fingerprints):
        return SameConflict(sale, sale.parked)
    return None


def invalid_edit(case: Case) -> Decision | None:
    sale = case.accepted()
    problems = case.problems()
    if sale and problems:
        return RefuseEdit(sale, problems, keep=not case.repeats_copy({"refused"}))
    return None


def ahead_of_server(case: Case) -> Decision | None:
    sale = case.accepted()
    if sale and case.upload.version > sale.version:
        return Conflict(sale, case.content(), "version_ahead")
    return None


def locked_on_server(case: Case) -> Decision | None:
    sale = case.accepted()
    if sale and sale.content and sale.content.status in LOCKED_STATUSES:
        return Conflict(sale, case.content(), "locked")
    return None


def stale(case: Case) -> Decision | None:
    sale = case.accepted()
    if sale is None or not case.is_older_than(sale.version):
        return None
    merged = _merged(case, sale)
    if merged is not None:
        warnings = price_warnings(merged, case.known.products, case.policy.price_tolerance)
        return Merge(sale, merged, warnings)
    return Conflict(sale, case.content(), "stale_version")


def _merged(case: Case, sale: Sale) -> Content | None:
    is_mergeable = case.policy.auto_merge and sale.sync_status == "synced"
    if not is_mergeable or case.known.base is None or sale.content is None:
        return None
    merged = merge(case.known.base, sale.content, case.content())
    if merged is None or is_behind(merged.status, sale.content.status):
        return None
    return merged


def status_goes_back(case: Case) -> Decision | None:
    sale = case.accepted()
    if sale and sale.content and is_behind(case.content().status, sale.content.status):
        return Conflict(sale, case.content(), "status_regression")
    return None


def edit_of_present_version(case: Case) -> Decision | None:
    sale = case.accepted()
    return Update(sale, case.content(), case.warnings()) if sale else None


Row = Callable[[Case], Decision | None]


# In the order of the contract's state table: the first row that holds decides.
ROWS: tuple[Row, ...] = (
    damaged_on_disk,  # before the table: its rows trust what is stored
    foreign_replay,  # 1
    foreign_clash,  # 2
    without_local_id,  # 3
    new_or_held,  # 4, 5, 6
    same_as_synced,  # 7
    same_as_server_side,  # 8
    late_duplicate,  # 9
    once_parked,  # 10
    parked_now,  # 11
    invalid_edit,  # 12
    ahead_of_server,  # 13
    locked_on_server,  # 14
    stale,  # 15
    status_goes_back,  # 16
    edit_of_present_version,  # 17, 18
)
