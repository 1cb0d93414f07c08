"""A page's address as a QR code: the code says the address, and only a terminal gets one."""

import re
import sys
from ipaddress import ip_address

import pytest

from bulonera_sync.cli.certificates import pages_of
from bulonera_sync.cli.qrcodes import draw, show
from bulonera_sync.config import Settings
from bulonera_sync.tls import files
from bulonera_sync.tls.names import Names
from tests.cli.conftest import Run

PAGE = "http://192.168.100.120:8001/"


def modules(lines: list[str]) -> list[list[bool]]:
    """Read the drawn code back, module by module."""
    rows = []
    for line in lines:
        rows.append([character in "█▀" for character in line])
        rows.append([character in "█▄" for character in line])
    return rows


def test_a_code_is_square_with_its_three_corners_and_fits_a_small_terminal() -> None:
    lines = draw(PAGE)

    rows = modules(lines)
    size = len(lines[0])
    finder = [True] * 7
    assert len(lines) <= 18
    assert size <= 80
    assert {len(line) for line in lines} == {size}
    for row, column in ((2, 2), (2, size - 9), (size - 9, 2)):
        assert rows[row][column : column + 7] == finder
        assert rows[row + 6][column : column + 7] == finder


def test_another_address_is_another_code() -> None:
    assert draw(PAGE) != draw(PAGE.replace("120", "121"))


def test_pages_are_by_the_addresses_that_a_tablet_reaches_ipv4_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(files, "outward_address", lambda: None)
    said = ("127.0.0.1", "::1", "169.254.7.7", "fd00::5", "192.168.0.10", "10.0.0.3")
    names = Names(frozenset(), frozenset(map(ip_address, said)))

    assert pages_of(Settings(), names) == [
        "http://10.0.0.3:8001/",
        "http://192.168.0.10:8001/",
        "http://[fd00::5]:8001/",
    ]


def test_a_pipe_gets_no_code(run_anywhere: Run) -> None:
    made = run_anywhere("tls", "init")

    assert made.code == 0
    assert not re.search("[█▀▄]", made.out)


def be_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("NO_COLOR", raising=False)


def test_a_terminal_gets_black_on_white(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    be_a_terminal(monkeypatch)

    show(PAGE)

    shown = capsys.readouterr().out
    assert shown == "".join(f"\x1b[30;107m{line}\x1b[0m\n" for line in draw(PAGE))


def test_without_colours_light_modules_are_the_drawn_ones(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    be_a_terminal(monkeypatch)
    monkeypatch.setenv("NO_COLOR", "1")

    show(PAGE)

    lines = capsys.readouterr().out.splitlines()
    assert [[not module for module in row] for row in modules(lines)] == modules(draw(PAGE))


def test_a_terminal_that_is_too_narrow_gets_none(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    be_a_terminal(monkeypatch)
    monkeypatch.setenv("COLUMNS", "20")

    show(PAGE)

    assert capsys.readouterr().out == ""
