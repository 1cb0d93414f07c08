"""Times as texts for programs: ISO 8601 in UTC."""

from datetime import datetime
from typing import overload

_TO_THE_SECOND = len("2026-02-16T12:00:30")


@overload
def time_text(time: datetime) -> str: ...
@overload
def time_text(time: None) -> None: ...
@overload
def time_text(time: datetime | None) -> str | None: ...
def time_text(time: datetime | None) -> str | None:
    """Return ISO 8601 UTC with Z, to the second, as the API has it."""
    return None if time is None else f"{time.isoformat()[:_TO_THE_SECOND]}Z"
