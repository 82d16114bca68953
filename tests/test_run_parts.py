"""Small parts of a run: its state, the sum of a step, the checked conditions, what is shown."""

from __future__ import annotations

import asyncio
import io
import json
import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from fakes import PlainRenderer, ScriptedSampler
from rich.console import Console

from alive.config import Config, GameConfig
from alive.errors import DivergenceError
from alive.evaluation.separation import probe_tasks
from alive.game import Played
from alive.loop import learning_rate
from alive.metrics import step_metrics
from alive.protocols import SamplingParams, UpdateStats
from alive.roles.memory import Seen
from alive.session import Session
from alive.state import State
from alive.types import (
    Attempt,
    Document,
    Episode,
    Prompt,
    Review,
    Rollout,
    Task,
    Trained,
    TrainingRecord,
)
from alive.watch.display import Display

DOCUMENT = Document("doc", "Ann has 3 pens. Then she has 7 of them.", "here")


def rollout(text: str, tokens: int, role: str = "solve") -> Rollout:
    return Rollout(Prompt(role, ()), tuple(range(tokens)), (), text, "stop", 0)


def task(name: str, span: str) -> Task:
    return Task(name, "doc", DOCUMENT.text.replace(span, "\\mask{}"), span, "random")


def attempt(name: str, index: int, answer: str | None, correct: bool, tokens: int = 2) -> Attempt:
    return Attempt(name, index, rollout(f"says {answer}", tokens), answer, correct)


def review(name: str, index: int, verdict: bool | None, leaks: bool = False, own: int = 0):
    written = rollout("w", own, "review") if own else None
    words = "[bold]look[/bold]"
    return Review(name, index, written, words, words, verdict, None, None, True, leaks)


def cut(written: Any) -> Any:
    """The same attempt or review, ended by its token limit."""
    return replace(written, rollout=replace(written.rollout, stop="length"))


def episode(step: int = 0) -> Episode:
    a, b = task("a", "3"), task("b", "7")
    return Episode(
        step,
        DOCUMENT,
        (a, b),
        (
            (attempt("a", 0, "3", True), attempt("a", 1, "4", False)),
            (
                cut(attempt("b", 0, None, False, 5)),
                replace(attempt("b", 1, "8", False), asked=True),
            ),
        ),
        (
            (review("a", 0, True, own=3), cut(review("a", 1, True, own=3))),
            (
                replace(review("b", 0, None), text="other words", hollow="recites its prompt"),
                review("b", 1, False, leaks=True),
            ),
        ),
        (attempt("b", 1, "7", True, 4),),
    )


def test_a_step_is_summed_up_by_hand() -> None:
    outcomes = {
        ("a", 0, "solve"): Trained("w", 1.0, "", "challenging"),
        ("a", 1, "solve"): Trained(dropped="review deceptive", pose_words="challenging"),
        ("b", 0, "solve"): Trained(dropped="review unparsed", pose_words="not recoverable"),
        ("b", 1, "solve"): Trained(dropped="wrong", pose_words="not recoverable"),
        ("b", 1, "revise"): Trained(weight=1.0),
    }
    played = [
        Played(episode(), 1, 1, {"taken": 2}),
        Played(Episode(0, DOCUMENT, (), (), ()), 0, 0, {"taken": 1, "empty": 1}),
    ]
    stats = UpdateStats(1.5, {"review": 0.25, "solve": 0.5}, 2.0, 40)
    replayed = [TrainingRecord("review", (1,), (2,), 1.0, name) for name in ("y", "x", "y")]
    found = step_metrics(played, outcomes, replayed, stats)
    expected = {
        "loss": 1.5,
        "loss_review": 0.25,
        "loss_solve": 0.5,
        "grad_norm": 2.0,
        "skipped": False,
        "tokens_trained": 40,
        "records_empty": 0,
        "lag": 0,
        "tokens_sampled": 2 + 2 + 5 + 2 + 4 + 3 + 3,
        "tasks": 2,
        "proposed": 1,
        "filled": 1,
        "replayed": 0,
        "refused": {"taken": 3, "empty": 1},
        "pass_rate": 0.25,
        "answered": 0.5,
        "cut": 0.25,
        "difficulty": {"challenging": 1, "not recoverable": 1},
        "reviews_unparsed": 0.25,
        "reviews_cut": 0.5,  # of the two that the policy wrote
        "reviews_honest": 0.5,
        "teacher_silent": 0,
        "reviews_leaking": 0.25,
        "reviews_hollow": 0.25,  # one of four, b's first
        "reviews_distinct": 0.5,  # its words and those of the other three: two texts of four
        "words_leaking": 0,
        "rehearsed": {"x": 1, "y": 2},
        "revisions": 1,
        "revisions_right": 1,
        "dropped": {"review deceptive": 1, "review unparsed": 1, "wrong": 1},
    }
    assert {key: found[key] for key in expected} == expected
    assert json.loads(json.dumps(found)) == found


