"""The state table of contract 2, row by row, and what holds whatever a till sends.

`Shelf` is one sale with all that is kept beside it, as a few lines of Python: decisions are made
and carried out on it as the gateway does on a database.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulonera_sync.changes import (
    Change,
    Circumstances,
    NewId,
    Quarantined,
    close_conflict,
    former_content,
    queue,
    with_content,
)
from bulonera_sync.checks import Known, Missing, recognise
from bulonera_sync.consequences import carry_out, needs_id
from bulonera_sync.decisions import (
    Accept,
    AlreadyResolved,
    AlreadySynced,
    Conflict,
    Decision,
    ForeignClash,
    ForeignReplay,
    Merge,
    Policy,
    Quarantine,
    RefuseEdit,
    Reject,
    SameConflict,
    ServerConfirmed,
    Update,
    decide,
)
from bulonera_sync.outcomes import ConflictFound, Failure, Outcome, Success
from bulonera_sync.retries import RetryPolicy
from bulonera_sync.sales import (
    SERVER_COPIES,
    STATUSES,
    Actor,
    Content,
    Copy,
    CopyKind,
    Fingerprints,
    Product,
    Sale,
)
from bulonera_sync.uploads import SaleUpload, read_sale
from tests.factories import as_parsed, make_item, make_sale

LOCAL_ID = "3f1d2c4b-5a69-4788-9a0b-c1d2e3f40516"
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ANA, BETO = 1, 2
PRODUCTS = {
    10: Product(10, Decimal("25.50"), Decimal("21.00")),
    11: Product(11, None, None),
}
OFF = Policy()
MERGING = Policy(auto_merge=True)


def make_upload(**said: Any) -> SaleUpload:
    [raw] = as_parsed(make_sale(**{"local_id": LOCAL_ID, **said}))
    return read_sale(raw, index=0)


@dataclass
class Shelf:
    """One local_id's sale, or none yet, and what is kept beside it."""

    policy: Policy = OFF
    customers: frozenset[int] = frozenset({5, 6})
    sale: Sale | None = None
    copies: list[Copy] = field(default_factory=list)
    waits: tuple[Missing, ...] = ()
    quarantine: list[Quarantined] = field(default_factory=list)
    now: datetime = START

    def known(self, upload: SaleUpload, user_id: int) -> Known:
        sale = self.sale if upload.local_id is not None else None
        content, prints = recognise(upload, sale, PRODUCTS)
        if sale is None:
            return Known(user_id, self.customers, PRODUCTS, content, prints)
        return Known(
            user_id,
            self.customers,
            PRODUCTS,
            content,
            prints,
            sale=sale,
            copies=tuple(each for each in self.copies if each.fingerprints.match(prints)),
            base=self._content_of_version(upload.version) if not sale.is_held else None,
            foreign_copies=sum(each.kind == "foreign" for each in self.copies),
        )

    def _content_of_version(self, version: int) -> Content | None:
        for each in self.copies:
            if each.kind in SERVER_COPIES and each.version == version:
                return _load(each.text)
        return None

    def circumstances(self, user_id: int = ANA) -> Circumstances:
        self.now += timedelta(minutes=1)
        return Circumstances(Actor("user", user_id), self.now, RetryPolicy(), 0.5)

    def judge(self, upload: SaleUpload, user_id: int = ANA) -> "Judged":
        """Decide and carry out, writing nothing yet."""
        known = self.known(upload, user_id)
        decision = decide(upload, known, self.policy)
        new = NewId(7, "VTA-2026-00007") if needs_id(decision, known) else None
        change, outcome = carry_out(decision, upload, known, new, self.circumstances(user_id))
        return Judged(known, decision, change, outcome)

    def send(self, user_id: int = ANA, **said: Any) -> "Judged":
        judged = self.judge(make_upload(**said), user_id)
        self.keep(judged.change)
        return judged

    def keep(self, change: Change | Quarantined | None) -> None:
        if isinstance(change, Quarantined):
            self.quarantine.append(change)
        elif change is not None:
            assert change.before == self.sale
            self.sale = change.after
            self.copies += change.copies
            self.waits = self.waits if change.waits_for is None else change.waits_for

    def edit(self, **fields: Any) -> None:
        """Edit the sale on the server, as a manager does."""
        sale = self.sale
        assert sale is not None
        assert sale.content is not None
        content = replace(sale.content, **fields)
        prints = Fingerprints(content.fingerprint(), content.fingerprint())
        after = with_content(sale, content, prints, self.circumstances())
        after = replace(after, is_content_uploaded=False)
        self.keep(Change(sale, after, copies=former_content(sale)))

    def close_conflict(self) -> None:
        assert self.sale is not None
        self.keep(close_conflict(self.sale, "server_wins", self.circumstances()))

    def queue(self) -> None:
        assert self.sale is not None
        self.keep(queue(self.sale, self.circumstances()))


