"""What every page must hold, read from its HTML without a browser: `faults(html)` names what is wrong."""

import itertools
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "input", "br", "hr", "img", "source", "wbr", "area", "base", "col", "embed", "track"}
LABELLED_INPUTS_NOT = {"hidden", "submit", "button", "image", "reset"}
NAMED_BY = ("aria-label", "aria-labelledby", "title")
REFERENCES = ("for", "aria-labelledby", "aria-describedby", "aria-controls")
TITLE_END = " – Unternehmenskonto"


@dataclass
class Element:
    """One element: its tag, attributes, the text inside, and the elements around it."""

    tag: str
    attributes: dict[str, str]
    parents: list["Element"]
    text: str = ""
    children: list["Element"] = field(default_factory=list)

    def has_name(self) -> bool:
        return bool(self.text.strip()) or any(self.attributes.get(name) for name in NAMED_BY)


class Tree(HTMLParser):
    """Collect the elements of one page; `unbalanced` holds end tags that close nothing."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self.open: list[Element] = []
        self.unbalanced: list[str] = []
        self.feed(html)
        self.close()
        self.unbalanced += [element.tag for element in self.open if element.tag not in ("li", "p", "dd", "dt")]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs}, list(self.open))
        self.elements.append(element)
        if self.open:
            self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1].tag == tag:
            self.open.pop()
        elif tag not in VOID:
            self.unbalanced.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.text += data

    def all(self, *tags: str) -> list[Element]:
        return [element for element in self.elements if element.tag in tags]


def faults(html: str, *, language: str = "de") -> list[str]:
    """Return one sentence per fault of a page; empty if all is well."""
    tree = Tree(html)
    found = [f"tag not closed or closed twice: {tag}" for tag in tree.unbalanced]
    for check in (_frame, _headings, _references, _forms, _names, _safety):
        found += check(tree)
    if [element.attributes.get("lang") for element in tree.all("html")] != [language]:
        found.append(f"the language of the page is not {language}")
    return found


def _frame(tree: Tree) -> list[str]:
    found = []
    titles = [element.text.strip() for element in tree.all("title")]
    if len(titles) != 1 or not titles[0].endswith(TITLE_END) or titles[0] == TITLE_END.strip():
        found.append(f"the title must be one and end with{TITLE_END}: {titles}")
    for tag in ("main", "header", "footer"):
        if len([element for element in tree.all(tag) if not _inside(element, "main")]) != 1:
            found.append(f"there must be one {tag}")
    first = next((element for element in tree.all("a")), None)
    if first is None or first.attributes.get("href") != "#inhalt":
        found.append("the first link must lead to the content")
    return found


def _headings(tree: Tree) -> list[str]:
    levels = [int(element.tag[1]) for element in tree.all("h1", "h2", "h3", "h4", "h5", "h6")]
    found = []
    if levels.count(1) != 1:
        found.append(f"there must be one h1, there are {levels.count(1)}")
    found += [f"a heading jumps from level {one} to {two}" for one, two in itertools.pairwise(levels) if two > one + 1]
    found += ["a heading is empty" for element in tree.all("h1", "h2", "h3", "h4") if not element.text.strip()]
    return found


def _references(tree: Tree) -> list[str]:
    ids = [element.attributes["id"] for element in tree.elements if "id" in element.attributes]
    found = [f"the id {name} is there twice" for name in {name for name in ids if ids.count(name) > 1}]
    for element in tree.elements:
        for attribute in REFERENCES:
            found += [
                f"{attribute} of <{element.tag}> names {name}, which is not there"
                for name in element.attributes.get(attribute, "").split()
                if name not in ids
            ]
        target = element.attributes.get("href", "")
        if target.startswith("#") and target[1:] not in ids:
            found.append(f"the link {target} leads nowhere")
    return found


def _forms(tree: Tree) -> list[str]:
    found = []
    for form in tree.all("form"):
        inside = [element for element in tree.elements if form in element.parents]
        names = [element.attributes.get("name") for element in inside]
        if form.attributes.get("method", "get").lower() == "post" and names.count("csrf_token") != 1:
            found.append(f"the form to {form.attributes.get('action', 'this page')} has no or two csrf_token")
    labelled = {element.attributes.get("for") for element in tree.all("label")}
    for control in tree.all("input", "select", "textarea"):
        if control.tag == "input" and control.attributes.get("type", "text") in LABELLED_INPUTS_NOT:
            continue
        named = any(control.attributes.get(name) for name in NAMED_BY)
        if control.attributes.get("id") not in labelled and not named and not _inside(control, "label"):
            found.append(f"the control {control.attributes.get('name')} has no label")
    return found


def _names(tree: Tree) -> list[str]:
    found = [f"a {element.tag} has no text" for element in tree.all("a", "button", "summary") if not element.has_name()]
    found += ["an image has no alt" for element in tree.all("img") if "alt" not in element.attributes]
    navigations = [element.attributes.get("aria-label", "") for element in tree.all("nav")]
    if len(set(navigations)) != len(navigations) or not all(navigations):
        found.append(f"navigations need names of their own: {navigations}")
    return found


def _safety(tree: Tree) -> list[str]:
    found = []
    for element in tree.elements:
        handlers = [name for name in element.attributes if name == "style" or name.startswith("on")]
        found += [f"<{element.tag}> has {name}" for name in handlers]
        for name in ("src", "href", "action"):
            target = element.attributes.get(name, "")
            if target.lower().startswith("javascript:"):
                found.append(f"<{element.tag}> runs a script by {name}")
            if element.tag in ("script", "link", "img", "iframe") and target.startswith(("http", "//")):
                found.append(f"<{element.tag}> loads {target} from elsewhere")
        if element.tag == "script" and not element.attributes.get("src") and not element.attributes.get("nonce"):
            found.append("an inline script has no nonce")
    return found


def _inside(element: Element, tag: str) -> bool:
    return any(parent.tag == tag for parent in element.parents)
