"""The dialogue that ends conflicts: shown, chosen, shown once more, and only then written.

Nothing is held open while a person thinks. What moved meanwhile is shown, never overwritten.
"""

import json
import sys
import termios
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, assert_never

import typer

from bulonera_sync.bodies import parse_kept
from bulonera_sync.cli.comparisons import Side, chosen, questions_of
from bulonera_sync.cli.invocations import settings_of, write
from bulonera_sync.cli.looks import Look, look_at, next_conflict
from bulonera_sync.cli.output import say
from bulonera_sync.cli.resolutions import how_it_ended
from bulonera_sync.cli.screens import Screen, key_name
from bulonera_sync.cli.words import phrase, plural
from bulonera_sync.errors import RefusedError
from bulonera_sync.gateway import Gateway, Moved, Settled
from bulonera_sync.gateway.edits import Result
from bulonera_sync.outcomes import ConflictFound
from bulonera_sync.resolutions import Invalid, Request
from bulonera_sync.sales import OPERATOR, Content, Sale, differing_fields
from bulonera_sync.uploads import read_notes

End = Literal["settled", "next", "quit"]

SIDES: Mapping[str, Side] = {"s": "server", "t": "client"}
# A letter twice: this answer and all that follow.
ALL_SIDES: Mapping[str, Side] = {"ss": "server", "tt": "client"}
# The till is "la caja" in Spanish, and the client of --client-wins: that letter is as good.
ALSO: Mapping[str, str] = {"c": "t", "cc": "tt"}


@dataclass(frozen=True, slots=True)
class Proposal:
    """What somebody means to write, and the content that it makes."""

    request: Request
    content: Content


