"""The benchmarks still run, and tell all that they should; how fast it is, is not judged here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.aims import AIMS
from benchmarks.disks import slow_disk
from benchmarks.figures import Figures
from benchmarks.reports import page, ratio_of
from benchmarks.rows import Bodies
from bulonera_sync.bodies import parse_list_body
from tests.needs import give_up

_FULL_ALONE = "+8 ms"


@pytest.mark.parametrize(
    ("engine", "parts"),
    # A slow disk takes a second Postgres, which takes longer than all the rest.
    [("sqlite", ["bare", "stored", "slow"]), ("postgres", ["bare", "stored"])],
)
def test_a_quick_run_measures_every_workload(
    engine: str,
    parts: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    if engine == "postgres":
        # Missing, it fails or skips as for every other test.
        request.getfixturevalue("postgres_server")
    has_slow_disk = "slow" in parts and slow_disk(tmp_path, milliseconds=1) is not None
    file = tmp_path / "speed.json"

    words = ["--quick", "--engine", engine, "--json", str(file), "--plots", str(tmp_path)]
    main([*words, *(word for part in parts for word in ("--part", part))])

    figures = Figures(json.loads(file.read_text())["figures"][engine])
    wanted = [aim for aim in AIMS if _FULL_ALONE not in aim.workload]
    missing = {aim.workload for aim in wanted if ratio_of(aim, figures) is None}
    assert not {name for name in missing if has_slow_disk or "fsync" not in name}
    assert set(figures.rounds("upload 10 x16 accepted")) == {1.0}
    assert (tmp_path / f"speed-{engine}.svg").read_text().startswith("<svg")
    assert "upload of 10, 16 clients" in capsys.readouterr().out


def test_a_profile_names_the_rooms_of_the_house(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "speed.json"

    main(["--quick", "--profile", "--seconds", "0.5", "--engine", "sqlite", "--json", str(file)])

    samples = json.loads(file.read_text())["profiles"]["SQLite"]
    assert 0 < sum(samples["own"].values()) <= samples["samples"]
    assert any(name.startswith(("uploads.", "gateway.", "store.")) for name in samples["whole"])
    assert "Where the time goes" in capsys.readouterr().out


def test_a_figure_that_was_not_measured_leaves_a_dash() -> None:
    document = {"machine": "A machine", "figures": {"sqlite": {"pending p50": [0.001]}}}

    told = page(document)

    assert "| upload of 1, 16 clients | x without grouping | - | ≥ 3.00 |" in told


def test_every_sale_of_a_load_has_a_local_id_of_its_own() -> None:
    bodies = Bodies(10)

    sales = [
        sale["local_id"]
        for body in (bodies.first(), bodies.first())
        for sale in parse_list_body(body, "sales").value["sales"]  # type: ignore[index]
    ]

    assert len(set(sales)) == 20


def test_every_sync_of_a_slow_disk_takes_as_much_longer(tmp_path: Path) -> None:
    environment = slow_disk(tmp_path, milliseconds=20)
    if environment is None:
        give_up("no C compiler (on Debian: apt install gcc)")
    syncs = (
        "import sys, time; from pathlib import Path; "
        "from bulonera_sync.store.sqlite import connect; "
        "file = Path(sys.argv[1]); file.touch(); opened = connect(file); "
        "begun = time.perf_counter(); opened.execute('CREATE TABLE t (a)'); "
        "print(time.perf_counter() - begun)"
    )

    done = subprocess.run(
        [sys.executable, "-c", syncs, str(tmp_path / "slow.db")],
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
        text=True,
    )

    assert float(done.stdout) >= 0.020
