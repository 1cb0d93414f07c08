"""Times as texts for programs: ISO 8601 in UTC."""

from datetime import datetime


def time_text(time: datetime | None) -> str | None:
    """Return ISO 8601 UTC with Z, to the second, as the API has it."""
    return None if time is None else f"{time.replace(tzinfo=None).isoformat(timespec='seconds')}Z"
