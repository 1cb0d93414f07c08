"""Bringing two edits of one sale together, field by field. Pure."""

from bulonera_sync.sales import CONTENT_FIELDS, STATUSES, Content


def merge(base: Content, server: Content, client: Content) -> Content | None:
    """Return the content with both sides' changes, or None where one field has two new values.

    A field changed on one side alone is taken from there; items count as one field.
    """
    merged = {}
    for name in CONTENT_FIELDS:
        was, ours, theirs = (getattr(side, name) for side in (base, server, client))
        if ours != was and theirs not in (was, ours):
            return None
        merged[name] = theirs if ours == was else ours
    return Content(**merged)


def is_behind(status: str, other: str) -> bool:
    """Say whether `status` comes before `other` in a sale's life; cancelled is behind nothing."""
    if status == "cancelled":
        return False
    if other == "cancelled":
        return True
    return STATUSES.index(status) < STATUSES.index(other)
