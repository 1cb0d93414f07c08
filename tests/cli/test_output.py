"""What leaves for a screen is inert, and fits it."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulonera_sync.cli.output import inert, print_json, print_table


@given(st.text())
def test_an_inert_text_is_one_printable_line(text: str) -> None:
    assert inert(text).isprintable()


@pytest.mark.parametrize("text", ["", "Ñandú – 25 × M6", "[red]x[/red] :bolt:", "日本"])
def test_a_harmless_text_stays_as_it_is(text: str) -> None:
    assert inert(text) == text


def test_a_json_document_says_the_same_and_holds_no_control(
    capsys: pytest.CaptureFixture[str],
) -> None:
    document = {"name": "Ñ \x1b\x07\x7f\x9b\u2028\u202e\ud800\U000e0041 \n"}

    print_json(document)

    text = capsys.readouterr().out
    assert json.loads(text) == document
    assert "Ñ" in text
    assert all(character.isprintable() or character == "\n" for character in text)


def test_a_row_in_a_pipe_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([{"name": "x" * 500}, {"name": "y"}], empty="")

    assert "x" * 500 in capsys.readouterr().out


def test_a_narrow_screen_cuts_nothing_off(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")

    print_table([{"id": 1, "name": "abcdefghij" * 10}], empty="")

    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 30
    assert "".join(lines).count("j") == 10


def test_no_color_leaves_no_escape_on_a_terminal(tmp_path: Path) -> None:
    assert "\x1b[" in _on_terminal(tmp_path, {})
    assert "\x1b" not in _on_terminal(tmp_path, {"NO_COLOR": "1"})


def _on_terminal(folder: Path, more: dict[str, str]) -> str:
    """Return what a table is on a terminal."""
    ours, theirs = pty.openpty()
    environ = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "TERM"}}
    process = subprocess.Popen(
        [sys.executable, "-m", "bulonera_sync", "config", "show"],
        stdout=theirs,
        cwd=folder,
        env={**environ, "TERM": "xterm-256color", **more},
    )
    os.close(theirs)
    text = b""
    try:
        while piece := os.read(ours, 65_536):
            text += piece
    except OSError:
        # A terminal ends so when its last program has gone.
        pass
    finally:
        os.close(ours)
    process.wait(30)
    return text.decode()