@dataclass(frozen=True)
class Judged:
    """One upload's way: what was known, decided, written and answered."""

    known: Known
    decision: Decision
    change: Change | Quarantined | None
    outcome: Outcome

    @property
    def code(self) -> str | None:
        verdict = self.outcome.verdict
        if isinstance(verdict, Success):
            return None
        return verdict.problems[0].code if isinstance(verdict, Failure) else verdict.code

    @property
    def message(self) -> str | None:
        verdict = self.outcome.verdict
        if isinstance(verdict, Failure):
            return verdict.problems[0].message
        return verdict.message


def _load(text: str) -> Content:
    return Content.from_document(json.loads(text))


# The states that the rows of the table begin in; ana owns the sale.


def nothing() -> Shelf:
    return Shelf()


def synced() -> Shelf:
    shelf = Shelf()
    shelf.send()
    return shelf


def held() -> Shelf:
    shelf = Shelf()
    shelf.send(customer_id=777)
    return shelf


def queued() -> Shelf:
    shelf = held()
    shelf.queue()
    return shelf


def updated() -> Shelf:
    """Version 2, uploaded: the note is "b"."""
    shelf = synced()
    shelf.send(notes="b")
    return shelf


def edited(**fields: Any) -> Shelf:
    """Version 2, edited on the server."""
    shelf = synced()
    shelf.edit(**(fields or {"status": "confirmed"}))
    return shelf


def in_conflict() -> Shelf:
    """Version 2 on the server, confirmed; the till's note "a" is parked, on version 1."""
    shelf = edited()
    shelf.send(notes="a")
    return shelf


def resolved() -> Shelf:
    shelf = in_conflict()
    shelf.close_conflict()
    return shelf


def merging() -> Shelf:
    shelf = edited()
    shelf.policy = MERGING
    return shelf


Row = tuple[str, Callable[[], Shelf], int, dict[str, Any], type[Decision], str]
ALREADY = "Sale already synced"
IN_USE = "local_id ya registrado por otro usuario"
NO_CUSTOMER = "Customer con id=777 no existe en base de datos"
ZERO_ITEMS = [make_item(quantity=0)]
WRONG_QUANTITY = "Item #0: quantity debe ser mayor a 0, recibido: 0"

