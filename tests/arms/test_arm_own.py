"""An arm of the user's own: found where it is said to be, and held to what an arm returns."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_arm_alive import HONEST_RIGHT, HONEST_WRONG, Board

from alive import arms
from alive.arms.baselines import rft
from alive.arms.own import checked, load
from alive.config import Config, SamplingConfig
from alive.errors import ConfigError
from alive.prompts import make_renderer
from alive.types import Trained, TrainingRecord

SOURCE = """
from alive.types import Trained, TrainingRecord

def records(episode, renderer, config, *, conditioned, warm):
    first = episode.attempts[0][0].rollout
    record = TrainingRecord("solve", first.prompt.ids, first.completion_ids, 2.0, "doc")
    key = (episode.tasks[0].id, 0, "solve")
    return [record], {key: Trained(weight=2.0, feedback=f"{conditioned} {warm}")}

def rewarded(episode, renderer, config, *, conditioned, warm):
    rollout = episode.attempts[0][0].rollout
    record = TrainingRecord(
        "solve", (1,), rollout.completion_ids, 1.0, "doc",
        sampling_logprobs=rollout.logprobs, loss="policy_gradient",
    )
    return [record], {}

def short(episode, renderer):
    return [], {}

def empty(*anything, **named):
    return None

SHARE = 0.5
"""
RECORD = TrainingRecord("solve", (1,), (2, 3), 1.0, "doc")
OUTCOMES = {("task0", 0, "solve"): Trained(weight=1.0)}


@pytest.fixture
def renderer(seed_tokenizer: Any) -> Any:
    return make_renderer(seed_tokenizer)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with ``home_arm.py``, which nothing else could import."""
    (tmp_path / "home_arm.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    monkeypatch.delitem(sys.modules, "home_arm", raising=False)
    yield tmp_path
    sys.modules.pop("home_arm", None)


def test_it_is_found_in_the_working_directory_and_called_as_an_arm(
    home: Path, renderer: Any
) -> None:
    board = Board(renderer)
    board.add(HONEST_RIGHT, HONEST_WRONG)
    config = Config(arm="home_arm:records")
    arms.check(config)
    made, outcomes = arms.records(board.episode, renderer, config, conditioned=True, warm=False)
    assert [(one.weight, one.completion_ids) for one in made] == [
        (2.0, board.attempts[0][0].rollout.completion_ids)
    ]
    assert outcomes == {("task0", 0, "solve"): Trained("True False", 2.0)}
    assert arms.reviews(config)


def test_an_installed_module_comes_first(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "textwrap.py").write_text("def dedent(*_, **__): return 'mine'\n")
    monkeypatch.delitem(sys.modules, "textwrap", raising=False)
    with pytest.raises(ConfigError, match="cannot be called as an arm is"):
        load("textwrap:dedent")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere_arm:records", "there is no module nowhere_arm; it is looked for in /"),
        ("home_arm.inner:records", "there is no module home_arm.inner"),
        ("home_arm:recrods", r"home_arm has no recrods \(did you mean records\?\)"),
        ("home_arm:SHARE", "SHARE is of type float; an arm is a function"),
        ("home_arm:short", r"write it as def short\(episode, renderer, config, \*, conditioned"),
    ],
)
def test_what_is_no_arm_is_refused(home: Path, name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        arms.check(Config(arm=name))
    assert str(caught.value).startswith(f"arm {name}")


def test_an_error_inside_the_module_is_not_hidden(home: Path) -> None:
    (home / "broken_arm.py").write_text("import nowhere_at_all\n")
    with pytest.raises(ModuleNotFoundError, match="nowhere_at_all"):
        load("broken_arm:records")


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (None, "a:b returned None; it has to return two things"),
        ([RECORD], "a:b returned a list; it has to return two things"),
        ((RECORD, OUTCOMES), "its records are a TrainingRecord, not a list"),
        (([RECORD, "x"], OUTCOMES), "record 1 is a str, not a TrainingRecord"),
        (([TrainingRecord("judge", (1,), (2,), 1.0, "")], {}), "the role of record 0 is 'judge'"),
        (([TrainingRecord("solve", (1,), (), 1.0, "")], {}), "record 0 has no completion_ids"),
        (
            ([TrainingRecord("solve", (1,), (2, 3), 1.0, "", sampling_logprobs=(-1.0,))], {}),
            "record 0 has 1 sampling log-probabilities for 2 tokens",
        ),
        (
            ([TrainingRecord("solve", (1,), (2, 3), 1.0, "", loss="policy_gradient")], {}),
            "record 0 has 0 sampling log-probabilities for 2 tokens",
        ),
        (
            ([TrainingRecord("solve", (1,), (2,), 1.0, "", loss="ppo")], {}),
            "the loss of record 0 is 'ppo'; there are likelihood, policy_gradient, distil",
        ),
        (([RECORD], [1]), "its outcomes are a list, not a dict"),
        (([RECORD], {1: "right"}), "the outcome of 1 is a str, not a Trained"),
    ],
)
def test_what_it_returns_is_checked(returned: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        checked(returned, "a:b")


def test_what_is_right_passes_as_it_is(renderer: Any) -> None:
    board = Board(renderer)
    board.add(HONEST_RIGHT, HONEST_WRONG)
    assert checked(rft(board.episode), "a:b") == rft(board.episode)


def test_a_wrong_return_stops_the_run_with_its_reason(home: Path, renderer: Any) -> None:
    board = Board(renderer)
    board.add(HONEST_RIGHT, HONEST_WRONG)
    with pytest.raises(ConfigError, match="arm home_arm:empty returned None"):
        arms.records(
            board.episode, renderer, Config(arm="home_arm:empty"), conditioned=True, warm=True
        )


def test_its_policy_gradient_needs_completions_as_the_policy_writes(
    home: Path, renderer: Any
) -> None:
    board = Board(renderer)
    board.add(HONEST_RIGHT, HONEST_WRONG)
    sampled = SamplingConfig(top_p=0.9)
    config = Config(arm="home_arm:rewarded", sampling=sampled)
    with pytest.raises(ConfigError, match=r"top_p is 0\.9; arm home_arm:rewarded needs 1"):
        arms.records(board.episode, renderer, config, conditioned=True, warm=False)
    imitating = Config(arm="home_arm:records", sampling=sampled)
    made, _ = arms.records(board.episode, renderer, imitating, conditioned=True, warm=False)
    assert len(made) == 1
