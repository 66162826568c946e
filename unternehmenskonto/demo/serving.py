"""Serve one WSGI application in a thread: for the demonstration and for tests, not for production."""

import socket
import threading
from types import TracebackType

from flask import Flask
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

BACKLOG = 128


class QuietHandler(WSGIRequestHandler):
    """Answers without an access log: addresses carry authorization codes."""

    protocol_version = "HTTP/1.1"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Write nothing."""


class Listener:
    """A port that is open before its application exists, so that the application can know its own address.

    with Listener("127.0.0.1") as listener:
        listener.serve(create_app(issuer=listener.url))
    """

    def __init__(self, host: str, port: int = 0) -> None:
        """Open the port; 0 takes a free one. Raises OSError where it is taken."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((host, port))
        except OSError:
            self._socket.close()
            raise
        self._socket.listen(BACKLOG)
        self.host, self.port = self._socket.getsockname()
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Return the origin, without a trailing slash."""
        return f"http://{self.host}:{self.port}"

    def serve(self, app: Flask) -> None:
        """Answer requests with this application from now on."""
        self._server = make_server(
            self.host,
            self.port,
            app,
            threaded=True,
            request_handler=QuietHandler,
            fd=self._socket.fileno(),
        )
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name=f"http-{self.port}", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop answering and close the port."""
        if self._server and self._thread:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
        self._socket.close()

    def __enter__(self) -> "Listener":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