class Dialogue:
    """One person at one terminal, deciding one conflict after the other."""

    def __init__(self, context: typer.Context, notes: str) -> None:
        self._context = context
        # What was said on the command line goes for every conflict, what is typed for one.
        self._given_notes = self._notes = notes
        self._screen = Screen(settings_of(context).sync.zone)
        self._settled = 0
        self._has_moved = False
        # What a terminal sends that is no text must not end the command.
        reconfigure = getattr(sys.stdin, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")

    # Which conflicts

    def go_through(self, key: int | str | None) -> None:
        """Ask about this sale's conflict, or about each one; Ctrl-C and EOF end it anywhere."""
        try:
            self._go_through(key)
        except (KeyboardInterrupt, EOFError) as error:
            say("")
            say(phrase("Stopped; nothing was written of what was being asked."))
            raise typer.Abort from error

    def _go_through(self, key: int | str | None) -> None:
        next_id: int | str | None = key
        if key is None:
            next_id, _ = self._next(after_id=0)
        if next_id is None:
            self._screen.say(phrase("No sale is in conflict."))
            return
        while next_id is not None:
            look = self._look(next_id)
            if next_id == key:
                _refuse_unless_in_conflict(look)
            end, look = self._settle(look)
            # One sale that was named is all that was asked for, unless somebody goes on from it.
            if end == "quit" or (end == "settled" and key is not None):
                break
            key = None
            next_id, _ = self._next(after_id=look.sale.id)
        self._sum_up(is_last=next_id is None)

    def _next(self, *, after_id: int) -> tuple[int | None, int]:
        async def find(gateway: Gateway) -> tuple[int | None, int]:
            return await next_conflict(gateway, after_id=after_id)

        return write(self._context, find)

    def _sum_up(self, *, is_last: bool) -> None:
        _, waiting = self._next(after_id=0)
        self._screen.say()
        if is_last and waiting:
            self._screen.say(phrase("That was the last one."))
        self._screen.say(
            plural(self._settled, "{count} conflict decided.", "{count} conflicts decided.")
        )
        self._screen.say(
            plural(
                waiting,
                "{count} is still open; bulonera-sync resolve asks about it.",
                "{count} are still open; bulonera-sync resolve goes through them.",
            )
            if waiting
            else phrase("No sale is in conflict any more.")
        )

    # One conflict

    def _settle(self, look: Look) -> tuple[End, Look]:
        end: End | None = None
        while end is None:
            end, look = self._decide(look)
        return end, look

    def _decide(self, look: Look) -> tuple[End | None, Look]:
        """Show it and ask once; without an end it is to be asked again, about the look returned."""
        conflict = look.conflict
        if conflict is None:
            return "settled", look
        self._screen.show_conflict(look, self._now())
        said = self._ask_what(look)
        while said == "v":
            self._screen.show_whole(look, self._now())
            said = self._ask_what(look)
        if said in {"n", "q"}:
            return ("next" if said == "n" else "quit"), look
        if said in SIDES:
            return self._confirm(look, self._whole_side(conflict, SIDES[said])) or (None, look)
        return self._go_field_by_field(look, conflict)

    def _go_field_by_field(self, look: Look, conflict: ConflictFound) -> tuple[End | None, Look]:
        sides: list[Side] = []
        while (proposal := self._field_by_field(look, conflict, sides)) is not None:
            confirmed = self._confirm(look, proposal)
            if confirmed is not None:
                return confirmed
            # The answers stay; a second thought begins at the last one.
            sides.pop()
        return None, look

    def _look(self, key: int | str) -> Look:
        async def look(gateway: Gateway) -> Look:
            return await look_at(gateway, key)

        return write(self._context, look)

    def _now(self) -> datetime:
        return datetime.now(UTC)

    def _ask_what(self, look: Look) -> str:
        keys = {
            "s": phrase("as on the server"),
            "t": phrase("as on the till"),
            "f": phrase("field by field"),
            "v": phrase("view both whole"),
        }
        if look.next_id is not None:
            keys["n"] = phrase("next conflict")
        question = phrase("What shall {number} be?", number=look.sale.number)
        if self._has_moved:
            # The sentence above the table may have left the screen by now.
            question = phrase("It changed meanwhile. {question}", question=question)
        self._has_moved = False
        return self._ask(question, {**keys, "q": phrase("quit")})

    def _whole_side(self, conflict: ConflictFound, side: Side) -> Proposal:
        if side == "server":
            return Proposal(Request("server_wins"), conflict.server)
        # The client's side as it was shown: should another copy arrive now, it is not applied.
        return Proposal(Request("client_wins", "", _said(conflict.client)), conflict.client)

    def _field_by_field(
        self, look: Look, conflict: ConflictFound, sides: list[Side]
    ) -> Proposal | None:
        """Ask for the sides that are not said yet; None for back beyond the first."""
        questions = questions_of(conflict)
        while len(sides) < len(questions):
            number, count = len(sides) + 1, len(questions)
            self._screen.show_question(look, questions[len(sides)], number=number, count=count)
            said = self._ask("", _field_keys(has_more=number < count))
            if said in SIDES:
                sides.append(SIDES[said])
            elif said in ALL_SIDES:
                sides += [ALL_SIDES[said]] * (count - len(sides))
            elif sides:
                sides.pop()
            else:
                return None
        return self._proposal(conflict, chosen(conflict, questions, sides))

    def _proposal(self, conflict: ConflictFound, content: Content) -> Proposal:
        # One side whole is said as such: the till's next upload is judged by it.
        if content in (conflict.server, conflict.client):
            side: Side = "server" if content == conflict.server else "client"
            return self._whole_side(conflict, side)
        fields = differing_fields(conflict.server, content)
        said = {name: value for name, value in _said(content).items() if name in fields}
        return Proposal(Request("manual", "", said), content)

    # The second thought, and the write

    def _confirm(self, look: Look, proposal: Proposal) -> tuple[End | None, Look] | None:
        """Show what will be, and write it on Enter; None for back.

        Without an end the conflict is to be shown again, as the look returned.
        """
        is_kept = proposal.request.resolution == "server_wins"
        version = look.sale.version if is_kept else look.sale.version + 1
        self._screen.show_result(look, proposal.content, version)
        while True:
            match self._ask_whether(look):
                case "":
                    return self._write(look, proposal)
                case "b":
                    return None
                case "r":
                    self._ask_reason()
                case _:
                    return "quit", look

    def _ask_whether(self, look: Look) -> str:
        if self._notes:
            self._screen.say(phrase("Reason: {notes}", notes=self._notes))
        keys = {
            "": phrase("write it"),
            "b": phrase("back"),
            "r": phrase("give a reason"),
            "q": phrase("quit"),
        }
        # What was typed before the result was seen can't have meant it.
        termios.tcflush(sys.stdin, termios.TCIFLUSH)
        question = phrase("Nothing is written yet of {number}.", number=look.sale.number)
        return self._ask(question, keys)

    def _ask_reason(self) -> None:
        said, problem = read_notes(_typed(phrase("Reason, for the history: ")))
        if problem is None:
            self._notes = said
        else:
            self._screen.say(problem.message)

    def _write(self, look: Look, proposal: Proposal) -> tuple[End | None, Look]:
        before = self._look(look.sale.id)
        result = self._resolve(look, proposal.request) if before.is_as(look) else None
        match result:
            case Settled(sale):
                self._tell(sale, proposal.request)
                return "settled", look
            case Invalid(problems):
                self._screen.say(phrase("Refused, nothing was written:"), style="yellow")
                for problem in problems[:5]:
                    self._screen.say(problem.message)
                return None, look
            case Moved() | None:
                after = self._look(look.sale.id)
                self._screen.show_move(look, after, self._now())
                self._has_moved = True
                return None, after
            case _ as missing:
                assert_never(missing)

    def _resolve(self, look: Look, request: Request) -> Result:
        seen = look.sale
        decided = Request(
            request.resolution, self._notes, request.client_data, seen.version, seen.parked
        )

        async def resolve(gateway: Gateway) -> Result:
            return await gateway.resolve(OPERATOR, look.sale.id, decided)

        try:
            return write(self._context, resolve)
        except KeyboardInterrupt:
            number = look.sale.number
            say(phrase("Interrupted at the write: bulonera-sync history {number}", number=number))
            raise typer.Abort from None

    def _tell(self, sale: Sale, request: Request) -> None:
        self._settled += 1
        self._notes = self._given_notes
        facts = {
            "number": sale.number,
            "status": sale.sync_status,
            "version": sale.version,
            "how": how_it_ended(request.resolution),
        }
        text = phrase("Written: {number} is {status}, version {version} ({how}).", **facts)
        self._screen.say(text, style="green")

    def _ask(self, question: str, keys: Mapping[str, str]) -> str:
        """Ask until one of the keys is said; in capitals is as good."""
        self._screen.say()
        if question:
            self._screen.say(question)
        self._screen.say_keys(keys)
        while True:
            said = _typed("> ").strip().lower()
            said = ALSO.get(said, said)
            if said in keys:
                return said
            names = ", ".join(key_name(key) for key in keys)
            self._screen.say(phrase("Please say one of: {names}", names=names))


def _refuse_unless_in_conflict(look: Look) -> None:
    if look.conflict is None:
        facts = {"number": look.sale.number, "status": look.sale.sync_status}
        raise RefusedError(
            phrase(
                "{number} is {status}, not in conflict; bulonera-sync history {number} shows why",
                **facts,
            )
        )


def _typed(prompt: str) -> str:
    # Not by input: a Ctrl-C between its prompt and its reading would be lost.
    sys.stdout.write(prompt)
    sys.stdout.flush()
    return input()


def _field_keys(*, has_more: bool) -> Mapping[str, str]:
    keys = {"s": phrase("server"), "t": phrase("till"), "b": phrase("back")}
    if has_more:
        keys |= {"ss": phrase("server from here on"), "tt": phrase("till from here on")}
    return keys


def _said(content: Content) -> Mapping[str, object]:
    """Return a content as a request's body would say it."""
    said = parse_kept(json.dumps(content.document()))
    assert isinstance(said, dict)
    return said
