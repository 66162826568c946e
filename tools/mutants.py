"""Make mutants of a Python source: copies with one small mistake each, as people make them.

A mutant that no test notices points at behaviour that no test holds. Left out by rule, never by line, is what means
nothing (docstrings, annotations, log lines), what only words it (sentences, `detail`, translations), what the
migrations say instead (columns in models.py), and hints to libraries that change no result.
"""

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

OPPOSITES: dict[type[ast.AST], type[ast.AST]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.Div: ast.Mult,
    ast.Mod: ast.Mult, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
}  # fmt: skip
#: Between moments a bound that moves by nothing cannot be seen: there the comparison is turned round.
REVERSED: dict[type[ast.AST], type[ast.AST]] = {
    **OPPOSITES, ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE,
}  # fmt: skip
MOMENTS = ("now", "moment", "expires", "begins", "issued", "proved", "until", "_at", "_time", "oldest", "_age")
#: The order of these arguments says nothing.
COMMUTATIVE = {"min", "max", "compare_digest"}
#: Calls whose positional arguments are conditions that all must hold: each may be forgotten.
CONDITIONS = {"where", "and_", "or_"}
TRANSLATIONS = {"_", "_l", "ngettext", "gettext"}
#: Arguments that say something to people or to the log, or how a library should work.
SILENT_ARGUMENTS = {"detail", "description", "synchronize_session", "populate_existing", "is_comparison"}
SILENT_CALLS = {"log", "structlog", "execution_options"}
#: A text with so many spaces is a sentence.
SENTENCE_SPACES = 2


@dataclass(frozen=True)
class Mutant:
    """One mistake: where, what, and the number by which `applied` finds it again."""

    line: int
    what: str
    number: int
    #: The name bound at module level whose value it changes; None inside functions and classes.
    constant: str | None
    #: It lies in the body of a function, so that what was made at import stays true.
    is_inside: bool


Change = Callable[[ast.AST], ast.AST]


def mutants(source: str, *, is_models: bool = False) -> list[Mutant]:
    """Return all mutants of the source, in its order."""
    tree = ast.parse(source)
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.Lambda))
        for part in (function.body if isinstance(function.body, list) else [function.body])
        for node in ast.walk(part)
    }
    return [
        Mutant(getattr(node, "lineno", 1), what, number, constant, id(node) in inside)
        for number, (node, what, _, constant) in enumerate(_changes(tree, is_models))
    ]


def applied(source: str, number: int, *, is_models: bool = False) -> ast.Module:
    """Return the tree of the source with this one mistake."""
    tree = ast.parse(source)
    for found, (node, _, change, _) in enumerate(_changes(tree, is_models)):
        if found == number:
            changed = ast.fix_missing_locations(_Replace(node, change(copy.deepcopy(node))).visit(tree))
            assert isinstance(changed, ast.Module)  # noqa: S101 - the root is never replaced
            return changed
    raise LookupError(number)


class _Replace(ast.NodeTransformer):
    """Put one node in the place of another."""

    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        """Return the new node for the old one, everything else as it is."""
        if node is self.old:
            return ast.copy_location(self.new, node)
        return self.generic_visit(node)


def _changes(tree: ast.Module, is_models: bool) -> Iterator[tuple[ast.AST, str, Change, str | None]]:
    for statement in tree.body:
        constant = None
        if isinstance(statement, (ast.Assign, ast.AnnAssign)):
            target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
            constant = target.id if isinstance(target, ast.Name) else None
        for node in _walk(statement, is_models):
            for what, change in _of(node):
                yield node, what, change, constant


def _walk(node: ast.AST, is_models: bool) -> Iterator[ast.AST]:
    """Walk in the order of the source, around what is left out."""
    if isinstance(node, (ast.Import, ast.ImportFrom, ast.Assert)) or _is_silent(node):
        return
    if is_models and isinstance(node, ast.AnnAssign):
        return
    yield node
    skipped: list[ast.AST | None] = []
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        skipped += node.decorator_list
    if isinstance(node, ast.FunctionDef):
        skipped.append(node.returns)
    if isinstance(node, (ast.AnnAssign, ast.arg)):
        skipped.append(node.annotation)
    for child in ast.iter_child_nodes(node):
        if not any(child is one for one in skipped):
            yield from _walk(child, is_models)


