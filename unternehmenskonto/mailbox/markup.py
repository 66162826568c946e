"""Show a message's body: plain text, or a small safe part of Markdown (no HTML, no pictures, https links only)."""

import re
from urllib.parse import urlsplit

import nh3
from flask_babel import gettext
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup, escape

#: Below the page's own h1 and h2.
HIGHEST_HEADING = 3
LOWEST_HEADING = 6
TAGS = {
    *("p", "br", "hr", "strong", "em", "ul", "ol", "li", "blockquote", "code", "pre", "a"),
    *("table", "thead", "tbody", "tr", "th", "td", "h3", "h4", "h5", "h6"),
}
_PARAGRAPHS = re.compile(r"\n(?:[ \t]*\n)+")


def render(body: str, body_format: str) -> Markup:
    """Return the body as harmless HTML; format is text or markdown."""
    return _markdown(body) if body_format == "markdown" else _plain(body)


def plain(body: str) -> str:
    """Return the text of a Markdown body without its marks, one line for each paragraph, cell or item."""
    lines = []
    for token in _parser.parse(body):
        if token.type == "inline":
            pieces = (child.content if child.content else " " for child in token.children or [] if _is_text(child))
            lines.append("".join(pieces))
        elif token.type in ("fence", "code_block"):
            lines.append(token.content)
    return "\n".join(lines)


def _is_text(token: Token) -> bool:
    return token.type in ("text", "code_inline", "softbreak", "hardbreak")


def _plain(body: str) -> Markup:
    """Escape everything; empty lines part paragraphs, single line ends stay."""
    paragraphs = (part.strip("\n") for part in _PARAGRAPHS.split(body))
    lines = (Markup("<br>\n").join(escape(line) for line in part.split("\n")) for part in paragraphs if part.strip())
    return Markup("\n").join(Markup("<p>{}</p>").format(text) for text in lines)


def _markdown(body: str) -> Markup:
    tokens = _parser.parse(body)
    _order_headings(tokens)
    for token in tokens:
        _name_hosts(token.children or [])
    html = _parser.renderer.render(tokens, _parser.options, {})
    # The second wall: whatever the parser lets through, only these tags and this attribute leave.
    clean = nh3.clean(
        html,
        tags=TAGS,
        attributes={"*": set(), "a": {"href"}, "ol": {"start"}},
        url_schemes={"https"},
        url_relative="deny",
        link_rel="noopener noreferrer",
        generic_attribute_prefixes=set(),
    )
    # A wide table scrolls by itself and by keyboard. Text that looks like this tag arrives escaped.
    opening = f'<div class="app-scroll" role="group" tabindex="0" aria-label="{escape(gettext("Tabelle"))}"><table>'
    framed = clean.replace("<table>", opening).replace("</table>", "</table></div>")
    return Markup(framed)  # noqa: S704 - cleaned above


def _order_headings(tokens: list[Token]) -> None:
    """Make the headings begin at HIGHEST_HEADING and go down by single steps, whatever the sender wrote."""
    opened: list[int] = []
    for position, token in enumerate(tokens):
        if token.type != "heading_open":
            continue
        wanted = int(token.tag[1])
        while opened and opened[-1] >= wanted:
            opened.pop()
        opened.append(wanted)
        level = min(HIGHEST_HEADING + len(opened) - 1, LOWEST_HEADING)
        # Opening, text and closing of a heading are neighbours.
        token.tag = tokens[position + 2].tag = f"h{level}"


def _name_hosts(children: list[Token]) -> None:
    """Write the host after each link, so that nobody has to trust its text."""
    host = text = ""
    for token in children:
        if token.type == "link_open":
            host, text = _host(str(token.attrGet("href"))), ""
        elif token.type == "link_close":
            # An address written out shows its host already.
            token.meta["host"] = "" if text.startswith(f"https://{host}") and _host(text) == host else host
        else:
            text += token.content


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _link_close(renderer: object, tokens: list[Token], index: int, options: object, env: object) -> str:
    host = tokens[index].meta.get("host")
    return str(Markup("</a> ({})").format(host)) if host else "</a>"


def _make_parser() -> MarkdownIt:
    # Loading a picture would tell somebody who reads; without the rule it stays a link with its host.
    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    parser.validateLink = lambda url: url.lower().startswith("https://")  # type: ignore[method-assign]
    parser.add_render_rule("link_close", _link_close)
    return parser


_parser = _make_parser()
