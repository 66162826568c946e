"""The house rules that a machine can hold: who imports whom, sizes, names. Each rule yields what breaks it."""

import ast
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from unternehmenskonto.settings import ROOT

PACKAGE = "unternehmenskonto"
#: Imports go to a lower level only; parts of one level never know each other.
LEVELS = (
    ("settings",),
    ("db", "errors", "logs"),
    ("audit", "http", "jobs", "keys", "storage"),
    ("permissions", "web"),
    ("companies", "catalogue"),
    ("login", "notifications"),
    ("provider", "mailbox"),
    ("operators",),
    ("demo", PACKAGE),
)
KNOWN = {part for parts in LEVELS for part in parts}
#: Modules of the base that may use a neighbour of their own level.
NEIGHBOURS = {
    ("errors", "db"),  # an error handler rolls back
    ("web", "permissions"),  # health and home are public
}
#: Inside a part, from the outside in; modules that name a thing may be used by all of these.
LAYERS = (("views", "admin", "api", "commands", "pages"), ("forms", "schemas"), ("actions",), ("models",))
#: What is done so far is committed before something slow begins (a foreign server, an upload), so that no
#: database connection waits for it.
EARLY_COMMITS = {
    f"{PACKAGE}/permissions.py",
    f"{PACKAGE}/login/views.py",
    f"{PACKAGE}/mailbox/api.py",
    f"{PACKAGE}/mailbox/cases/api.py",
    f"{PACKAGE}/mailbox/conversations/views.py",
    f"{PACKAGE}/provider/logout.py",
}
WAYS_OUT = {f"{PACKAGE}/http.py", f"{PACKAGE}/notifications/email.py"}
NETWORK = {"requests", "urllib3", "socket", "http.client", "urllib.request", "smtplib"}
FLASK_REQUEST = {"request", "session", "g", "flash"}
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "base", "tools", "lib", "manager"}
MAXIMUM_FILE = 400
MAXIMUM_FUNCTION = 50
MAXIMUM_POSITIONAL = 5

