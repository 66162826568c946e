"""Browser and system in a word each, from what the browser calls itself; enough to recognise one's own devices."""

import re
from dataclasses import dataclass

MAXIMUM_USER_AGENT = 1000
#: The first pattern that fits counts: nearly every browser also claims to be its elders.
BROWSERS = (
    (r"\bEdg(e|A|iOS)?/", "Edge"),
    (r"\bOPR/|\bOpera\b", "Opera"),
    (r"\bSamsungBrowser/", "Samsung Internet"),
    (r"\bVivaldi/", "Vivaldi"),
    (r"\b(Firefox|FxiOS)/", "Firefox"),
    (r"\b(Chromium|HeadlessChrome)/", "Chromium"),
    (r"\b(Chrome|CriOS)/", "Chrome"),
    (r"\bVersion/[0-9.]+ .*Safari/", "Safari"),
)
SYSTEMS = (
    (r"\b(iPhone|iPod)\b", "iOS"),
    (r"\biPad\b", "iPadOS"),
    (r"\bAndroid\b", "Android"),
    (r"\bWindows\b", "Windows"),
    (r"\bCrOS\b", "ChromeOS"),
    (r"\bMac OS X\b|\bMacintosh\b", "macOS"),
    (r"\bLinux\b|\bX11\b", "Linux"),
)


@dataclass(frozen=True, kw_only=True)
class Device:
    """What a session was begun with; None where the browser does not tell."""

    browser: str | None = None
    system: str | None = None


UNKNOWN = Device()


def recognise(user_agent: str) -> Device:
    """Return browser and system; whatever is not in the lists above counts as not told."""
    text = user_agent[:MAXIMUM_USER_AGENT]
    return Device(browser=_first(BROWSERS, text), system=_first(SYSTEMS, text))


def _first(patterns: tuple[tuple[str, str], ...], text: str) -> str | None:
    return next((name for pattern, name in patterns if re.search(pattern, text)), None)
