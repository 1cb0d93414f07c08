"""The screens of docs/screens are those that the recorder makes, and show nobody's machine."""

import getpass
import re
from pathlib import Path

import pytest
from rich.cells import cell_len

from tools.record_screens import LANGUAGES, RECORDS, SCREENS, WIDTHS

FILES = sorted(SCREENS.glob("*.txt"))
# Of a path the folders that no demo has.
PATH = re.compile(r"/(?:tmp|home|root|work|usr|Users|var|private)\b")


def test_each_is_recorded_at_both_widths_in_both_languages() -> None:
    wanted = {
        f"{name}.{width}.{language}.txt"
        for name in RECORDS
        for width in WIDTHS
        for language in LANGUAGES
    }

    assert {file.name for file in FILES} == wanted


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_screen_fits_and_tells_nothing_of_a_machine(file: Path) -> None:
    text = file.read_text("utf-8")
    width = int(file.name.split(".")[1])

    assert max(map(cell_len, text.splitlines())) <= width
    assert not PATH.search(text)
    assert not re.search(rf"\b{re.escape(getpass.getuser())}\b", text)
    assert text.replace("\n", "").isprintable()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_screen_shows_no_trouble(file: Path) -> None:
    text = file.read_text("utf-8")

    assert text.startswith("$ bulonera-sync ")
    assert "Traceback" not in text
    assert "Error" not in text
