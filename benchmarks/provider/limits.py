"""What the machine allows: the price of each thing that nobody can leave out, and what a row needs of them.

The price of a row is the sum over the fewest requests, signatures, statements and commits that keep what we
promise: what a person may do is looked up at each request, nothing that was told to be done can be lost, every
token and every disclosure is in the audit log. What we do beyond that is ours to take away.
"""

import http.client
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import psycopg
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from benchmarks.provider import load
from benchmarks.provider.processes import DATABASE_CORE, SERVER_CORE, cpu_seconds, on_core, pin
from benchmarks.provider.sides import CONNECTIONS, HOST
from benchmarks.provider.wire import Connection
from tests.installation import free_port, web_command
from unternehmenskonto.demo.database import EmbeddedPostgres
from unternehmenskonto.demo.forking import end_with_parent
from unternehmenskonto.settings import ROOT

ROUNDS = 5
REQUESTS, SIGNATURES, STATEMENTS = 1000, 200, 500
START_SECONDS = 20.0
STOP_SECONDS = 10.0
RSA_BITS, UPSTREAM_RSA_BITS = 3072, 2048
MESSAGE = b"x" * 600


@dataclass(frozen=True, kw_only=True)
class Prices:
    """CPU milliseconds of one of each, server and database together."""

    request: float
    call: float
    rsa_sign: float
    ec_sign: float
    ec_verify: float
    rsa_verify: float
    select: float
    commit: float


@dataclass(frozen=True, kw_only=True)
class Needs:
    """How many of each a row needs at least."""

    #: Requests that are answered, and calls that are made to the identity provider.
    request: int = 0
    call: int = 0
    rsa_sign: int = 0
    ec_sign: int = 0
    ec_verify: int = 0
    #: Of the identity provider's ID token, 2048 bit.
    rsa_verify: int = 0
    select: int = 0
    commit: int = 0

    def price(self, prices: Prices) -> float:
        """Return the CPU milliseconds of all of them."""
        return float(sum(getattr(self, one.name) * getattr(prices, one.name) for one in fields(self)))


TEXTS = {
    "request": "one request through granian and Flask to an empty route",
    "call": "one call to another server, on a connection of its own (http.client)",
    "rsa_sign": "one RSA signature, 3072 bit",
    "ec_sign": "one P-256 signature",
    "ec_verify": "one P-256 verification",
    "rsa_verify": "one RSA verification, 2048 bit",
    "select": "one SELECT by primary key (psycopg and PostgreSQL)",
    "commit": "one INSERT that is on the disk when it returns (psycopg and PostgreSQL)",
}


def needs(row: str) -> Needs:
    """Return what the row of this name needs; raise KeyError for an unknown one."""
    kind, _, alg = row.rpartition("-")
    if alg not in ("rs256", "es256"):
        return _NEEDS[row]
    found = _NEEDS[kind]
    more = {"rsa_sign": found.rsa_sign + 1} if alg == "rs256" else {"ec_sign": found.ec_sign + 1}
    return Needs(**{**vars(found), **more})


#: Without the signature of the ID token. What a client is allowed may be known from a moment ago.
_NEEDS = {
    # authorize: session and agreement in one look; grant and code. token: code spent. userinfo: values; disclosure
    # logged.
    "code-flow": Needs(request=3, ec_sign=1, ec_verify=1, select=2, commit=3),
    # authorize, sign-in page, lead on, callback, consent page, agree, token, userinfo. Commits: request kept, login
    # begun, login taken, session, agreement with code, code spent, disclosure logged. Looks: request and session,
    # values for the page; the same request and session when agreeing; values for userinfo.
    "login": Needs(request=8, call=2, ec_sign=2, ec_verify=1, rsa_verify=1, select=4, commit=7),
    "client-basic": Needs(request=1, ec_sign=1, commit=1),
    "client-jwt": Needs(request=1, ec_sign=1, ec_verify=1, commit=1),
    "refresh": Needs(request=1, ec_sign=1, commit=1),
    "introspection": Needs(request=1, ec_verify=1, select=1),
    "userinfo": Needs(request=1, ec_verify=1, select=1, commit=1),
    "discovery": Needs(request=1),
}