def _is_silent(node: ast.AST) -> bool:
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) or _is_silent(node.value)
    if isinstance(node, ast.keyword):
        return node.arg in SILENT_ARGUMENTS
    if isinstance(node, ast.Call):
        return _name(node.func) in TRANSLATIONS or _root(node.func) in SILENT_CALLS
    if isinstance(node, ast.JoinedStr):
        return True
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.count(" ") >= SENTENCE_SPACES


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _root(function: ast.expr) -> str:
    while isinstance(function, (ast.Attribute, ast.Call)):
        function = function.value if isinstance(function, ast.Attribute) else function.func
    return getattr(function, "id", "")


def _of(node: ast.AST) -> Iterator[tuple[str, Change]]:
    """Yield what can be wrong at this node."""
    if isinstance(node, ast.Compare):
        others = REVERSED if _is_of_time(node) else OPPOSITES
        for place, operator in enumerate(node.ops):
            put = partial(_put_operator, place)
            yield from _opposite(operator, put, others)
    elif isinstance(node, ast.BoolOp):
        yield from _opposite(node.op, _put_op)
        for place, value in enumerate(node.values):
            yield f"without {_text(value)}", _dropped(node, place)
    elif isinstance(node, (ast.BinOp, ast.AugAssign)):
        yield from _opposite(node.op, _put_op)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield f"without not: {_text(node)}", lambda n: n.operand  # type: ignore[attr-defined]
    elif isinstance(node, (ast.If, ast.While, ast.IfExp)):
        yield f"not: {_text(node.test)}", _set(lambda n: setattr(n, "test", ast.UnaryOp(ast.Not(), n.test)))
    elif isinstance(node, ast.Constant):
        yield from _constant(node.value)
    elif isinstance(node, ast.Call):
        yield from _call(node)
    else:
        yield from _statement(node)


def _statement(node: ast.AST) -> Iterator[tuple[str, Change]]:
    if isinstance(node, ast.Raise) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        yield f"without {_text(node)}", lambda _: ast.Pass()
    elif isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value):
        yield f"None for {_text(node.value)}", lambda _: ast.Return(ast.Constant(None))
    elif isinstance(node, ast.comprehension):
        for place, condition in enumerate(node.ifs):
            yield f"without if {_text(condition)}", _set(lambda n, place=place: n.ifs.pop(place))


def _is_of_time(node: ast.Compare) -> bool:
    names = [getattr(one, "id", getattr(one, "attr", "")) for one in ast.walk(node)]
    return any(name.endswith(MOMENTS) for name in names)


def _put_operator(place: int, new: ast.AST) -> Change:
    return _set(lambda node: node.ops.__setitem__(place, new))


def _put_op(new: ast.AST) -> Change:
    return _set(lambda node: setattr(node, "op", new))


def _opposite(
    operator: ast.AST,
    put: Callable[[ast.AST], Change],
    others: dict[type[ast.AST], type[ast.AST]] = OPPOSITES,
) -> Iterator[tuple[str, Change]]:
    other = others.get(type(operator))
    if other is not None:
        yield f"{type(operator).__name__} -> {other.__name__}", put(other())


def _constant(value: object) -> Iterator[tuple[str, Change]]:
    if isinstance(value, bool):
        yield f"{value} -> {not value}", lambda _: ast.Constant(not value)
    elif isinstance(value, (int, float)):
        yield f"{value} -> {value + 1}", lambda _: ast.Constant(value + 1)
    elif isinstance(value, str):
        changed = f"{value}x" if value else "x"
        yield f"{value[:40]!r} -> {changed[:41]!r}", lambda _: ast.Constant(changed)
    elif isinstance(value, bytes):
        yield f"{value[:40]!r} -> b'x'", lambda _: ast.Constant(b"x" if value != b"x" else b"y")


def _call(node: ast.Call) -> Iterator[tuple[str, Change]]:
    plain = [not isinstance(argument, ast.Starred) for argument in node.args]
    if _name(node.func) in CONDITIONS:
        for place, argument in enumerate(node.args):
            yield f"without condition {_text(argument)}", _set(lambda n, place=place: n.args.pop(place))
    elif (
        _name(node.func) not in COMMUTATIVE
        and len(plain) > 1
        and all(plain[:2])
        and ast.dump(node.args[0]) != ast.dump(node.args[1])
    ):
        yield f"swapped: {_text(node)}", _set(lambda n: n.args.insert(0, n.args.pop(1)))


def _dropped(node: ast.BoolOp, place: int) -> Change:
    def change(found: ast.AST) -> ast.AST:
        assert isinstance(found, ast.BoolOp)  # noqa: S101
        found.values.pop(place)
        return found.values[0] if len(found.values) == 1 else found

    return change


def _set(act: Callable[..., object]) -> Change:
    def change(found: ast.AST) -> ast.AST:
        act(found)
        return found

    return change


def _is_none(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def _text(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split())[:70]
