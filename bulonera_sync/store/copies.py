"""The contents kept beside a sale: found again by print, as a conflict's base, as a stranger's."""

from collections import defaultdict
from collections.abc import Collection, Mapping

from sqlalchemy import func, or_, select

from bulonera_sync.sales import (
    SERVER_COPIES,
    Content,
    Copy,
    Fingerprints,
)
from bulonera_sync.store import schema
from bulonera_sync.store.dialect import among
from bulonera_sync.store.sale_rows import load_copy
from bulonera_sync.store.sessions import Session
from bulonera_sync.store.statements import Statement

_copies = schema.copies

_COPY_COLUMNS = (
    _copies.c.sale_id,
    _copies.c.kind,
    _copies.c.fingerprint,
    _copies.c.said_fingerprint,
    _copies.c.version,
    _copies.c.text,
)

# Two statements rather than one OR: each is answered by its own index.
COPIES_BY_CONTENT = Statement(
    select(*_COPY_COLUMNS).where(
        among(_copies.c.sale_id, "ids"), among(_copies.c.fingerprint, "fingerprints")
    )
)

COPIES_AS_SAID = Statement(
    select(*_COPY_COLUMNS).where(
        among(_copies.c.sale_id, "ids"), among(_copies.c.said_fingerprint, "fingerprints")
    )
)

BASES = Statement(
    select(_copies.c.sale_id, _copies.c.version, _copies.c.fingerprint, _copies.c.text).where(
        among(_copies.c.sale_id, "ids"),
        or_(*(_copies.c.kind == kind for kind in sorted(SERVER_COPIES))),
        among(_copies.c.version, "versions"),
    )
)

FOREIGN_COPIES = Statement(
    select(_copies.c.sale_id, func.count())
    .where(among(_copies.c.sale_id, "ids"), _copies.c.kind == "foreign")
    .group_by(_copies.c.sale_id)
)


async def copies_of(
    session: Session, prints: Mapping[int, Fingerprints]
) -> Mapping[int, tuple[Copy, ...]]:
    """Return, by sale id, the kept copies that these prints match."""
    if not prints:
        return {}
    ids = sorted(prints)
    contents = [each.content for each in prints.values() if each.content]
    rows = {
        *await session.fetch(COPIES_BY_CONTENT, ids=ids, fingerprints=contents),
        *await session.fetch(
            COPIES_AS_SAID, ids=ids, fingerprints=[each.said for each in prints.values()]
        ),
    }
    found: defaultdict[int, list[Copy]] = defaultdict(list)
    for sale_id, kind, fingerprint, said, version, kept in rows:
        copy = Copy(kind, Fingerprints(said, fingerprint), version, kept)
        if copy.fingerprints.match(prints[sale_id]):
            found[sale_id].append(copy)
    return {sale_id: tuple(copies) for sale_id, copies in found.items()}


async def bases_of(session: Session, versions: Mapping[int, int]) -> Mapping[int, Content]:
    """Return, by sale id, the server's content at the version given for it, where it is kept.

    One that the disk has changed is as good as not kept: nothing must be merged on it.
    """
    if not versions:
        return {}
    rows = await session.fetch(BASES, ids=sorted(versions), versions=sorted(set(versions.values())))
    return {
        sale_id: base
        for sale_id, version, fingerprint, text in rows
        if versions[sale_id] == version and (base := load_copy(text, fingerprint)) is not None
    }


async def count_foreign_copies(session: Session, ids: Collection[int]) -> Mapping[int, int]:
    """Return how many other users' payloads are kept with each of these sales."""
    if not ids:
        return {}
    return dict(await session.fetch(FOREIGN_COPIES, ids=sorted(ids)))
