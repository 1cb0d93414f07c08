"""What the till is told of each sale: the results of an upload, as values."""

from collections.abc import Sequence

from bulonera_sync.codes import ConflictCode
from bulonera_sync.sales import Content, Problem
from bulonera_sync.values import value


@value
class Success:
    """Kept and on disk; `content` is the server's, where the till must take it (rows 10, 15)."""

    message: str | None = None
    content: Content | None = None
    warnings: tuple[Problem, ...] = ()


@value
class Failure:
    """Refused, with every reason; the first one is the one told."""

    problems: tuple[Problem, ...]
    is_retryable: bool


@value
class ConflictFound:
    """Both sides of a sale that was edited on both; `base` where the server still knows it."""

    code: ConflictCode
    message: str
    server_version: int
    client_version: int
    server: Content
    client: Content
    base: Content | None


Verdict = Success | Failure | ConflictFound


@value
class Outcome:
    """One result of an upload. `sale_id` and `sale_number` are None where nothing may be told."""

    index: int
    local_id: str
    verdict: Verdict
    sale_id: int | None = None
    sale_number: str | None = None
    version: int | None = None


@value
class Summary:
    """The counts of an upload's answer."""

    total: int
    successful: int
    conflicts: int
    errors: int


def summarise(outcomes: Sequence[Outcome]) -> Summary:
    """Count an upload's outcomes by what they are."""
    successful = sum(isinstance(outcome.verdict, Success) for outcome in outcomes)
    conflicts = sum(isinstance(outcome.verdict, ConflictFound) for outcome in outcomes)
    total = len(outcomes)
    return Summary(total, successful, conflicts, total - successful - conflicts)
