"""Start the demonstration: ``python -m unternehmenskonto.demo [--data FOLDER] [--reset]``."""

import argparse
import sys
from pathlib import Path

from unternehmenskonto.demo.addresses import AddressError, addresses
from unternehmenskonto.demo.folder import DemoFolder, FolderError
from unternehmenskonto.demo.preparation import PreparationError
from unternehmenskonto.demo.processes import ProcessError
from unternehmenskonto.demo.server_account import DatabaseError
from unternehmenskonto.demo.supervisor import StartError, run
from unternehmenskonto.settings import ROOT, SettingsError

SENTENCES = (
    AddressError,
    DatabaseError,
    FolderError,
    PreparationError,
    ProcessError,
    SettingsError,
    StartError,
)


def main() -> int:
    """Do what the command line says; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m unternehmenskonto.demo", description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT / ".data", help="folder everything is kept in")
    parser.add_argument("--reset", action="store_true", help="delete that data instead of starting")
    arguments = parser.parse_args()
    folder = DemoFolder(arguments.data)
    try:
        if arguments.reset:
            folder.remove()
            print(f"The data in {folder.path} is deleted.")
        else:
            run(folder, addresses())
    except SENTENCES as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
