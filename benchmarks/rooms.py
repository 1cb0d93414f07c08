"""The rooms of the house that an upload goes through: which of them a stack is in."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Room:
    """What belongs to it: functions with all that they call, and functions alone.

    A name that ends in * is of all that begin so. `of` is the room that it is a part of.
    """

    title: str
    whole: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    of: str | None = None

    def has(self, stack: Sequence[str]) -> bool:
        return _any_named(self.whole, stack) or _any_named(self.own, stack[:1])


def _any_named(names: Sequence[str], functions: Iterable[str]) -> bool:
    plain = {name for name in names if not name.endswith("*")}
    begun = tuple(name[:-1] for name in names if name.endswith("*"))
    return any(each in plain or each.startswith(begun) for each in functions)


# A stack is in the first that has it.
ROOMS = (
    Room("parsing", ("bodies.parse_list_body",)),
    Room("reading", ("uploads.read_sale",)),
    Room("what is known", ("gateway.uploads.facts",)),
    Room("deciding", ("decisions.decide",)),
    Room("carrying out", ("consequences.carry_out",)),
    Room("ids, the user's row", ("store.sales.take_ids", "store.users.note_upload*")),
    Room("writing", ("store.sales.save",)),
    Room("of that, the driver's", ("asyncpg.*",), ("store.sqlite.SqliteSession.*",), of="writing"),
    Room(
        "BEGIN, COMMIT",
        ("asyncpg.connection.Connection.execute",),
        ("store.sqlite.transact", "store.postgres._transact"),
    ),
    Room("logging", ("gateway.logbook.log_outcomes", "logs.LogWriter.handle")),
    Room("answering", ("server.answers.answer_upload",)),
    Room(
        # The faster loop and Postgres's driver have no frames of their own: their work is that of
        # who runs the loop.
        "HTTP and the loop; on Postgres the driver's answers",
        own=(
            "runners.Runner.run",
            "aiohttp.*",
            "base_events.*",
            "selector_events.*",
            "selectors.*",
        ),
    ),
)
REST = "the rest"


def rooms_of(stack: Sequence[str]) -> Iterator[str]:
    """Yield the title of the room of a stack, whose innermost function is first, and its part."""
    found = next((room for room in ROOMS if not room.of and room.has(stack)), None)
    yield found.title if found else REST
    if found:
        yield from (room.title for room in ROOMS if room.of == found.title and room.has(stack))
