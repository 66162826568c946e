"""Write docs/conformance.md: which module of the OpenID Foundation's plans is held by which of our tests.

`python tools/conformance.py` reads the markers of the tests; nothing is run. A test keeps the file current.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "conformance.md"
MARKER = "conformance"

_BASIC = (
    *("oidcc-server", "oidcc-response-type-missing", "oidcc-idtoken-signature", "oidcc-idtoken-unsigned"),
    *("oidcc-userinfo-get", "oidcc-userinfo-post-header", "oidcc-userinfo-post-body"),
    "oidcc-ensure-request-without-nonce-succeeds-for-code-flow",
    *("oidcc-scope-profile", "oidcc-scope-email", "oidcc-scope-address", "oidcc-scope-phone", "oidcc-scope-all"),
    *("oidcc-alternate-happy-flow", "oidcc-display-page", "oidcc-display-popup"),
    *("oidcc-prompt-login", "oidcc-prompt-none-not-logged-in", "oidcc-prompt-none-logged-in"),
    *("oidcc-max-age-1", "oidcc-max-age-10000", "oidcc-ensure-request-with-unknown-parameter-succeeds"),
    *("oidcc-id-token-hint", "oidcc-login-hint", "oidcc-ui-locales", "oidcc-claims-locales"),
    *("oidcc-ensure-request-with-acr-values-succeeds", "oidcc-codereuse", "oidcc-codereuse-30seconds"),
    *("oidcc-ensure-registered-redirect-uri", "oidcc-ensure-post-request-succeeds"),
    "oidcc-server-client-secret-post",
    "oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported",
    "oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported",
    *("oidcc-claims-essential", "oidcc-ensure-request-object-with-redirect-uri", "oidcc-refresh-token"),
    "oidcc-ensure-request-with-valid-pkce-succeeds",
)
_LOGOUT = "oidcc-rp-initiated-logout"
_RP = "oidcc-client-test"
_RP_LOGOUT = f"{_RP}-rp-backchannel-rpinitlogout"
#: Plan -> its modules, for the response type code.
PLANS: dict[str, tuple[str, ...]] = {
    "oidcc-basic-certification-test-plan": _BASIC,
    "oidcc-formpost-basic-certification-test-plan": _BASIC,
    "oidcc-config-certification-test-plan": ("oidcc-discovery-endpoint-verification",),
    "oidcc-dynamic-certification-test-plan": (
        *("oidcc-discovery-endpoint-verification", "oidcc-server"),
        *("oidcc-ensure-client-assertion-with-iss-aud-succeeds", "oidcc-ensure-redirect-uri-in-authorization-request"),
        *("oidcc-ensure-request-object-with-redirect-uri", "oidcc-idtoken-rs256", "oidcc-idtoken-unsigned"),
        *("oidcc-redirect-uri-query-OK", "oidcc-redirect-uri-query-added", "oidcc-redirect-uri-query-mismatch"),
        *("oidcc-redirect-uri-regfrag", "oidcc-refresh-token", "oidcc-refresh-token-rp-key-rotation"),
        *("oidcc-registration-jwks-uri", "oidcc-registration-logo-uri", "oidcc-registration-policy-uri"),
        *("oidcc-registration-sector-bad", "oidcc-registration-sector-uri", "oidcc-registration-tos-uri"),
        *("oidcc-request-uri-signed-rs256", "oidcc-request-uri-unsigned", "oidcc-server-rotate-keys"),
        "oidcc-userinfo-rs256",
    ),
    "oidcc-rp-initiated-logout-certification-test-plan": (
        *(f"{_LOGOUT}-discovery-endpoint-verification", _LOGOUT, f"{_LOGOUT}-bad-post-logout-redirect-uri"),
        *(f"{_LOGOUT}-modified-id-token-hint", f"{_LOGOUT}-no-id-token-hint", f"{_LOGOUT}-no-params"),
        *(f"{_LOGOUT}-no-post-logout-redirect-uri", f"{_LOGOUT}-no-state", f"{_LOGOUT}-only-state"),
        *(f"{_LOGOUT}-query-added-to-post-logout-redirect-uri", f"{_LOGOUT}-bad-id-token-hint"),
    ),
    "oidcc-backchannel-rp-initiated-logout-certification-test-plan": (
        "oidcc-backchannel-logout-discovery-endpoint-verification",
        "oidcc-backchannel-rp-initiated-logout",
    ),
    "oidcc-3rdparty-init-login-certification-test-plan": (
        "oidcc-3rd_party-init-login",
        "oidcc-3rd_party-init-login-nohttps",
    ),
    "oidcc-client-basic-certification-test-plan": (
        *(_RP, f"{_RP}-invalid-iss", f"{_RP}-missing-sub", f"{_RP}-invalid-aud", f"{_RP}-missing-iat"),
        *(f"{_RP}-kid-absent-single-jwks", f"{_RP}-kid-absent-multiple-jwks", f"{_RP}-idtoken-sig-rs256"),
        *(f"{_RP}-idtoken-sig-none", f"{_RP}-invalid-sig-rs256", f"{_RP}-userinfo-invalid-sub"),
        *(f"{_RP}-nonce-invalid", f"{_RP}-scope-userinfo-claims", f"{_RP}-client-secret-basic"),
    ),
    "oidcc-client-config-certification-test-plan": (
        *(f"{_RP}-discovery-openid-config", f"{_RP}-discovery-jwks-uri-keys", f"{_RP}-discovery-issuer-mismatch"),
        f"{_RP}-idtoken-sig-none",
        *(f"{_RP}-signing-key-rotation-just-before-signing", f"{_RP}-signing-key-rotation"),
    ),
    "oidcc-client-rp-initiated-logout-rp-basic": (
        *(f"{_RP}-rp-init-logout", f"{_RP}-rp-init-logout-other-state", f"{_RP}-rp-init-logout-no-state"),
    ),
    "oidcc-client-back-channel-logout-rp-basic": (
        *(_RP_LOGOUT, f"{_RP_LOGOUT}-alg-none", f"{_RP_LOGOUT}-no-event", f"{_RP_LOGOUT}-with-nonce"),
        *(f"{_RP_LOGOUT}-wrong-alg", f"{_RP_LOGOUT}-wrong-aud", f"{_RP_LOGOUT}-wrong-event", f"{_RP_LOGOUT}-wrong-iss"),
    ),
}
HEADER = """\
# Conformance

