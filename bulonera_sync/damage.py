"""Is a stored sale still what was stored: its content against the print it was kept with. Pure.

A disk or a memory that turns one bit must not make the gateway say "already synced" of a sale that
is another one now.
"""

from collections.abc import Collection
from dataclasses import replace

from bulonera_sync.bodies import parse_kept
from bulonera_sync.sales import (
    CONTENT_FIELDS,
    SYNC_STATUSES,
    Content,
    Fingerprints,
    Problem,
    Sale,
)
from bulonera_sync.uploads import read_sale

STORED_DAMAGED = Problem(
    "",
    "stored_damaged",
    "La venta guardada está dañada en el disco del servidor; avise a soporte",
)

# What the log says of one.
SENTENCE = "Stored sale is damaged on disk"


def is_damaged(sale: Sale) -> bool:
    """Say whether a sale, as it was read, is another than the one that was written."""
    if sale.sync_status not in SYNC_STATUSES:
        return True
    if sale.content is None:
        return sale.payload is None or not _says(sale.payload, sale.fingerprints.said)
    parked = sale.parked
    return (
        not sale.content.items
        or not _has_print(sale.content, sale.fingerprints)
        or (parked is not None and not _has_print(parked.content, parked.fingerprints))
    )


def _has_print(content: Content, prints: Fingerprints) -> bool:
    return content.fingerprint() == prints.content


def _says(payload: str, said: str) -> bool:
    if not _is_readable(payload):
        return False
    raw = parse_kept(payload)
    # More items than were allowed at the time are printed in their own words: 0 allows none.
    return any(read_sale(raw, index=0, max_items=most).said == said for most in (None, 0))


def _is_readable(payload: str) -> bool:
    try:
        parse_kept(payload)
    except ValueError:
        return False
    return True


def why_not(sale: Sale, said: Collection[str]) -> str | None:
    """Return why a decision must not rest on a damaged sale, or None where it need not.

    `said` are the fields that the decision brings: a content that is said whole needs no other.
    """
    if not sale.is_damaged or (sale.content is not None and set(CONTENT_FIELDS) <= set(said)):
        return None
    return (
        f"La venta {sale.number} está dañada en el disco; diga de nuevo "
        f"{', '.join(CONTENT_FIELDS)}, todos, o restaure una copia"
    )


def as_told(sale: Sale) -> Sale:
    """Return the sale as a reader is told of it: a damaged one is in error, whatever it says."""
    if not sale.is_damaged:
        return sale
    payload = sale.payload if sale.payload and _is_readable(sale.payload) else None
    return replace(sale, sync_status="error", problems=(STORED_DAMAGED,), payload=payload)
