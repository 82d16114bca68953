"""The solver's answers come from its own completion, and truth from the text."""

from __future__ import annotations

import pytest
from fakes import PlainRenderer, ScriptedSampler

from alive.roles.review import from_text
from alive.roles.solve import revise, solve
from alive.types import MASK, SamplingParams, Task

PARAMS = SamplingParams(max_new_tokens=8)
TASKS = [
    Task("t1", "d", rf"boxed \boxed{{3}} {MASK} a", "3", "poser"),
    Task("t2", "d", f"b {MASK}", "Paris", "random"),
]


def test_each_task_is_attempted_n_times_and_verified():
    said = {"t1": [r"\boxed{3}", "3", r"\boxed{3} \boxed{4}"], "t2": [r"\boxed{paris}", "", "x"]}

    def script(prompt, text, index):
        return said["t1" if "boxed" in text else "t2"][index]

    sampler = ScriptedSampler(script)
    groups = solve(sampler, PlainRenderer(), TASKS, 3, PARAMS, "every step is right", 1)
    assert [[(a.task_id, a.index, a.answer, a.correct) for a in g] for g in groups] == [
        [("t1", 0, "3", True), ("t1", 1, None, False), ("t1", 2, "4", False)],
        [("t2", 0, "paris", True), ("t2", 1, None, False), ("t2", 2, None, False)],
    ]
    # A group's prompt is given once: the sampler computes it once.
    (prompts, n, params, _), *rest = sampler.calls
    assert len(prompts) == 2 and n == 3 and params is PARAMS and not rest
    assert {p.condition for p in prompts} == {"every step is right"}


def test_no_tasks_no_call():
    sampler = ScriptedSampler(lambda *_: "")
    assert solve(sampler, PlainRenderer(), [], 2, PARAMS, None, 1) == ()
    assert revise(sampler, PlainRenderer(), [], [], [], PARAMS, 1) == ()
    assert sampler.calls == []


def test_revision_sees_the_review_and_keeps_the_index():
    sampler = ScriptedSampler(
        lambda prompt, text, index: r"\boxed{3}" if prompt.role == "revise" else r"\boxed{9}"
    )
    renderer = PlainRenderer()
    (group, _) = solve(sampler, renderer, TASKS, 2, PARAMS, None, 1)
    reviews = [from_text(TASKS[0], a, "Summary: s\nVerdict: wrong\nScore: 1") for a in group]
    second = revise(sampler, renderer, [TASKS[0]] * 2, group, reviews, PARAMS, 1)
    assert [(a.task_id, a.index, a.correct) for a in second] == [("t1", 0, True), ("t1", 1, True)]
    assert not any(a.correct for a in group)
    assert bytes(sampler.calls[-1][0][0].ids).decode().endswith("Verdict: wrong\nScore: 1")
    with pytest.raises(ValueError, match="do not belong together"):
        revise(sampler, renderer, [TASKS[1]] * 2, group, reviews, PARAMS, 1)
    with pytest.raises(ValueError):
        revise(sampler, renderer, [TASKS[0]], group, reviews, PARAMS, 1)