# row, the state before, who sends, what, the decision, what is told (a message or a code)
TABLE: list[Row] = [
    ("1 synced", synced, BETO, {}, ForeignReplay, ALREADY),
    ("1 in conflict", in_conflict, BETO, {"status": "confirmed"}, ForeignReplay, ALREADY),
    ("1 parked", in_conflict, BETO, {"notes": "a"}, ForeignReplay, ALREADY),
    ("1 former", updated, BETO, {}, ForeignReplay, ALREADY),
    ("1 held", held, BETO, {"customer_id": 777}, ForeignReplay, NO_CUSTOMER),
    ("1 queued", queued, BETO, {"customer_id": 777}, ForeignReplay, "pending"),
    ("1 resolved", resolved, BETO, {"notes": "a"}, ForeignReplay, ALREADY),
    ("2 synced", synced, BETO, {"notes": "x"}, ForeignClash, IN_USE),
    ("2 held", held, BETO, {}, ForeignClash, IN_USE),
    ("2 queued", queued, BETO, {}, ForeignClash, IN_USE),
    ("2 in conflict", in_conflict, BETO, {"notes": "x"}, ForeignClash, IN_USE),
    ("2 invalid", synced, BETO, {"items": []}, ForeignClash, "local_id_in_use"),
    ("3", nothing, ANA, {"local_id": "x"}, Quarantine, "local_id_invalid"),
    ("3 missing", nothing, ANA, {"local_id": None}, Quarantine, "local_id_required"),
    ("4", nothing, ANA, {}, Accept, ""),
    ("4 any version", nothing, ANA, {"version": 9}, Accept, ""),
    ("5", nothing, ANA, {"items": ZERO_ITEMS}, Reject, WRONG_QUANTITY),
    ("5 curable", nothing, ANA, {"customer_id": 777}, Reject, NO_CUSTOMER),
    ("6 right now", held, ANA, {}, Accept, ""),
    ("6 queued", queued, ANA, {}, Accept, ""),
    ("6 wrong still", held, ANA, {"customer_id": 777}, Reject, NO_CUSTOMER),
    ("7", synced, ANA, {}, AlreadySynced, ALREADY),
    ("7 newer", synced, ANA, {"version": 5}, AlreadySynced, ALREADY),
    ("7 older", edited, ANA, {"status": "confirmed", "version": 1}, AlreadySynced, ALREADY),
    ("7 said otherwise", synced, ANA, {"version": "x", "customer_id": "5"}, AlreadySynced, ALREADY),
    ("8", in_conflict, ANA, {"status": "confirmed"}, ServerConfirmed, ALREADY),
    ("8 newer", in_conflict, ANA, {"status": "confirmed", "version": 8}, ServerConfirmed, ALREADY),
    ("9 synced", updated, ANA, {}, AlreadySynced, ALREADY),
    ("9 edited", edited, ANA, {}, AlreadySynced, ALREADY),
    ("9 in conflict", in_conflict, ANA, {}, AlreadySynced, ALREADY),
    ("10", resolved, ANA, {"notes": "a"}, AlreadyResolved,
     "Conflict already resolved with server_wins"),
    ("11", in_conflict, ANA, {"notes": "a"}, SameConflict, "stale_version"),
    ("12 synced", synced, ANA, {"items": ZERO_ITEMS}, RefuseEdit, WRONG_QUANTITY),
    ("12 in conflict", in_conflict, ANA, {"customer_id": 777}, RefuseEdit, NO_CUSTOMER),
    ("13", synced, ANA, {"notes": "x", "version": 2}, Conflict, "version_ahead"),
    ("13 in conflict", in_conflict, ANA, {"notes": "x", "version": 3}, Conflict, "version_ahead"),
    ("14", lambda: edited(status="delivered"), ANA, {"notes": "x", "version": 2}, Conflict,
     "locked"),
    ("14 older", lambda: edited(status="cancelled"), ANA, {"notes": "x"}, Conflict, "locked"),
    ("15", edited, ANA, {"notes": "x"}, Conflict, "stale_version"),
    ("15 in conflict", in_conflict, ANA, {"notes": "x"}, Conflict, "stale_version"),
    ("15 merged", merging, ANA, {"notes": "x"}, Merge, "Sale merged"),
    ("15 both", merging, ANA, {"status": "in_preparation"}, Conflict, "stale_version"),
    ("16", edited, ANA, {"notes": "x", "version": 2}, Conflict, "status_regression"),
    ("16 in conflict", in_conflict, ANA, {"notes": "x", "version": 2}, Conflict,
     "status_regression"),
    ("17", synced, ANA, {"notes": "x"}, Update, "Sale updated"),
    ("17 cancelled", edited, ANA, {"status": "cancelled", "version": 2}, Update, "Sale updated"),
    ("18", in_conflict, ANA, {"status": "ready", "version": 2}, Update, "Sale updated"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "user_id", "said", "decision", "told"),
    [row[1:] for row in TABLE],
    ids=[row[0] for row in TABLE],
)
def test_each_row_of_the_table_decides_as_written(
    before: Callable[[], Shelf],
    user_id: int,
    said: dict[str, Any],
    decision: type[Decision],
    told: str,
) -> None:
    shelf = before()

    judged = shelf.send(user_id, **said)

    assert type(judged.decision) is decision
    assert told in (judged.message or "", judged.code)


