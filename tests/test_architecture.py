"""The house rules of docs/decisions that a machine can hold: who imports whom, sizes, names."""

import ast
from collections.abc import Iterator
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
    f"{PACKAGE}/provider/logout.py",
}
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "base", "tools", "lib", "manager"}
FLASK_REQUEST = {"request", "session", "g", "flash"}
MAXIMUM_FILE = 400
MAXIMUM_FUNCTION = 50
MAXIMUM_POSITIONAL = 5

FILES = sorted(
    path for path in (ROOT / PACKAGE).rglob("*.py") if "versions" not in path.parts and path.name != "env.py"
)
TESTS = sorted((ROOT / "tests").rglob("*.py"))
Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def part_of(path: Path) -> str:
    """Return the part or base module a file belongs to; the package itself for its __init__."""
    inner = path.relative_to(ROOT / PACKAGE).with_suffix("").parts
    return PACKAGE if inner == ("__init__",) else inner[0]


def level_of(part: str) -> int:
    return next(number for number, parts in enumerate(LEVELS) if part in parts)


def imports_of(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and full dotted name of everything imported from the package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            if node.level == 0 and (node.module or "").split(".")[0] == PACKAGE:
                yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names if alias.name.split(".")[0] == PACKAGE)


def known_parts() -> set[str]:
    return {part for parts in LEVELS for part in parts}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_go_down_only(path: Path) -> None:
    source = part_of(path)
    wrong = []
    for line, target in imports_of(tree_of(path)):
        steps = target.split(".")
        part = steps[1] if len(steps) > 1 and steps[1] in known_parts() else PACKAGE
        if part == source or (source, part) in NEIGHBOURS or source in ("demo", PACKAGE):
            continue
        if level_of(part) >= level_of(source):
            wrong.append(f"{name_of(path)}:{line}: {source} -> {target}")
    assert wrong == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_are_written_in_full(path: Path) -> None:
    """The pieces of the demonstration are examples to be taken away whole; only they may say "from ."."""
    relative = [n.lineno for n in ast.walk(tree_of(path)) if isinstance(n, ast.ImportFrom) and n.level]
    assert relative == [] or part_of(path) == "demo"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_layers_inside_a_part_go_down_only(path: Path) -> None:
    layer = _layer(path.stem)
    if layer is None:
        return
    wrong = []
    for line, target in imports_of(tree_of(path)):
        steps = target.split(".")
        if steps[1:2] != [part_of(path)]:
            continue
        found = _layer(steps[2]) if len(steps) > 2 else None
        if found is not None and found < layer:
            wrong.append(f"{name_of(path)}:{line}: {path.stem} -> {target}")
    assert wrong == []


def _layer(stem: str) -> int | None:
    return next((number for number, names in enumerate(LAYERS) if stem in names), None)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_parts_use_no_pages_or_forms_of_other_parts(path: Path) -> None:
    private = {*LAYERS[0], *LAYERS[1]} - {"api"}
    wrong = []
    for line, target in imports_of(tree_of(path)):
        steps = target.split(".")
        if len(steps) > 2 and steps[1] != part_of(path) and steps[2] in private and part_of(path) != "demo":
            wrong.append(f"{name_of(path)}:{line}: {target}")
    assert wrong == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_import_hides_in_a_function(path: Path) -> None:
    hidden = [
        f"{name_of(path)}:{inner.lineno}"
        for function in functions_of(tree_of(path))
        for inner in ast.walk(function)
        if isinstance(inner, (ast.Import, ast.ImportFrom)) and function.name != "create_app"
    ]
    assert hidden == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_actions_know_nothing_of_the_request(path: Path) -> None:
    if path.stem != "actions" and "actions" not in path.parts:
        return
    found = [
        f"{name_of(path)}:{node.lineno}: {alias.name}"
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ImportFrom) and node.module == "flask"
        for alias in node.names
        if alias.name in FLASK_REQUEST
    ]
    assert found == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_only_views_that_wait_commit_early(path: Path) -> None:
    """One commit per request, job or command, in db.py; a part that commits by itself tears acts apart."""
    if part_of(path) in ("db", "demo") or name_of(path) in EARLY_COMMITS:
        return
    commits = [
        f"{name_of(path)}:{node.lineno}"
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "commit"
    ]
    assert commits == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_only_http_goes_out_to_the_network(path: Path) -> None:
    """Everything else would pass by the checks on addresses, sizes and times; mail has one place of its own."""
    if name_of(path) in (f"{PACKAGE}/http.py", f"{PACKAGE}/notifications/email.py") or part_of(path) == "demo":
        return
    libraries = {"requests", "urllib3", "socket", "http.client", "urllib.request", "smtplib"}
    found = [
        f"{name_of(path)}:{node.lineno}"
        for node in ast.walk(tree_of(path))
        if (isinstance(node, ast.Import) and {alias.name for alias in node.names} & libraries)
        or (isinstance(node, ast.ImportFrom) and node.module in libraries)
    ]
    assert found == []


@pytest.mark.parametrize("path", [*FILES, *TESTS], ids=name_of)
def test_files_stay_short(path: Path) -> None:
    length = len(path.read_text(encoding="utf-8").splitlines())
    assert length <= MAXIMUM_FILE, f"{name_of(path)} has {length} lines: it is two nouns"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_functions_stay_short_and_take_few_arguments(path: Path) -> None:
    wrong = []
    for function in functions_of(tree_of(path)):
        length = (function.end_lineno or function.lineno) - function.lineno + 1
        positional = [a.arg for a in (*function.args.posonlyargs, *function.args.args) if a.arg not in ("self", "cls")]
        if length > MAXIMUM_FUNCTION:
            wrong.append(f"{name_of(path)}:{function.lineno}: {function.name} has {length} lines")
        if len(positional) > MAXIMUM_POSITIONAL:
            wrong.append(f"{name_of(path)}:{function.lineno}: {function.name} takes {len(positional)} arguments")
    assert wrong == []


def test_file_names_say_what_is_inside() -> None:
    found = [name_of(path) for path in (ROOT / PACKAGE).rglob("*") if path.stem.lower() in FORBIDDEN_NAMES]
    assert found == []


def test_every_part_has_its_place_in_the_order() -> None:
    present = {part_of(path) for path in FILES if part_of(path) != "migrations"}
    assert present <= known_parts() | {"migrations"}


def test_nobody_imports_the_demonstration() -> None:
    users = [
        f"{name_of(path)}:{line}"
        for path in FILES
        if part_of(path) != "demo"
        for line, target in imports_of(tree_of(path))
        if target.split(".")[1:2] == ["demo"]
    ]
    assert users == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_public_things_say_what_they_do(path: Path) -> None:
    """A docstring is one imperative line and more where it is needed; it is missing nowhere."""
    tree = tree_of(path)
    missing = [] if ast.get_docstring(tree) or path.name == "__init__.py" else [name_of(path)]
    for node in tree.body:
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) or node.name.startswith("_"):
            continue
        # The errors of a tree drawn at the top of its file say everything in their sentence.
        if ast.get_docstring(node) is None and path.name != "errors.py":
            missing.append(f"{name_of(path)}:{node.lineno}: {node.name}")
    assert missing == []


def functions_of(tree: ast.AST) -> Iterator[Function]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node
