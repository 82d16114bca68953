"""The pages as served and as exported: links lead somewhere, headers shut everything out."""

from __future__ import annotations

import json
import re
import shutil
import socket
import urllib.request
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from hostile import SHOWN, make_hostile
from starlette.testclient import TestClient
from toy import N

from alive.cli import run as alive_command
from alive.errors import RunError, UserError
from alive.store import LATER
from alive.view import export_pages, make_app, serve
from alive.view.server import link

Straight = tuple[Path, dict[str, Any], str]


@pytest.fixture(scope="module")
def client(toy_run: Straight) -> TestClient:
    return TestClient(make_app(toy_run[0]), base_url="http://127.0.0.1:8765")


def links(page: str) -> list[str]:
    return [unescape(found) for found in re.findall(r'href="([^"]+)"', page)]


def test_every_link_of_every_page_leads_somewhere(client: TestClient) -> None:
    seen: set[str] = set()
    waiting = ["/"]
    while waiting:
        url = waiting.pop()
        if url in seen or url.startswith(("#", "data:")):
            continue
        seen.add(url)
        answer = client.get(url)
        assert answer.status_code == 200, url
        waiting += links(answer.text) if "html" in answer.headers["content-type"] else []
    kinds = {url.split("/")[1].split("?")[0] for url in seen}
    assert kinds == {
        *("", "step", "document", "task", "attempts", "problems", "problem", "report"),
        "style.css",
    }


def test_a_task_shows_its_attempts_reviews_and_what_trained(
    client: TestClient, toy_run: Straight
) -> None:
    import pyarrow.parquet as pq

    rows = pq.read_table(toy_run[0] / "episodes" / "step-000001.parquet").to_pylist()
    mine = [row for row in rows if row["role"] == "solve"][:N]
    page = unescape(client.get(link("task", step=1, id=mine[0]["task_id"])).text)
    for row in mine:
        assert row["completion"] in page
        assert (row["critique"] or "") in page
    records = pq.read_table(toy_run[0] / "records" / "step-000001.parquet").to_pylist()
    learned = [r for r in records if r["task_id"] == mine[0]["task_id"]]
    assert learned
    assert all(record["prompt"] in page for record in learned)


