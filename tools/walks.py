"""Who walks where: all tests of a part run once with coverage, and each line knows its tests."""

import ast
import contextlib
import hashlib
import json
import os
import signal
import sys
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import coverage
import pytest

from tools.mutants import Mutant

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "unternehmenskonto"
OPTIONS = ("-q", "-x", "-W", "ignore::pytest.PytestAssertRewriteWarning")
FEW = 5


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
            found |= {test for tests in self.lines.get(key(case.path), {}).values() for test in tests}
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
        return self.lines.get(key(path), {}).get(line, [])


def key(path: Path) -> str:
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


def born(act: Callable[[], int]) -> int:
    """Fork a process group that acts, says nothing and exits; return its id."""
    process = os.fork()
    if process == 0:
        status = 99
        try:
            os.setsid()
            with Path(os.environ.get("MUTATION_LOG", os.devnull)).open("a") as nowhere:
                os.dup2(nowhere.fileno(), 1)
                os.dup2(nowhere.fileno(), 2)
            status = act()
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    return process


def in_child(act: Callable[[], int], *, seconds: float = float("inf")) -> int | None:
    """Run in a process of its own and return its exit status; None if its time was up."""
    process, ends_at = born(act), time.monotonic() + seconds
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
        key(Path(name)): {
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
        if in_child(lambda: _walk(part, folders, fresh)) != 0:
            raise SystemExit("The tests fail without any mutant; see: pytest " + " ".join(folders))
        fresh.rename(file)
    found = json.loads(file.read_text())
    lines = {name: {int(line): tests for line, tests in by_line.items()} for name, by_line in found["lines"].items()}
    return Walks(lines, found["seconds"], found["modules"])
