"""node's side: `oidc-provider` in one process on the server's core, with PostgreSQL or with everything in memory."""

import base64
import html
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from joserfc.jwk import ECKey, RSAKey
from sqlalchemy import make_url

from benchmarks.provider.identity_provider import certificate
from benchmarks.provider.node_packages import Node
from benchmarks.provider.processes import DATABASE_CORE, SERVER_CORE, on_core, pin
from benchmarks.provider.relying_party import read_metadata
from benchmarks.provider.sides import CLAIMS, CONNECTIONS, HOST, ID_TOKEN_ALGS, OFFLINE, REDIRECT_URI, Service
from benchmarks.provider.wire import Browser, Connection, WireError
from tests.installation import free_port
from unternehmenskonto.demo.database import EmbeddedPostgres
from unternehmenskonto.demo.forking import end_with_parent

RSA_BITS = 3072
START_SECONDS = 30.0
STOP_SECONDS = 10.0
ACTION = re.compile(r'<form method="post" action="([^"]+)"')


class NodeSide:
    """Start everything in `folder`; everything ends with the `with` block.

    Without `has_database` it keeps everything in memory; with `is_stored` it reads clients and accounts from the
    database too, as we do, instead of having them in its program.
    """

    own_scope = "mailbox.deliver"
    #: node compiles what is used often, again and again better.
    warm_up = 1.0

    def __init__(
        self, name: str, folder: Path, node: Node, *, has_database: bool = True, is_stored: bool = False
    ) -> None:
        self.name = name
        self._folder, self._node, self._is_stored = folder, node, is_stored
        self.log_file = folder / "node.log"
        self._database = EmbeddedPostgres(folder / "postgres") if has_database else None
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.database_pid: int | None = None
        self.metadata: dict[str, Any] = {}
        self.services: dict[str, Service] = {}
        self._clients: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        self._folder.mkdir()
        self._register()
        try:
            self._start()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._database is not None:
            self._database.remove()

    def signed_in(self, number: int, connection: Connection) -> Browser:
        """Return the browser of person `number`, who logged in and agreed at every service."""
        browser = Browser(connection)
        for service in self.services.values():
            self._finish(browser, number, self._authorize_path(service.client_id))
        return browser

    def log_in(self, number: int, connection: Connection, path: str) -> str:
        """Go the whole way: login page, consent page."""
        return self._finish(Browser(connection), number, path + "&prompt=consent")

    def _finish(self, browser: Browser, number: int, path: str) -> str:
        """Follow redirects and answer pages until the callback is reached."""
        while True:
            answer = browser.get(path)
            if answer.status == 200:
                found = ACTION.search(answer.body.decode())
                if found is None:
                    raise WireError("a page without a form")
                answer = browser.post(html.unescape(found[1]), {"account": certificate(number).id})
            location = answer.expect(303).location
            if location.startswith(REDIRECT_URI):
                return location
            parts = urlsplit(location)
            path = f"{parts.path}?{parts.query}" if parts.query else parts.path

    def _authorize_path(self, client_id: str) -> str:
        return (
            f"{urlsplit(self.metadata['authorization_endpoint']).path}?response_type=code&client_id={client_id}"
            f"&redirect_uri={REDIRECT_URI}&scope=openid&code_challenge={'a' * 43}&code_challenge_method=S256"
        )

    def _register(self) -> None:
        """Describe the clients: the same as on our side."""
        for alg in ID_TOKEN_ALGS:
            self.services[alg] = self._add(
                f"dienst-{alg.lower()}", redirect_uris=[REDIRECT_URI], response_types=["code"],
                grant_types=["authorization_code", "refresh_token"], scope=OFFLINE,
                id_token_signed_response_alg=alg, subject_type="pairwise", require_auth_time=True,
            )  # fmt: skip
        alone = {"redirect_uris": [], "response_types": [], "grant_types": ["client_credentials"]}
        self.basic = self._add("amt-geheimnis", subject_type="pairwise", **alone)
        key = ec.generate_private_key(ec.SECP256R1())
        public = ECKey.import_key(key.public_key())  # type: ignore[arg-type]
        entry = {**public.as_dict(private=False), "kid": "amt-schluessel", "use": "sig", "alg": "ES256"}
        self._add(
            "amt-schluessel", subject_type="pairwise", token_endpoint_auth_method="private_key_jwt",
            token_endpoint_auth_signing_alg="ES256", jwks={"keys": [entry]}, **alone,
        )  # fmt: skip
        self.signing = Service("amt-schluessel", key=key)

    def _add(self, client_id: str, **more: Any) -> Service:
        client = {"client_id": client_id, "client_name": client_id, **more}
        service = Service(client_id)
        if "token_endpoint_auth_method" not in client:
            service = Service(client_id, secret=secrets.token_urlsafe(32))
            client |= {"token_endpoint_auth_method": "client_secret_basic", "client_secret": service.secret}
        self._clients.append(client)
        return service

    def _settings(self) -> dict[str, Any]:
        issuer = f"http://{HOST}:{self.port}"
        keys = (
            RSAKey.generate_key(RSA_BITS, {"kid": "rsa", "use": "sig", "alg": "RS256"}),
            ECKey.generate_key("P-256", {"kid": "ec", "use": "sig", "alg": "ES256"}),
        )
        people = [certificate(number) for number in range(CONNECTIONS)]
        return {
            "issuer": issuer,
            "host": HOST,
            "port": self.port,
            "jwks": {"keys": [key.as_dict(private=True) for key in keys]},
            "clients": self._clients,
            "accounts": {one.id: {name: one.claims()[name] for name in CLAIMS} for one in people},
            "apiAudience": f"{issuer}/api/v1",
            "ownScope": self.own_scope,
            "secret": base64.b64encode(secrets.token_bytes(32)).decode(),
            "isStored": self._is_stored,
            "database": self._start_database(),
        }

    def _start_database(self) -> dict[str, Any] | None:
        if self._database is None:
            return None
        url = make_url(self._database.start())
        self.database_pid = self._database.pid
        if self.database_pid is None:
            raise RuntimeError("PostgreSQL does not run")
        pin(self.database_pid, DATABASE_CORE)
        return {
            "host": url.query["host"], "port": int(str(url.query["port"])), "user": url.username,
            "password": url.password, "database": url.database, "max": CONNECTIONS,
        }  # fmt: skip

    def _start(self) -> None:
        settings = self._folder / "settings.json"
        settings.touch(mode=0o600)
        settings.write_text(json.dumps(self._settings()), encoding="utf-8")
        with self.log_file.open("wb") as log, on_core(SERVER_CORE):
            self._process = subprocess.Popen(
                [self._node.program, str(self._node.folder / "server.mjs"), str(settings)], cwd=self._node.folder,
                env={**os.environ, "NODE_ENV": "production"}, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True, preexec_fn=end_with_parent,
            )  # fmt: skip
        self.server_pid = self._process.pid
        ends_at = time.monotonic() + START_SECONDS
        while True:
            try:
                self.metadata = read_metadata(self.port)
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > ends_at:
                    end = self.log_file.read_text(errors="replace")[-1500:]
                    raise RuntimeError(f"node did not start:\n{end}") from None
                time.sleep(0.1)