def measure(folder: Path, *, threads: int) -> Prices:
    """Return what each thing costs here and now, on the cores of the measurement."""
    with on_core(SERVER_CORE):
        signatures = _signatures()
    select, commit = _statements(folder)
    request, call = _requests(folder, threads)
    return Prices(**signatures, select=select, commit=commit, request=request, call=call)


def _milliseconds(work: Callable[[], object], count: int, clock: Callable[[], float] = time.thread_time) -> float:
    """Return the median over some rounds of what one call costs on this clock."""
    work()
    found = []
    for _ in range(ROUNDS):
        before = clock()
        for _ in range(count):
            work()
        found.append(1000 * (clock() - before) / count)
    return statistics.median(found)


def _signatures() -> dict[str, float]:
    private = rsa.generate_private_key(65537, RSA_BITS)
    upstream = rsa.generate_private_key(65537, UPSTREAM_RSA_BITS)
    curve = ec.generate_private_key(ec.SECP256R1())
    rsa_signature = upstream.sign(MESSAGE, padding.PKCS1v15(), SHA256())
    ec_signature = curve.sign(MESSAGE, ec.ECDSA(SHA256()))
    rsa_public, ec_public = upstream.public_key(), curve.public_key()
    work: dict[str, Callable[[], object]] = {
        "rsa_sign": lambda: private.sign(MESSAGE, padding.PKCS1v15(), SHA256()),
        "ec_sign": lambda: curve.sign(MESSAGE, ec.ECDSA(SHA256())),
        "ec_verify": lambda: ec_public.verify(ec_signature, MESSAGE, ec.ECDSA(SHA256())),
        "rsa_verify": lambda: rsa_public.verify(rsa_signature, MESSAGE, padding.PKCS1v15(), SHA256()),
    }
    return {name: _milliseconds(one, SIGNATURES) for name, one in work.items()}


def _statements(folder: Path) -> tuple[float, float]:
    """Return the price of a SELECT and of a commit: our thread and the database's processes together."""
    database = EmbeddedPostgres(folder / "limits")
    try:
        address = database.start().replace("postgresql+psycopg", "postgresql", 1)
        pid = database.pid
        if pid is None:
            raise RuntimeError("PostgreSQL does not run")
        pin(pid, DATABASE_CORE)

        def clock() -> float:
            return time.thread_time() + cpu_seconds(pid)

        # Each statement is a transaction: no BEGIN and no COMMIT travel by themselves, less is not possible.
        with on_core(SERVER_CORE), psycopg.connect(address, autocommit=True) as connection:
            connection.execute("CREATE TABLE bare (id integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY, content text)")
            insert, find = "INSERT INTO bare (content) VALUES (%s)", "SELECT content FROM bare WHERE id = %s"
            committed = _milliseconds(lambda: connection.execute(insert, ["x" * 100], prepare=True), STATEMENTS, clock)
            selected = _milliseconds(lambda: connection.execute(find, [1], prepare=True).fetchone(), STATEMENTS, clock)
    finally:
        database.remove()
    return selected, committed


def _requests(folder: Path, threads: int) -> tuple[float, float]:
    """Return the price of an empty request for who answers it and for who makes it."""
    port = free_port()
    command = web_command(port, workers=1, threads=threads, application="benchmarks.provider.bare_route:application")
    with (folder / "bare-route.log").open("wb") as log, on_core(SERVER_CORE):
        process = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            preexec_fn=end_with_parent,
        )  # fmt: skip
    try:
        _wait(port, process)
        connections = [Connection(HOST, port) for _ in range(CONNECTIONS)]
        found = []
        for _ in range(ROUNDS):
            operations = [lambda one=one: one.get("/").expect(200) and None for one in connections]  # type: ignore[misc]
            found.append(load.run(operations, REQUESTS, server=process.pid, database=None).server_ms)

        def call() -> None:
            client = http.client.HTTPConnection(HOST, port)
            client.request("GET", "/", headers={"Accept": "application/json"})
            client.getresponse().read()
            client.close()

        with on_core(SERVER_CORE):
            called = _milliseconds(call, REQUESTS // 5)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return statistics.median(found), called


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    ends_at = time.monotonic() + START_SECONDS
    while True:
        try:
            Connection(HOST, port).get("/").expect(200)
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > ends_at:
                raise RuntimeError("the bare route did not start") from None
            time.sleep(0.1)
