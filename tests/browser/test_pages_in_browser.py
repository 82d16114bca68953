"""The report and the viewer as a person meets them: in a browser, on a phone, by keyboard."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from chromium import Served, Tab
from hostile import SHOWN

KINDS = ("home", "step", "document", "task", "attempts", "problems", "problem", "report")


def addresses(run: Path) -> dict[str, str]:
    """One page of each kind."""
    import pyarrow.parquet as pq

    rows = pq.read_table(run / "episodes" / "step-000001.parquet").to_pylist()
    reviewed = next(row for row in rows if row["critique"])
    return {
        "home": "/",
        "step": "/step/1",
        "document": f"/document/1/{reviewed['document_id']}",
        "task": f"/task/1/{reviewed['task_id']}",
        "attempts": "/attempts",
        "problems": "/problems",
        "problem": "/problem/0",
        "report": "/report",
    }


@pytest.fixture(params=[(390, False), (1440, True)], ids=["phone, light", "desk, dark"])
def tab(browser: Any, served: Served, request: pytest.FixtureRequest) -> Iterator[Tab]:
    opened = Tab(browser, served.url, *request.param)
    yield opened
    opened.page.close()
    assert opened.faults == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_opens_fits_and_is_accessible(tab: Tab, served: Served, kind: str) -> None:
    page = tab.open(served.url + addresses(served.run)[kind])
    assert page.locator("h1").count() == 1
    # Nothing hangs over the edge: on a phone tables scroll within themselves.
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for summary in page.locator("summary").all():
        summary.click()
    found = Axe().run(page).response["violations"]
    serious = [one for one in found if one["impact"] in ("serious", "critical")]
    told = {one["id"]: [node["html"][:200] for node in one["nodes"][:3]] for one in serious}
    assert told == {}, json.dumps(told, indent=1)


def test_the_report_opens_from_the_disk_without_a_request(browser: Any, served: Served) -> None:
    url = (served.run / "report.html").as_uri()
    tab = Tab(browser, "file://", 390, dark=False)
    page = tab.open(url)
    assert page.locator("figure svg").count() > 8
    # The figures take the colours of the page: another ink in the dark.
    ink = "getComputedStyle(document.querySelector('figure svg text')).fill"
    light = page.evaluate(ink)
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(ink) != light
    page.close()
    assert tab.faults == []


def test_exported_pages_open_from_the_disk(browser: Any, served: Served, tmp_path: Path) -> None:
    from alive.view import export_pages

    export_pages(served.run, tmp_path / "pages", lambda done, steps: None)
    tab = Tab(browser, "file://", 1440, dark=False)
    page = tab.open((tmp_path / "pages" / "index.html").as_uri())
    page.get_by_role("link", name="step 2").click()
    page.locator("a mark").first.click()
    assert page.get_by_role("heading", name="Attempts side by side").is_visible()
    page.close()
    assert tab.faults == []


def press_until(page: Any, accessible_name: str, most: int = 60) -> None:
    """Tabs to what bears a name; fails where the keyboard does not get there."""
    for _ in range(most):
        page.keyboard.press("Tab")
        text = page.evaluate("(document.activeElement.innerText || '').trim()")
        label = page.evaluate("(document.activeElement.labels?.[0]?.innerText || '').trim()")
        if accessible_name in (text, label):
            return
    raise AssertionError(f"no Tab leads to {accessible_name}")


def test_the_keyboard_alone_leads_from_the_steps_to_what_trained(tab: Tab, served: Served) -> None:
    page = tab.open(served.url)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "to the content"
    press_until(page, "step 2")
    page.keyboard.press("Enter")
    page.wait_for_url("**/step/1")
    press_until(page, "7")  # what was hidden in the document
    page.keyboard.press("Enter")
    page.wait_for_url("**/task/1/*")
    summary = "document.activeElement.closest('summary')?.innerText || ''"
    for _ in range(60):
        page.keyboard.press("Tab")
        if "weight" in page.evaluate(summary):
            break
    page.keyboard.press("Enter")
    assert page.locator("details[open] pre").first.is_visible()


def test_a_search_is_typed_and_sent_by_keyboard(tab: Tab, served: Served) -> None:
    page = tab.open(served.url)
    press_until(page, "Text")
    page.keyboard.type("birds")
    page.keyboard.press("Enter")
    page.wait_for_url("**/attempts?text=birds")
    assert page.get_by_role("cell", name="solve").count() > 1


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_text_stays_text(browser: Any, hostile: Served, kind: str) -> None:
    tab = Tab(browser, hostile.url, 390, dark=False)
    page = tab.open(hostile.url + addresses(hostile.run)[kind])
    for summary in page.locator("summary").all():
        summary.click()
    page.wait_for_timeout(100)
    assert "owned" not in page.title().replace(SHOWN, "")
    assert page.evaluate("document.title") != "1"
    assert page.locator("script, img, iframe, object, embed").count() == 0
    assert page.locator("[onload], [onerror]").count() == 0
    assert page.locator("a[href^='javascript']").count() == 0
    assert "<script>document.title='owned'</script>" in page.evaluate("document.body.textContent")
    page.close()
    assert tab.faults == []


def test_a_script_on_a_page_would_be_caught(browser: Any, served: Served) -> None:
    """The tests above can fail: the policy stops a script, and the tab tells of it."""
    tab = Tab(browser, served.url, 390, dark=False)
    page = tab.open(served.url)
    page.evaluate(
        "() => { const one = document.createElement('script');"
        " one.textContent = 'document.title = 1'; document.body.append(one); }"
    )
    page.evaluate("() => { new Image().src = 'http://127.0.0.1:9/else.png'; }")
    page.wait_for_timeout(200)
    assert page.title() != "1"
    assert len([fault for fault in tab.faults if "Content Security Policy" in fault]) >= 2
    page.close()
