"""Our side: an installation with one web worker on its core, PostgreSQL on the other, an identity provider beside."""

import hashlib
import html
import re
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from joserfc.jwk import ECKey

from benchmarks.provider import identity_provider
from benchmarks.provider.processes import DATABASE_CORE, LOAD_CORES, SERVER_CORE, on_core, pin
from benchmarks.provider.relying_party import read_metadata
from benchmarks.provider.sides import CLAIMS, CONNECTIONS, ID_TOKEN_ALGS, REDIRECT_URI, Service
from benchmarks.provider.wire import Answer, Browser, Connection, WireError
from tests import factories
from tests.installation import Installation, free_port
from unternehmenskonto.db import db
from unternehmenskonto.demo.forking import end_with_parent
from unternehmenskonto.provider.models import Consent
from unternehmenskonto.settings import ROOT

THREADS = 4
START_SECONDS = 20.0
STOP_SECONDS = 10.0
#: What one address may do in a minute is limited, and here one address stands for a whole country.
FORWARDED = "X-Forwarded-For"
HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')
ONWARD = re.compile(r'<meta http-equiv="refresh" content="0;url=([^"]+)"')


class Ours:
    """Start everything in `folder`; everything ends with the `with` block."""

    name = "ours"
    warm_up = 0.25
    own_scope = "mailbox.deliver"

    def __init__(self, folder: Path, *, threads: int = THREADS) -> None:
        self._folder, self._threads = folder, threads
        self._installation = Installation(folder)
        self.log_file = folder / "processes.log"
        self._idp: subprocess.Popen[bytes] | None = None
        self._idp_port = free_port()
        self.port = self._installation.port
        self.services: dict[str, Service] = {}
        self.metadata: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self._name_identity_provider()
        self._installation.__enter__()
        try:
            self._start()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._idp is not None and self._idp.poll() is None:
            self._idp.send_signal(signal.SIGTERM)
            try:
                self._idp.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._idp.kill()
                self._idp.wait()
        self._installation.__exit__(kind, error, trace)

    def signed_in(self, number: int, connection: Connection) -> Browser:
        """Return the browser of person `number`; the session is a new row."""
        with self._installation.app.app_context():
            cookies = factories.session_cookie(self._memberships[number])
            db.session.commit()
        return Browser(connection, headers=_address(), cookies=cookies)

    def log_in(self, number: int, connection: Connection, path: str) -> str:
        """Go the whole way: our pages, the identity provider's, our consent page."""
        browser = Browser(connection, headers=_address())
        answer = browser.get(path + "&prompt=consent").expect(303)
        form = _fields(browser.get(answer.location).expect(200), f'action="/anmelden/{identity_provider.SLUG}"')
        page = browser.post(f"/anmelden/{identity_provider.SLUG}", form).expect(200)
        found = ONWARD.search(page.body.decode())
        if found is None:
            raise WireError("the page to the identity provider leads nowhere")
        callback = urlsplit(self._at_identity_provider(number, html.unescape(found[1])))
        answer = browser.get(f"{callback.path}?{callback.query}").expect(303)
        page_path = answer.location
        form = {**_fields(browser.get(page_path).expect(200), 'class="app-form"'), "action": "agree"}
        return browser.post(page_path, form).expect(303).location

    def _at_identity_provider(self, number: int, url: str) -> str:
        """Choose the certificate of person `number`; return the address of our callback."""
        connection = Connection(identity_provider.HOST, self._idp_port)
        browser = Browser(connection)
        parts = urlsplit(url)
        page = browser.get(f"{parts.path}?{parts.query}").expect(200)
        form = {**_fields(page, 'action="/certificate"'), "certificate": identity_provider.certificate(number).id}
        answer = browser.post("/certificate", form).expect(303)
        connection.close()
        return urljoin(url, answer.location)

    def _start(self) -> None:
        with on_core(SERVER_CORE):
            server = self._installation.start_web(workers=1, threads=self._threads)
        self.server_pid = server.pid
        database = self._installation.database.pid
        if database is None:
            raise RuntimeError("PostgreSQL does not run")
        self.database_pid: int | None = database
        pin(database, DATABASE_CORE)
        self._start_identity_provider()
        self._register()
        self.metadata = read_metadata(self.port)

    def _name_identity_provider(self) -> None:
        """Write the file of identity providers with the address of the one that is started here."""
        text = (ROOT / "config" / "identity_providers.toml").read_text(encoding="utf-8")
        changed = text.replace("http://127.0.0.2:8001", f"http://{identity_provider.HOST}:{self._idp_port}")
        file = self._folder / "identity_providers.toml"
        file.write_text(changed, encoding="utf-8")
        self._installation.environment |= {
            "UNTERNEHMENSKONTO_IDENTITY_PROVIDERS_FILE": str(file),
            "UNTERNEHMENSKONTO_OUTBOUND_HOSTS": f"127.0.0.1,{identity_provider.HOST}",
            "UNTERNEHMENSKONTO_TRUSTED_PROXIES": "1",
        }

    def _start_identity_provider(self) -> None:
        command = [sys.executable, "-m", identity_provider.__name__, str(self._idp_port)]
        with (self._folder / "identity-provider.log").open("wb") as log, on_core(LOAD_CORES[0]):
            self._idp = subprocess.Popen(
                [*command, self._installation.base_url, str(self._folder / "identity-provider")],
                cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                preexec_fn=end_with_parent,
            )  # fmt: skip
        ends_at = time.monotonic() + START_SECONDS
        while True:
            try:
                Connection(identity_provider.HOST, self._idp_port).get("/jwks").expect(200)
                return
            except OSError:
                if self._idp.poll() is not None or time.monotonic() > ends_at:
                    raise RuntimeError("the identity provider did not start") from None
                time.sleep(0.1)

    def _register(self) -> None:
        """Make the services, the people who are signed in, and their agreements."""
        with self._installation.app.app_context():
            for alg in ID_TOKEN_ALGS:
                self.services[alg] = _service(
                    redirect_uris=[REDIRECT_URI], offline_access=True, id_token_signed_response_alg=alg
                )
            self.basic = _service(is_sender=True)
            key = ec.generate_private_key(ec.SECP256R1())
            self.signing = _signing_service(key)
            found = [factories.make_membership() for _ in range(CONNECTIONS)]
            for membership in found:
                for service in self.services.values():
                    names = sorted(CLAIMS)
                    db.session.add(
                        Consent(
                            company_id=membership.company_id, membership_id=membership.id, service=service.client_id,
                            claims=names,
                        )
                    )  # fmt: skip
            db.session.commit()
            self._memberships = found
            for membership in found:
                db.session.refresh(membership)
                db.session.expunge(membership)


