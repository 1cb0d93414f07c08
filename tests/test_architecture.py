"""Who may know what: held here, since a convention that nothing checks is soon none."""

import ast
import gc
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "bulonera_sync"
MODULES = sorted(PACKAGE.rglob("*.py"))
# All modules at the root but the log itself.
RULES = [
    each for each in sorted(PACKAGE.glob("*.py")) if each.name not in ("logs.py", "__main__.py")
]

DIALECTS = re.compile(r"sqlite|postgres(ql)?")
ENGINE_FILES = {"store/dialect.py", "store/types.py"}

# Where any fault at all is caught, and why there.
CATCH_ALL = {
    "cli/main.py",  # becomes one line on stderr, the rest in a file
    "server/middleware.py",  # becomes a 500 with an id
    "server/schedule.py",  # a job's fault must not end the schedule
    "store/writers.py",  # handed over to whoever waits for the work
}


@pytest.fixture(autouse=True)
def no_collection() -> Iterator[None]:
    """Keep the collector out of ast.parse: what it runs there upsets CPython 3.11's depth count."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def name_of(module: Path) -> str:
    return str(module.relative_to(PACKAGE))


def tree_of(module: Path) -> ast.Module:
    return ast.parse(module.read_text("utf-8"), filename=str(module))


def places(module: Path, nodes: Iterator[ast.AST]) -> list[str]:
    return [f"{name_of(module)}:{getattr(node, 'lineno', 0)}" for node in nodes]


def found_in(modules: list[Path], find: "Find") -> list[str]:
    return [place for module in modules for place in places(module, find(tree_of(module)))]


class Find:
    """Finds the nodes of a module for which a question holds."""

    def __init__(self, *kinds: type[ast.AST]) -> None:
        self._kinds = kinds

    def __call__(self, tree: ast.Module) -> Iterator[ast.AST]:
        return (node for node in ast.walk(tree) if self.holds(node))

    def holds(self, node: ast.AST) -> bool:
        return isinstance(node, self._kinds)


class DialectBranches(Find):
    """Comparisons, match cases, look-ups and compiler hooks that name an engine."""

    def holds(self, node: ast.AST) -> bool:
        match node:
            case ast.Compare(left, _, comparators):
                return any(_names_dialect(each) for each in (left, *comparators))
            case ast.MatchValue(value):
                return _names_dialect(value)
            case ast.Dict(keys):
                return any(key is not None and _names_dialect(key) for key in keys)
            case ast.Call(func=function, args=arguments):
                called = getattr(function, "attr", getattr(function, "id", ""))
                hooks = ("compiles", "with_variant", "startswith", "execute_if")
                return called in hooks and any(map(_names_dialect, arguments))
            case _:
                return False


def _names_dialect(node: ast.AST) -> bool:
    """Whether a literal, or a collection of them, is an engine's name and nothing more."""
    match node:
        case ast.Constant(str(text)):
            return DIALECTS.fullmatch(text) is not None
        case ast.Tuple(elements) | ast.List(elements) | ast.Set(elements):
            return any(map(_names_dialect, elements))
        case _:
            return False


class CatchAlls(Find):
    """Handlers of any fault that do not raise it again."""

    def holds(self, node: ast.AST) -> bool:
        if not isinstance(node, ast.ExceptHandler):
            return False
        kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        names = {"Exception" if kind is None else ast.unparse(kind) for kind in kinds}
        if not names & {"Exception", "BaseException"}:
            return False
        # Tidying up on the way out is no catching.
        return not (isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None)


class Clocks(Find):
    """Calls that read the clock."""

    def holds(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Call) and ast.unparse(node.func) in {
            "datetime.now", "datetime.utcnow", "datetime.today", "date.today",
            "time.time", "time.monotonic", "time.perf_counter", "time.time_ns",
        }  # fmt: skip


class Imports(Find):
    """Imports of a module by its name."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self._names = names

    def holds(self, node: ast.AST) -> bool:
        match node:
            case ast.Import(aliases):
                return any(alias.name.split(".")[0] in self._names for alias in aliases)
            case ast.ImportFrom(str(module)):
                return module.split(".")[0] in self._names
            case _:
                return False


class RelativeImports(Find):
    def holds(self, node: ast.AST) -> bool:
        return isinstance(node, ast.ImportFrom) and node.level > 0


def test_nobody_imports_what_the_contracts_forbid() -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]

    linted = subprocess.run(
        [*command, "--no-cache"], cwd=ROOT, check=False, capture_output=True, text=True
    )

    assert linted.returncode == 0, linted.stdout + linted.stderr
    assert " kept, 0 broken" in linted.stdout


def test_the_engines_are_told_apart_in_two_files_alone() -> None:
    others = [
        module
        for module in MODULES
        # The configuration tells urls apart, by their scheme.
        if name_of(module) not in ENGINE_FILES and name_of(module) != "config_values.py"
    ]

    assert found_in(others, DialectBranches()) == []


def test_no_rule_waits() -> None:
    waiting = Find(ast.Await, ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith)

    assert found_in(RULES, waiting) == []


def test_no_rule_reads_the_clock() -> None:
    assert found_in(RULES, Clocks()) == []


def test_no_rule_writes_a_log_or_knows_the_loop_or_threads() -> None:
    rules = [module for module in RULES if module.name != "log_lines.py"]

    assert found_in(rules, Imports("logging", "asyncio", "threading", "random", "secrets")) == []


def test_any_fault_at_all_is_caught_in_four_places() -> None:
    caught = [place.rpartition(":")[0] for place in found_in(MODULES, CatchAlls())]

    assert sorted(caught) == sorted(CATCH_ALL)


def test_no_module_imports_relatively() -> None:
    assert found_in(MODULES, RelativeImports()) == []


def test_no_engine_is_made_by_importing() -> None:
    """Importing everything opens no file, socket or thread, and needs no optional driver."""
    script = (
        "import importlib, pkgutil, threading, bulonera_sync\n"
        "for module in pkgutil.walk_packages(bulonera_sync.__path__, 'bulonera_sync.'):\n"
        "    if 'migrations' not in module.name and not module.name.endswith('__main__'):\n"
        "        importlib.import_module(module.name)\n"
        "assert threading.active_count() == 1, threading.enumerate()\n"
    )

    imported = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, check=False, capture_output=True, text=True
    )

    assert imported.returncode == 0, imported.stderr


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ('if dialect.name == "sqlite": pass', 1),
        ('if name in ("sqlite", "postgresql"): pass', 1),
        ('match name:\n    case "postgresql": pass', 1),
        ('@compiles(thing, "sqlite")\ndef f(): pass', 1),
        ('BigInteger().with_variant(Integer(), "sqlite")', 1),
        ('{"sqlite": 1}[name]', 1),
        ('Index("x", sqlite_where=where)', 0),
        ('create_engine("sqlite://")', 0),
        ('"the word sqlite in a text"', 0),
    ],
)
def test_the_check_for_engines_sees_what_it_should(code: str, count: int) -> None:
    assert len(list(DialectBranches()(ast.parse(code)))) == count


@pytest.mark.parametrize(
    ("handler", "count"),
    [
        ("except Exception: pass", 1),
        ("except (ValueError, Exception) as error: log(error)", 1),
        ("except BaseException: pass", 1),
        ("except: pass", 1),
        ("except BaseException:\n    close()\n    raise", 0),
        ("except ValueError: pass", 0),
    ],
)
def test_the_check_for_catch_alls_sees_what_it_should(handler: str, count: int) -> None:
    assert len(list(CatchAlls()(ast.parse(f"try: f()\n{handler}")))) == count
