"""The command line: help, messages, exit codes, and what reaches the calls behind it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from alive import api, plan, sizing
from alive.cli import group, run
from alive.config import Config, LogConfig
from alive.errors import DivergenceError, Terminated
from alive.settings import load_config
from alive.store import RunFolder
from alive.throughput import Throughput

SUMMARY = {
    "verdicts": ["The interval of the change holds 0."],
    "before": {
        "accuracy": 0.25,
        "n": 8,
        "self_correction": {"rate": 0.1, "harm": 0.0, "net": 0.05},
        "domains": {"maths": {"accuracy": 0.5}},
    },
    "after": {
        "accuracy": 0.5,
        "n": 8,
        "reviewer_j": 0.3,
        "domains": {"maths": {"accuracy": 0.75}},
    },
}


class Loop:
    """Stands in for the training loop: remembers its arguments, raises what it is told to."""

    def __init__(self) -> None:
        self.calls: list[tuple[Config, bool]] = []
        self.fault: BaseException | None = None

    def train(self, config: Config, resume: bool, console: Any) -> dict[str, Any]:
        self.calls.append((config, resume))
        if self.fault is not None:
            raise self.fault
        return SUMMARY


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Loop:
    fake = Loop()
    monkeypatch.setitem(sys.modules, "alive.loop", fake)
    monkeypatch.setattr(plan, "make_plan", lambda config: None)
    monkeypatch.setattr(plan, "require_fit", lambda plan: None)
    monkeypatch.setattr(sizing, "settled", lambda config, resume: config)
    monkeypatch.chdir(tmp_path)
    return fake


@pytest.mark.parametrize("verb", group.commands)
def test_every_verb_has_help_with_an_example(verb: str, capsys: pytest.CaptureFixture) -> None:
    assert run([verb, "--help"]) == 0
    assert f"alive {verb} " in capsys.readouterr().out.split("Examples:")[1]


def test_help_names_the_verbs(capsys: pytest.CaptureFixture) -> None:
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"\n  {verb} " in shown for verb in ("train", "eval", "solve", "plan"))
    assert run(["--version"]) == 0


def test_train_collects_settings(loop: Loop, capsys: pytest.CaptureFixture) -> None:
    Path("mine.toml").write_text("seed = 1\nsteps = 3\n[learn]\nlearning_rate = 0.5\n")
    arguments = "train --preset laptop --config mine.toml --seed 5 --out here --model seed"
    arguments += " --set game.masks_per_document=2 --corpus a.txt b.txt --corpus c"
    assert run(arguments.split()) == 0
    [(config, resume)] = loop.calls
    assert not resume
    assert (config.seed, config.steps, config.out) == (5, 3, "here")
    assert (config.model.id, config.learn.learning_rate) == ("seed", 0.5)
    assert config.game.masks_per_document == 2
    assert sorted(config.corpus.paths) == ["a.txt", "b.txt", "c"]
    assert "run folder: here" in capsys.readouterr().out


def test_train_alone_is_the_quickstart(loop: Loop, capsys: pytest.CaptureFixture) -> None:
    assert run(["train"]) == 0
    [(config, _)] = loop.calls
    assert config.model.id == "seed"
    assert config.out.startswith("runs/20")
    assert config.out.endswith("-seed")


SEEDS_OWN = ("game", "sampling", "learn", "warmup", "evaluate")
QUICKSTART = load_config("quickstart")


@pytest.mark.parametrize(
    "given",
    [
        "",
        "--corpus notes/",
        "--model seed --corpus notes/ book.txt",
        "--set model.id=seed",
        "--config mine.toml",
        "--config seed.toml --corpus notes/",
    ],
)
def test_the_seed_model_gets_its_own_sizes(given: str, loop: Loop) -> None:
    Path("mine.toml").write_text("seed = 3\n")
    Path("seed.toml").write_text('[model]\nid = "seed"\n')
    assert run(["train", *given.split()]) == 0
    [(config, _)] = loop.calls
    for section in SEEDS_OWN:
        assert getattr(config, section) == getattr(QUICKSTART, section)


@pytest.mark.parametrize(
    "given",
    [
        "--model here/model",
        "--model here/model --corpus notes/",
        "--set model.id=some/model --corpus builtin:primer",
        "--config own.toml",
        "--config seed.toml --model here/model",
    ],
)
def test_any_other_model_gets_the_plain_defaults(given: str, loop: Loop) -> None:
    Path("own.toml").write_text('[model]\nid = "here/model"\n')
    Path("seed.toml").write_text('[model]\nid = "seed"\n')
    assert run(["train", *given.split()]) == 0
    [(config, _)] = loop.calls
    for section in SEEDS_OWN:
        assert getattr(config, section) == getattr(Config(), section)


def test_train_ends_with_a_table(loop: Loop, capsys: pytest.CaptureFixture) -> None:
    assert run(["train"]) == 0
    shown = capsys.readouterr().out
    assert "- The interval of the change holds 0." in shown
    lines = [line for line in shown.splitlines() if line.startswith("│")]
    assert [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines] == [
        ["maths", "accuracy, greedy", "50.0", "75.0", "+25.0"],
        ["total", "accuracy, greedy", "25.0", "50.0", "+25.0"],
        ["total", "wrong made right", "10.0", "-", ""],
        ["total", "right made wrong", "0.0", "-", ""],
        ["total", "net of revising", "5.0", "-", ""],
        ["total", "reviewer J", "-", "30.0", ""],
    ]


def test_resume_takes_the_runs_settings(loop: Loop) -> None:
    RunFolder.create("old", Config(seed=9, steps=4)).close()
    assert run(["train", "--resume", "--out", "old", "--steps", "6"]) == 0
    [(config, resume)] = loop.calls
    assert resume
    assert (config.seed, config.steps, config.out) == (9, 6, "old")


def test_log_names_trackers_and_outranks_the_runs(loop: Loop) -> None:
    named = "--log wandb --log tensorboard --set log.project=birds"
    assert run(["train", "--out", "a", *named.split()]) == 0
    RunFolder.create("old", Config(log=LogConfig(to=("trackio",)))).close()
    assert run(["train", "--resume", "--out", "old"]) == 0
    assert run(["train", "--resume", "--out", "old", "--log", "tensorboard"]) == 0
    assert [config.log.to for config, _ in loop.calls] == [
        *(("wandb", "tensorboard"), ("trackio",), ("tensorboard",)),
    ]
    assert loop.calls[0][0].log.project == "birds"


def test_resume_needs_a_folder(loop: Loop, capsys: pytest.CaptureFixture) -> None:
    RunFolder.create("runs/mine", Config()).close()
    assert run(["train", "--resume"]) == 2
    said = capsys.readouterr().err
    assert said == (
        "alive: --resume needs the run's folder: --out FOLDER (the newest here is runs/mine)\n"
    )
    assert run(["train", "--resume", "--out", "none"]) == 2
    assert "none holds no run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("train --set game.mask=1", "unknown setting game.mask"),
        ("train --steps 0", "--steps: steps must be at least 1, not 0"),
        ("train --seed -1", "--seed: seed must be at least 0, not -1"),
        ("train --preset papr", "no such preset (did you mean paper?)"),
        ("train --config none.toml", "none.toml: no such settings file"),
        ("train notes.txt", "unexpected argument notes.txt; name text with --corpus PATH"),
        ("train --stepz 3", "No such option '--stepz'"),
        ("train --steps many", "'many' is not a valid integer"),
        ("train --log wandd", "'wandd' is not one of 'tensorboard', 'wandb', 'trackio'"),
        ("eval", "Missing argument 'MODEL|RUN'"),
        ("eval some/model", "on which problems? Name a suite: --suite seed"),
        ("eval seed --suite none.jsonl", "none.jsonl"),
        ("eval seed --suite seed --json no/such/folder.json", "there is no folder no/such"),
        ("solve seed", "Missing argument 'PROBLEM'"),
        ("export", "Missing argument 'RUN'"),
        ("export none", "Missing option '--to'"),
        ("export none --to there", "none holds no run"),
        ("fly", "No such command 'fly'"),
    ],
)
def test_user_mistakes_give_two_and_no_traceback(
    loop: Loop, arguments: str, said: str, capsys: pytest.CaptureFixture
) -> None:
    assert run(arguments.split()) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert "Traceback" not in shown.err
    assert loop.calls == []


def test_verbose_adds_the_traceback(loop: Loop, capsys: pytest.CaptureFixture) -> None:
    assert run(["train", "--verbose", "--set", "game.mask=1"]) == 2
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert said.splitlines()[-1].startswith("alive: --set game.mask=1: unknown setting")


def test_other_errors_give_one(loop: Loop, capsys: pytest.CaptureFixture) -> None:
    loop.fault = DivergenceError("the loss is not finite")
    assert run(["train"]) == 1
    assert capsys.readouterr().err == "alive: the loss is not finite\n"


def test_bugs_are_not_hidden(loop: Loop) -> None:
    loop.fault = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        run(["train"])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_says_how_to_go_on(
    loop: Loop, capsys: pytest.CaptureFixture, number: signal.Signals, code: int
) -> None:
    loop.fault = Terminated(number)
    assert run(["train", "--out", "here"]) == code
    said = capsys.readouterr().err
    assert "stopped; go on with: alive train --resume --out here" in said
    assert said.endswith(f"ended by {number.name}\n")


def test_interrupt_says_how_to_go_on(loop: Loop, capsys: pytest.CaptureFixture) -> None:
    loop.fault = KeyboardInterrupt()
    assert run(["train", "--out", "here"]) == 130
    assert "stopped; go on with: alive train --resume --out here" in capsys.readouterr().err


def test_eval_writes_every_completion(
    loop: Loop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    measured = {"n": 2, "accuracy": 0.5, "accuracy_interval": [0.0, 1.0], "domains": {}}
    rows = ({"id": "a", "correct": True}, {"id": "b", "correct": False})
    calls: list[Any] = []

    def evaluate(*arguments: Any, **options: Any) -> Any:
        calls.append((arguments, options))
        return SimpleNamespace(
            as_dict=lambda: measured, rows=rows, notes=("a [note]",), seconds={"attempts": 1.5}
        )

    monkeypatch.setattr(api, "evaluate", evaluate)
    arguments = "eval seed --suite seed:code --suite x.jsonl --limit 2 --self-correct --seed 3"
    assert run([*arguments.split(), "--json", "result.json"]) == 0
    options = {
        "limit": 2,
        "self_correct": True,
        "best_of": 0,
        "seed": 3,
        "max_tokens": 0,
        "servers": (),
    }
    assert calls == [(("seed", ("seed:code", "x.jsonl")), options)]
    record = json.loads(Path("result.json").read_text())
    assert record["accuracy"] == 0.5
    assert [row["correct"] for row in record["completions"]] == [True, False]
    shown = capsys.readouterr().out
    assert "50.0 [0.0, 100.0]" in shown
    assert "a [note]" in shown
    assert "time: attempts 1.5 s" in shown
    assert (record["notes"], record["seconds"]) == (["a [note]"], {"attempts": 1.5})


def test_eval_ends_with_a_table_of_what_was_cut_and_boxed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def row(n: int, right: float, cut: float, boxed: float) -> dict[str, Any]:
        shares = {"accuracy": right, "cut": cut, "boxed": boxed}
        return {"n": n, **shares, **{f"{name}_interval": [0.0, 1.0] for name in shares}}

    # Of eight attempts one is right, three are cut, six are boxed.
    measured = {
        **row(8, 0.125, 0.375, 0.75),
        "domains": {"maths": row(4, 0.25, 0.0, 1.0), "prose": row(4, 0.0, 0.75, 0.5)},
    }
    found = SimpleNamespace(as_dict=lambda: measured, rows=(), notes=(), seconds={})
    monkeypatch.setattr(api, "evaluate", lambda *_, **__: found)
    assert run(["eval", "seed"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line[0] in "┃│"]
    assert [[cell.strip() for cell in re.split("[┃│]", line)[1:-1]] for line in lines] == [
        ["domain", "n", "accuracy, greedy", "cut", "boxed"],
        ["maths", "4", "25.0 [0.0, 100.0]", "0.0", "100.0"],
        ["prose", "4", "0.0 [0.0, 100.0]", "75.0", "50.0"],
        ["total", "8", "12.5 [0.0, 100.0]", "37.5", "75.0"],
    ]


def test_plan_prints_and_exits_zero(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(sizing, "available_memory", lambda: 10**9)
    assert run(["plan", "--preset", "paper"]) == 0
    shown = capsys.readouterr().out
    assert "7,615,616,512" in shown
    assert "Neither LoRA nor small micro-batches make it fit" in shown


def test_plan_measures_a_model_that_is_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(sizing, "available_memory", lambda: 10**12)
    monkeypatch.setattr(plan, "measure_throughput", lambda config: Throughput(100.0, 50.0))
    assert run(["plan", "--preset", "laptop", "--model", "smollm2"]) == 0
    shown = capsys.readouterr().out
    assert "time a step, at most" in shown


def test_train_refuses_what_does_not_fit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    fake = Loop()
    monkeypatch.setitem(sys.modules, "alive.loop", fake)
    monkeypatch.setattr(sizing, "available_memory", lambda: 10**9)
    assert run(["train", "--preset", "paper"]) == 2
    assert "Qwen/Qwen2.5-7B does not fit this machine." in capsys.readouterr().err
    assert fake.calls == []


def test_help_loads_nothing_heavy() -> None:
    script = (
        "import sys; from alive.cli import run; run(['--help']); "
        "heavy = {'torch', 'transformers', 'numpy', 'pydantic', 'pyarrow', 'rich', 'peft'}; "
        "sys.exit(repr(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