The modules of the OpenID Foundation's conformance plans (response type `code`) and the tests of ours that hold them,
over real HTTP, with a client of its own (`tests/provider/conformance/relying_party.py`) or, for the plans
`oidcc-client-…`, with an identity provider of its own. The suite itself is a Java program and was not run; no
certification is claimed. The plans send no PKCE, so the clients of these tests register with a token that an operator
exempted (`flask services registration-token create --pkce-exempt REASON`); everybody else must use it.

`tested`: `pytest` runs a test for it, and a failing one fails the build. `missing`: no test yet. The modules of the
Basic plan run in both response modes. Written by `python tools/conformance.py`; do not edit.
"""


@dataclass(frozen=True)
class Held:
    """One test that is marked with a module."""

    module: str
    test: str
    note: str


def collect(folder: Path = ROOT / "tests", *, marker: str = MARKER) -> list[Held]:
    """Return every test with this marker, by module."""
    paths = sorted(folder.rglob("*.py"))
    return sorted((held for path in paths for held in _marked(path, marker)), key=lambda h: h.module)


def _marked(path: Path, marker: str) -> Iterator[Held]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    texts = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    place = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name
    for node in ast.walk(tree):
        for call in _markers(node, marker):
            modules = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
            notes = [keyword.value for keyword in call.keywords if keyword.arg == "note"]
            note = next((_text(value, texts) for value in notes), "")
            name = getattr(node, "name", "")
            yield from (Held(str(module), f"{place}::{name}" if name else place, note) for module in modules)


def _markers(node: ast.AST, marker: str) -> Iterator[ast.Call]:
    """Yield the calls of this marker: on a function or class, and inside pytest.param(marks=…)."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        found: list[ast.expr] = node.decorator_list
    elif isinstance(node, ast.keyword) and node.arg == "marks":
        found = node.value.elts if isinstance(node.value, (ast.List, ast.Tuple)) else [node.value]
    else:
        return
    for call in found:
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == marker:
            yield call


def _text(value: ast.expr, texts: dict[str, str]) -> str:
    if isinstance(value, ast.Name):
        return texts[value.id]
    return str(value.value) if isinstance(value, ast.Constant) else ""


def document(held: list[Held]) -> str:
    """Return the text of the file."""
    lines = [HEADER]
    known = {module for modules in PLANS.values() for module in modules}
    by_module = {module: [entry for entry in held if entry.module == module] for module in known}
    for plan, modules in PLANS.items():
        done = sum(bool(by_module[module]) for module in modules)
        lines += [
            f"## {plan}",
            "",
            f"{done} of {len(modules)} tested.",
            "",
            "| Module | Test | State |",
            "|---|---|---|",
        ]
        lines += [_row(module, by_module[module]) for module in modules]
        lines.append("")
    others = sorted({entry.module for entry in held} - known)
    if others:
        lines += ["## Modules of other plans", "", "| Module | Test | State |", "|---|---|---|"]
        lines += [_row(module, [entry for entry in held if entry.module == module]) for module in others]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _row(module: str, entries: list[Held]) -> str:
    tests = ", ".join(f"`{test}`" for test in dict.fromkeys(entry.test for entry in entries))
    notes = "; ".join(dict.fromkeys(entry.note for entry in entries if entry.note))
    state = ("tested" + (f" ({notes})" if notes else "")) if entries else "missing"
    return f"| `{module}` | {tests or '–'} | {state} |"


if __name__ == "__main__":
    DOCUMENT.write_text(document(collect()), encoding="utf-8")
