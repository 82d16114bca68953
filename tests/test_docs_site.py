"""The documents build into a site without a warning; its links lead on, and none off the machine
for what a page is made of."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from documents import ROOT

ELSEWHERE = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
LOADED = re.compile(r"""url\(\s*["']?([^"')]+)|@import\s+["']([^"']+)""")


class Page(HTMLParser):
    """What a page loads, what it links to, and what can be linked to in it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loads: set[str] = set()
        self.links: set[str] = set()
        self.anchors: set[str] = {""}
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        self.loads |= {given[name] for name in ("src", "srcset", "data", "poster") if name in given}
        if "href" in given:
            (self.links if tag == "a" else self.loads).add(given["href"])
        if "style" in given:
            self.loads |= {"".join(found) for found in LOADED.findall(given["style"])}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-q", "-b", "html"),
            *("-d", str(folder / "doctrees"), str(ROOT / "docs"), str(folder / "html")),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "default"},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return folder / "html"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in site.rglob("*.html")}


def test_every_document_is_a_page(site: Path, pages: dict[Path, Page]) -> None:
    names = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert {f"{name}.html" for name in names} <= {path.name for path in site.glob("*.html")}
    linked = {link.partition("#")[0] for link in pages[site / "index.html"].links}
    assert {f"{name}.html" for name in names - {"index"}} <= linked


def test_no_page_is_made_of_anything_on_another_machine(
    site: Path, pages: dict[Path, Page]
) -> None:
    for path, page in pages.items():
        assert not [one for one in page.loads if ELSEWHERE.match(one)], path
    for path in (*site.rglob("*.css"), *site.rglob("*.svg")):
        loaded = {"".join(found) for found in LOADED.findall(path.read_text("utf-8"))}
        assert not [one for one in loaded if ELSEWHERE.match(one)], path


def test_every_link_leads_to_a_place_in_the_site(pages: dict[Path, Page]) -> None:
    for path, page in pages.items():
        for link in page.links | page.loads:
            if re.match(r"[a-z]+:", link) or not link:
                continue
            file, _, fragment = link.partition("#")
            found = (path.parent / unquote(file.partition("?")[0])).resolve() if file else path
            assert found.exists(), f"{path.name}: {link}"
            if found in pages:
                assert unquote(fragment) in pages[found].anchors, f"{path.name}: {link}"


def test_a_line_of_the_code_is_one_click_away(site: Path, pages: dict[Path, Page]) -> None:
    links = pages[site / "algorithm.html"].links
    assert any(re.match(r"source/src/alive/game\.py\.html#L-\d+$", link) for link in links)
    assert "def play(" in re.sub(
        r"<[^>]+>", "", (site / "source/src/alive/game.py.html").read_text()
    )


def test_the_documents_above_are_shown_whole(site: Path) -> None:
    for name, words in (("contributing", "Set up and check"), ("changelog", "Unreleased")):
        text = re.sub(r"<[^>]+>", "", (site / f"{name}.html").read_text("utf-8"))
        assert words in text
