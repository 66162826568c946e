"""Bodies of messages as HTML: what a hostile sender writes stays text."""

import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unternehmenskonto.mailbox.markup import TAGS, render

CORPUS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)><animate onbegin=alert(1)>",
    "<math><mtext></p><a href='javascript:alert(1)'>x",
    "<style>body{display:none}</style>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "<form action=https://evil.example><input name=password></form>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<base href=https://evil.example/>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](vbscript:msgbox)",
    "[x](http://unsafe.example)",
    "[x](//evil.example)",
    "[x](/abmelden)",
    '[x](https://ok.example"onmouseover=alert(1))',
    "[x](https://ok.example 'title\"onmouseover=alert(1)')",
    "[x](<https://ok.example/><script>alert(1)</script>)",
    "[x]: javascript:alert(1)\n\n[x]",
    "![x](https://evil.example/pixel.png)",
    "![x](javascript:alert(1))",
    "![<img src=x onerror=alert(1)>](https://e.example)",
    "<javascript:alert(1)>",
    '<https://ok.example/"><script>alert(1)</script>>',
    "`<script>alert(1)</script>`",
    "    <script>alert(1)</script>",
    '```html"onload=alert(1)\n<script>alert(1)</script>\n```',
    "| <script>alert(1)</script> | b |\n|:-:|--:|\n| <img src=x onerror=alert(1)> | 2 |",
    "# <script>alert(1)</script>",
    "- <svg/onload=alert(1)>",
    "> <object data=javascript:alert(1)>",
    "<!-- <script>alert(1)</script> -->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?php echo 1 ?>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<details open ontoggle=alert(1)>",
    "<video><source onerror=alert(1)>",
    "<a href=https://ok.example target=_blank style=position:fixed>x</a>",
    "\u202egnp.exe",
    '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
]


#: What is put around a table, by us alone.
FRAME = {"class": "app-scroll", "role": "group", "tabindex": "0", "aria-label": "Tabelle"}


class Parsed(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.comments: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    def handle_data(self, data: str) -> None:
        self.text += data


def faults(html: str) -> list[str]:
    parsed = Parsed(html)
    found = [f"comment {comment}" for comment in parsed.comments]
    for tag, attributes in parsed.tags:
        if tag == "div" and attributes == FRAME:
            continue
        if tag not in TAGS:
            found.append(f"tag {tag}")
        allowed = {"a": {"href", "rel"}, "ol": {"start"}}.get(tag, set())
        found += [f"attribute {name} of {tag}" for name in attributes.keys() - allowed]
        if tag == "a":
            if not (attributes.get("href") or "https://").startswith("https://"):
                found.append(f"link to {attributes['href']}")
            if attributes.get("rel") != "noopener noreferrer":
                found.append("link without rel")
    return found


@pytest.mark.parametrize("body_format", ["text", "markdown"])
@pytest.mark.parametrize("body", CORPUS)
def test_hostile_bodies_are_inert(body: str, body_format: str) -> None:
    for text in (body, f"davor {body} danach", f"- {body}\n  - {body}"):
        assert faults(render(text, body_format)) == []


@given(st.text(alphabet=st.sampled_from("<>\"'`[](){}!#*_-|:/\\&;= \n\tahttps.ex")))
def test_no_text_makes_forbidden_html(body: str) -> None:
    assert faults(render(body, "markdown")) == []
    assert faults(render(body, "text")) == []


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
def test_plain_text_comes_out_as_it_went_in(body: str) -> None:
    assert "".join(Parsed(render(body, "text")).text.split()) == "".join(body.split())


def test_lines_and_paragraphs_of_plain_text() -> None:
    assert render("a\nb\n\n\n  c <d>", "text") == "<p>a<br>\nb</p>\n<p>  c &lt;d&gt;</p>"


def test_a_picture_is_a_link_and_is_not_loaded() -> None:
    parsed = Parsed(render("![Plan](https://evil.example/pixel.png)", "markdown"))
    assert "img" not in {tag for tag, _ in parsed.tags}
    assert parsed.text.strip() == "!Plan (evil.example)"


def test_the_safe_part_of_markdown() -> None:
    html = render("**a** *b*\n\n- c\n\n1. d\n\n| e | f |\n|---|---|\n| g | h |\n\n> i", "markdown")
    tags = {tag for tag, _ in Parsed(html).tags}
    assert tags >= {"strong", "em", "ul", "ol", "li", "table", "thead", "tbody", "th", "td", "blockquote"}


@pytest.mark.parametrize(
    ("body", "levels"),
    [
        ("# a\n\n## b\n\n### c", ["h3", "h4", "h5"]),
        ("### a\n\n# b", ["h3", "h3"]),
        ("## a\n\n###### b\n\n## c", ["h3", "h4", "h3"]),
        ("# a\n\n## b\n\n### c\n\n#### d\n\n##### e", ["h3", "h4", "h5", "h6", "h6"]),
        ("a\n=\n\nb\n-", ["h3", "h4"]),
    ],
)
def test_headings_never_skip_a_level(body: str, levels: list[str]) -> None:
    html = render(body, "markdown")
    assert [tag for tag, _ in Parsed(html).tags if tag.startswith("h")] == levels
    assert all(html.count(f"<{level}>") == html.count(f"</{level}>") for level in levels)


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ("[Antrag](https://amt.example/x)", "Antrag (amt.example)"),
        ("[amt.example](https://evil.example/amt.example)", "amt.example (evil.example)"),
        ("[https://amt.example](https://amt.example@evil.example)", "https://amt.example (evil.example)"),
        ("[https://amt.example/evil.example](https://evil.example)", "https://amt.example/evil.example (evil.example)"),
        ("<https://amt.example/x>", "https://amt.example/x"),
        ("[x](https://bücher.example)", "x (xn--bcher-kva.example)"),
        ("[**x**](https://AMT.example)", "x (amt.example)"),
    ],
)
def test_links_show_where_they_lead(body: str, shown: str) -> None:
    assert Parsed(render(body, "markdown")).text.strip() == shown


@pytest.mark.parametrize(
    "body",
    ["[" * 50_000, "*" * 100_000, "> " * 50_000, "`" * 100_000, "a**b" * 25_000, "|a" * 50_000 + "\n|-\n",
     "- " * 50_000, "[a](" * 25_000, "<" * 100_000, "\n" * 100_000, "![" * 50_000, "&" * 100_000],
)  # fmt: skip
def test_hostile_length_takes_no_time(body: str) -> None:
    started = time.process_time()
    render(body, "markdown")
    assert time.process_time() - started < 3
