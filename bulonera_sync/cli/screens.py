"""What the dialogue about a conflict shows on a terminal: sentences, and both sides in a table."""

import os
from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import assert_never

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bulonera_sync.cli.comparisons import Question, reason_of
from bulonera_sync.cli.looks import Look, Mark
from bulonera_sync.cli.output import inert
from bulonera_sync.cli.rows import (
    Row,
    cautions,
    differing_rows,
    moves,
    question_row,
    result_rows,
    sameness,
    whole_rows,
)
from bulonera_sync.cli.words import ago, moment, phrase, plural
from bulonera_sync.outcomes import ConflictFound
from bulonera_sync.sales import Content

# Beyond it the eye loses its row; below the second the base finds no room beside both sides.
MAX_WIDTH = 120
WIDTH_FOR_BASE = 100
WIDTH_FOR_NAMES = 76
# What a question under a table takes.
ROWS_BELOW = 7


class Screen:
    """A terminal, and the clock on the shop's wall."""

    def __init__(self, zone: tzinfo) -> None:
        self._console = Console(highlight=False, markup=False, emoji=False)
        if self._console.is_dumb_terminal:
            # Rich would take any such terminal for one of 80 columns.
            self._console.size = os.get_terminal_size()
        self._zone = zone
        self._is_tall = False

    def say(self, text: str = "", *, style: str = "") -> None:
        self._console.print(Text(inert(text), style=self._style(style)))

    def say_keys(self, keys: Mapping[str, str]) -> None:
        """Say which key does what; none is parted from its meaning by a line's end."""
        line = ""
        for key, name in keys.items():
            text = f"[{key_name(key)}] {name}"
            longer = f"{line}   {text}" if line else text
            if cell_len(longer) > self._console.width - 1:
                self.say(line)
                longer = text
            line = longer
        self.say(line)

    def _style(self, style: str) -> str:
        return "" if self._console.no_color else style

    def show_conflict(self, look: Look, now: datetime) -> None:
        """Show why it is a conflict and, side by side, what differs."""
        conflict = _conflict_of(look)
        self._say_head(look, conflict)
        self._show_sides(look, differing_rows(conflict, look.names), now)
        same = sameness(conflict)
        if same:
            self.say(same, style="dim")
        # The head once more where the first one has left the screen.
        if self._is_tall:
            self._say_head(look, conflict)

    def _say_head(self, look: Look, conflict: ConflictFound) -> None:
        sale = look.sale
        self.say()
        head = plural(
            look.waiting,
            "{number} (sale {id}) is in conflict",
            "{number} (sale {id}) is in conflict, one of {count} sales",
            number=sale.number,
            id=sale.id,
        )
        self.say(head, style="bold")
        self.say(_reason(conflict))
        if (sale.payment_status, sale.fiscal_status) != ("unpaid", "pending"):
            facts = {"payment": sale.payment_status, "fiscal": sale.fiscal_status}
            self.say(phrase("On the server it is {payment}, fiscally {fiscal}.", **facts))
        if look.review is not None:
            facts = {"who": _who(look.review), "notes": look.review.notes or "-"}
            self.say(phrase("{who} left it for a person to decide: {notes}", **facts))
        self.say()

    def show_whole(self, look: Look, now: datetime) -> None:
        """Show both sides whole."""
        self.say()
        self._show_sides(look, whole_rows(_conflict_of(look), look.names), now)

    def show_question(self, look: Look, question: Question, *, number: int, count: int) -> None:
        """Show both sides of one field or line."""
        conflict = _conflict_of(look)
        title = phrase("{number} of {count}", number=number, count=count)
        self.say()
        row = question_row(conflict, look.names, question)
        self._show([title, phrase("SERVER"), phrase("TILL")], [row], conflict)

    def _show_sides(self, look: Look, rows: Sequence[Row], now: datetime) -> None:
        conflict = _conflict_of(look)
        server = [
            phrase("version {version}", version=conflict.server_version),
            *self._story(look.server_mark, now),
        ]
        client = [
            phrase("based on version {version}", version=conflict.client_version),
            *self._story(look.client_mark, now),
        ]
        cells = ("\n".join(server), "\n".join(client), "")
        heads = ["", phrase("SERVER"), phrase("TILL")]
        self._show(heads, [Row("", "", cells), *rows], conflict)

    def _story(self, mark: Mark | None, now: datetime) -> list[str]:
        if mark is None:
            return []
        lines = [deed(mark), ago(mark.at, now), moment(mark.at, self._zone)]
        if mark.count > 1:
            lines.append(phrase("the last of {count} changes", count=mark.count))
        return lines

    def _show(self, heads: list[str], rows: Sequence[Row], conflict: ConflictFound) -> None:
        if conflict.base is not None and self._console.width >= WIDTH_FOR_BASE:
            heads.append(phrase("BEFORE (version {version})", version=conflict.client_version))
        self._print_table(heads, rows)

    def _print_table(self, heads: Sequence[str], rows: Sequence[Row]) -> None:
        width = min(self._console.width, MAX_WIDTH)
        label, *others = heads
        table = Table(
            box=SIMPLE_HEAD,
            width=width,
            pad_edge=False,
            show_edge=False,
            header_style=self._style("bold"),
            footer_style=self._style("bold"),
        )
        table.add_column(label, width=22 if width >= WIDTH_FOR_NAMES else 16, overflow="fold")
        for head in others:
            table.add_column(Text(head), Text(head), ratio=1, overflow="fold")
        for row in rows:
            name = Text(row.label)
            if row.remark:
                name.append(f"\n({row.remark})", style=self._style("dim"))
            cells = (Text(cell) for cell in row.cells[: len(others)])
            # The row that tells about the columns themselves stands apart.
            table.add_row(name, *cells, end_section=not row.label)
        # The heads once more where the first ones have left the screen.
        height = len(self._console.render_lines(table))
        self._is_tall = table.show_footer = height > self._console.height - ROWS_BELOW
        self._console.print(table)

    def show_result(self, look: Look, content: Content, version: int) -> None:
        """Show what the sale will be, beside what of it is something else now."""
        now = _conflict_of(look).server
        is_same = content == now
        facts = {"number": look.sale.number, "version": version}
        self.say()
        self.say(phrase("{number} as it will be, version {version}:", **facts), style="bold")
        self.say()
        heads = ["", phrase("WILL BE"), *([] if is_same else [phrase("NOW ON THE SERVER")])]
        self._print_table(heads, result_rows(now, content, look.names))
        if is_same:
            self.say(phrase("It stays as the server has it; the till's changes are dropped."))
        for caution in cautions(look, content):
            self.say(caution, style="yellow")

    def show_move(self, before: Look, after: Look, now: datetime) -> None:
        """Tell what has changed since somebody looked."""
        self.say()
        text = phrase(
            "{number} changed while you were looking. Nothing was written.",
            number=after.sale.number,
        )
        self.say(text, style="yellow")
        if after.latest is not None:
            facts = {"deed": deed(after.latest), "age": ago(after.latest.at, now)}
            self.say(phrase("Last: {deed}, {age}.", **facts))
        if after.conflict is None:
            state = {"status": after.sale.sync_status, "version": after.sale.version}
            self.say(
                phrase("It is {status} now, version {version}: the conflict is over.", **state)
            )
            return
        was = _conflict_of(before)
        for text, fields in (
            (phrase("On the server:"), moves(was.server, after.conflict.server)),
            (phrase("On the till:"), moves(was.client, after.conflict.client)),
        ):
            if fields:
                self.say(f"{text} {fields}.")


