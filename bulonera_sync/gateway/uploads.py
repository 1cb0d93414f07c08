"""Taking an upload: facts, decisions, one write, outcomes."""

from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

from bulonera_sync.changes import Change, Circumstances, NewId, Quarantined
from bulonera_sync.checks import Known, recognise
from bulonera_sync.consequences import carry_out, needs_id
from bulonera_sync.decisions import (
    Decision,
    ForeignClash,
    Policy,
    Quarantine,
    RefuseEdit,
    Reject,
    decide,
)
from bulonera_sync.errors import StatementRefusedError
from bulonera_sync.outcomes import Outcome
from bulonera_sync.sales import Content, Copy, Fingerprints, Problem, Product, Sale
from bulonera_sync.store import catalog, copies, sales
from bulonera_sync.store.sessions import Session
from bulonera_sync.uploads import SaleUpload
from bulonera_sync.values import value


@value
class UploadRules:
    """What of the configuration an upload is judged and numbered by."""

    policy: Policy
    max_items: int
    number_prefix: str
    zone: ZoneInfo


@value
class Submission:
    """One sale to be judged: what was said, whose it is, who has it judged and why."""

    upload: SaleUpload
    user_id: int
    at: Circumstances


# What is written for a sale, None for nothing, and what is answered.
Taken = tuple[Change | Quarantined | None, Outcome]
Take = Callable[[Session, Sequence[Submission], UploadRules], Coroutine[Any, Any, list[Taken]]]


def in_rounds(submissions: Sequence[Submission]) -> list[list[int]]:
    """Part a batch so that no round names a local_id twice; return each round's places, in order.

    A round is judged as a whole; two equal local_ids in one batch are judged one after the other.
    """
    rounds: defaultdict[int, list[int]] = defaultdict(list)
    seen: Counter[str] = Counter()
    for place, each in enumerate(submissions):
        local_id = each.upload.local_id
        turn = 0
        if local_id is not None:
            turn = seen[local_id]
            seen[local_id] += 1
        rounds[turn].append(place)
    return [rounds[turn] for turn in sorted(rounds)]


async def take_all(
    session: Session, submissions: Sequence[Submission], rules: UploadRules
) -> list[Taken]:
    """Judge and write the sales set by set, of however many requests; return what became of each.

    Raises `StatementRefusedError` when the database refuses any of it: nothing of the
    transaction counts then, and `take_each` finds the one at fault.
    """
    taken: dict[int, Taken] = {}
    for places in in_rounds(submissions):
        batch = [submissions[place] for place in places]
        known = await facts(session, batch)
        decisions = [
            decide(each.upload, about, rules.policy)
            for each, about in zip(batch, known, strict=True)
        ]
        made = await _carry_out(session, batch, decisions, known, rules)
        taken.update(zip(places, made, strict=True))
    return [taken[place] for place in range(len(submissions))]


async def take_each(
    session: Session, submissions: Sequence[Submission], rules: UploadRules
) -> list[Taken]:
    """Do as `take_all`, each sale in a savepoint: the one the database refuses is kept alone."""
    return [await _take_one(session, each, rules) for each in submissions]


async def _take_one(session: Session, submission: Submission, rules: UploadRules) -> Taken:
    [known] = await facts(session, [submission])
    decision = decide(submission.upload, known, rules.policy)
    for attempt in (decision, *_instead_of(decision, known)):
        try:
            async with session.savepoint():
                [taken] = await _carry_out(session, [submission], [attempt], [known], rules)
                return taken
        except StatementRefusedError:
            continue
    raise StatementRefusedError(
        f"the database refuses to keep sale {submission.upload.index} at all"
    )


def _instead_of(decision: Decision, known: Known) -> Iterator[Decision]:
    """Yield what becomes of a sale that the database refuses: held, or put in quarantine."""
    if isinstance(decision, ForeignClash):
        yield replace(decision, keep=False)
        return
    text = "La base de datos no aceptó la venta; quedó guardada para revisión"
    problem = Problem("", "not_stored", text)
    if known.sale is not None and not known.sale.is_held:
        yield RefuseEdit(known.sale, (problem,), keep=True)
        yield RefuseEdit(known.sale, (problem,), keep=False)
    else:
        yield Reject((problem,), ())
        yield Quarantine((problem,))


