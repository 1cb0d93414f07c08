"""A page fits its screen, whatever is on it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from bulonera_sync.cli.output import inert
from bulonera_sync.cli.pages import Column, Page, cut_to, fitted_widths, wrapped
from tests.cli.shops import is_inert, widest

COLUMNS = (
    Column("Sale"),
    Column("User", rank=2, least=6),
    Column("Total", rank=1, is_right=True),
)
ROW = ("VTA-2026-00042", "bartolome.mostrador", "$ 1.234,56")


@given(st.text().map(inert), st.integers(2, 60))
def test_wrapped_lines_fit_and_lose_no_letter(text: str, width: int) -> None:
    lines = wrapped(text, width)

    assert all(cell_len(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


@given(st.text().map(inert), st.integers(1, 60))
def test_a_text_that_is_cut_fits(text: str, width: int) -> None:
    assert cell_len(cut_to(text, width)) <= width


@pytest.mark.parametrize(
    ("room", "widths"),
    [
        (50, [14, 19, 10]),
        (40, [14, 12, 10]),
        (34, [14, 6, 10]),
        (33, [14, None, 10]),
        (25, [14, None, None]),
        (9, [9, None, None]),
    ],
)
def test_columns_are_cut_short_and_then_left_out(room: int, widths: list[int | None]) -> None:
    assert fitted_widths(COLUMNS, [14, 19, 10], room) == widths


@given(st.lists(st.text(), min_size=3, max_size=3), st.text(), st.integers(20, 200))
def test_a_page_is_inert_and_no_wider_than_its_screen(
    cells: list[str], text: str, width: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(width))
        page = Page()
        page.title(text)
        page.say(text, indent=4)
        page.facts([("local_id", text), (text, ""), ("", text)])
        page.table(COLUMNS, [cells, ROW], notes=[text, ""], indent=2)

    lines = "\n".join(line.text for line in page._lines)
    assert is_inert(lines)
    assert widest(lines) <= width


def test_amounts_stand_to_the_right(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    page = Page()
    page.table(COLUMNS[::2], [("1", "$ 1,00"), ("2", "$ 1.234,00")])
    page.show()

    assert capsys.readouterr().out.splitlines() == [
        "Sale       Total",
        "1         $ 1,00",
        "2     $ 1.234,00",
    ]


def test_a_note_stands_beside_its_row_where_there_is_room(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for width in ("80", "30"):
        monkeypatch.setenv("COLUMNS", width)
        page = Page()
        page.table(COLUMNS[::2], [ROW[::2]], notes=["something is wrong with it"])
        page.show()

    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "VTA-2026-00042  $ 1.234,56  something is wrong with it"
    assert lines[3:] == ["VTA-2026-00042  $ 1.234,56", "  something is wrong with it"]


def test_a_row_in_a_pipe_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    page = Page()
    page.table(COLUMNS, [("x" * 500, "y", "z")], notes=["n" * 500])
    page.show()

    assert len(capsys.readouterr().out.splitlines()) == 2
