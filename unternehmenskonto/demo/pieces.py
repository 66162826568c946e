"""The child processes of the demonstration: web server, job worker, and the parties around
Unternehmenskonto.

``main(["web"])`` runs one in this process until SIGTERM; so does ``python -m
unternehmenskonto.demo.pieces web``. Settings come from the environment, as in an installation.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from granian import Granian
from granian.constants import Interfaces

from unternehmenskonto import create_app, jobs
from unternehmenskonto.demo import world
from unternehmenskonto.demo.addresses import addresses
from unternehmenskonto.settings import ROOT

WEB_WORKERS = 2
THREADS_PER_WORKER = 4
WEB_STOP_SECONDS = 5
RESPAWN_SECONDS = 0.5


def main(arguments: Sequence[str]) -> None:
    """Run the piece named first; ``parties`` takes the folder it keeps its data in."""
    os.chdir(ROOT)
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    match list(arguments):
        case ["web"]:
            serve_web()
        case ["worker"]:
            jobs.run_worker(create_app())
        case ["parties", folder]:
            world.main(Path(folder))
        case _:
            sys.exit("usage: python -m unternehmenskonto.demo.pieces web | worker | parties FOLDER")


def serve_web() -> None:
    """Serve Unternehmenskonto as an installation does; its modules are loaded once, before the workers fork."""
    konto = addresses().konto
    Granian(
        "wsgi:application",
        address=konto.host,
        port=konto.port,
        interface=Interfaces.WSGI,
        workers=WEB_WORKERS,
        blocking_threads=THREADS_PER_WORKER,
        websockets=False,
        respawn_failed_workers=True,
        respawn_interval=RESPAWN_SECONDS,
        workers_kill_timeout=WEB_STOP_SECONDS,
    ).serve()


if __name__ == "__main__":
    main(sys.argv[1:])
