"""Write docs/attacks.md: which known attack on a login is withstood by what, where, and which test shows it.

`python -m tools.attacks` reads the markers of the tests; nothing is run. A test keeps the file current. Whether the
tests notice when a defence is gone is measured by `make mutation`.
"""

from tools.conformance import ROOT, Held, collect

DOCUMENT = ROOT / "docs" / "attacks.md"
PACKAGE = ROOT / "unternehmenskonto"
MARKER = "attack"
#: Attack -> what withstands it, and in which file.
ATTACKS: dict[str, tuple[str, str]] = {
    "loose redirect_uri": ("addresses are compared character by character", "provider/clients.py"),
    "loopback port": ("no native clients, so no address with any port", "provider/schemas.py"),
    "open redirector at authorize": ("a page until client and address are proven", "provider/authorize.py"),
    "open redirector after logout": ("registered addresses only, and only with a hint", "provider/logout.py"),
    "script as redirect_uri": ("https and http only, at registration and before a form", "provider/responses.py"),
    "code injection": ("the verifier at our provider, the nonce where we are the client", "provider/codes.py"),
    "PKCE downgrade": ("a code without challenge takes no verifier", "provider/codes.py"),
    "plain PKCE": ("S256 is the only method", "provider/authorize.py"),
    "code replay": ("one UPDATE uses a code up; a second use ends the grant", "provider/codes.py"),
    "code of another client or address": ("the code knows both", "provider/grants.py"),
    "old code": ("sixty seconds", "provider/grants.py"),
    "mix-up of providers": ("the issuer in the answer, the provider in the transaction", "login/relying_party.py"),
    "login CSRF": ("the transaction belongs to the cookie of one browser", "login/actions.py"),
    "state of another session": ("state and cookie are looked up together", "login/actions.py"),
    "forged form": ("a token in every form of a session", "web.py"),
    "consent bypass": ("what would go is compared with what was agreed to", "provider/steps.py"),
    "clickjacking": ("frame-ancestors 'none' on every answer", "web.py"),
    "session fixation": ("a new random number at each login and change", "login/sessions.py"),
    "stolen cookie": ("__Host-, Secure, HttpOnly, SameSite=Lax", "login/cookies.py"),
    "form repeated by a redirect": ("303, never 307 or 308", "provider/responses.py"),
    "Referer leak": ("Referrer-Policy: no-referrer", "web.py"),
    "secrets in the address": ("these endpoints take a form and no query", "provider/parameters.py"),
    "parameter pollution": ("a parameter given twice is refused", "provider/parameters.py"),
    "two client authentications": ("exactly one proof", "provider/client_authentication.py"),
    "client confusion": ("one name in the whole request", "provider/client_authentication.py"),
    "refresh replay": ("rotation; after a short grace an old token ends the family", "provider/refresh.py"),
    "refresh upgrade": ("the scope of the grant, the client of the token", "provider/refresh.py"),
    "alg none": ("a closed list of algorithms", "provider/client_keys.py"),
    "public key as shared secret": ("nothing symmetric; the key decides its kind", "provider/client_keys.py"),
    "kid injection": ("compared with known keys only; one fetch in thirty seconds", "provider/client_keys.py"),
    "key that comes with the token": ("jwk, jku, x5u, x5c are never looked at", "provider/client_keys.py"),
    "critical header": ("crit and b64 are refused", "provider/client_keys.py"),
    "token of another kind": ("typ, use of the key, audience and claims", "provider/hints.py"),
    "audience injection": ("the issuer as the only audience, on both sides", "provider/client_authentication.py"),
    "assertion replay": ("the jti is inserted once, by the database", "provider/client_authentication.py"),
    "request_uri to inner servers": ("registered addresses only", "provider/request_objects.py"),
    "registered address of an inner server": ("the address connected to is checked; no redirects", "http.py"),
    "foreign or old request object": ("iss, aud, exp and signature", "provider/request_objects.py"),
    "request object replay": ("a jti begins one login, in whatever worker", "provider/request_objects.py"),
    "parameters beside the request object": ("what is signed wins", "provider/request_objects.py"),
    "hint of another person": ("login_required, never that person's code", "provider/steps.py"),
    "forged logout hint": ("our signature, our issuer, this client", "provider/hints.py"),
    "logout CSRF": ("a question unless the hint is of this very session", "provider/logout.py"),
    "forged logout token": ("all checks of the specification; the jti counts once", "login/logout_tokens.py"),
    "hanging logout address": (
        "told by jobs with places of their own, one call at a time",
        "provider/backchannel.py",
    ),
    "foreign audience": ("every audience must be known", "login/tokens.py"),
    "userinfo of another person": ("sub must be that of the ID token", "login/relying_party.py"),
    "wrong nonce or hash": ("nonce always, at_hash where it stands", "login/tokens.py"),
    "missing ID token": ("no login without one", "login/relying_party.py"),
    "issuer impersonation": ("the discovery document must name the declared issuer", "login/discovery.py"),
    "account confusion": ("a person is (issuer, sub); nothing is linked without asking", "login/actions.py"),
    "downgraded trust level": ("the lowest statement counts and is compared at the end", "login/claims.py"),
    "old proof of identity": ("auth_time is compared, not believed", "provider/steps.py"),
    "guessing and enumeration": ("limits by address and client, equal answers for equal work", "provider/views.py"),
    "secrets at rest": ("hashes or sealed; no table holds anything usable", "provider/models.py"),
    "registration abuse": ("an operator's token with uses and days; each client its own", "provider/registration.py"),
    "tokens that cost their reader": ("length, depth and kind before anything is opened", "provider/parameters.py"),
    "markup in a form answer": ("fields are escaped as text, scripts need a nonce", "provider/responses.py"),
    "reflected markup": ("templates escape; error texts are ours", "provider/parameters.py"),
    "forged Host header": ("addresses come from the settings", "settings.py"),
    "removed key": ("a retired key verifies nothing; rotation fails no login", "keys.py"),
    "comparing pseudonyms": ("sub and sid differ from sector to sector", "provider/claims.py"),
    "parallel races": ("the database lets one pass", "provider/codes.py"),
    "reading across origins": ("CORS for public metadata only", "provider/responses.py"),
    "secrets in logs": ("neither logs nor audit hold them", "logs.py"),
}
HEADER = """\
# Attacks

Known attacks on OpenID Connect and OAuth 2.0 (RFC 6819, RFC 9700, RFC 10027, RFC 10070, published vulnerabilities) as
far as they concern what exists here, what withstands them, and the tests that carry them out. What would need a feature
that does not exist (device flow, pushed requests, sender-constrained tokens) is left out. Written by
`python -m tools.attacks`; do not edit.

| Attack | Withstood by | Where | Tests |
|---|---|---|---|
"""


def document(held: list[Held]) -> str:
    """Return the text of the file."""
    rows = []
    for attack, (defence, place) in ATTACKS.items():
        tests = dict.fromkeys(entry.test.removeprefix("tests/") for entry in held if entry.module == attack)
        rows.append(f"| {attack} | {defence} | `{place}` | {', '.join(f'`{test}`' for test in tests) or 'missing'} |")
    return HEADER + "\n".join(rows) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(document(collect(marker=MARKER)), encoding="utf-8")
