"""The mistakes that `make mutation` makes: the ones people make, and none that mean nothing."""

import ast

from tools.mutants import applied, mutants

SOURCE = '''
"""Nothing."""
from a import b
LIMIT: int = 3

def check(found: "str", log, moment):
    """Tell."""
    log.warning("seen", code=found)
    if found is None or len(found) > LIMIT and not b.ok(found, moment):
        raise ValueError("a long sentence here", _("Text"))
    b.record(found)
    if b.expires_at <= moment:
        return True
    return b.where(b.x == 1, b.y.is_(None))
'''


def texts(source: str = SOURCE) -> list[str]:
    return [ast.unparse(applied(source, mutant.number)) for mutant in mutants(source)]


def test_each_mutant_is_one_mistake() -> None:
    found = texts()
    assert len(set(found)) == len(found) > 15
    assert ast.unparse(ast.parse(SOURCE)) not in found
    for part in (
        "LIMIT: int = 4",
        "if found is not None or",
        "if found is None and (len(found) > LIMIT and (not b.ok(found, moment)))",
        "len(found) >= LIMIT",
        "and b.ok(found, moment)",
        "b.ok(moment, found)",
        "if found is None:",
        "if len(found) > LIMIT and (not b.ok(found, moment)):",
        "if not (found is None or",
        "b.expires_at >= moment",
        "return False",
        "return None",
        "return b.where(b.y.is_(None))",
        "return b.where(b.x == 1)",
        "b.x != 1",
        "b.x == 2",
    ):
        assert any(part in text for text in found), part
    assert any("raise" not in text for text in found)
    assert any("b.record" not in text for text in found)


def test_what_means_nothing_is_left_alone() -> None:
    for text in texts():
        for part in ("Tell.", "found: 'str'", "log.warning('seen', code=found)", "Nothing.", "import b"):
            assert part in text
        assert "raise" not in text or ("a long sentence here" in text and "_('Text')" in text)


def test_columns_are_left_to_the_migrations() -> None:
    source = (
        "class Row:\n    name: str = column(String(9))\n    def is_long(self):\n        return len(self.name) > 9\n"
    )
    assert len(mutants(source)) > len(mutants(source, is_models=True)) == 3


def test_a_mutant_knows_where_it_is() -> None:
    found = {mutant.what: mutant for mutant in mutants(SOURCE)}
    assert (found["3 -> 4"].line, found["3 -> 4"].constant) == (4, "LIMIT")
    assert found["True -> False"].constant is None