def test_the_table_names_every_row() -> None:
    rows = {int(row[0].split()[0]) for row in TABLE}

    assert rows == set(range(1, 19))


def test_row_1_tells_a_stranger_id_number_and_state_alone() -> None:
    shelf = synced()

    outcome = shelf.send(BETO).outcome

    assert (outcome.sale_id, outcome.sale_number) == (7, "VTA-2026-00007")
    assert outcome.version is None
    assert outcome.verdict == Success(ALREADY)


def test_row_2_tells_a_stranger_nothing_and_keeps_the_words_once() -> None:
    shelf = synced()
    owned = shelf.sale

    outcomes = [shelf.send(BETO, notes="x").outcome for _ in range(3)]

    assert {(each.sale_id, each.sale_number, each.version) for each in outcomes} == {(None,) * 3}
    assert [each.kind for each in shelf.copies] == ["foreign"]
    assert shelf.sale == owned


def test_row_2_keeps_no_more_than_twenty_strangers_payloads() -> None:
    shelf = synced()

    for count in range(25):
        shelf.send(BETO, notes=f"intento {count}")

    assert len(shelf.copies) == 20


def test_row_2_leaves_what_the_owner_waits_for() -> None:
    shelf = held()

    shelf.send(BETO)

    assert shelf.waits == (Missing("customer", 777),)


def test_row_6_keeps_id_and_number_counts_the_attempt_and_revives_the_dead() -> None:
    shelf = held()
    assert shelf.sale is not None
    shelf.sale = replace(shelf.sale, is_dead=True, automatic_attempts=12, next_attempt_at=None)

    shelf.send(customer_id=778)

    after = shelf.sale
    assert (after.id, after.number, after.attempts) == (7, "VTA-2026-00007", 2)
    assert (after.is_dead, after.automatic_attempts) == (False, 0)
    assert after.next_attempt_at is not None
    assert shelf.waits == (Missing("customer", 778),)


def test_row_6_once_accepted_waits_for_nothing() -> None:
    shelf = held()

    shelf.send()

    assert shelf.sale is not None
    assert shelf.sale.sync_status == "synced"
    assert (shelf.waits, shelf.sale.next_attempt_at) == ((), None)


def test_row_8_closes_the_conflict_for_the_server() -> None:
    shelf = in_conflict()

    shelf.send(status="confirmed")

    assert shelf.sale is not None
    assert (shelf.sale.sync_status, shelf.sale.version) == ("synced", 2)
    assert shelf.sale.conflict_resolution == "server_wins"


def test_row_10_gives_the_till_the_servers_content() -> None:
    shelf = resolved()
    assert shelf.sale is not None

    verdict = shelf.send(notes="a").outcome.verdict

    assert isinstance(verdict, Success)
    assert verdict.content == shelf.sale.content


def test_row_10_is_not_for_an_edit_of_the_present_version() -> None:
    shelf = resolved()

    judged = shelf.send(notes="a", status="confirmed", version=2)

    assert type(judged.decision) is Update


def test_row_10_a_copy_that_a_newer_one_replaced_is_resolved_with_it() -> None:
    shelf = in_conflict()
    shelf.send(notes="newer")
    shelf.close_conflict()

    judged = shelf.send(notes="a")

    assert type(judged.decision) is AlreadyResolved


def test_row_11_shows_the_servers_present_side() -> None:
    shelf = in_conflict()
    shelf.edit(status="ready")

    verdict = shelf.send(notes="a").outcome.verdict

    assert isinstance(verdict, ConflictFound)
    assert (verdict.server_version, verdict.client_version) == (3, 1)
    assert verdict.server.status == "ready"
    assert verdict.base is not None
    assert verdict.base.status == "draft"


def test_row_12_keeps_the_refused_edit_once() -> None:
    shelf = synced()
    stored = shelf.sale

    for _ in range(3):
        shelf.send(items=ZERO_ITEMS)

    assert [each.kind for each in shelf.copies] == ["refused"]
    assert shelf.sale == stored