def altered(run: Path, to: Path, change: Any) -> TestClient:
    """The pages of a copy of a run, of which one step's attempts are other ones."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    shutil.copytree(run, to)
    shard = to / "episodes" / "step-000001.parquet"
    table = pq.read_table(shard)
    rows = table.to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), shard)
    return TestClient(make_app(to), base_url="http://127.0.0.1")


def test_how_likely_an_attempt_is_with_its_words_and_without(
    toy_run: Straight, tmp_path: Path
) -> None:
    tasks: list[str] = []

    def change(rows: list[dict[str, Any]]) -> None:
        tasks.append(rows[0]["task_id"])
        for row in rows:
            row |= {"plain_logprob": None, "words_logprob": None}
            if (row["task_id"], row["role"]) == (tasks[0], "solve"):
                row |= {"plain_logprob": -1.25, "words_logprob": -1.1251}
                row["completion"] = "the same"

    client = altered(toy_run[0], tmp_path / "run", change)
    page = client.get(link("task", step=1, id=tasks[0])).text
    assert "plain -1.250, under words -1.125: +0.125" in page
    assert '<td class="num">+0.125</td>' in client.get("/step/1").text


def test_a_run_of_an_earlier_version_is_shown(toy_run: Straight, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    run = tmp_path / "run"
    shutil.copytree(toy_run[0], run)
    for shard in (run / "episodes").glob("*.parquet"):
        pq.write_table(pq.read_table(shard).drop_columns(list(LATER)), shard)
    client = TestClient(make_app(run), base_url="http://127.0.0.1")
    [task, *_] = re.findall(r"/task/1/[\w-]+", client.get("/step/1").text)
    for url in ("/", "/step/1", task, "/attempts", "/attempts?flag=hollow", "/report"):
        assert client.get(url).status_code == 200


def test_a_step_that_was_left_out_has_no_loss(toy_run: Straight, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(toy_run[0], run)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    lines[1] |= {"loss": None, "skipped": True}
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    client = TestClient(make_app(run), base_url="http://127.0.0.1")
    assert "loss not finite, so that nothing was learned;" in client.get("/step/1").text


@pytest.mark.parametrize("verdict", [None, True])
def test_why_a_review_is_hollow_stands_beside_its_verdict(
    toy_run: Straight, tmp_path: Path, verdict: bool | None
) -> None:
    tasks: list[str] = []

    def change(rows: list[dict[str, Any]]) -> None:
        row = next(row for row in rows if row["role"] == "solve")
        row |= {"critique": "x", "verdict": verdict, "hollow": "<b>recites</b> its prompt"}
        tasks.append(row["task_id"])

    client = altered(toy_run[0], tmp_path / "run", change)
    for url in ("/attempts?flag=hollow", link("task", step=1, id=tasks[0])):
        page = client.get(url).text
        told = "no verdict" if verdict is None else "verdict: right"
        found = page.partition('<span class="wrong">&lt;b&gt;recites&lt;/b&gt; its prompt</span>')
        assert found[1], url
        assert told in found[0].rpartition("<td>")[2]
        assert "<b>" not in page


@pytest.mark.parametrize(
    ("url", "status", "told"),
    [
        ("/step/99", 404, "no step 100"),
        ("/goto?step=100", 404, "no step 100"),
        ("/task/0/nothing", 404, "no such task"),
        ("/document/0/nothing", 404, "no such document"),
        ("/problem/99", 404, "there is no 100"),
        ("/attempts?flag=nothing", 400, "no flag of that name"),
        ("/attempts?role=root", 400, "no role of that name"),
        ("/attempts?from=x", 400, "a step and a row"),
        ("/?page=0", 400, "from 1 on"),
        ("/problems?page=-1", 400, "from 1 on"),
        ("/problems?change=x", 400, "no change of that name"),
        ("/../config.json", 404, "no such page"),
        ("/config.json", 404, "no such page"),
    ],
)
def test_what_is_not_there_is_told(client: TestClient, url: str, status: int, told: str) -> None:
    answer = client.get(url)
    assert answer.status_code == status
    assert told in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_nothing_is_let_in_or_out(client: TestClient) -> None:
    for url in ("/", "/report", "/step/0", "/style.css"):
        headers = client.get(url).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; ")
        assert "script-src" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert client.request(method, "/").status_code == 405
    # Another site's name that leads to this machine gets nothing.
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400
    assert client.get("/", headers={"host": "localhost:1"}).status_code == 200


def test_searches_are_values(client: TestClient) -> None:
    page = client.get("/attempts", params={"text": "<b>' or 1=1", "flag": "wrong"})
    assert page.status_code == 200
    assert 'value="&lt;b&gt;&#39; or 1=1"' in page.text
    assert "None." in page.text


def test_hostile_text_is_escaped_on_every_page(toy_run: Straight, tmp_path: Path) -> None:
    run = make_hostile(toy_run[0], tmp_path / "run")
    client = TestClient(make_app(run), base_url="http://127.0.0.1")
    for url in ("/", "/step/1", "/attempts", "/attempts?text=script", "/problems", "/problem/0"):
        page = client.get(url).text
        assert SHOWN in unescape(page), url
        assert not re.search(r"<script|<img|<svg|\son\w+=[\"']", page), url


def test_the_export_is_the_same_pages_without_a_server(
    toy_run: Straight, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alive.view.pages.PAGE", 1)  # every list has further pages
    folder = tmp_path / "pages"
    told: list[tuple[int, int]] = []
    written = export_pages(toy_run[0], folder, lambda done, steps: told.append((done, steps)))
    names = {path.name for path in folder.iterdir()}
    assert written == len(names)
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert {"index.html", "report.html", "step-0.html", "attempts-disagrees.html"} <= names
    assert {"index-3.html", "problems-4.html"} <= names
    changed = [name for name in names if re.fullmatch(r"problems-[a-z]+-2\.html", name)]
    assert changed
    for name in names:
        page = (folder / name).read_text()
        assert "<form" not in page
        assert "default-src 'none'" in page
        for target in links(page):
            assert target.startswith(("#", "data:")) or target in names, (name, target)
    with pytest.raises(RunError, match="not an empty folder"):
        export_pages(toy_run[0], folder, lambda done, steps: None)


def test_the_command_exports(
    toy_run: Straight, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert alive_command(["view", str(toy_run[0]), "--export", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "index.html").exists()
    assert "pages written" in capsys.readouterr().out


def test_a_folder_that_is_no_run_and_a_port_that_is_taken_are_told(
    toy_run: Straight, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match="holds no run"):
        make_app(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UserError, match="choose another with --port"):
            serve(toy_run[0], taken.getsockname()[1], lambda url: None)


def test_problems_are_told_apart_by_what_became_of_them(toy_run: Straight, tmp_path: Path) -> None:
    run = make_hostile(toy_run[0], tmp_path / "run")
    client = TestClient(make_app(run), base_url="http://127.0.0.1")
    assert "/problem/0" in client.get("/problems?change=learned").text
    assert "/problem/1" in client.get("/problems?change=lost").text
    (run / "after.json").unlink()
    (run / "summary.json").unlink()
    assert "Not measured yet" in client.get("/problem/0").text
    assert json.loads((run / "before.json").read_text())["rows"]


def test_the_usual_port_gives_way_and_ctrl_c_ends_it_well(toy_run: Straight) -> None:
    import signal
    import subprocess
    import sys

    program = (
        "import sys; from alive.cli import main; import alive.view.server as s; "
        f"s.PORT = int(sys.argv.pop()); sys.argv[1:] = ['view', {str(toy_run[0])!r}]; main()"
    )
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        usual = str(taken.getsockname()[1])
        command = [sys.executable, "-c", program, usual]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as view:
            assert view.stdout is not None
            url = view.stdout.readline().split()[0]
            assert usual not in url
            with urllib.request.urlopen(url) as answer:
                assert b"Steps" in answer.read()
            view.send_signal(signal.SIGINT)
            _, told = view.communicate(timeout=30)
    assert (view.returncode, told) == (0, "")
