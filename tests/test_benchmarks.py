"""The benchmarks still run, and tell all that they should; how fast it is, is not judged here."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.aims import AIMS
from benchmarks.clients import STATUS, Plan, _requests
from benchmarks.clocks import process_seconds
from benchmarks.compare import WORKLOADS
from benchmarks.daemons import OURS, Tree, command, configure
from benchmarks.disks import slow_disk
from benchmarks.figures import Figures
from benchmarks.reports import page, ratio_of
from benchmarks.rooms import REST, ROOMS, rooms_of
from benchmarks.rows import Bodies
from benchmarks.samples import Sampler
from bulonera_sync.bodies import parse_list_body
from tests.needs import give_up

_FULL_ALONE = "+8 ms"


@pytest.mark.parametrize(
    ("engine", "parts"),
    # A slow disk takes a second Postgres, which takes longer than all the rest.
    [
        ("sqlite", ["bare", "switches", "stored", "memory", "slow"]),
        ("postgres", ["bare", "switches", "stored", "memory"]),
    ],
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
    told = capsys.readouterr().out
    assert "upload of 10, 16 clients" in told
    # Nothing that the page has a place for was left out.
    assert not [line for line in told.splitlines() if "| -" in line and "fsync" not in line]


def test_one_part_measured_again_leaves_the_others_as_they_were(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "speed.json"
    known = {"memory": [1.0], "pending p50": [0.001], "memory minutes": [2.0]}
    file.write_text(json.dumps({"machine": "One", "figures": {"sqlite": known}, "profiles": {}}))

    words = ["--quick", "--engine", "sqlite", "--memory-minutes", "0.002", "--json", str(file)]
    main([*words, "--part", "memory"])

    figures = json.loads(file.read_text())["figures"]["sqlite"]
    assert figures["pending p50"] == [0.001]
    assert min(figures["memory"]) > 10_000_000
    assert figures["memory minutes"] == [0.002]
    assert "| that was watched for | 0.00 minutes |" in capsys.readouterr().out


def test_a_profile_names_the_rooms_of_the_house(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "speed.json"

    main(["--quick", "--profile", "--seconds", "0.5", "--engine", "sqlite", "--json", str(file)])

    samples = json.loads(file.read_text())["profiles"]["SQLite"]
    assert 0 < sum(samples["own"].values()) <= samples["samples"]
    assert any(name.startswith(("uploads.", "gateway.", "store.")) for name in samples["whole"])
    parts = sum(samples["rooms"].get(room.title, 0) for room in ROOMS if room.of)
    assert sum(samples["rooms"].values()) - parts == samples["samples"]
    assert samples["rooms"]["writing"] > 0
    assert 0 < samples["cpu_a_sale"] < 0.1
    told = capsys.readouterr().out
    assert "Where the time goes" in told
    assert f"| all | 100.0% · {samples['cpu_a_sale'] * 1e6:.1f} us |" in told


def test_a_thread_that_waits_is_not_taken_for_one_that_works(tmp_path: Path) -> None:
    sampler = Sampler(tmp_path / "samples.json")
    (tmp_path / "samples.json").touch()
    reading, writing = os.pipe()
    interval = sys.getswitchinterval()
    # In C, with its own frame on top, as the faster loop waits.
    waits = threading.Thread(target=os.read, args=(reading, 1))
    waits.start()
    sampler.start()

    _work_until(lambda: sampler.seen > 2_000)
    sampler.write()

    sys.setswitchinterval(interval)
    os.write(writing, b"x")
    waits.join()
    os.close(reading)
    os.close(writing)
    seen = json.loads((tmp_path / "samples.json").read_text())
    assert seen["whole"]["test_benchmarks._work_until"] > 0.9 * seen["samples"]
    assert "threading.Thread.run" not in seen["own"]


def _work_until(is_done: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not is_done() and time.monotonic() < end:
        sum(range(1_000))


def test_a_stack_is_in_one_room_and_in_a_part_of_it() -> None:
    save = ["store.sales.save", "gateway.uploads.take_all", "store.sqlite.transact"]

    assert [*rooms_of(save)] == ["writing"]
    assert [*rooms_of(["store.sqlite.SqliteSession.execute_many", *save])] == [
        "writing",
        "of that, the driver's",
    ]
    assert [*rooms_of(["base_events.BaseEventLoop.call_soon", *save])] == ["writing"]
    assert [*rooms_of(["store.sqlite.transact"])] == ["BEGIN, COMMIT"]
    assert [*rooms_of(["gateway.uploads.take_all", "store.sqlite.transact"])] == [REST]


_OTHERS = ("aiohttp.", "asyncpg.", "base_events.", "runners.", "selector_events.", "selectors.")


@pytest.mark.parametrize(
    "name",
    [name for room in ROOMS for name in (*room.whole, *room.own) if not name.startswith(_OTHERS)],
)
def test_a_room_is_known_by_functions_that_are_there(name: str) -> None:
    module, _, function = name.rpartition(".")
    place: object = None
    with suppress(ModuleNotFoundError):
        place = import_module(f"bulonera_sync.{module}")
    if place is None:
        module, _, kind = module.rpartition(".")
        place = getattr(import_module(f"bulonera_sync.{module}"), kind)

    found = [each for each in dir(place) if each.startswith(function.removesuffix("*"))]

    assert found if function.endswith("*") else function in found


def test_a_comparison_finds_the_slower_of_two_gateways(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = _copy_of_ours(tmp_path)
    with (other / "bulonera_sync" / "gateway" / "logbook.py").open("a") as file:
        # As it is imported from there by name.
        file.write(
            "\n\n_soon = log_outcomes\n\n\ndef log_outcomes(submissions, outcomes):\n"
            "    import time\n    time.sleep(0.05)\n    _soon(submissions, outcomes)\n"
        )

    main(["--quick", "--engine", "sqlite", "--against", str(other)])

    told = capsys.readouterr().out
    rows = [line.split(" | ") for line in told.splitlines() if line.startswith("| ")]
    assert [row[0].removeprefix("| ") for row in rows[1:]] == [each.title for each in WORKLOADS]
    ratios = {row[0].removeprefix("| "): float(row[3].split()[0]) for row in rows[1:]}
    assert ratios["upload 1"] < 0.75
    assert ratios["upload 10 x16"] > 1.25


def test_another_checkout_is_run_from_its_own_code(tmp_path: Path) -> None:
    other = _copy_of_ours(tmp_path)
    (other / "bulonera_sync" / "__init__.py").write_text('__version__ = "0.0.9"\n')
    config = configure(tmp_path, f"sqlite:///{tmp_path / 'sales.db'}")

    told = command(config, "--version", tree=Tree.at(other))

    assert "0.0.9" in told


def _copy_of_ours(folder: Path) -> Path:
    """Return a checkout, as far as a gateway needs one."""
    other = folder / "other"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(OURS.root / "bulonera_sync", other / "bulonera_sync", ignore=ignored)
    return other


def test_a_folder_that_is_no_checkout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no checkout"):
        Tree.at(tmp_path)


def test_the_cpu_of_a_process_is_what_it_would_say_itself() -> None:
    before = time.process_time()

    told = process_seconds(os.getpid())

    assert before <= told <= time.process_time()


def test_ids_asked_for_are_of_the_whole_database() -> None:
    plan = Plan(1, "token", STATUS, 1, ids=1_000_000)

    asked = [next(requests).split(b"/")[6] for requests in [_requests(plan, 0)] for _ in range(100)]

    assert len(set(asked)) == 100
    assert {int(each) // 250_000 for each in asked} == {0, 1, 2, 3}


def test_a_figure_that_was_not_measured_leaves_a_dash() -> None:
    document = {
        "machine": "A machine",
        "figures": {"sqlite": {"pending p50": [0.001]}},
        "profiles": {},
    }

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
