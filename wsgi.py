"""What the server loads: granian --interface wsgi wsgi:application."""

import sys

from unternehmenskonto import create_app
from unternehmenskonto.settings import SettingsError

try:
    application = create_app()
except SettingsError as error:
    sys.exit(f"Unternehmenskonto does not start with these settings:\n{error}")
