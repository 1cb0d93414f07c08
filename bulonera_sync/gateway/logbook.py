"""What the log says of each sale: the guide's sentences and keys, once, after the commit."""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from logging import ERROR, INFO, WARNING, LogRecord
from typing import assert_never

from bulonera_sync.damage import SENTENCE, STORED_DAMAGED
from bulonera_sync.gateway.edits import Moved, Result, Settled
from bulonera_sync.gateway.retries import RetryResult
from bulonera_sync.gateway.uploads import Submission
from bulonera_sync.log_lines import LOGGER
from bulonera_sync.outcomes import ConflictFound, Failure, Outcome, Success
from bulonera_sync.resolutions import Invalid
from bulonera_sync.sales import Problem, Sale
from bulonera_sync.uploads import ItemUpload, SaleUpload

logger = logging.getLogger(LOGGER)

_SENTENCES = {
    "local_id_required": "Sync validation failed: missing local_id",
    "local_id_invalid": "Sync validation failed: invalid UUID format",
    "customer_required": "Sync validation failed: missing customer_id",
    "customer_invalid": "Sync validation failed: invalid customer_id",
    "customer_not_found": "Sync validation failed: missing customer_id",
    "items_required": "Sync validation failed: missing items",
    "too_many_items": "Sync validation failed: too many items",
    "local_id_in_use": "Sync refused: local_id belongs to another user",
    "not_stored": "Sync refused: the database did not take the sale",
    "pending": "Sale is queued for another user",
}


_STANDARD_VALUES = vars(logging.makeLogRecord({"name": LOGGER}))


class SaleRecord(LogRecord):
    """A record about a sale. It doesn't say which line of ours, or which thread, made it.

    Finding that out takes longer than all the rest of a record, and is not told.
    """

    def __init__(self, level: int, sentence: str, context: Mapping[str, object]) -> None:
        now = time.time()
        self.__dict__ = {
            **_STANDARD_VALUES,
            **context,
            "msg": sentence,
            "levelno": level,
            "levelname": logging.getLevelName(level),
            "created": now,
            "msecs": now % 1 * 1_000,
        }


def _write(level: int, sentence: str, context: Mapping[str, object]) -> None:
    if logger.isEnabledFor(level):
        logger.handle(SaleRecord(level, sentence, context))


def log_outcomes(submissions: Sequence[Submission], outcomes: Sequence[Outcome]) -> None:
    """Write one record about each sale that was judged."""
    for submission, outcome in zip(submissions, outcomes, strict=True):
        _log_outcome(submission.user_id, submission.upload, outcome)


def _log_outcome(user_id: int, upload: SaleUpload, outcome: Outcome) -> None:
    context = {"user_id": user_id, "local_id": upload.local_id or outcome.local_id}
    match outcome.verdict:
        case Success(message):
            _write(
                INFO,
                "Sale synced successfully" if message is None else message,
                {
                    **context,
                    "sale_id": outcome.sale_id,
                    "customer_id": upload.customer_id,
                    "items_count": len(upload.items),
                },
            )
        case ConflictFound(code=code, server_version=server, client_version=client):
            _write(
                WARNING,
                "Sync conflict detected",
                {
                    **context,
                    "sale_id": outcome.sale_id,
                    "code": code,
                    "server_version": server,
                    "client_version": client,
                },
            )
        case Failure(problems):
            _log_failure(context, upload, problems[0])
        case _ as missing:
            assert_never(missing)


def _log_failure(context: Mapping[str, object], upload: SaleUpload, problem: Problem) -> None:
    if problem.code == STORED_DAMAGED.code:
        _write(ERROR, SENTENCE, {**context, "error": problem.message})
        return
    item = _item_of(upload, problem)
    if item is not None:
        _write(
            ERROR,
            "Sync upload: Item validation error",
            {
                **context,
                "item_index": item.place,
                "product_id": item.product_id,
                "error": problem.message,
            },
        )
        return
    sentence = _SENTENCES.get(problem.code, f"Sync validation failed: invalid {problem.field}")
    _write(WARNING, sentence, {**context, "error": problem.message})


def _item_of(upload: SaleUpload, problem: Problem) -> ItemUpload | None:
    place = problem.field.partition("[")[2].partition("]")[0]
    if not problem.field.startswith("items[") or not place.isdigit():
        return None
    # Another's sale is told its stored problem: of an item that this upload may not have.
    return next((item for item in upload.items if item.place == int(place)), None)


def log_retries(user_id: int, results: Sequence[RetryResult]) -> None:
    """Write one record about each sale that was queued."""
    for result in results:
        if result.status == "queued" and result.sale is not None:
            _write(
                INFO,
                "Sale queued for retry",
                {
                    "user_id": user_id,
                    "sale_id": result.sale.id,
                    "attempt_count": result.sale.attempts,
                },
            )


def log_resolution(user_id: int, resolution: str, result: Result) -> None:
    """Write one record about a decided conflict, or about why it could not be decided."""
    context = {"user_id": user_id, "resolution": resolution}
    _log_result(result, context, "Conflict resolved", "Conflict resolution refused")


def log_edit(user_id: int, said: Mapping[str, object], result: Result) -> None:
    """Write one record about a manager's edit, or about why it was refused."""
    context = {"user_id": user_id, "fields": ", ".join(sorted(said))}
    _log_result(result, context, "Sale edited", "Sale edit refused")


def _log_result(result: Result, context: dict[str, object], done: str, refused: str) -> None:
    match result:
        case Settled(sale):
            _write(INFO, done, {**context, "sale_id": sale.id, "version": sale.version})
        case Moved(reason, sale):
            _write(WARNING, refused, {**context, "sale_id": sale.id, "error": reason.message})
        case Invalid(problems):
            _write(WARNING, refused, {**context, "error": problems[0].message})
        case _ as missing:
            assert_never(missing)


def log_damage(sales: Iterable[Sale]) -> None:
    """Write one record about each sale that is not what was stored."""
    for sale in sales:
        if sale.is_damaged:
            _write(ERROR, SENTENCE, {"sale_id": sale.id, "sale_number": sale.number})


def log_import(kind: str, imported: int, deactivated: int, healing: int) -> None:
    """Write one record about a catalogue that was brought in."""
    counts = {"imported": imported, "deactivated": deactivated, "sales_due": healing}
    _write(INFO, "Catalog imported", {"catalog": kind, **counts})