def test_row_15_merges_both_sides_and_gives_the_till_the_merged_content() -> None:
    shelf = merging()

    outcome = shelf.send(notes="x").outcome

    assert shelf.sale is not None
    assert shelf.sale.content is not None
    assert (shelf.sale.version, outcome.version) == (3, 3)
    assert (shelf.sale.content.status, shelf.sale.content.notes) == ("confirmed", "x")
    # Else the till's next edit, on version 3, would undo the server's half.
    assert isinstance(outcome.verdict, Success)
    assert outcome.verdict.content == shelf.sale.content


def test_row_15_merges_nothing_while_in_conflict() -> None:
    shelf = in_conflict()
    shelf.policy = MERGING

    judged = shelf.send(notes="b")

    assert judged.code == "stale_version"


def test_rows_13_to_16_leave_the_servers_side_as_it_is() -> None:
    shelf = edited()
    before = shelf.sale

    shelf.send(notes="x")

    after = shelf.sale
    assert before is not None
    assert after is not None
    assert after.parked is not None
    assert (after.content, after.version, after.total) == (
        before.content,
        before.version,
        before.total,
    )
    assert (after.parked.content.notes, after.parked.version) == ("x", 1)


def test_row_18_closes_the_conflict_for_the_client() -> None:
    shelf = in_conflict()

    shelf.send(status="ready", version=2)

    assert shelf.sale is not None
    assert (shelf.sale.sync_status, shelf.sale.version) == ("synced", 3)
    assert shelf.sale.conflict_resolution == "client_wins"
    assert [each.kind for each in shelf.copies].count("parked") == 1


def test_an_omitted_tax_stays_what_it_was_at_the_first_receipt() -> None:
    shelf = synced()
    items = [make_item(tax_percentage=None)]
    shelf.send(items=items, notes="sin IVA dicho")
    assert shelf.sale is not None
    first = shelf.sale
    dearer = {10: Product(10, Decimal(1), Decimal(27))}
    upload = make_upload(items=items, notes="sin IVA dicho")

    content, _ = recognise(upload, first, dearer)

    assert content == first.content


# What holds for every upload in every state.


def check_sale(sale: Sale) -> None:
    """Assert that a sale is whole: its parts belong to its state."""
    match sale.sync_status:
        case "synced":
            assert sale.content is not None
            assert sale.parked is None
        case "conflict":
            assert sale.content is not None
            assert sale.parked is not None
        case "error":
            assert sale.problems
        case "pending":
            assert sale.problems == ()
    if sale.is_held:
        assert sale.content is None
        assert sale.payload is not None
        assert sale.parked is None
        assert sale.version == 1
    elif sale.content is not None:
        assert sale.payload is None
        assert sale.problems == ()
        assert sale.next_attempt_at is None
        assert not sale.is_dead
        assert sale.status == sale.content.status
        assert sale.total == sale.content.amounts().total
    assert not (sale.is_dead and sale.next_attempt_at)
    assert (sale.next_attempt_at is None) == (sale.retry_cause is None)


def check_change(change: Change) -> None:
    """Assert that a change keeps what never changes, and counts up."""
    before, after = change.before, change.after
    check_sale(after)
    assert change.events
    if before is None:
        assert (after.version, after.attempts) == (1, 1)
        return
    for name in ("id", "number", "local_id", "user_id", "created_at"):
        assert getattr(after, name) == getattr(before, name)
    assert after.version in (before.version, before.version + 1)
    assert (after.version > before.version) == (
        bool(before.content) and any(copy.kind in SERVER_COPIES for copy in change.copies)
    )
    assert before.attempts <= after.attempts
    if before.sold_at is not None:
        assert after.sold_at == before.sold_at
    if before.content is not None:
        assert after.content is not None


def writes_nothing(decision: Decision) -> bool:
    match decision:
        case ForeignReplay() | AlreadySynced() | AlreadyResolved() | SameConflict():
            return True
        case ForeignClash(keep=keep) | RefuseEdit(keep=keep):
            return not keep
        case _:
            return False