def test_leaking_words_are_counted_on_what_happened() -> None:
    """Before an attempt as it was drawn, before it as it trains, and in what guided a revision."""
    played = episode()
    told = replace(rollout("x", 1), prompt=Prompt("solve", (), "three is meant"))
    first, second = played.attempts
    drawn = (replace(first[0], rollout=told), first[1])
    guided = (played.reviews[1][0], replace(played.reviews[1][1], text="it is 7"))
    leaking = replace(played, attempts=(drawn, second), reviews=(played.reviews[0], guided))
    trained = {
        ("a", 0, "solve"): Trained("it is 3", 1.0),
        ("a", 1, "solve"): Trained("it is 4", 1.0),
    }
    found = step_metrics([Played(leaking, 1, 1, {})], trained, (), UpdateStats(0.0, {}, 0.0, 0))
    assert found["words_leaking"] == 3


def test_a_step_that_was_skipped_has_no_numbers() -> None:
    stats = UpdateStats(math.nan, {"solve": math.inf}, math.nan, 40, skipped=True)
    found = step_metrics([Played(episode(), 1, 1, {})], {}, (), stats)
    nothing = {"loss": None, "loss_solve": None, "grad_norm": None, "skipped": True}
    assert {key: found[key] for key in nothing} == nothing
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_skipped_steps_are_counted_and_three_in_a_row_are_too_many() -> None:
    state = State()
    for skipped in (True, True, False, True, True):
        state.count(UpdateStats(0.0, {}, 0.0, 0, skipped=skipped))
        state.check_skips()
    assert (state.skipped, state.skipped_in_a_row) == (4, 2)
    state.count(UpdateStats(0.0, {}, 0.0, 0, skipped=True))
    with pytest.raises(DivergenceError, match="in 3 steps in a row"):
        state.check_skips()


def test_the_posers_utility_is_a_mean_over_tasks() -> None:
    """N = 4: half right is worth 1/2, all or none nothing, one in four may be luck."""
    rights = ((1, 1, 0, 0), (1, 1, 1, 1), (0, 0, 0, 0), (1, 0, 0, 0), (1, 1, 1, 0))
    groups = tuple(
        tuple(attempt(str(t), i, "3", bool(e)) for i, e in enumerate(flags))
        for t, flags in enumerate(rights)
    )
    reviews = tuple(tuple(review(str(t), i, True) for i in range(4)) for t in range(5))
    tasks = tuple(task(str(t), "3") for t in range(5))
    played = [Played(Episode(0, DOCUMENT, tasks, groups, reviews), 5, 0, {})]
    found = step_metrics(played, {}, (), UpdateStats(0.0, {}, 0.0, 0))
    assert found["poser_utility"] == pytest.approx((0.5 + 0.25) / 5)
    corrected = replace(played[0].episode, revisions=(attempt("2", 1, "3", True),))
    found = step_metrics([Played(corrected, 5, 0, {})], {}, (), UpdateStats(0.0, {}, 0.0, 0))
    assert found["poser_utility"] == pytest.approx((0.5 + 1.0 + 0.25) / 5)


