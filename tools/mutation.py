"""Tell which mistakes in a part the tests would not notice.

`python -m tools.mutation provider --sample 100 --seed 1` makes mutants (tools/mutants.py) of the part, puts each in the
place of its module in a process of its own, and runs the tests that walk over its line until one fails. Printed are the
share of mutants that were noticed, by file, and those that were not. A mutant that takes too long counts as noticed.

First all tests of the part run once with coverage, to know who walks where; that is kept until code or tests change.
"""

import argparse
import ast
import base64
import contextlib
import hashlib
import importlib
import importlib.machinery
import importlib.util
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import coverage
import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

from tools.mutants import Mutant, applied, mutants

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "unternehmenskonto"
FEW = 5
#: What the tests of a mutant may take: this, and so many times what they took without it.
GRACE_SECONDS, TIMES = 30.0, 4.0
OPTIONS = ("-q", "-x", "-W", "ignore::pytest.PytestAssertRewriteWarning")
#: Any test that opens the application makes the tables and keys of an empty database.
FIRST_TEST = "tests/test_skeleton.py"
READY = "ready"
KEEPER = """
import sys
from pathlib import Path
from unternehmenskonto.demo.database import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]), fsync=False)
print(server.start(), flush=True)
sys.stdin.read()
server.remove()
"""
NOTICED, SURVIVED, SLOW, UNSEEN = "noticed", "survived", "too slow", "no test"


@dataclass(frozen=True)
class Case:
    """One mutant of one file."""

    path: Path
    mutant: Mutant

    @property
    def module(self) -> str:
        """Return the name under which the file is imported."""
        parts = self.path.relative_to(ROOT).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def is_models(self) -> bool:
        """Tell whether the file describes tables."""
        return self.path.name.endswith("models.py")


@dataclass
class Walks:
    """Who walks where: file -> line -> tests, and how long each test takes."""

    lines: dict[str, dict[int, list[str]]]
    seconds: dict[str, float]
    modules: list[str]

    def tests(self, case: Case, *, most: int = 0) -> list[str]:
        """Return the tests that can notice this mutant, the likeliest and quickest first."""
        found = set(self._on(case.path, case.mutant.line))
        if case.mutant.constant is not None:
            # A value made at import is felt where its name stands.
            for path in sorted((ROOT / PACKAGE).rglob("*.py")):
                for line in _uses(path, case.mutant.constant):
                    found |= set(self._on(path, line))
        if len(found) < FEW:
            # What happens at the start is seen by the first test alone, and felt by all.
            found |= {test for tests in self.lines.get(_key(case.path), {}).values() for test in tests}
        if len(found) < FEW:
            found = set(self.seconds)
        near = f"test_{case.path.stem}.py::"
        cost: dict[str, float] = defaultdict(float)
        variants: dict[str, int] = defaultdict(int)
        places = {}
        for test in sorted(found):
            cost[test.partition("::")[0]] += self.seconds.get(test, 0.0)
            variants[test.partition("[")[0]] += 1
            places[test] = variants[test.partition("[")[0]]

        def order(test: str) -> tuple[int, bool, float, str, float]:
            """Put one variant of each test before all others, files of the same name and quick ones first."""
            file = test.partition("::")[0]
            return places[test], near not in test, cost[file], file, self.seconds.get(test, 0.0)

        return sorted(found, key=order)[: most or None]

    def _on(self, path: Path, line: int) -> list[str]:
        return self.lines.get(_key(path), {}).get(line, [])