async def _carry_out(
    session: Session,
    batch: Sequence[Submission],
    decisions: Sequence[Decision],
    known: Sequence[Known],
    rules: UploadRules,
) -> list[Taken]:
    judged = list(zip(batch, decisions, known, strict=True))
    new = {
        place: each.at
        for place, (each, decision, about) in enumerate(judged)
        if needs_id(decision, about)
    }
    new_ids = await _take_ids(session, new, rules)
    taken = [
        carry_out(decision, each.upload, about, new_ids.get(place), each.at)
        for place, (each, decision, about) in enumerate(judged)
    ]
    await sales.save(session, [made for made, _ in taken if isinstance(made, Change)])
    kept = [made for made, _ in taken if isinstance(made, Quarantined)]
    await sales.put_in_quarantine(session, kept)
    return taken


async def _take_ids(
    session: Session, new: Mapping[int, Circumstances], rules: UploadRules
) -> Mapping[int, NewId]:
    """Return an id and a number for each place of `new`."""
    years: defaultdict[int, list[int]] = defaultdict(list)
    for place, at in new.items():
        # One clock reading a request: the year can't turn in the middle of one.
        years[at.now.astimezone(rules.zone).year].append(place)
    taken: dict[int, NewId] = {}
    for year, places in years.items():
        ids = await sales.take_ids(session, len(places), prefix=rules.number_prefix, year=year)
        taken.update(zip(places, ids, strict=True))
    return taken


def judge(submission: Submission, known: Known, rules: UploadRules) -> Change:
    """Return the change that judging a held sale anew makes (row 6)."""
    upload, at = submission.upload, submission.at
    decision = decide(upload, known, rules.policy)
    change, _ = carry_out(decision, upload, known, None, at)
    assert isinstance(change, Change)
    return change


async def facts_about(session: Session, upload: SaleUpload, sale: Sale) -> Known:
    """Return what the catalogue knows of an edit of this sale."""
    customers, products = await catalog.active(
        session, customer_ids=_ids(upload.customer_id), product_ids=set(upload.product_ids)
    )
    content, fingerprints = recognise(upload, sale, products)
    return Known(sale.user_id, customers, products, content, fingerprints, sale=sale)


def _ids(customer_id: int | None) -> frozenset[int]:
    return frozenset() if customer_id is None else frozenset({customer_id})


async def facts(session: Session, submissions: Sequence[Submission]) -> list[Known]:
    """Return what is known about each upload, in their order: a few queries for all of them.

    No two uploads may name the same local_id.
    """
    uploads = [each.upload for each in submissions]
    stored = await sales.find_by_local_ids(session, [u.local_id for u in uploads if u.local_id])
    customers, products = await catalog.active(
        session,
        customer_ids={u.customer_id for u in uploads if u.customer_id is not None},
        product_ids={product_id for upload in uploads for product_id in upload.product_ids},
    )
    found = [stored.get(upload.local_id or "") for upload in uploads]
    recognised = [
        recognise(upload, sale, products) for upload, sale in zip(uploads, found, strict=True)
    ]
    told = await _told_of_stored(session, uploads, found, recognised)
    return [
        _known(each.user_id, customers, products, made, sale, told)
        for each, made, sale in zip(submissions, recognised, found, strict=True)
    ]


@value
class _Told:
    """What is kept beside the stored sales, by sale id."""

    copies: Mapping[int, tuple[Copy, ...]]
    bases: Mapping[int, Content]
    foreign_copies: Mapping[int, int]


async def _told_of_stored(
    session: Session,
    uploads: Sequence[SaleUpload],
    found: Sequence[Sale | None],
    recognised: Sequence[tuple[Content | None, Fingerprints]],
) -> _Told:
    known_again = [
        (upload, sale, prints)
        for upload, sale, (_, prints) in zip(uploads, found, recognised, strict=True)
        if sale is not None
    ]
    if not known_again:
        return _Told({}, {}, {})
    prints = {sale.id: each for _, sale, each in known_again}
    older = {s.id: u.version for u, s, _ in known_again if not s.is_held and u.version < s.version}
    return _Told(
        copies=await copies.copies_of(session, prints),
        bases=await copies.bases_of(session, older),
        foreign_copies=await copies.count_foreign_copies(session, prints),
    )


def _known(
    user_id: int,
    customers: frozenset[int],
    products: Mapping[int, Product],
    recognised: tuple[Content | None, Fingerprints],
    sale: Sale | None,
    told: _Told,
) -> Known:
    content, fingerprints = recognised
    if sale is None:
        return Known(user_id, customers, products, content, fingerprints)
    return Known(
        user_id,
        customers,
        products,
        content,
        fingerprints,
        sale=sale,
        copies=told.copies.get(sale.id, ()),
        base=told.bases.get(sale.id),
        foreign_copies=told.foreign_copies.get(sale.id, 0),
    )