def check_outcome(judged: Judged, upload: SaleUpload) -> None:
    """Assert that what is told fits what is written."""
    decision, change, outcome = judged.decision, judged.change, judged.outcome
    assert outcome.index == upload.index
    assert outcome.local_id == upload.echo
    assert (change is None) == writes_nothing(decision)
    assert isinstance(change, Quarantined) == isinstance(decision, Quarantine)
    if isinstance(outcome.verdict, Failure):
        assert outcome.verdict.problems
    if isinstance(decision, ForeignClash | Quarantine):
        assert (outcome.sale_id, outcome.sale_number, outcome.version) == (None, None, None)
        return
    sale = change.after if isinstance(change, Change) else judged.known.sale
    assert sale is not None
    assert (outcome.sale_id, outcome.sale_number) == (sale.id, sale.number)
    assert outcome.version == (None if isinstance(decision, ForeignReplay) else sale.version)
    if isinstance(outcome.verdict, ConflictFound):
        assert outcome.verdict.server == sale.content
        assert outcome.verdict.server_version == sale.version
        assert sale.parked is not None
        assert outcome.verdict.client == sale.parked.content


def check(judged: Judged, upload: SaleUpload) -> None:
    if isinstance(judged.change, Change):
        check_change(judged.change)
    check_outcome(judged, upload)


def _every_state() -> Iterator[Sale | None]:
    yield None
    for make in (synced, held, queued, updated, edited, in_conflict, resolved):
        sale = make().sale
        assert sale is not None
        yield sale
    for status in STATUSES:
        yield edited(status=status).sale


UPLOADS: Sequence[dict[str, Any]] = [
    {},
    {"notes": "a"},
    {"notes": "new"},
    {"status": "confirmed"},
    {"status": "cancelled"},
    {"status": "ready", "notes": "both"},
    {"customer_id": 777},
    {"customer_id": "x"},
    {"items": ZERO_ITEMS},
    {"items": [make_item(product_id=99)]},
    {"items": [make_item(tax_percentage=None)]},
    {"items": []},
    {"local_id": "x"},
    {"version": "x"},
    {"notes": 5},
]
KINDS: Sequence[CopyKind | None] = [
    None,
    "accepted",
    "edited",
    "merged",
    "parked",
    "refused",
    "foreign",
    "held",
]


def test_every_upload_in_every_state_has_a_decision_and_a_whole_outcome() -> None:
    shelf = Shelf()
    at = shelf.circumstances()
    bases = [None, cast(Sale, synced().sale).content]
    uploads = [
        make_upload(**{"version": version, **said}) for said, version in product(UPLOADS, (1, 2, 3))
    ]
    decided: set[type[Decision]] = set()

    for sale, upload, kind in product(_every_state(), uploads, KINDS):
        state = sale if upload.local_id is not None else None
        content, prints = recognise(upload, state, PRODUCTS)
        for user_id, base, policy in product((ANA, BETO), bases, (OFF, MERGING)):
            copies = (Copy(kind, prints, 1, "{}"),) if kind and state else ()
            known = Known(
                user_id, shelf.customers, PRODUCTS, content, prints, state, copies, base, 0
            )
            decision = decide(upload, known, policy)
            new = NewId(7, "VTA-2026-00007") if needs_id(decision, known) else None
            change, outcome = carry_out(decision, upload, known, new, at)
            check(Judged(known, decision, change, outcome), upload)
            decided.add(type(decision))

    assert decided == {
        Accept, Reject, Quarantine, ForeignReplay, ForeignClash, AlreadySynced, ServerConfirmed,
        AlreadyResolved, SameConflict, RefuseEdit, Conflict, Merge, Update,
    }  # fmt: skip


