"""`retry`: putting held sales in the daemon's queue."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from bulonera_sync.cli.invocations import settings_of, write
from bulonera_sync.cli.output import AsJson, print_json
from bulonera_sync.cli.sales import sale_key
from bulonera_sync.cli.words import joined, phrase, plural
from bulonera_sync.errors import NotFoundError

if TYPE_CHECKING:
    from bulonera_sync.cli.pages import Page
    from bulonera_sync.gateway import Gateway, RetryResult

AT_ONCE = 200
MAX_NUMBERS = 10


@dataclass(frozen=True, slots=True)
class Asked:
    """One sale as it was asked for, and what became of it; None where there is no such number."""

    said: str
    result: "RetryResult | None"

    @property
    def status(self) -> str:
        return self.result.status if self.result else "not_found"


def retry(
    context: typer.Context,
    sales: Annotated[
        list[str] | None,
        typer.Argument(metavar="SALE...", help="Ids, numbers (VTA-2026-00042) or local_ids."),
    ] = None,
    is_of_all: Annotated[bool, typer.Option("--all", help="Every sale in error.")] = False,
    as_json: AsJson = False,
) -> None:
    """Queue held sales to be judged again.

    The daemon does so within seconds, from what was kept: nobody uploads them again.
    """
    if bool(sales) == is_of_all:
        raise typer.BadParameter(phrase("name the sales, or say --all"), param_hint="SALE...")
    asked = write(context, lambda gateway: _queue(gateway, sales) if sales else _queue_all(gateway))
    if sales and all(each.status == "not_found" for each in asked):
        raise NotFoundError(
            phrase(
                "no such sale: {said}; bulonera-sync pending shows what is held",
                said=joined([each.said for each in asked]),
            )
        )
    if as_json:
        print_json(_document(asked))
        return
    _page(context, asked).show()


async def _queue(gateway: "Gateway", said: Sequence[str]) -> list[Asked]:
    keys = [await _stored_key(gateway, sale_key(each)) for each in said]
    known = [key for key in keys if key is not None]
    results = iter(await _retry(gateway, known))
    return [
        Asked(each, None if key is None else next(results))
        for each, key in zip(said, keys, strict=True)
    ]


async def _stored_key(gateway: "Gateway", key: int | str) -> int | str | None:
    """Return an id or local_id as it is; for a number its sale's id, or None."""
    from bulonera_sync.sales import OPERATOR

    if isinstance(key, int) or key.count("-") == 4:
        return key
    try:
        return (await gateway.find_sale(OPERATOR, key)).sale.id
    except NotFoundError:
        return None


async def _queue_all(gateway: "Gateway") -> list[Asked]:
    results: list[RetryResult] = []
    after_id = 0
    while True:
        rows, _ = await gateway.pending(
            sync_statuses=("error",), user_id=None, after_id=after_id, limit=AT_ONCE
        )
        if not rows:
            return [Asked(str(result.key), result) for result in results]
        results += await _retry(gateway, [row.id for row in rows])
        after_id = rows[-1].id


async def _retry(gateway: "Gateway", keys: Sequence[int | str]) -> "list[RetryResult]":
    from bulonera_sync.sales import OPERATOR

    parts = [keys[at : at + AT_ONCE] for at in range(0, len(keys), AT_ONCE)]
    return [result for part in parts for result in await gateway.retry(OPERATOR, part)]


def _document(asked: Sequence[Asked]) -> Mapping[str, object]:
    """Return what the API answers to a retry."""
    queued = sum(each.status == "queued" for each in asked)
    message = "Retry queued successfully" if queued else "Nothing to retry"
    return {"message": message, "processed": queued, "results": [_row(each) for each in asked]}


def _row(asked: Asked) -> Mapping[str, object]:
    from bulonera_sync.gateway.documents import retry_row

    if asked.result is None:
        return {"sale_number": asked.said, "status": asked.status}
    return retry_row(asked.result)


def _page(context: typer.Context, asked: Sequence[Asked]) -> "Page":
    from bulonera_sync.cli.daemons import ask
    from bulonera_sync.cli.pages import Page

    page = Page()
    queued = [each for each in asked if each.status == "queued"]
    if not asked:
        page.say(phrase("Nothing to retry: no sale is in error."))
    elif not queued:
        page.say(phrase("Nothing was queued."))
    else:
        text = plural(
            len(queued),
            "Queued {count} sale: {numbers}.",
            "Queued {count} sales: {numbers}.",
            numbers=joined([_name(e) for e in queued], most=MAX_NUMBERS),
        )
        page.say(text)
    for each in asked:
        if each.status != "queued":
            page.say(_why_not(each))
    if queued:
        health = ask(settings_of(context).server)
        page.say(_outlook(health.address, is_up=health.is_up))
    return page


def _name(asked: Asked) -> str:
    sale = asked.result.sale if asked.result else None
    return sale.number if sale else asked.said


def _why_not(asked: Asked) -> str:
    name = _name(asked)
    match asked.status:
        case "already_synced":
            return phrase("{sale} is synced already.", sale=name)
        case "conflict":
            return phrase(
                "{sale} is in conflict, which no retry settles: bulonera-sync resolve {sale}.",
                sale=name,
            )
        case "damaged":
            return phrase("{sale} is damaged on disk: bulonera-sync db check.", sale=name)
        case _:
            return phrase("{sale} is no sale here.", sale=name)


def _outlook(address: str, *, is_up: bool) -> str:
    if is_up:
        return phrase("The daemon judges them within seconds: bulonera-sync pending shows it.")
    return phrase(
        "No daemon answers at {address}: they wait until one runs (bulonera-sync serve).",
        address=address,
    )