def _key(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _uses(path: Path, name: str) -> set[int]:
    text = path.read_text(encoding="utf-8")
    if name not in text:
        return set()
    return {
        node.lineno
        for node in ast.walk(ast.parse(text))
        if (isinstance(node, ast.Name) and node.id == name) or (isinstance(node, ast.Attribute) and node.attr == name)
    }


class Server:
    """A database server for all mutants; each gets a copy of a database in which everything is ready."""

    def __init__(self, folder: Path) -> None:
        # In a process of its own: no module of the package may be there before a mutant is.
        self.keeper = subprocess.Popen(
            [sys.executable, "-c", KEEPER, str(folder)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self.keeper.stdout is not None  # noqa: S101 - it is a pipe
        self.address = make_url(self.keeper.stdout.readline().decode().strip())
        self.engine = create_engine(self.address, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        self.number = 0

    def close(self) -> None:
        """Stop the server and delete its data."""
        self.keeper.communicate()

    @contextlib.contextmanager
    def copy(self, template: str = "template1", *, name: str | None = None) -> Iterator[str]:
        """Make a database, name it to the children, and delete it unless it was given a name."""
        self.number += 1
        made = name or f"mutant_{self.number}"
        self._tell(f"CREATE DATABASE {made} TEMPLATE {template}")
        os.environ["DATABASE_URL"] = self.address.set(database=made).render_as_string(hide_password=False)
        yield made
        if name is None:
            self._tell(f"DROP DATABASE {made} WITH (FORCE)")

    def _tell(self, statement: str) -> None:
        with self.engine.connect() as connection:
            connection.execute(text(statement))


class _Contexts:
    """Tell coverage which test is running, and remember how long it took."""

    def __init__(self, measured: coverage.Coverage) -> None:
        self.measured, self.seconds = measured, {}  # type: ignore[var-annotated]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[Any]:
        self.measured.switch_context(item.nodeid)
        began = time.monotonic()
        try:
            return (yield)
        finally:
            self.seconds[item.nodeid] = time.monotonic() - began


class _Chosen:
    """Keep the chosen tests, in their order."""

    def __init__(self, tests: Sequence[str]) -> None:
        self.place = {test: number for number, test in enumerate(tests)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted((item for item in items if item.nodeid in self.place), key=lambda i: self.place[i.nodeid])


class _Mutated(importlib.machinery.SourceFileLoader):
    """Load a module with its mistake; found before the real one."""

    def __init__(self, case: Case) -> None:
        super().__init__(case.module, str(case.path))
        tree = applied(case.path.read_text(encoding="utf-8"), case.mutant.number, is_models=case.is_models)
        self.code = compile(tree, str(case.path), "exec")

    def get_code(self, fullname: str) -> CodeType:
        return self.code

    def find_spec(self, name: str, path: object = None, target: ModuleType | None = None) -> Any:
        if name != self.name:
            return None
        return importlib.util.spec_from_file_location(name, self.path, loader=self)


def _in_child(act: Callable[[], int], *, seconds: float | None = None) -> int | None:
    """Run in a forked process group and return its exit status; None if its time was up."""
    process = os.fork()
    if process == 0:
        status = 99
        try:
            os.setsid()
            with Path(os.environ.get("MUTLOG", os.devnull)).open("a") as nowhere:
                os.dup2(nowhere.fileno(), 1)
                os.dup2(nowhere.fileno(), 2)
            status = act()
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    ends_at = time.monotonic() + seconds if seconds else float("inf")
    try:
        while True:
            done, status = os.waitpid(process, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > ends_at:
                os.killpg(process, signal.SIGKILL)
                os.waitpid(process, 0)
                return None
            time.sleep(0.02)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process, signal.SIGKILL)


def _walk(part: str, folders: list[str], file: Path) -> int:
    """Run all tests with coverage; write who walks where."""
    measured = coverage.Coverage(data_file=None, source=[str(ROOT / PACKAGE)], branch=False, config_file=False)
    contexts = _Contexts(measured)
    measured.start()
    status = int(pytest.main([*OPTIONS, *folders], plugins=[contexts]))
    measured.stop()
    data = measured.get_data()
    lines = {
        _key(Path(name)): {
            line: [test for test in tests if test] for line, tests in data.contexts_by_lineno(name).items()
        }
        for name in data.measured_files()
    }
    modules = [name for name in sys.modules if name.partition(".")[0] not in (PACKAGE, "tests", "tools", "__main__")]
    file.write_text(json.dumps({"lines": lines, "seconds": contexts.seconds, "modules": modules}))
    return status


def walks(part: str, folders: list[str], cache: Path) -> Walks:
    """Return who walks where, from the last run if nothing has changed since; raises SystemExit if a test fails."""
    known = hashlib.sha256()
    for path in sorted([*(ROOT / PACKAGE).rglob("*.py"), *(ROOT / "tests").rglob("*.py")]):
        known.update(path.read_bytes())
    file = cache / f"{part}-{known.hexdigest()[:16]}.json"
    if not file.exists():
        fresh = file.with_suffix(".new")
        if _in_child(lambda: _walk(part, folders, fresh)) != 0:
            raise SystemExit("The tests fail without any mutant; see: pytest " + " ".join(folders))
        fresh.rename(file)
    found = json.loads(file.read_text())
    lines = {name: {int(line): tests for line, tests in by_line.items()} for name, by_line in found["lines"].items()}
    return Walks(lines, found["seconds"], found["modules"])


def _judge(case: Case, tests: list[str], known: Walks) -> str:
    """Return what became of the mutant."""
    seconds = sum(known.seconds.get(test, 0.0) for test in tests)

    def act() -> int:
        sys.dont_write_bytecode = True
        sys.meta_path.insert(0, _Mutated(case))  # type: ignore[arg-type]
        files = list(dict.fromkeys(test.partition("::")[0] for test in tests))
        return int(pytest.main([*OPTIONS, *files], plugins=[_Chosen(tests)]))

    status = _in_child(act, seconds=GRACE_SECONDS + TIMES * seconds)
    return SLOW if status is None else SURVIVED if status == 0 else NOTICED


def _cases(part: str, only: str | None) -> list[Case]:
    return [
        Case(path, mutant)
        for path in sorted((ROOT / PACKAGE / part).rglob("*.py"))
        if only is None or path.name == only
        for mutant in mutants(path.read_text(encoding="utf-8"), is_models=path.name.endswith("models.py"))
    ]


def _report(outcomes: list[tuple[Case, str]]) -> None:
    by_file: dict[str, list[str]] = defaultdict(list)
    for case, outcome in outcomes:
        by_file[_key(case.path)].append(outcome)
    print(f"\n{'file':<52}{'mutants':>8}{'noticed':>8}{'share':>8}")
    for name, found in [*sorted(by_file.items()), ("all", [outcome for _, outcome in outcomes])]:
        noticed = sum(outcome in (NOTICED, SLOW) for outcome in found)
        print(f"{name:<52}{len(found):>8}{noticed:>8}{noticed / max(1, len(found)):>8.0%}")


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("part", help="a folder of the package, such as provider")
    parser.add_argument("--tests", nargs="*", help="default: the folder of the same name in tests/")
    parser.add_argument("--only", help="one file of the part, such as codes.py")
    parser.add_argument("--sample", type=int, default=100, help="so many mutants, chosen by the seed; 0: all")
    parser.add_argument("--most", type=int, default=80, help="tests for one mutant; 0: all that walk over its line")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "mutation")
    chosen = parser.parse_args()
    chosen.cache.mkdir(exist_ok=True)
    os.chdir(ROOT)
    os.environ["UNTERNEHMENSKONTO_ENCRYPTION_KEY"] = base64.b64encode(secrets.token_bytes(32)).decode()
    outcomes = []
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(Server(Path(folder))) as server:
        known = walks(chosen.part, chosen.tests or [f"tests/{chosen.part}"], chosen.cache)
        for name in known.modules:
            # What every child would import is there before it is born.
            with contextlib.suppress(ImportError, AttributeError):
                importlib.import_module(name)
        with server.copy(name=READY):
            if _in_child(lambda: int(pytest.main([*OPTIONS, FIRST_TEST]))) != 0:
                raise SystemExit(f"The tests fail without any mutant; see: pytest {FIRST_TEST}")
        cases, began = _cases(chosen.part, chosen.only), time.monotonic()
        # In the order of the draw: whoever interrupts the run has a smaller sample and not the first files only.
        drawn = random.Random(chosen.seed).sample(cases, min(chosen.sample or len(cases), len(cases)))  # noqa: S311
        with contextlib.suppress(KeyboardInterrupt):
            for number, case in enumerate(drawn, 1):
                tests = known.tests(case, most=chosen.most)
                with server.copy(READY):
                    outcome = _judge(case, tests, known) if tests else UNSEEN
                outcomes.append((case, outcome))
                if outcome != NOTICED:
                    place = f"{_key(case.path)}:{case.mutant.line}"
                    print(f"{number:>4} {outcome:<9} {place} [{len(tests)} tests] {case.mutant.what}", flush=True)
    _report(outcomes)
    print(f"{(time.monotonic() - began) / max(1, len(outcomes)):.1f} s each, seed {chosen.seed}")


if __name__ == "__main__":
    main()
