"""A headless Chromium that reaches nothing but this machine, and pages of a real run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from chromium import Served
from hostile import make_hostile

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


# Not for the whole session: while Playwright is open an event loop runs in this thread, and no
# other test could run one of its own.
@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        told = "no Chromium here; install one (apt install chromium) to run the tests of the pages"
        # Where changes are judged a missing browser must not pass for tested pages.
        pytest.fail(told) if os.environ.get("CI") else pytest.skip(told)
    with sync_playwright() as playwright:
        # The sandbox needs user namespaces, which containers often lack; the pages are our own.
        launched = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def served(toy_run: Any) -> Iterator[Served]:
    server = Served(toy_run[0])
    yield server
    server.close()


@pytest.fixture(scope="session")
def hostile(toy_run: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    server = Served(make_hostile(toy_run[0], tmp_path_factory.mktemp("hostile") / "run"))
    yield server
    server.close()