def test_a_step_without_a_task_is_summed_up_too() -> None:
    played = [Played(Episode(0, DOCUMENT, (), (), ()), 0, 0, {})]
    found = step_metrics(played, {}, (), UpdateStats(0.0, {}, 0.0, 0))
    assert (found["pass_rate"], found["answered"], found["tasks"]) == (0.0, 0.0, 0)
    assert found["poser_utility"] == 0.0
    assert (found["reviews_hollow"], found["reviews_distinct"]) == (0.0, 0.0)


def test_the_state_survives_json() -> None:
    reviews = {"a": [TrainingRecord("review", (1, 2), (3,), 0.5, "a", "t", 1, (-0.25,), 4)]}
    memory = {"a": {"a span": Seen(2, True)}, "b": {}}
    state = State(step=3, memory=memory, reviews=reviews, conditions=[{"gap": 0.1}], seconds=1.25)
    saved = json.loads(json.dumps(state.as_json()))
    assert State.from_json(saved) == state
    assert State.from_json(saved).memory["a"]["a span"].mixed


def test_words_are_trusted_by_the_last_check() -> None:
    state = State()
    assert state.separates
    marks = [state.mark]
    for separates in (False, True):
        state.conditions.append({"separates": separates})
        marks.append(state.mark)
        assert state.separates is separates
    assert len(set(marks)) == 3


def test_probe_tasks_are_posed_and_distinct() -> None:
    documents = [
        Document(str(i), f"Box {i + 50} held {i + 70} pens when {name} came to the mill", "here")
        for i, name in enumerate(("Ann", "Bob", "Cleo", "Dan"))
    ]
    renderer = PlainRenderer()
    renderer.words = SimpleNamespace(pose_positive="hard")
    game = GameConfig(masks_per_document=2)

    def found(documents: list[Document], seed: int) -> list[Task]:
        sampler = ScriptedSampler(lambda prompt, text, index: "held")
        params = SamplingParams(4)
        return asyncio.run(probe_tasks(sampler, renderer, documents, 7, game, params, seed))

    tasks = found([*documents, *documents], 0)
    assert [one.document_id for one in tasks] == ["0", "0", "1", "1", "2", "2", "3"]
    assert len({one.id for one in tasks}) == 7
    assert {one.span for one in tasks if one.origin == "poser"} == {"held"}
    assert found(documents, 0) == tasks
    assert any(found(documents, seed) != tasks for seed in range(1, 6))
    assert found([], 0) == []
    assert found([Document("x", "and so it was", "here")], 0) == []


@pytest.mark.parametrize("heeds", [True, False])
def test_conditions_separate_only_where_they_change_the_answers(heeds: bool) -> None:
    from alive.evaluation.separation import check_separation

    def script(prompt: Prompt, text: str, index: int) -> str:
        right = prompt.condition == "well" if heeds else index % 2 == 0
        return "\\boxed{3}" if right else "\\boxed{4}"

    renderer = PlainRenderer()
    renderer.words = SimpleNamespace(solve_positive="well", solve_negative="badly")
    tasks = [task(str(i), "3") for i in range(10)]
    sampler = ScriptedSampler(script)
    found = asyncio.run(check_separation(sampler, renderer, tasks, 4, SamplingParams(8), seed=0))
    assert found.separates is heeds
    assert (found.positive, found.negative) == ((1.0, 0.0) if heeds else (0.5, 0.5))
    assert found.as_dict()["gap"] == (1.0 if heeds else 0.0)
    assert len({request.seed for request in sampler.calls}) == 20


def shown_by(terminal: bool = False) -> tuple[Display, io.StringIO]:
    out = io.StringIO()
    return Display(Console(file=out, width=90, force_terminal=terminal)), out


