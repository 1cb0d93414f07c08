"""Telling a conflict: both sides, what they are based on, and why it is one. Pure."""

from bulonera_sync.merging import is_behind
from bulonera_sync.outcomes import ConflictFound
from bulonera_sync.sales import (
    LOCKED_STATUSES,
    Content,
    Parked,
    Sale,
)


def conflict_of(sale: Sale, parked: Parked, base: Content | None) -> ConflictFound:
    """Return both sides of a sale in conflict, against the server's present side."""
    assert sale.content is not None
    return ConflictFound(
        code=parked.code,
        message=_conflict_message(sale, parked),
        server_version=sale.version,
        client_version=parked.version,
        server=sale.content,
        client=parked.content,
        base=_base(sale, parked, base),
    )


def _base(sale: Sale, parked: Parked, kept: Content | None) -> Content | None:
    # A version the server had not reached yet was nobody's base, even when it has been since.
    if parked.code == "version_ahead":
        return None
    return sale.content if parked.version == sale.version else kept


def _conflict_message(sale: Sale, parked: Parked) -> str:
    """Say why it is a conflict, against the server's side as it is now."""
    match parked.code:
        case "version_ahead" if parked.version > sale.version:
            return (
                f"La versión {parked.version} del cliente es más nueva que la del servidor "
                f"({sale.version})"
            )
        case "locked" if sale.status in LOCKED_STATUSES:
            return f"La venta está {sale.status} en el servidor y ya no admite cambios"
        case "status_regression" if is_behind(parked.content.status, sale.status):
            return f"El status {parked.content.status} es anterior al del servidor ({sale.status})"
        case _:
            return (
                f"La venta cambió en el servidor (versión {sale.version}) después de la versión "
                f"{parked.version} del cliente"
            )
