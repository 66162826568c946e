"""Tell which mistakes in a part the tests would not notice.

`python -m tools.mutation provider --sample 100 --seed 1` makes mutants (tools/mutants.py) of the part, puts each in the
place of its module in a process of its own, and runs the tests that walk over its line until one fails. Printed are the
share of mutants that were noticed, by file, and those that were not. A mutant that takes too long counts as noticed.

First all tests of the part run once with coverage, to know who walks where; that is kept until code or tests change.
"""

import argparse
import base64
import contextlib
import gc
import importlib
import importlib.machinery
import importlib.util
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.pool import NullPool

from tools.mutants import applied, mutants
from tools.walks import OPTIONS, PACKAGE, ROOT, Case, Walks, born, in_child, key, walks

#: So many mutants give so many tests each that must pass in a fork without any mistake.
CONTROLS = 6
#: What the tests of a mutant may take: this, and so many times what they took without it.
GRACE_SECONDS, TIMES = 30.0, 4.0
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


#: The number of a mutant in this run, itself, and the tests that can notice it.
Given = tuple[int, Case, list[str]]


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


def _judge(case: Case, tests: list[str], known: Walks) -> str:
    """Return what became of the mutant."""
    seconds = sum(known.seconds.get(test, 0.0) for test in tests)

    def act() -> int:
        sys.dont_write_bytecode = True
        sys.meta_path.insert(0, _Mutated(case))  # type: ignore[arg-type]
        files = list(dict.fromkeys(test.partition("::")[0] for test in tests))
        return int(pytest.main([*OPTIONS, *files], plugins=[_Chosen(tests)]))

    return _outcome(in_child(act, seconds=GRACE_SECONDS + TIMES * seconds))