def key_name(key: str) -> str:
    """Return a key as the chosen language calls it: the till's is "c" where it is "la caja"."""
    match key:
        case "":
            return phrase("Enter")
        case "t":
            return phrase("t")
        case "tt":
            return phrase("tt")
        case _:
            return key


def _conflict_of(look: Look) -> ConflictFound:
    assert look.conflict is not None
    return look.conflict


def _reason(conflict: ConflictFound) -> str:
    match reason_of(conflict):
        case "both_changed":
            return phrase(
                "Why: the till changed its copy of version {client}, and the server has gone on "
                "to version {server}.",
                client=conflict.client_version,
                server=conflict.server_version,
            )
        case "version_ahead":
            return phrase(
                "Why: the till's copy says version {client}, and the server has only reached "
                "version {server}.",
                client=conflict.client_version,
                server=conflict.server_version,
            )
        case "locked":
            return phrase(
                "Why: the sale is {status} on the server, and the till changed it.",
                status=conflict.server.status,
            )
        case "status_regression":
            return phrase(
                "Why: the till would take the sale back from {server} to {client}.",
                server=conflict.server.status,
                client=conflict.client.status,
            )
        case _ as missing:
            assert_never(missing)


def deed(mark: Mark) -> str:
    """Say what was done to a sale, and by whom."""
    who = _who(mark)
    match mark.kind:
        case "edited":
            return phrase("edited by {who}", who=who)
        case "merged":
            return phrase("merged with {who}'s", who=who)
        case "resolved":
            return phrase("decided by {who}", who=who)
        case _:
            return phrase("sent by {who}", who=who)


def _who(mark: Mark) -> str:
    match mark.who:
        case "cli":
            return phrase("the terminal")
        case "scheduler":
            return phrase("the gateway")
        case _:
            return inert(mark.who)