def _service(*, is_sender: bool = False, **registration: Any) -> Service:
    secret = secrets.token_urlsafe(32)
    row = factories.make_service(
        client={
            "token_endpoint_auth_method": "client_secret_basic",
            "client_secret_sha256": hashlib.sha256(secret.encode()).hexdigest(),
            **registration,
        },
        claims=[{"name": name, "purpose": "Damit der Antrag ausgefüllt ist."} for name in CLAIMS],
        is_mailbox_sender=is_sender,
    )
    return Service(row.slug, secret=secret)


def _signing_service(key: ec.EllipticCurvePrivateKey) -> Service:
    public = ECKey.import_key(key.public_key())  # type: ignore[arg-type]
    row = factories.make_service(is_mailbox_sender=True)
    entry = {**public.as_dict(private=False), "kid": row.slug, "use": "sig", "alg": "ES256"}
    row.client = {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [entry]}}
    return Service(row.slug, key=key)


def _address() -> dict[str, str]:
    """Return the header by which the reverse proxy names the browser's address: another one each time."""
    return {FORWARDED: ".".join(str(part) for part in (10, *secrets.token_bytes(3)))}


def _fields(page: Answer, mark: str) -> dict[str, str]:
    """Return the hidden fields of the form with this mark (the last one that has it)."""
    form = page.body.decode().rsplit(mark, 1)
    if len(form) != 2:
        raise WireError(f"the page has no form with {mark}")
    return {name: html.unescape(value) for name, value in HIDDEN.findall(form[1].split("</form>", 1)[0])}
