"""How the site is built: ``make docs``. Links that lead out of this folder are led to the site."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import TextLexer, get_lexer_for_filename
from pygments.util import ClassNotFound
from sphinx.application import Sphinx

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent

project = "ALIVE"
html_title = "ALIVE"
html_theme = "furo"
smartquotes = False
html_show_copyright = False
html_copy_source = False
html_show_sourcelink = False
extensions = ["myst_parser"]
exclude_patterns = ["_build"]
highlight_language = "none"  # commands and output; what is Python says so
myst_heading_anchors = 4  # the anchors GitHub gives
myst_url_schemes = {
    "http": None,
    "https": None,
    "mailto": None,
    "source": {"url": "source/{{path}}.html#{{fragment}}", "title": "{{path}}"},
}

PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
"""Documents above this folder, and the pages that stand for them here."""
SHOWN = {
    page.removesuffix(".md"): ROOT / name for name, page in PAGES.items() if page != "index.md"
}
"""Pages that show such a document instead of pointing at it."""
LINK = re.compile(r"\]\((?P<path>[^)\s#:]+)(?:#(?P<fragment>[^)\s]+))?\)")


def led(text: str, folder: Path) -> str:
    """Leads the links of a document in ``folder`` to pages, or to pages that show a source file."""

    def lead(link: re.Match[str]) -> str:
        found = (folder / link["path"]).resolve()
        fragment = f"#{link['fragment']}" if link["fragment"] else ""
        name = found.relative_to(ROOT).as_posix()
        if found.is_relative_to(HERE) and found.suffix != ".py":
            return f"]({found.relative_to(HERE).as_posix()}{fragment})"
        if name in PAGES:
            return f"]({PAGES[name]}{fragment})"
        # Line 12 is anchored as L-12, by Pygments.
        return f"](source:{name}{re.sub(r'^#L(?=[0-9])', '#L-', fragment)})"

    return LINK.sub(lead, text)


def read(app: Sphinx, name: str, source: list[str]) -> None:
    """Takes the place of a document's text before it is parsed."""
    shown = SHOWN.get(name)
    source[0] = led(shown.read_text("utf-8"), ROOT) if shown else led(source[0], HERE)


def source_pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yields a page for each source file that a document links to, its lines numbered."""
    documents = [*HERE.glob("*.md"), *SHOWN.values()]
    texts = [led(document.read_text("utf-8"), document.parent) for document in documents]
    names = {name for text in texts for name in re.findall(r"\]\(source:([^)#]+)", text)}
    formatter = HtmlFormatter(linenos="inline", lineanchors="L", cssclass="highlight")
    for name in sorted(names):
        try:
            lexer = get_lexer_for_filename(name)
        except ClassNotFound:
            lexer = TextLexer()
        body = highlight((ROOT / name).read_text("utf-8"), lexer, formatter)
        yield f"source/{name}", {"title": name, "body": f"<h1>{name}</h1>\n{body}"}, "page.html"


def setup(app: Sphinx) -> None:
    """Registers both."""
    app.connect("source-read", read)
    app.connect("html-collect-pages", source_pages)