FILES = sorted(
    path for path in (ROOT / PACKAGE).rglob("*.py") if "versions" not in path.parts and path.name != "env.py"
)
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def nodes_of(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def part_of(path: Path) -> str:
    """Return the part or base module a file belongs to; the package itself for its __init__."""
    inner = path.relative_to(ROOT / PACKAGE).with_suffix("").parts
    return PACKAGE if inner == ("__init__",) else inner[0]


def level_of(part: str) -> int:
    return next(number for number, parts in enumerate(LEVELS) if part in parts)


def layer_of(stem: str) -> int | None:
    return next((number for number, names in enumerate(LAYERS) if stem in names), None)


def imports_of(path: Path) -> Iterator[tuple[str, str, list[str]]]:
    """Yield place, part and dotted rest of everything imported from the package."""
    for node in nodes_of(path):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for steps in (name.split(".") for name in names):
            if steps[0] == PACKAGE:
                part = steps[1] if len(steps) > 1 and steps[1] in KNOWN else PACKAGE
                yield f"{name_of(path)}:{node.lineno}: {'.'.join(steps)}", part, steps[2:]  # type: ignore[attr-defined]


def functions_of(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in nodes_of(path):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def imports_go_down_only(path: Path) -> Iterator[str]:
    source = part_of(path)
    for place, part, _ in imports_of(path):
        is_free = part == source or (source, part) in NEIGHBOURS or source in ("demo", PACKAGE)
        if not is_free and level_of(part) >= level_of(source):
            yield place


def imports_are_written_in_full(path: Path) -> Iterator[str]:
    """The pieces of the demonstration are examples to be taken away whole; only they may say "from ."."""
    for node in nodes_of(path):
        if isinstance(node, ast.ImportFrom) and node.level and part_of(path) != "demo":
            yield f"{name_of(path)}:{node.lineno}"


def imports_stand_at_the_top(path: Path) -> Iterator[str]:
    for function in functions_of(path):
        for node in ast.walk(function):
            if isinstance(node, (ast.Import, ast.ImportFrom)) and function.name != "create_app":
                yield f"{name_of(path)}:{node.lineno}"


def layers_inside_a_part_go_down_only(path: Path) -> Iterator[str]:
    layer = layer_of(path.stem)
    for place, part, rest in imports_of(path):
        found = layer_of(rest[0]) if part == part_of(path) and rest else None
        if layer is not None and found is not None and found < layer:
            yield place


def pages_and_forms_belong_to_their_part(path: Path) -> Iterator[str]:
    private = {*LAYERS[0], *LAYERS[1]}
    for place, part, rest in imports_of(path):
        if rest and part not in (part_of(path), "demo") and rest[0] in private:
            yield place


def nobody_imports_the_demonstration(path: Path) -> Iterator[str]:
    for place, part, _ in imports_of(path):
        if part == "demo" and part_of(path) != "demo":
            yield place


def actions_know_nothing_of_the_request(path: Path) -> Iterator[str]:
    for node in nodes_of(path):
        if path.stem == "actions" and isinstance(node, ast.ImportFrom) and node.module == "flask":
            yield from (f"{name_of(path)}:{node.lineno}" for alias in node.names if alias.name in FLASK_REQUEST)


def only_views_that_wait_commit_early(path: Path) -> Iterator[str]:
    """One commit per request, job or command, in db.py; a part that commits by itself tears acts apart."""
    if part_of(path) in ("db", "demo") or name_of(path) in EARLY_COMMITS:
        return
    for node in nodes_of(path):
        # Releasing a savepoint commits nothing.
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith((".session.commit", "connection.commit")):
            yield f"{name_of(path)}:{node.lineno}"


def only_two_modules_go_out_to_the_network(path: Path) -> Iterator[str]:
    """Everything else would pass by the checks on addresses, sizes and times."""
    if name_of(path) in WAYS_OUT or part_of(path) == "demo":
        return
    for node in nodes_of(path):
        names = {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()
        names |= {node.module or ""} if isinstance(node, ast.ImportFrom) else set()
        if names & NETWORK:
            yield f"{name_of(path)}:{node.lineno}"  # type: ignore[attr-defined]


def files_stay_short(path: Path) -> Iterator[str]:
    length = len(path.read_text(encoding="utf-8").splitlines())
    if length > MAXIMUM_FILE:
        yield f"{name_of(path)} has {length} lines: it is two nouns"


def functions_stay_short(path: Path) -> Iterator[str]:
    for function in functions_of(path):
        length = (function.end_lineno or function.lineno) - function.lineno + 1
        if length > MAXIMUM_FUNCTION:
            yield f"{name_of(path)}:{function.lineno}: {function.name} has {length} lines"


def functions_take_few_positional_arguments(path: Path) -> Iterator[str]:
    for function in functions_of(path):
        names = [a.arg for a in (*function.args.posonlyargs, *function.args.args) if a.arg not in ("self", "cls")]
        if len(names) > MAXIMUM_POSITIONAL:
            yield f"{name_of(path)}:{function.lineno}: {function.name} takes {len(names)}"


def file_names_say_what_is_inside(path: Path) -> Iterator[str]:
    if FORBIDDEN_NAMES & {step.lower() for step in path.relative_to(ROOT / PACKAGE).with_suffix("").parts}:
        yield name_of(path)


def every_part_has_a_level(path: Path) -> Iterator[str]:
    if part_of(path) not in KNOWN:
        yield name_of(path)


def public_things_say_what_they_do(path: Path) -> Iterator[str]:
    module = nodes_of(path)[0]
    assert isinstance(module, ast.Module)
    if ast.get_docstring(module) is None:
        yield name_of(path)
    for node in module.body:
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) or node.name.startswith("_"):
            continue
        # The errors of a tree drawn at the top of its file say everything in their sentence.
        if ast.get_docstring(node) is None and path.name != "errors.py":
            yield f"{name_of(path)}:{node.lineno}: {node.name}"


RULES = (
    imports_go_down_only,
    imports_are_written_in_full,
    imports_stand_at_the_top,
    layers_inside_a_part_go_down_only,
    pages_and_forms_belong_to_their_part,
    nobody_imports_the_demonstration,
    actions_know_nothing_of_the_request,
    only_views_that_wait_commit_early,
    only_two_modules_go_out_to_the_network,
    files_stay_short,
    functions_stay_short,
    functions_take_few_positional_arguments,
    file_names_say_what_is_inside,
    every_part_has_a_level,
    public_things_say_what_they_do,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule_is_kept(rule: Callable[[Path], Iterator[str]]) -> None:
    assert [fault for path in FILES for fault in rule(path)] == []


def test_files_of_tests_stay_short() -> None:
    assert [fault for path in TESTS for fault in files_stay_short(path)] == []


def test_rules_see_what_they_forbid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that never finds anything would keep nothing."""
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    folder = tmp_path / PACKAGE / "companies"
    folder.mkdir(parents=True)
    bad = folder / "actions.py"
    arguments = ", ".join(f"a{number}" for number in range(6))
    lines = [
        f"from {PACKAGE}.mailbox import models",
        f"from {PACKAGE}.companies.views import page",
        f"from {PACKAGE}.login.forms import Form",
        f"from {PACKAGE}.demo import world",
        "from . import models",
        "from flask import request",
        "import requests",
        f"def long({arguments}):",
        "    import os",
        "    db.session.commit()",
        *["    pass"] * MAXIMUM_FILE,
    ]
    bad.write_text("\n".join(lines), encoding="utf-8")
    silent = {rule.__name__ for rule in RULES if not list(rule(bad))}
    assert silent == {"file_names_say_what_is_inside", "every_part_has_a_level"}
    misplaced = folder.parent / "utils.py"
    misplaced.touch()
    assert list(file_names_say_what_is_inside(misplaced)) == list(every_part_has_a_level(misplaced)) != []
