"""The report of a run that is finished, still going on, or was killed."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hostile import SHOWN, make_hostile
from toy import settings_of

from alive.cli import run as alive_command
from alive.report import render_report
from alive.report.gather import read_run
from alive.report.page import reproduce
from alive.settings import as_arguments, build_config, load_config, preset_names

Straight = tuple[Path, dict[str, Any], str]


class Reader(HTMLParser):
    """Text, tags and attributes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.tags, self.attributes = "", [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_finished_run_tells_what_it_measured(toy_run: Straight) -> None:
    folder, summary, _ = toy_run
    page = Reader((folder / "report.html").read_text())
    for when in ("before", "after"):
        assert f"{100 * summary[when]['accuracy']:.1f} %" in page.text
    for title in ("Held-out problems", "How hard the tasks are", "Time by stage", "calibration"):
        assert title in page.text
    assert "finished" in page.text
    assert ("http-equiv", "refresh") not in page.attributes
    # Self-contained: nothing is asked for from anywhere, not even from its own folder.
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert [v for name, v in page.attributes if name in ("src", "href") and v[0] != "#"] == []


STOPPED = """
import json, os, signal, sys
sys.path.insert(0, sys.argv[1])
from test_end_to_end import strike
from toy import play
from alive.report import render_report
from alive.store import is_running
import pytest
settings = json.loads(sys.argv[2])

def act():
    out = settings["out"]
    print(json.dumps([is_running(__import__("pathlib").Path(out))]), flush=True)
    os.system(f"{sys.executable} -m alive.cli report {out} && cp {out}/report.html {out}/seen.html")
    os.kill(os.getpid(), signal.SIGKILL)

strike(pytest.MonkeyPatch(), "solve", 2, act)
play(settings)
"""


def test_a_running_and_a_killed_run_have_the_same_report(toy_world: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    settings = settings_of(toy_world, folder)
    here = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", STOPPED, str(here), json.dumps(settings)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(here.parent / "src")},
        timeout=300,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert "[true]" in done.stdout
    # Written by another process while the run went on, two of its three steps done.
    running = Reader((folder / "seen.html").read_text())
    assert ("http-equiv", "refresh") in running.attributes
    assert "2 of 3 steps" in running.text
    assert alive_command(["report", str(folder)]) == 0
    killed = Reader((folder / "report.html").read_text())
    assert "stopped before its end" in killed.text
    assert ("http-equiv", "refresh") not in killed.attributes
    assert f"alive train --resume --out {folder}" in killed.text
    charts = [tag for tag in killed.tags if tag == "figure"]
    assert len(charts) == len([tag for tag in running.tags if tag == "figure"]) > 8


def test_a_run_that_was_told_to_stop_says_so(toy_run: Straight, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "run"
    shutil.copytree(toy_run[0], folder)
    (folder / "summary.json").unlink()
    with (folder / "journal.jsonl").open("a") as journal:
        entry = {"time": "2026-01-01T10:00:00", "event": "stopped", "step": 2, "text": "no room"}
        journal.write(json.dumps(entry) + "\n" + '{"time": "torn')
    with (folder / "metrics.jsonl").open("a") as metrics:
        metrics.write('{"step": 3, "loss')
    page = Reader(render_report(folder))
    assert "no room" in page.text
    assert "stopped before its end" in page.text
    assert read_run(folder).steps == 3


def test_before_the_first_step_there_is_a_report_too(toy_run: Straight, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "config.json").write_text((toy_run[0] / "config.json").read_text())
    page = Reader(render_report(tmp_path))
    assert "0 of 3 steps; nothing was measured yet" in page.text


def test_no_run_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert alive_command(["report", str(tmp_path)]) == 2
    assert "holds no run" in capsys.readouterr().err
    monkeypatch.chdir(tmp_path)
    assert alive_command(["report"]) == 2
    assert "there is no run below runs/ here" in capsys.readouterr().err


def test_without_a_name_it_is_the_newest_run(
    toy_run: Straight, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for age, name in ((9, "old"), (1, "new"), (5, "older")):
        (Path("runs") / name / "checkpoints").mkdir(parents=True)
        config = Path("runs") / name / "config.json"
        config.write_text((toy_run[0] / "config.json").read_text())
        os.utime(config, (1e9 - age, 1e9 - age))
    assert alive_command(["report"]) == 0
    assert [path.parent.name for path in Path("runs").glob("*/report.html")] == ["new"]


def test_hostile_text_stays_text(toy_run: Straight, tmp_path: Path) -> None:
    page = Reader(render_report(make_hostile(toy_run[0], tmp_path / "run")))
    assert not {"script", "img", "iframe"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert page.text.count(SHOWN) > 10


def test_the_command_of_a_report_builds_the_settings_of_its_run(toy_run: Straight) -> None:
    folder = toy_run[0]
    words = shlex.split(reproduce(read_run(folder)))
    assert words[:2] == ["alive", "train"]
    assert words[-2:] == ["--out", "runs/again"]
    wanted = build_config([("run", json.loads((folder / "config.json").read_text()))])
    assert _built(words[2:-2]) == wanted.model_copy(update={"out": ""})


@pytest.mark.parametrize("preset", preset_names())
def test_settings_near_a_preset_are_told_by_its_name(preset: str) -> None:
    config = load_config(preset, overrides=["learn.learning_rate=1e-5", "steps=7"])
    words = as_arguments(config)
    assert words == [
        *("--preset", preset, "--set", "steps=7", "--set", "learn.learning_rate=1e-05"),
    ]
    assert _built(words) == config


def _built(words: list[str]) -> Any:
    """The settings that ``alive train`` would take from options."""
    from alive.cli.options import collect_settings
    from alive.cli.train import train_command

    given = train_command.make_context("train", list(words)).params
    names = ("preset", "files", "overrides", "model", "corpus", "more_corpus", "steps", "seed")
    return collect_settings(**{name: given[name] for name in names})
