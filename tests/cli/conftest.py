"""The command line as a test runs it: in this process, in a folder of its own."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bulonera_sync.cli.languages import VARIABLES, choose_language
from bulonera_sync.cli.main import main

# Before any daemon is started, whatever this machine speaks.
os.environ["BULONERA_LANG"] = "en"


@dataclass(frozen=True)
class Ran:
    """What became of one command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document that stdout must be."""
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The one line that stderr must be, on a stdout that says nothing."""
        assert self.out == ""
        [line] = self.err.splitlines()
        return line


Run = Callable[..., Ran]


@pytest.fixture(autouse=True)
def _english(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """English in this process too; a test may say another language."""
    for name in VARIABLES:
        # Set, so that what a command makes of it is undone.
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("BULONERA_LANG", "en")
    yield
    choose_language({})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the current one."""
    path = tmp_path / "shop"
    path.mkdir()
    monkeypatch.chdir(path)
    return path


@pytest.fixture
def run_anywhere(folder: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in an empty folder, on the settings' defaults."""

    def run(*arguments: object) -> Ran:
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run


@pytest.fixture
def run(run_anywhere: Run, store_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command on a prepared database; each test runs on both engines."""
    monkeypatch.setenv("BULONERA_STORE__URL", store_url)
    return run_anywhere
