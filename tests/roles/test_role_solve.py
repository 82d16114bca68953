"""The solver's answers come from its own completion, and truth from the text."""

from __future__ import annotations

import asyncio

import pytest
from fakes import PlainRenderer, ScriptedSampler

from alive.protocols import SamplingParams
from alive.roles.review import from_text
from alive.roles.solve import revise, solve
from alive.types import MASK, Task

PARAMS = SamplingParams(max_new_tokens=8)
TASKS = [
    Task("t1", "d", rf"boxed \boxed{{3}} {MASK} a", "3", "poser"),
    Task("t2", "d", f"b {MASK}", "Paris", "random"),
]


def test_a_task_is_attempted_n_times_and_verified():
    said = {"t1": [r"\boxed{3}", "3", r"\boxed{3} \boxed{4}"], "t2": [r"\boxed{paris}", "", "x"]}

    def script(prompt, text, index):
        return said["t1" if "boxed" in text else "t2"][index]

    sampler = ScriptedSampler(script)
    groups = [
        asyncio.run(solve(sampler, PlainRenderer(), task, 3, PARAMS, "every step is right", 1))
        for task in TASKS
    ]
    assert [[(a.task_id, a.index, a.answer, a.correct) for a in g] for g in groups] == [
        [("t1", 0, "3", True), ("t1", 1, None, False), ("t1", 2, "4", False)],
        [("t2", 0, "paris", True), ("t2", 1, None, False), ("t2", 2, None, False)],
    ]
    # A group is one request: the sampler computes its prompt once.
    assert [(r.n, r.params) for r in sampler.calls] == [(3, PARAMS)] * 2
    assert {r.prompt.condition for r in sampler.calls} == {"every step is right"}


def test_a_seed_depends_on_task_and_words_alone():
    sampler = ScriptedSampler(lambda *_: "")
    asked = [(TASKS[0], None, 1), (TASKS[1], None, 1), (TASKS[0], "so", 1), (TASKS[0], None, 2)]
    for task, words, seed in [*asked, *reversed(asked)]:
        asyncio.run(solve(sampler, PlainRenderer(), task, 1, PARAMS, words, seed))
    seeds = [request.seed for request in sampler.calls]
    assert len(set(seeds)) == 4
    assert seeds[4:] == seeds[3::-1]


def test_revision_sees_the_review_and_keeps_the_index():
    sampler = ScriptedSampler(
        lambda prompt, text, index: r"\boxed{3}" if prompt.role == "revise" else r"\boxed{9}"
    )
    renderer = PlainRenderer()
    group = asyncio.run(solve(sampler, renderer, TASKS[0], 2, PARAMS, None, 1))
    reviews = [from_text(TASKS[0], a, "Summary: s\nVerdict: wrong\nScore: 1") for a in group]

    def revised(task, attempt, review):
        return asyncio.run(revise(sampler, renderer, task, attempt, review, PARAMS, 1))

    second = [revised(TASKS[0], a, r) for a, r in zip(group, reviews, strict=True)]
    assert [(a.task_id, a.index, a.correct) for a in second] == [("t1", 0, True), ("t1", 1, True)]
    assert not any(a.correct for a in group)
    assert sampler.calls[-1].seed != sampler.calls[-2].seed
    assert bytes(sampler.calls[-1].prompt.ids).decode().endswith("Verdict: wrong\nScore: 1")
    for task, attempt, review in (
        (TASKS[1], group[0], reviews[0]),
        (TASKS[0], group[0], reviews[1]),
    ):
        with pytest.raises(ValueError, match="do not belong together"):
            revised(task, attempt, review)