def test_an_example_is_the_most_telling_attempt_and_plain_text() -> None:
    display, out = shown_by()
    display.example(replace(episode(4), revisions=()))
    shown = out.getvalue()
    # Task a is mixed; of its attempts the right one was reviewed honestly.
    assert "revised" not in shown
    assert "step 5: 50 % of the attempts were right" in shown
    assert "Ann has [3] pens." in shown
    assert "attempt, right" in shown
    assert "says 3" in shown
    assert "[bold]look[/bold]" in shown  # words of a model are never markup


def test_an_attempt_that_its_review_corrected_is_shown_first() -> None:
    display, out = shown_by()
    display.example(episode(4))
    shown = out.getvalue()
    assert "step 5: 0 % of the attempts were right" in shown
    assert "says 8" in shown
    assert "revision, right" in shown
    assert "says 7" in shown


def test_nothing_to_show_is_no_example() -> None:
    display, out = shown_by()
    display.example(Episode(0, DOCUMENT, (), (), ()))
    assert out.getvalue() == ""


def test_bars_count_and_say_a_line_now_and_then() -> None:
    display, out = shown_by()
    with display.bars("training", done=0, total=12_000):
        for step in range(12):
            display.stage("solve")
            display.advance(1000 * (step + 1), f"loss {step}")
    assert "training 10,000/12,000 loss 9" in out.getvalue()
    assert "training 12,000/12,000 loss 11" in out.getvalue()
    assert out.getvalue().count("loss") == 2


def test_a_finished_stage_shows_no_bar() -> None:
    display, out = shown_by(terminal=True)
    with display.bars("training", done=0, total=0):
        display.stage("x")
        display.advance(1)
    assert out.getvalue() == ""


@pytest.mark.parametrize(
    ("budget", "extent", "progress"),
    [(0, (3, 12), 0.25), (1_000, (700, 1_000), 0.7), (10_000, (700, 10_000), 0.25)],
)
def test_a_run_ends_with_its_steps_or_its_tokens(budget, extent, progress) -> None:
    run = SimpleNamespace(
        state=State(step=3, tokens_sampled=500, tokens_trained=200),
        config=Config(steps=12, budget_tokens=budget),
        extent=extent,
    )
    assert Session.extent.fget(run) == extent
    assert Session.progress.fget(run) == pytest.approx(progress)


def of_tokens(count: int) -> list[TrainingRecord]:
    """Records with so many tokens that train, and as many that do not."""
    long = TrainingRecord("solve", (1,), (2,) * count, 1.0, "d")
    return [long, replace(long, weight=0.0)]


def test_the_learning_rate_rises_over_five_steps_and_falls_to_a_tenth() -> None:
    config = Config.model_validate({"learn": {"learning_rate": 1e-3}})
    many = of_tokens(5000)
    assert learning_rate(config, 0, many, 0.0) == pytest.approx(1e-3 / 5)
    assert learning_rate(config, 4, many, 0.04) == pytest.approx(1e-3 * (1 - 0.9 * 0.04))
    assert learning_rate(config, 50, many, 0.5) == pytest.approx(1e-3 * 0.55)
    assert learning_rate(config, 99, many, 0.99) == pytest.approx(1e-3 * 0.109)
    # Format steps only rise.
    assert learning_rate(config, 2, many) == pytest.approx(1e-3 * 3 / 5)
    assert learning_rate(config, 500, many) == pytest.approx(1e-3)


@pytest.mark.parametrize(("tokens", "share"), [(1024, 1), (256, 1 / 2), (64, 1 / 4), (0, 0)])
def test_a_step_of_few_tokens_has_a_lower_rate(tokens, share) -> None:
    config = Config.model_validate({"learn": {"learning_rate": 1e-3}})
    assert learning_rate(config, 9, of_tokens(tokens)) == pytest.approx(1e-3 * share)
