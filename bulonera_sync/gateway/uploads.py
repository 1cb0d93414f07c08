"""Taking an upload: facts, decisions, one write, outcomes."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from bulonera_sync.changes import Change, Circumstances, NewId, Quarantined, carry_out, needs_id
from bulonera_sync.decisions import (
    Decision,
    Known,
    Policy,
    Quarantine,
    RefuseEdit,
    Reject,
    decide,
    recognise,
)
from bulonera_sync.errors import StatementRefusedError
from bulonera_sync.outcomes import Outcome
from bulonera_sync.sales import Content, Copy, Fingerprints, Problem, Product, Sale
from bulonera_sync.store import catalog, sales
from bulonera_sync.store.sessions import Session
from bulonera_sync.uploads import SaleUpload


@dataclass(frozen=True, slots=True)
class UploadRules:
    """What of the configuration an upload is judged and numbered by."""

    policy: Policy
    number_prefix: str
    zone: ZoneInfo


def in_rounds(uploads: Iterable[SaleUpload]) -> list[list[SaleUpload]]:
    """Part an upload so that no round names a local_id twice, in order.

    A round is judged as a whole; two equal local_ids in one body are judged one after the other.
    """
    rounds: defaultdict[int, list[SaleUpload]] = defaultdict(list)
    seen: Counter[str] = Counter()
    for upload in uploads:
        turn = 0
        if upload.local_id is not None:
            turn = seen[upload.local_id]
            seen[upload.local_id] += 1
        rounds[turn].append(upload)
    return [rounds[turn] for turn in sorted(rounds)]


async def take_all(
    session: Session,
    uploads: Sequence[SaleUpload],
    user_id: int,
    rules: UploadRules,
    at: Circumstances,
) -> list[Outcome]:
    """Judge and write the uploads set by set; return their outcomes in the request's order.

    Raises `StatementRefusedError` when the database refuses any of it: nothing of the
    transaction counts then, and `take_each` finds the one at fault.
    """
    outcomes: list[Outcome] = []
    for uploads_of_round in in_rounds(uploads):
        known = await facts(session, uploads_of_round, user_id)
        decided = [
            (each, decide(each, known[each.index], rules.policy)) for each in uploads_of_round
        ]
        outcomes += await _carry_out(session, decided, known, user_id, rules, at)
    return sorted(outcomes, key=lambda outcome: outcome.index)


async def take_each(
    session: Session,
    uploads: Sequence[SaleUpload],
    user_id: int,
    rules: UploadRules,
    at: Circumstances,
) -> list[Outcome]:
    """Do as `take_all`, each sale in a savepoint: the one the database refuses is kept alone."""
    outcomes = []
    for upload in uploads:
        known = await facts(session, [upload], user_id)
        decision = decide(upload, known[upload.index], rules.policy)
        for attempt in (decision, *_instead_of(decision, upload, known[upload.index])):
            try:
                async with session.savepoint():
                    attempted = [(upload, attempt)]
                    outcomes += await _carry_out(session, attempted, known, user_id, rules, at)
                break
            except StatementRefusedError:
                continue
        else:
            raise StatementRefusedError(f"the database refuses to keep sale {upload.index} at all")
    return outcomes


def _instead_of(decision: Decision, upload: SaleUpload, known: Known) -> Iterable[Decision]:
    """Yield what becomes of a sale that the database refuses: held, or put in quarantine."""
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
    decided: Sequence[tuple[SaleUpload, Decision]],
    known: Mapping[int, Known],
    user_id: int,
    rules: UploadRules,
    at: Circumstances,
) -> list[Outcome]:
    new = [upload.index for upload, made in decided if needs_id(made, known[upload.index])]
    year = at.now.astimezone(rules.zone).year
    ids = await sales.take_ids(session, len(new), prefix=rules.number_prefix, year=year)
    new_ids: Mapping[int, NewId] = dict(zip(new, ids, strict=True))
    results = [
        carry_out(decision, upload, known[upload.index], new_ids.get(upload.index), at)
        for upload, decision in decided
    ]
    changes = [change for change, _ in results if isinstance(change, Change)]
    await sales.save(session, changes)
    kept = [change for change, _ in results if isinstance(change, Quarantined)]
    await sales.put_in_quarantine(session, kept, user_id=user_id, now=at.now)
    return [outcome for _, outcome in results]


async def facts(session: Session, uploads: Sequence[SaleUpload], user_id: int) -> dict[int, Known]:
    """Return what is known about each upload, by its index: a few queries for all of them.

    No two uploads may name the same local_id.
    """
    stored = await sales.find_by_local_ids(session, [u.local_id for u in uploads if u.local_id])
    customer_ids = {u.customer_id for u in uploads if u.customer_id is not None}
    customers = await catalog.active_customers(session, customer_ids)
    products = await catalog.active_products(
        session, {product_id for upload in uploads for product_id in upload.product_ids}
    )
    recognised = {u.index: recognise(u, stored.get(u.local_id or ""), products) for u in uploads}
    told = await _told_of_stored(session, uploads, stored, recognised)
    return {
        u.index: _known(
            user_id,
            customers,
            products,
            recognised[u.index],
            stored.get(u.local_id or ""),
            told,
        )
        for u in uploads
    }


@dataclass(frozen=True, slots=True)
class _Told:
    """What is kept beside the stored sales, by sale id."""

    copies: Mapping[int, tuple[Copy, ...]]
    bases: Mapping[int, Content]
    foreign_copies: Mapping[int, int]


async def _told_of_stored(
    session: Session,
    uploads: Sequence[SaleUpload],
    stored: Mapping[str, Sale],
    recognised: Mapping[int, tuple[Content | None, Fingerprints]],
) -> _Told:
    known_again = [(u, sale) for u in uploads if (sale := stored.get(u.local_id or ""))]
    if not known_again:
        return _Told({}, {}, {})
    prints = {sale.id: recognised[upload.index][1] for upload, sale in known_again}
    older = {s.id: u.version for u, s in known_again if not s.is_held and u.version < s.version}
    return _Told(
        copies=await sales.copies_of(session, prints),
        bases=await sales.bases_of(session, older),
        foreign_copies=await sales.count_foreign_copies(session, prints),
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
