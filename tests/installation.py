"""A whole installation of its own: database, settings, web server and job worker as real processes.

For what threads in one process cannot show: killed workers, two processes at one row, memory of a worker.
Used by tests/faults and by benchmarks.
"""

import base64
import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
from flask import Flask
from flask_migrate import upgrade

from unternehmenskonto import create_app, keys
from unternehmenskonto.db import db
from unternehmenskonto.demo.database import EmbeddedPostgres
from unternehmenskonto.settings import ROOT, load_settings

START_SECONDS = 30
STOP_SECONDS = 20
HOST = "127.0.0.1"


def free_port() -> int:
    """Return a port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def web_command(port: int, *, workers: int, threads: int, application: str = "wsgi:application") -> list[str]:
    """Return how the web server is started: arguments for Python."""
    return [
        "-m", "granian", "--interface", "wsgi", "--host", HOST, "--port", str(port),
        "--workers", str(workers), "--blocking-threads", str(threads), "--respawn-failed-workers",
        "--respawn-interval", "0.2", "--no-access-log", "--log-level", "warning", application,
    ]  # fmt: skip


class Installation:
    """Start and stop the processes of one installation in `folder`; everything ends with the `with` block."""

    def __init__(self, folder: Path, *, fsync: bool = True, smtp_port: int = 25) -> None:
        self.folder = folder
        self.port = free_port()
        self.base_url = f"http://{HOST}:{self.port}"
        self.database = EmbeddedPostgres(folder / "postgres", fsync=fsync)
        self.processes: list[subprocess.Popen[bytes]] = []
        self.environment = {
            "UNTERNEHMENSKONTO_BASE_URL": self.base_url,
            "UNTERNEHMENSKONTO_SECRET_KEY": secrets.token_hex(32),
            "UNTERNEHMENSKONTO_ENCRYPTION_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
            "UNTERNEHMENSKONTO_PAIRWISE_SECRET": secrets.token_hex(32),
            "UNTERNEHMENSKONTO_ATTACHMENT_DIR": str(folder / "attachments"),
            "UNTERNEHMENSKONTO_OUTBOUND_HOSTS": "127.0.0.1",
            "UNTERNEHMENSKONTO_SMTP_SECURITY": "none",
            "UNTERNEHMENSKONTO_SMTP_PORT": str(smtp_port),
            "UNTERNEHMENSKONTO_LOG_LEVEL": "WARNING",
            # One person stands for many here.
            "UNTERNEHMENSKONTO_ACCOUNT_LOGINS_PER_MINUTE": "1000000",
        }
        self.app: Flask

    def __enter__(self) -> Self:
        try:
            self.environment["DATABASE_URL"] = self.database.start()
            self.app = create_app(load_settings(self.environment))
            with self.app.app_context():
                upgrade()
                keys.ensure_keys()
                db.session.commit()
        except BaseException:
            # Nobody calls __exit__ then.
            self.database.remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            # A web server that gave up on killed workers may have left one of them behind.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        with self.app.app_context():
            db.engine.dispose()
        self.database.remove()

    def start_web(self, *, workers: int = 2, threads: int = 4) -> subprocess.Popen[bytes]:
        """Start the web server and wait until it is ready; a dead worker process is replaced by it."""
        process = self._start(*web_command(self.port, workers=workers, threads=threads))
        ends_at = time.monotonic() + START_SECONDS
        while time.monotonic() < ends_at:
            try:
                with urllib.request.urlopen(f"{self.base_url}/healthz/ready", timeout=5):
                    return process
            except OSError:
                if process.poll() is not None:
                    raise RuntimeError("the web server ended while starting") from None
                time.sleep(0.1)
        raise RuntimeError(f"the web server was not ready within {START_SECONDS} s")

    def start_worker(self) -> subprocess.Popen[bytes]:
        """Start a job worker."""
        return self._start("-m", "flask", "--app", "wsgi:application", "worker")

    def workers_of(self, server: subprocess.Popen[bytes]) -> list[psutil.Process]:
        """Return the worker processes that answer requests."""
        return [
            child for child in psutil.Process(server.pid).children() if "resource_tracker" not in str(child.cmdline())
        ]

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / "processes.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *arguments], cwd=ROOT, env={**os.environ, **self.environment},
                stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        self.processes.append(process)
        return process