SENDS = st.fixed_dictionaries(
    {"version": st.integers(1, 5)},
    optional={
        "customer_id": st.sampled_from([6, 777]),
        "status": st.sampled_from(STATUSES),
        "notes": st.sampled_from(["a", "b"]),
        "created_at": st.sampled_from(["2026-01-01T00:00:00Z", "2025-01-01T00:00:00Z"]),
        "items": st.sampled_from(
            [
                [make_item(quantity=2)],
                ZERO_ITEMS,
                [make_item(tax_percentage=None)],
                [make_item(product_id=11, tax_percentage=None)],
                [make_item(product_id=99)],
            ]
        ),
    },
)
EDITS = st.fixed_dictionaries(
    {},
    optional={"status": st.sampled_from(STATUSES), "notes": st.sampled_from(["a", "b", "m"])},
).filter(bool)
STEPS: st.SearchStrategy[tuple[str, int, dict[str, Any]]] = st.one_of(
    st.tuples(st.just("send"), st.sampled_from([ANA, ANA, BETO]), SENDS),
    st.tuples(st.just("send"), st.just(ANA), SENDS),
    st.tuples(st.just("edit"), st.just(ANA), EDITS),
    st.tuples(st.sampled_from(["close", "queue", "import"]), st.just(ANA), st.just({})),
)


def take_step(shelf: Shelf, kind: str, user_id: int, said: dict[str, Any]) -> None:
    sale = shelf.sale
    match kind:
        case "send":
            check(shelf.send(user_id, **said), make_upload(**said))
        case "edit" if sale and sale.content and replace(sale.content, **said) != sale.content:
            shelf.edit(**said)
        case "close" if sale and sale.sync_status == "conflict":
            shelf.close_conflict()
        case "queue" if sale and sale.sync_status == "error":
            shelf.queue()
        case "import":
            shelf.customers |= {777}
        case _:
            """The sale is in no state for it."""


@settings(deadline=None, max_examples=300)
@given(st.lists(STEPS, max_size=8), st.sampled_from([ANA, BETO]), SENDS, st.booleans())
def test_the_same_upload_sent_again_changes_nothing(
    steps: list[tuple[str, int, dict[str, Any]]],
    user_id: int,
    said: dict[str, Any],
    is_merging: bool,  # noqa: FBT001 - Hypothesis gives it
) -> None:
    shelf = Shelf(policy=MERGING if is_merging else OFF)
    for step in steps:
        take_step(shelf, *step)
    upload = make_upload(**said)

    first = shelf.judge(upload, user_id)
    shelf.keep(first.change)
    again = shelf.judge(upload, user_id)

    check(first, upload)
    check(again, upload)
    if isinstance(first.decision, Reject):
        # Judged anew each time, since new data may cure it; it stays the one sale.
        assert isinstance(again.decision, Reject)
        assert again.outcome == first.outcome
        return
    assert again.change is None
    assert type(again.outcome.verdict) is type(first.outcome.verdict)
    assert again.outcome.sale_id == first.outcome.sale_id
    assert again.outcome.version == first.outcome.version
    if not isinstance(first.outcome.verdict, Success):
        assert again.outcome.verdict == first.outcome.verdict


@settings(deadline=None, max_examples=200)
@given(st.lists(STEPS, min_size=1, max_size=12), st.booleans())
def test_whatever_happens_to_a_sale_it_stays_whole_and_is_one(
    steps: list[tuple[str, int, dict[str, Any]]],
    is_merging: bool,  # noqa: FBT001 - Hypothesis gives it
) -> None:
    shelf = Shelf(policy=MERGING if is_merging else OFF)

    for step in steps:
        take_step(shelf, *step)

    if shelf.sale is not None:
        check_sale(shelf.sale)
        versions = [each.version for each in shelf.copies if each.kind in SERVER_COPIES]
        assert versions == list(range(1, shelf.sale.version))
        assert bool(shelf.waits) <= (shelf.sale.sync_status in ("error", "pending"))


@settings(deadline=None, max_examples=200)
@given(st.lists(STEPS, max_size=8), SENDS)
def test_a_strangers_upload_never_touches_the_sale(
    steps: list[tuple[str, int, dict[str, Any]]], said: dict[str, Any]
) -> None:
    shelf = synced()
    for step in steps:
        take_step(shelf, *step)
    stored, waits = shelf.sale, shelf.waits
    assert stored is not None
    stranger = BETO if stored.user_id == ANA else ANA

    shelf.send(stranger, **said)

    assert (shelf.sale, shelf.waits) == (stored, waits)
