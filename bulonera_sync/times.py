"""Times as texts for programs: ISO 8601 in UTC."""

from datetime import datetime
from typing import overload


@overload
def time_text(time: datetime) -> str: ...
@overload
def time_text(time: None) -> None: ...
@overload
def time_text(time: datetime | None) -> str | None: ...
def time_text(time: datetime | None) -> str | None:
    """Return ISO 8601 UTC with Z, to the second, as the API has it."""
    return None if time is None else f"{time.replace(tzinfo=None).isoformat(timespec='seconds')}Z"
