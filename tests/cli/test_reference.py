"""docs/cli.md is what the commands themselves say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FILE = Path(__file__).parents[2] / "docs" / "cli.md"


@pytest.mark.parametrize("language", ["en", "es"])
def test_the_file_is_what_is_generated_in_english_whatever_the_locale(language: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "bulonera_sync.cli.reference"],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "BULONERA_LANG": language, "LANGUAGE": language, "COLUMNS": "40"},
        check=True,
    )

    assert ran.stdout == FILE.read_text("utf-8"), "make reference writes it anew"