class _Nursery:
    """A pytest session in which everything is loaded and ready; each mutant inside a function is a fork of it."""

    def __init__(self, cases: Sequence[Given], known: Walks, tell: Callable[[int, str], None]):
        self.cases, self.known, self.tell = cases, known, tell

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Open the application once, then judge one mutant after the other instead of running the tests."""
        items = {item.nodeid: item for item in session.items}
        opener = next(item for item in session.items if item.nodeid.startswith(FIRST_TEST))
        # An item of another file named as the next one keeps what belongs to the whole session, and nothing else.
        following = next(item for item in session.items if not item.nodeid.startswith(FIRST_TEST))
        session.config.hook.pytest_runtest_protocol(item=opener, nextitem=following)
        # No connection is inherited: two processes would talk over one.
        for engine in [one for one in gc.get_objects() if isinstance(one, Engine)]:
            engine.dispose()
        control = [items[test] for _, _, tests in self.cases[:CONTROLS] for test in tests[:CONTROLS] if test in items]
        if in_child(lambda: self._run(session, None, list(dict.fromkeys(control)))) != 0:
            raise pytest.UsageError("The tests fail in a fork without any mistake.")
        for number, case, tests in self.cases:
            chosen = [items[test] for test in tests if test in items]
            seconds = sum(self.known.seconds.get(test, 0.0) for test in tests)

            def act(case: Case = case, chosen: list[pytest.Item] = chosen) -> int:
                return self._run(session, case, chosen)

            status = in_child(act, seconds=GRACE_SECONDS + TIMES * seconds)
            self.tell(number, _outcome(status) if chosen else UNSEEN)
        return True

    def _run(self, session: pytest.Session, case: Case | None, chosen: list[pytest.Item]) -> int:
        if case is not None:
            _graft(case)
        for item, following in zip(chosen, [*chosen[1:], None], strict=True):
            session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.testsfailed:
                reporter = session.config.pluginmanager.get_plugin("terminalreporter")
                reporter.summary_errors()
                reporter.summary_failures()
                return 1
        return 0


def _graft(case: Case) -> None:
    """Put the mistake into the functions that are alive."""
    source = case.path.read_text(encoding="utf-8")
    old = _codes(compile(source, str(case.path), "exec"))
    new = _codes(compile(applied(source, case.mutant.number, is_models=case.is_models), str(case.path), "exec"))
    changed = {name: code for name, code in new.items() if old.get(name) != code}
    for function in [one for one in gc.get_objects() if isinstance(one, FunctionType)]:
        code = function.__code__
        if code.co_filename == str(case.path) and (code.co_qualname, code.co_firstlineno) in changed:
            function.__code__ = changed[code.co_qualname, code.co_firstlineno]


def _codes(module: CodeType) -> dict[tuple[str, int], CodeType]:
    """Return every function of a compiled module by its name and line."""
    found = {}
    waiting = [module]
    while waiting:
        for part in waiting.pop().co_consts:
            if isinstance(part, CodeType):
                found[part.co_qualname, part.co_firstlineno] = part
                waiting.append(part)
    return found


def _outcome(status: int | None) -> str:
    return SLOW if status is None else SURVIVED if status == 0 else NOTICED


def _grafted(given: list[Given], known: Walks, server: Server) -> Iterator[tuple[int, str]]:
    """Judge mutants inside functions, as forks of a child in which everything is loaded; yield what became of each."""
    files = sorted({test.partition("::")[0] for _, _, tests in given for test in tests})
    reading, writing = os.pipe()

    def tell(number: int, outcome: str) -> None:
        os.write(writing, f"{number} {outcome}\n".encode())

    def act() -> int:
        return int(pytest.main([*OPTIONS, FIRST_TEST, *files], plugins=[_Nursery(given, known, tell)]))

    with server.copy(READY):
        process = born(act)
        os.close(writing)
        try:
            with os.fdopen(reading) as lines:
                for line in lines:
                    number, _, outcome = line.strip().partition(" ")
                    yield int(number), outcome
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process, signal.SIGTERM)
            _, status = os.waitpid(process, 0)
        if os.waitstatus_to_exitcode(status) not in (0, -signal.SIGTERM):
            raise SystemExit("The tests fail in a fork without any mistake.")


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
        by_file[key(case.path)].append(outcome)
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
    parser.add_argument(
        "--most", type=int, default=0, help="tests for one mutant, for a first look; 0: all that walk over its line"
    )
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
            if in_child(lambda: int(pytest.main([*OPTIONS, FIRST_TEST]))) != 0:
                raise SystemExit(f"The tests fail without any mutant; see: pytest {FIRST_TEST}")
        cases, began = _cases(chosen.part, chosen.only), time.monotonic()
        # In the order of the draw: whoever interrupts the run has a smaller sample and not the first files only.
        drawn = random.Random(chosen.seed).sample(cases, min(chosen.sample or len(cases), len(cases)))  # noqa: S311
        chosen_tests = [known.tests(case, most=chosen.most) for case in drawn]
        given = list(zip(range(1, len(drawn) + 1), drawn, chosen_tests, strict=True))

        def tell(number: int, outcome: str) -> None:
            case, tests = drawn[number - 1], chosen_tests[number - 1]
            if outcome != NOTICED:
                place = f"{key(case.path)}:{case.mutant.line}"
                print(f"{number:>4} {outcome:<9} {place} [{len(tests)} tests] {case.mutant.what}", flush=True)
            outcomes.append((case, outcome))

        with contextlib.suppress(KeyboardInterrupt):
            for number, outcome in _grafted([one for one in given if one[1].mutant.is_inside], known, server):
                tell(number, outcome)
            for number, case, tests in given:
                if not case.mutant.is_inside:
                    with server.copy(READY):
                        tell(number, _judge(case, tests, known) if tests else UNSEEN)
    _report(outcomes)
    print(f"{(time.monotonic() - began) / max(1, len(outcomes)):.1f} s each, seed {chosen.seed}")


if __name__ == "__main__":
    main()
