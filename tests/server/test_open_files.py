"""The process may open as many files as its connections need, or takes fewer of them."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("soft", "hard", "most", "told"),
    [
        # It raises its own limit as far as it may.
        (256, 8192, 4000, ("4000", "4500")),
        (256, 8192, 100, ("100", "600")),
        # More than needed is left as it is.
        (8192, 8192, 4000, ("4000", "8192")),
        # What the system does not allow is not promised.
        (256, 1024, 4000, ("524", "1024")),
        (256, 256, 4000, ("128", "256")),
    ],
)
def test_the_cap_fits_the_files_that_the_system_allows(
    soft: int, hard: int, most: int, told: tuple[str, str]
) -> None:
    script = (
        "import resource, sys; from bulonera_sync.server.connections import fitting\n"
        "soft, hard, most = map(int, sys.argv[1:])\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))\n"
        "print(fitting(most), resource.getrlimit(resource.RLIMIT_NOFILE)[0])\n"
    )

    ran = subprocess.run(
        [sys.executable, "-c", script, str(soft), str(hard), str(most)],
        check=True,
        capture_output=True,
        text=True,
    )

    assert tuple(ran.stdout.split()) == told
    assert ("Fewer connections" in ran.stderr) is (told[0] != str(most))
